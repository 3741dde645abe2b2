package xds

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// Stages decides how far a revision may go: *rollout.Machine, whose
// documentation is the contract. It is called with the server's lock held.
type Stages interface {
	Begin(rev mesh.Revision, at time.Time) (base uint64, err error)
	Abandon(reason string, at time.Time) error
	Holds(nodeID string) bool
}

// everybody is the roll-out without stages.
type everybody struct{}

func (everybody) Begin(mesh.Revision, time.Time) (uint64, error) { return 0, nil }
func (everybody) Abandon(string, time.Time) error                { return nil }
func (everybody) Holds(string) bool                              { return false }

// generation is one state of the configuration with what was compiled of it.
type generation struct {
	world  *world
	shared map[sharing]*set
}

// begin makes w the newest generation, and keeps the one that held nodes stay
// at. It comes before any node gets anything of w.
func (s *Server) begin(w *world, rev mesh.Revision, now time.Time) {
	base, err := s.opts.Stages.Begin(rev, now)
	if err != nil {
		s.opts.Logger.Error("the roll-out's state is not on disk: killed now, the server would forget it", "error", err)
	}
	switch {
	case base == 0 || base == rev.Number:
		s.base = nil
	case s.base != nil && s.base.world.revision == base:
	case s.world != nil && s.world.revision == base:
		s.base = &generation{s.world, s.shared}
	default:
		if s.base, err = s.recall(base); err != nil {
			s.opts.Logger.Error("nodes cannot be held back", "revision", base, "error", err)
			if err := s.opts.Stages.Abandon(fmt.Sprintf("what revision %d was is not known any more: all nodes get revision %d", base, rev.Number), now); err != nil {
				s.opts.Logger.Error("the roll-out's state is not on disk", "error", err)
			}
		}
	}
	clear(s.changes)
	s.world, s.shared, s.revisionAt = w, map[sharing]*set{}, rev.At
}

// recall makes an earlier generation anew, after a restart.
func (s *Server) recall(revision uint64) (*generation, error) {
	if s.opts.Content == nil {
		return nil, fmt.Errorf("content of revision %d: %w", revision, mesh.ErrNotFound)
	}
	objects, err := s.opts.Content(revision)
	if err != nil {
		return nil, err
	}
	return &generation{newWorld(config.Snapshot{Revision: mesh.Revision{Number: revision}, Objects: objects}, s.opts.Cluster, s.opts.Security), map[sharing]*set{}}, nil
}

// of gives the generation that a node is to have.
func (s *Server) of(n *node) *generation {
	if s.base != nil && s.opts.Stages.Holds(n.proxy.node.ID) {
		return s.base
	}
	return &generation{s.world, s.shared}
}

// Restage hears that other nodes are held than before: those that are let go
// get the newest revision.
func (s *Server) Restage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, held := s.opts.Now(), false
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		n := s.nodes[id]
		if n.held == 0 {
			continue
		}
		if s.base != nil && s.opts.Stages.Holds(id) {
			held = true
			continue
		}
		s.compile(n, s.before(), now)
	}
	if !held && s.base != nil && !s.opts.Stages.Holds("") {
		s.base = nil
	}
	s.offerAll()
}

// before is what was shared in the generation before the newest.
func (s *Server) before() map[sharing]*set {
	if s.base == nil {
		return nil
	}
	return s.base.shared
}

// offerAll offers to every stream what it lacks.
func (s *Server) offerAll() {
	push := pusher.ring
	if s.opts.Fault.PushPause > 0 {
		push = s.slowly
	}
	for _, st := range s.streams {
		push(st)
	}
	for _, st := range s.sotw {
		push(st)
	}
}
