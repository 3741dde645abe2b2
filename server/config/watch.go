package config

import (
	"context"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// maxSettle bounds how long a directory that never comes to rest is waited for.
const maxSettle = 2 * time.Second

// watcher reads the directory again when it changes: on events of the file
// system where there are any, and by a poll where there are none (network file
// systems, used-up watches).
type watcher struct {
	store  *Store
	notify *fsnotify.Watcher // nil when the system gives none
}

func newWatcher(s *Store) *watcher {
	w := &watcher{store: s}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		s.opts.Logger.Warn("file events are not to be had, polling instead", "every", s.opts.Rescan, "error", err)
		return w
	}
	w.notify = notify
	return w
}

func (w *watcher) close() {
	if w.notify != nil {
		_ = w.notify.Close()
	}
}

func (w *watcher) run(ctx context.Context) error {
	s := w.store
	var events chan fsnotify.Event
	var errs chan error
	if w.notify != nil {
		events, errs = w.notify.Events, w.notify.Errors
	}
	w.reload() // what changed between Open and now, and the watches

	poll := time.NewTicker(s.opts.Rescan)
	defer poll.Stop()
	settle := time.NewTimer(0)
	settle.Stop()
	defer settle.Stop()
	var since time.Time // first event of those not yet read

	changed := func() {
		now := time.Now()
		if since.IsZero() {
			since = now
		}
		settle.Reset(min(s.opts.Debounce, max(0, maxSettle-now.Sub(since))))
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-events:
			if !ok {
				events = nil
			} else if e.Op != fsnotify.Chmod { // permissions alone change no content; the poll sees them
				changed()
			}
		case err, ok := <-errs:
			if !ok {
				errs = nil
				continue
			}
			s.opts.Logger.Warn("file events were lost, reading all again", "error", err)
			changed()
		case <-poll.C:
			if since.IsZero() && w.differs() {
				changed()
			}
		case <-settle.C:
			since = time.Time{}
			w.reload()
		}
	}
}

func (w *watcher) differs() bool {
	w.store.changing.Lock()
	defer w.store.changing.Unlock()
	return !w.store.tree.sameAs(w.store.opts.Dir)
}

// reload reads the directory and watches the folders that are new. What changed
// in a new folder before it was watched raised no event, so it is read again.
func (w *watcher) reload() {
	s := w.store
	s.changing.Lock()
	defer s.changing.Unlock()
	for range 4 {
		if err := s.load(origin{by: "directory"}); err != nil {
			s.opts.Logger.Error("read configuration", "dir", s.opts.Dir, "error", err)
		}
		if !w.watch(s.tree.dirs) {
			return
		}
	}
}

// watch adds the folders that are not watched yet, and tells whether there were
// any.
func (w *watcher) watch(dirs []string) (added bool) {
	if w.notify == nil {
		return false
	}
	watched := w.notify.WatchList()
	for _, dir := range dirs {
		isNew := !slices.Contains(watched, dir)
		// Known ones too: the folder behind the name may be another one now.
		if err := w.notify.Add(dir); err != nil {
			w.store.opts.Logger.Debug("folder cannot be watched, polling it", "dir", dir, "error", err)
			continue
		}
		added = added || isNew
	}
	for _, dir := range watched {
		if !slices.Contains(dirs, dir) {
			_ = w.notify.Remove(dir)
		}
	}
	return added
}
