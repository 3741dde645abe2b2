package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Options configure a Store.
type Options struct {
	// Dir is watched, and made when it is missing. "" means StateDir/objects:
	// configuration by the API only.
	Dir string
	// StateDir keeps the history of revisions, so that numbers go on after a
	// restart. "" keeps none.
	StateDir string
	// Check finds what is wrong between objects (registry.Check). Its errors
	// refuse an API change; in the directory they are reported only, because
	// which of two objects is at fault is not known there.
	Check func([]*Object) []Problem

	// Sources give objects besides the directory. What an earlier process had of
	// them stays until they are heard.
	Sources []Source

	Debounce   time.Duration // quiet time after a file event; 0 means 100 ms
	Rescan     time.Duration // poll for changes that raised no event; 0 means 5 s
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	Now        func() time.Time      // nil: time.Now
}

func (o *Options) setDefaults() error {
	if o.Dir == "" {
		if o.StateDir == "" {
			return fmt.Errorf("configuration needs a directory: %w", mesh.ErrInvalid)
		}
		o.Dir = filepath.Join(o.StateDir, "objects")
	}
	if o.Check == nil {
		o.Check = func([]*Object) []Problem { return nil }
	}
	if o.Debounce <= 0 {
		o.Debounce = 100 * time.Millisecond
	}
	if o.Rescan <= 0 {
		o.Rescan = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return nil
}

// Snapshot is the whole desired configuration at one revision. It is shared
// and must not be changed.
type Snapshot struct {
	Revision mesh.Revision
	Objects  []*Object // by key
	Problems []Problem // by place
}

// Store is the desired configuration: what the directory says, as far as it is
// good. It is safe for concurrent use.
type Store struct {
	opts    Options
	history *history
	metrics *metrics

	// changing is held while the directory is read or written and while
	// subscribers are told, so that revisions are made and seen in order.
	changing sync.Mutex
	tree     tree
	sources  []*sourced
	subs     []*subscription

	mu       sync.RWMutex // guards what readers see
	snapshot Snapshot
}

type subscription struct{ fn func(Snapshot) }

// Open loads the directory: its first revision is made when Open returns.
// Objects that are not good are Problems, not an error.
func Open(opts Options) (*Store, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make configuration directory: %w", err)
	}
	h, err := openHistory(opts.StateDir, opts.Logger)
	if err != nil {
		return nil, err
	}
	s := &Store{opts: opts, history: h, metrics: newMetrics(opts.Registerer)}
	for _, source := range opts.Sources {
		s.sources = append(s.sources, &sourced{Source: source})
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.load(origin{by: "directory"}); err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	return s, nil
}

// Dir is the directory that is watched.
func (s *Store) Dir() string { return s.opts.Dir }

// Snapshot is the present state.
func (s *Store) Snapshot() Snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.snapshot
}

// Objects lists all objects in effect, by key.
func (s *Store) Objects() []*Object { return s.Snapshot().Objects }

// Object finds one object; mesh.ErrNotFound when there is none.
func (s *Store) Object(key Key) (*Object, error) {
	if o := objectIn(s.Objects(), key); o != nil {
		return o, nil
	}
	return nil, fmt.Errorf("%s: %w", key, mesh.ErrNotFound)
}

// Problems lists what is wrong in the directory now, by place.
func (s *Store) Problems() []Problem { return s.Snapshot().Problems }

// Revisions lists the newest revisions, newest first; limit 0 means all kept.
func (s *Store) Revisions(limit int) []mesh.Revision { return s.history.list(limit) }

// Revision finds one revision; mesh.ErrNotFound when it is not kept any more.
func (s *Store) Revision(n uint64) (mesh.Revision, error) {
	if rev, ok := s.history.revision(n); ok {
		return rev, nil
	}
	return mesh.Revision{}, fmt.Errorf("revision %d: %w", n, mesh.ErrNotFound)
}

// Content gives all objects of a revision, by key. mesh.ErrNotFound when the
// revision or its content is not kept any more, mesh.ErrConflict when this
// version does not accept an object that was accepted then.
func (s *Store) Content(n uint64) ([]*Object, error) {
	if snapshot := s.Snapshot(); snapshot.Revision.Number == n {
		return snapshot.Objects, nil
	}
	content, ok := s.history.content(n)
	if !ok {
		return nil, fmt.Errorf("content of revision %d: %w", n, mesh.ErrNotFound)
	}
	objects := make([]*Object, 0, len(content))
	for _, r := range content {
		o, err := r.object()
		if err != nil {
			return nil, fmt.Errorf("content of revision %d: %w", n, err)
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// Diff tells how the content of two revisions differs. Errors are Content's.
func (s *Store) Diff(from, to uint64) ([]ObjectDiff, error) {
	before, err := s.Content(from)
	if err != nil {
		return nil, err
	}
	after, err := s.Content(to)
	if err != nil {
		return nil, err
	}
	return Compare(before, after), nil
}

// Decode gives the objects of a text, by key. An *InvalidError tells why not.
// Names that lead nowhere are not looked at.
func (s *Store) Decode(text []byte) ([]*Object, error) {
	objects, problems := decodeText(text)
	if HasErrors(problems) {
		sortProblems(problems)
		return nil, &InvalidError{problems}
	}
	return objects, nil
}

// DiffText tells what Apply would change: how the objects of a text differ from
// those in effect. An *InvalidError tells why there is no answer.
func (s *Store) DiffText(text []byte) ([]ObjectDiff, error) {
	objects, err := s.Decode(text)
	if err != nil {
		return nil, err
	}
	var before []*Object
	for _, o := range objects {
		if now := objectIn(s.Objects(), o.Key()); now != nil {
			before = append(before, now)
		}
	}
	return Compare(before, objects), nil
}

// Subscribe calls fn with the present state before it returns, then with each
// later revision, in order and one at a time, on the goroutine that made the
// change. fn may read the store; it must not change it, nor subscribe.
func (s *Store) Subscribe(fn func(Snapshot)) (cancel func()) {
	s.changing.Lock()
	defer s.changing.Unlock()
	sub := &subscription{fn}
	s.subs = append(s.subs, sub)
	fn(s.Snapshot())
	return func() {
		s.changing.Lock()
		defer s.changing.Unlock()
		s.subs = slices.DeleteFunc(s.subs, func(other *subscription) bool { return other == sub })
	}
}

// Run watches the directory and the sources until ctx ends. Without it the store
// answers, and takes changes by Apply, but does not see the directory's own.
func (s *Store) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	for _, of := range s.sources {
		watching.Go(func() { s.watchSource(ctx, of) })
	}
	w := newWatcher(s)
	defer w.close()
	if err := w.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("watch %s: %w", s.opts.Dir, err)
	}
	return nil
}
