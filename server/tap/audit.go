package tap

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// recordsMax is how many ended views are remembered; the log has all.
const recordsMax = 256

// Record is one viewer's session for the audit: who looked at what, when, and
// how much.
type Record struct {
	ID        string         `json:"id"`      // of this view; what Stop takes
	Session   string         `json:"session"` // shared by viewers who ask the same
	User      string         `json:"user"`
	Filter    string         `json:"filter"`
	Headers   bool           `json:"headers"`
	LimitPerS int            `json:"limit_per_s"`
	OpenedAt  time.Time      `json:"opened_at"`
	ClosedAt  time.Time      `json:"closed_at,omitzero"` // missing while it is open
	Reason    string         `json:"reason"`             // why it ended; "" while it is open
	Sidecars  int            `json:"sidecars"`           // that take part; 0 once it has ended
	Ledger    mesh.TapLedger `json:"ledger"`
}

// Sessions lists the views that are open, then those that ended, each the
// newest first.
func (h *Hub) Sessions() []Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []Record{}
	for _, s := range h.sessions {
		for _, v := range s.everyone() {
			list = append(list, v.record(time.Time{}))
		}
	}
	slices.SortFunc(list, func(a, b Record) int {
		if c := b.OpenedAt.Compare(a.OpenedAt); c != 0 {
			return c
		}
		return strings.Compare(a.Session+a.User, b.Session+b.User)
	})
	for _, r := range slices.Backward(h.past) {
		list = append(list, r)
	}
	return list
}

// Stop ends an open view for somebody else; by goes to its viewer and into the
// audit. The error wraps mesh.ErrNotFound.
func (h *Hub) Stop(id, by string) error {
	v := h.viewer(id)
	if v == nil {
		return fmt.Errorf("open tap session %q: %w", id, mesh.ErrNotFound)
	}
	v.end(ReasonStopped + by)
	return nil
}

func (h *Hub) viewer(id string) *Viewer {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		for _, v := range s.everyone() {
			if v.id == id {
				return v
			}
		}
	}
	return nil
}

// remember keeps the record of a viewer that ended.
func (h *Hub) remember(v *Viewer, at time.Time) {
	r := v.record(at)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.past) == recordsMax {
		h.past = h.past[1:]
	}
	h.past = append(h.past, r)
}

func (v *Viewer) record(closed time.Time) Record {
	s := v.session
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Record{
		ID: v.id, Session: s.id, User: v.user, Filter: s.filter, Headers: s.headers, LimitPerS: s.limit,
		OpenedAt: v.opened, ClosedAt: closed, Reason: v.reason, Ledger: v.ledger(),
	}
	if closed.IsZero() {
		r.Sidecars = len(s.feeds)
	}
	return r
}
