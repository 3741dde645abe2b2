// Package dns keeps the addresses of names up to date, for clusters whose
// endpoints are names. It looks them up again and again, a few at a time, and
// tells when they changed; a lookup that fails changes nothing.
//
// It knows no clusters and no endpoints: proxy/forward makes endpoints of what it
// finds.
package dns

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Resolver looks a name up. It gives the addresses in the order in which they
// should be tried, at least one without an error, and for how long they hold: 0
// when nobody told.
type Resolver interface {
	Lookup(ctx context.Context, name string) (found []netip.Addr, holds time.Duration, err error)
}

// maxLookups bounds the lookups under way, shortest how often a name is looked up
// whatever its answer says, longest how long a lookup may take.
const (
	maxLookups = 8
	shortest   = time.Second
	longest    = 10 * time.Second
)

// Names looks names up for all clusters of a sidecar.
type Names struct {
	resolver Resolver
	log      *slog.Logger
	ctx      context.Context // of all lookups; ended by Close
	cancel   context.CancelFunc
	slots    chan struct{}

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup

	lookups, failures atomic.Uint64
}

// New looks names up by the resolver.
func New(r Resolver, log *slog.Logger) *Names {
	n := &Names{resolver: r, log: log, slots: make(chan struct{}, maxLookups)}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

// Close ends all lookups and waits for them.
func (n *Names) Close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.cancel()
	n.running.Wait()
}

// Lookups tells how many there were, and how many of them failed.
func (n *Names) Lookups() (all, failed uint64) { return n.lookups.Load(), n.failures.Load() }

// Watch looks names up until it is stopped.
type Watch struct {
	n       *Names
	every   time.Duration
	heedTTL bool
	changed func(name string, found []netip.Addr)
	ctx     context.Context
	cancel  context.CancelFunc
}

// Watch begins to look names up, at once and then every so often; with heedTTL
// rather when an answer's time is over. Changed is told of each name's addresses
// when they are others than before, one name at a time on a goroutine of its own;
// it may still be called while Stop is.
func (n *Names) Watch(names []string, every time.Duration, heedTTL bool, changed func(string, []netip.Addr)) *Watch {
	w := &Watch{n: n, every: every, heedTTL: heedTTL, changed: changed}
	w.ctx, w.cancel = context.WithCancel(n.ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range names {
		if !n.closed {
			n.running.Go(func() { w.follow(name) })
		}
	}
	return w
}

// Stop ends the watch, soon.
func (w *Watch) Stop() { w.cancel() }

func (w *Watch) follow(name string) {
	var last []netip.Addr
	failing := false
	for {
		found, holds, err := w.n.lookup(w.ctx, name)
		if w.ctx.Err() != nil {
			return
		}
		next := w.every
		switch {
		case err != nil:
			if !failing {
				w.n.log.Warn("name does not resolve", "name", name, "known_addresses", len(last), "error", err)
			}
		case !sameSet(found, last):
			last = found
			w.changed(name, found)
		}
		if failing && err == nil {
			w.n.log.Info("name resolves again", "name", name, "addresses", len(found))
		}
		if failing = err != nil; !failing && w.heedTTL && holds > 0 {
			next = max(holds, shortest)
		}
		timer := time.NewTimer(next)
		select {
		case <-timer.C:
		case <-w.ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (n *Names) lookup(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	select {
	case n.slots <- struct{}{}:
		defer func() { <-n.slots }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	n.lookups.Add(1)
	found, holds, err := n.resolver.Lookup(ctx, name)
	if err != nil {
		n.failures.Add(1)
	}
	return found, holds, err
}

// sameSet compares addresses without their order, which servers turn round.
func sameSet(a, b []netip.Addr) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return true
}
