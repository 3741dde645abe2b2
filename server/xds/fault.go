package xds

import (
	"context"
	"slices"
	"time"
)

// Fault makes the server misbehave in a known way, for tests and for showing
// what Sidelight says about it. The zero value is a healthy server.
type Fault struct {
	// PushPause: changes go to one stream after the other, with this pause
	// before each, as from a control plane that lacks CPU.
	PushPause time.Duration
}

// pusher is a stream, of either form, that is to be offered what it lacks.
type pusher interface{ ring() }

// slowly makes the streams of a change wait for their turn. It is called with
// the server's lock held.
func (s *Server) slowly(p pusher) {
	if !slices.Contains(s.turns, p) {
		s.turns = append(s.turns, p)
	}
}

// takeTurns offers to one stream after the other until ctx ends.
func (s *Server) takeTurns(ctx context.Context) {
	pause := time.NewTicker(s.opts.Fault.PushPause)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
			s.takeTurn()
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) takeTurn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.turns) == 0 {
		return
	}
	next := s.turns[0]
	s.turns = s.turns[1:]
	next.ring()
}
