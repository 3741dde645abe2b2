package target

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	// maxFile bounds what is read of one file: some 50,000 targets.
	maxFile = 4 << 20
	// rescan finds what notifications miss: network file systems, folders
	// that appear later.
	rescan = 5 * time.Second
	// settle is how long a burst of notifications may go on: a file that is
	// being written is read when it is whole, more likely.
	settle = 50 * time.Millisecond
)

// File reads targets from files in Prometheus' file discovery format and
// follows their changes. A file that is broken keeps the targets that it had,
// and is named in Problems until it is whole again; one that is gone takes its
// targets with it.
type File struct {
	patterns []string
	logger   *slog.Logger

	mu       sync.Mutex
	good     map[string][]Target // by file
	problems map[string]Problem
}

// NewFile makes a source of all files that match any of the patterns, as
// filepath.Match has them. Names end in .json, .yml or .yaml.
func NewFile(logger *slog.Logger, patterns ...string) (*File, error) {
	for _, p := range patterns {
		if _, err := filepath.Match(p, ""); err != nil {
			return nil, fmt.Errorf("target files %q: %w: %w", p, mesh.ErrInvalid, err)
		}
		if !readable(p) {
			return nil, fmt.Errorf("target files %q: %w: the name must end in .json, .yml or .yaml", p, mesh.ErrInvalid)
		}
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &File{
		patterns: patterns,
		logger:   logger,
		good:     make(map[string][]Target),
		problems: make(map[string]Problem),
	}, nil
}

func readable(name string) bool {
	switch filepath.Ext(name) {
	case ".json", ".yml", ".yaml":
		return true
	}
	return false
}

// Problems implements Reporter.
func (f *File) Problems() []Problem {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.SortedFunc(maps.Values(f.problems), func(a, b Problem) int { return cmp.Compare(a.Source, b.Source) })
}

// Run implements Source.
func (f *File) Run(ctx context.Context, update func([]Target)) error {
	// Without notifications, for which a machine has a limit, the rescan does.
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		f.logger.Warn("target files are only looked at now and then", "every", rescan, "err", err)
		watcher = &fsnotify.Watcher{}
	} else {
		defer watcher.Close()
	}
	ticker := time.NewTicker(rescan)
	defer ticker.Stop()
	first := true
	for {
		if f.read() || first {
			update(f.targets())
		}
		first = false
		f.watch(watcher)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-watcher.Events:
			if !settled(ctx, watcher.Events) {
				return nil
			}
		case err := <-watcher.Errors:
			f.logger.Warn("watch target files", "err", err)
		}
	}
}

// settled waits until a burst of events is over and says whether to go on.
func settled(ctx context.Context, events <-chan fsnotify.Event) bool {
	over := time.NewTimer(settle)
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-events:
		case <-over.C:
			return true
		}
	}
}

// watch asks for notifications of the folders, since editors replace files.
func (f *File) watch(w *fsnotify.Watcher) {
	if w.Events == nil {
		return
	}
	for _, p := range f.patterns {
		dirs, err := filepath.Glob(filepath.Dir(p))
		if err != nil {
			continue
		}
		for _, dir := range dirs {
			// Again and again, as a folder may have been replaced; one that
			// cannot be watched is found by the rescan.
			_ = w.Add(dir)
		}
	}
}

// read reads all files and says whether the targets may have changed.
func (f *File) read() (changed bool) {
	found, missing := make(map[string]bool), make(map[string]bool)
	for _, p := range f.patterns {
		names, err := filepath.Glob(p)
		if err != nil {
			continue // checked when made
		}
		for _, name := range names {
			found[name] = true
		}
		if len(names) == 0 && !strings.ContainsAny(p, `*?[\\`) {
			missing[p] = true // a pattern may match nothing, a name was meant
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(found)) {
		targets, err := parseFile(name)
		if err != nil {
			f.broken(name, err)
			continue
		}
		if _, ok := f.problems[name]; ok {
			delete(f.problems, name)
			f.logger.Info("target file is whole again", "file", name)
		}
		if old, ok := f.good[name]; !ok || !slices.EqualFunc(old, targets, equal) {
			f.good[name], changed = targets, true
		}
	}
	for name := range f.good {
		if !found[name] {
			delete(f.good, name)
			changed = true
		}
	}
	for name := range missing {
		f.broken(name, fs.ErrNotExist)
	}
	maps.DeleteFunc(f.problems, func(name string, _ Problem) bool { return !found[name] && !missing[name] })
	return changed
}

// broken notes what is wrong with a file, and logs it when it is news.
func (f *File) broken(name string, err error) {
	p, ok := f.problems[name]
	if ok && p.Message == err.Error() {
		return
	}
	if !ok {
		p.Since = time.Now()
	}
	p.Source, p.Message = name, err.Error()
	f.problems[name] = p
	f.logger.Warn("target file cannot be read, its last good targets stay", "file", name, "targets", len(f.good[name]), "err", err)
}

func (f *File) targets() []Target {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := []Target{}
	for _, name := range slices.Sorted(maps.Keys(f.good)) {
		out = append(out, f.good[name]...)
	}
	return out
}

func parseFile(name string) ([]Target, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parse := ParseYAML
	if filepath.Ext(name) == ".json" {
		parse = ParseJSON
	}
	return parseBounded(file, parse)
}

// parseBounded refuses what is longer than maxFile, rather than reading the
// targets in the part that is not.
func parseBounded(r io.Reader, parse func(io.Reader) ([]Target, error)) ([]Target, error) {
	limited := &io.LimitedReader{R: r, N: maxFile + 1}
	targets, err := parse(limited)
	if limited.N <= 0 {
		return nil, fmt.Errorf("%w: longer than %d MiB", mesh.ErrInvalid, maxFile>>20)
	}
	return targets, err
}

func equal(a, b Target) bool {
	return a.URL() == b.URL() && a.Node == b.Node && a.Workload == b.Workload && maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Meta, b.Meta)
}
