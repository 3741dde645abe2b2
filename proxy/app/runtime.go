package app

import (
	"sync"
	"sync/atomic"

	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// Runtime applies snapshots to the engine and the listeners as one change: all
// of it or nothing.
type Runtime struct {
	engine  *forward.Engine
	sockets *listen.Set

	mu      sync.Mutex
	current atomic.Pointer[forward.Snapshot]
}

// Apply swaps to s. When it gives nil, requests that come from now on are
// served by s; when not, by what was there before.
func (r *Runtime) Apply(s *forward.Snapshot) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change, err := r.sockets.Prepare(s.Listeners)
	if err != nil {
		return err
	}
	// Routes and clusters first: a new listener must not find its routes absent.
	if err := r.engine.Apply(*s); err != nil {
		change.Abandon()
		return err
	}
	change.Commit()
	r.current.Store(s)
	return nil
}

// Current gives the snapshot that runs, nil before the first.
func (r *Runtime) Current() *forward.Snapshot { return r.current.Load() }

func (r *Runtime) revision() uint64 {
	if s := r.current.Load(); s != nil {
		return s.Revision
	}
	return 0
}
