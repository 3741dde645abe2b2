package target

import (
	"context"
	"slices"
	"sync"
)

// Static is a fixed list of targets.
type Static []Target

// Run implements Source.
func (s Static) Run(ctx context.Context, update func([]Target)) error {
	update(slices.Clone(s))
	<-ctx.Done()
	return nil
}

// Func makes a Source of a function: the way in for a part of the same
// process that knows targets in its own terms.
type Func func(ctx context.Context, update func([]Target)) error

// Run implements Source.
func (f Func) Run(ctx context.Context, update func([]Target)) error { return f(ctx, update) }

// Live is a Source whose targets are set in process. It is safe for
// concurrent use; one Run at a time sees the changes.
type Live struct {
	mu      sync.Mutex
	targets []Target
	changed chan struct{} // holds at most one signal: only the newest set matters
}

// NewLive gives a Source without targets.
func NewLive() *Live { return &Live{changed: make(chan struct{}, 1)} }

// Set replaces the targets.
func (l *Live) Set(targets []Target) {
	copied := make([]Target, len(targets))
	for i, t := range targets {
		copied[i] = t.Clone()
	}
	l.mu.Lock()
	l.targets = copied
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Run implements Source.
func (l *Live) Run(ctx context.Context, update func([]Target)) error {
	for {
		l.mu.Lock()
		targets := l.targets
		l.mu.Unlock()
		update(targets)
		select {
		case <-ctx.Done():
			return nil
		case <-l.changed:
		}
	}
}
