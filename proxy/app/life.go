package app

import (
	"context"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// life observes in which order the sidecar and the app beside it come and go. An
// app that is up before its sidecar, or stays after it, calls into nothing.
type life struct {
	inbound    []xds.Inbound
	notServing func() string
	changed    chan struct{} // has a token when there is more to tell
	watching   sync.WaitGroup
	ended      chan struct{} // closed when nobody is to look any more

	mu  sync.Mutex
	now mesh.Life
}

// lookEvery is how often the app's port is tried until it answers, and while the
// sidecar drains until it does so no more. In between nobody knocks.
const lookEvery = 100 * time.Millisecond

func newLife(started time.Time, inbound []xds.Inbound, notServing func() string) *life {
	return &life{
		inbound: inbound, notServing: notServing, changed: make(chan struct{}, 1), ended: make(chan struct{}),
		now: mesh.Life{StartedAt: started, App: len(inbound) > 0},
	}
}

// account gives what is known so far.
func (l *life) account() mesh.Life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// note changes the account and tells that it has.
func (l *life) note(change func(now *mesh.Life)) {
	l.mu.Lock()
	change(&l.now)
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default: // there is a token already
	}
}

// watchStart looks until both are up, the sidecar drains, or ctx ends.
func (l *life) watchStart(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		now := l.account()
		if !now.DrainingAt.IsZero() || !now.ServingAt.IsZero() && (!now.App || !now.AppAt.IsZero()) {
			return
		}
		// An app that is up at the first look was there before the sidecar. Who is
		// seen up in the same look later came at the same time, as far as one can tell.
		at := time.Now()
		serving := !first && now.ServingAt.IsZero() && l.notServing() == ""
		app := now.App && now.AppAt.IsZero() && appDown(ctx, l.inbound) == ""
		if serving || app {
			l.note(func(now *mesh.Life) {
				if serving {
					now.ServingAt = at
				}
				if app {
					now.AppAt = at
				}
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// drain notes that the sidecar takes no more, and watches the app go.
func (l *life) drain() {
	l.note(func(now *mesh.Life) { now.DrainingAt = time.Now() })
	if now := l.account(); !now.App || now.AppAt.IsZero() {
		return
	}
	l.watching.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for !l.appGone(context.Background()) {
			select {
			case <-l.ended:
				return
			case <-tick.C:
			}
		}
	})
}

func (l *life) drained(cut int) {
	l.note(func(now *mesh.Life) { now.DrainedAt, now.ConnectionsCut = time.Now(), int64(cut) })
}

// leave looks at the app a last time.
func (l *life) leave(ctx context.Context) {
	close(l.ended)
	l.watching.Wait()
	if now := l.account(); now.App && !now.AppAt.IsZero() && now.AppGoneAt.IsZero() {
		l.appGone(ctx)
	}
	l.note(func(now *mesh.Life) { now.EndedAt = time.Now() })
}

// appGone notes that the app accepts no more, if it does not.
func (l *life) appGone(ctx context.Context) bool {
	if appDown(ctx, l.inbound) == "" {
		return false
	}
	l.note(func(now *mesh.Life) { now.AppGoneAt = time.Now() })
	return true
}
