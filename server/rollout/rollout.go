// Package rollout decides how far a revision of the configuration may go: to a
// few nodes first, then to all, or no further. It stands beside server/xds,
// which asks it who is held back, and reads the nodes' state from server/skew.
//
// It is a state machine without a clock: times come with the calls. What it
// decides is handed to Save before it takes effect, so that a server that is
// killed at any point goes on where it was.
package rollout

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Policy says who goes first and for how long they are watched. The zero
// Policy lets everybody go at once.
type Policy struct {
	Percent int           // of the connected nodes, at least one
	Nodes   []string      // or these
	Watch   time.Duration // how long the canary must be well before the rest goes
	// MaxRise is by how much the canary's error ratio may be above what it was
	// before and above the others'; 0 means 0.01.
	MaxRise float64
}

func (p Policy) staged() bool { return p.Percent > 0 && p.Percent < 100 || len(p.Nodes) > 0 }

// The phases of a roll-out.
const (
	Done   = "done"   // every node may have the target
	Canary = "canary" // the canary has it, and is watched
	Held   = "held"   // nobody else gets it until somebody resumes, or another revision comes
)

// State is how the roll-out of the newest revision stands.
type State struct {
	Phase     string    `json:"phase"`
	Target    uint64    `json:"target"`
	Base      uint64    `json:"base"` // what nodes beyond the canary keep; the target when done
	Canary    []string  `json:"canary"`
	Since     time.Time `json:"since"`                 // of the phase
	StartedAt time.Time `json:"started_at"`            // of the roll-out
	WellSince time.Time `json:"well_since,omitzero"`   // since when the canary runs the target
	Before    *float64  `json:"error_ratio_before"`    // of the canary in the minute before; null: no traffic
	Now       *float64  `json:"error_ratio_now"`       // since it runs the target
	Others    *float64  `json:"error_ratio_others"`    // of the rest in the same time
	Reason    string    `json:"reason"`                // one sentence
	By        string    `json:"by,omitempty"`          // who held or resumed
	Paused    bool      `json:"paused"`                // held by a person: later revisions stay with the canary too
	HeldFor   string    `json:"held_for,omitempty"`    // by whom, and why
	WatchS    float64   `json:"watch_s"`               // of the policy
	Percent   int       `json:"percent,omitempty"`     // of the policy
	Named     []string  `json:"named_nodes,omitempty"` // of the policy
}

// because sets the reason, and behind it who keeps the roll-out from going on.
func (s *State) because(format string, args ...any) {
	s.Reason = fmt.Sprintf(format, args...)
	if s.Paused {
		s.Reason += "; " + s.HeldFor
	}
}

// Stopped tells whether the target goes no further by itself.
func (s *State) Stopped() bool { return s.Phase == Held || s.Phase == Canary && s.Paused }

// Traffic tells what nodes handled in a time.
type Traffic interface {
	Errors(nodes []string, from, to time.Time) (requests, failed float64)
}

// minRequests is how much traffic says anything about errors.
const minRequests = 20

// Machine is one server's roll-out. It is safe for concurrent use.
type Machine struct {
	policy  Policy
	traffic Traffic
	save    func(State) error

	mu    sync.Mutex
	state State
}

// New continues from a state that was saved, or from the zero State.
func New(p Policy, traffic Traffic, from State, save func(State) error) *Machine {
	p.MaxRise = cmp.Or(p.MaxRise, 0.01)
	if from.Canary == nil {
		from.Canary = []string{}
	}
	from.WatchS, from.Percent, from.Named = p.Watch.Seconds(), p.Percent, p.Nodes
	return &Machine{policy: p, traffic: traffic, save: save, state: from}
}

// State gives the present state.
func (m *Machine) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	s.Canary = slices.Clone(s.Canary)
	return s
}

// set makes a state the present one, after it is on disk. A disk that does not
// take it does not stop the configuration: the error is given for the log.
func (m *Machine) set(s State) error {
	err := m.save(s)
	m.state = s
	return err
}

// Begin hears of a revision before any node gets it, and gives the one that
// held nodes keep: base, or 0 when everybody gets the new one at once. Hearing
// of the same again, after a restart, changes nothing.
func (m *Machine) Begin(rev mesh.Revision, at time.Time) (base uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	switch {
	case s.Target == rev.Number && s.Phase != Done && s.Phase != "":
		return s.Base, nil
	case s.Target == rev.Number || s.Target == 0 || !m.policy.staged() && !s.Paused:
		return 0, m.done(s, rev.Number, "all nodes get it at once", at)
	case s.Phase == Done && rev.EndpointsOnly(): // instances that come and go must not wait for a canary
		return 0, m.done(s, rev.Number, "it changes endpoints only: all nodes get it at once", at)
	}
	if s.Phase == Done || s.Phase == "" {
		s.Base, s.Canary = s.Target, []string{}
	}
	s.Target, s.Phase, s.Since, s.StartedAt = rev.Number, Canary, at, at
	s.WellSince, s.Before, s.Now, s.Others = time.Time{}, nil, nil, nil
	if !m.policy.staged() { // held by hand: nobody goes first
		s.Phase, s.Reason = Held, s.HeldFor
		return s.Base, m.set(s)
	}
	s.because("revision %d goes to the canary; the others keep revision %d", s.Target, s.Base)
	return s.Base, m.set(s)
}

func (m *Machine) done(s State, target uint64, reason string, at time.Time) error {
	s.Phase, s.Target, s.Base, s.Since, s.Reason = Done, target, target, at, reason
	if s.StartedAt.IsZero() || s.Canary == nil {
		s.StartedAt, s.Canary = at, []string{}
	}
	return m.set(s)
}

// Abandon gives a roll-out up, because what held nodes should keep is not
// known any more: everybody gets the target.
func (m *Machine) Abandon(reason string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.done(m.state, m.state.Target, reason, at)
}

// Holds tells whether a node is to keep the base.
func (m *Machine) Holds(nodeID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Phase != Canary && m.state.Phase != Held {
		return false
	}
	return !slices.Contains(m.state.Canary, nodeID)
}

// Step lets time pass: it chooses the canary as nodes are there, and lets the
// rest go, or holds. changed tells that other nodes are held than before.
func (m *Machine) Step(nodes []skew.NodeStatus, at time.Time) (changed bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Phase != Canary {
		return false, nil
	}
	if s, grown := m.choose(nodes, at); grown {
		return true, m.set(s)
	}
	s, well := m.state, true
	there := 0
	for i := range nodes {
		n := &nodes[i]
		if !n.Connected || !slices.Contains(s.Canary, n.ID) {
			continue
		}
		there++
		switch n.State {
		case skew.Rejected, skew.Unsupported, skew.Drifted:
			s.Phase, s.Since, s.Reason = Held, at, fmt.Sprintf("held: %s: %s", n.ID, n.Reason)
			return false, m.set(s)
		case skew.Synced:
			well = well && n.Revision >= s.Target
		default:
			well = false
		}
	}
	if there == 0 || !well {
		if !s.WellSince.IsZero() {
			s.WellSince = time.Time{}
			return false, m.set(s)
		}
		return false, nil
	}
	if s.WellSince.IsZero() {
		s.WellSince = at
		s.because("the canary runs revision %d and is watched for %s", s.Target, m.policy.Watch)
		return false, m.set(s)
	}
	return m.judge(s, nodes, at)
}

// judge compares errors, when the canary was watched for long enough.
func (m *Machine) judge(s State, nodes []skew.NodeStatus, at time.Time) (changed bool, err error) {
	var others []string
	for i := range nodes {
		if nodes[i].Connected && !slices.Contains(s.Canary, nodes[i].ID) {
			others = append(others, nodes[i].ID)
		}
	}
	s.Now, s.Others = m.ratio(s.Canary, s.WellSince, at), m.ratio(others, s.WellSince, at)
	if s.Now != nil {
		usual := 0.0
		for _, r := range []*float64{s.Before, s.Others} {
			if r != nil {
				usual = max(usual, *r)
			}
		}
		if *s.Now > usual+m.policy.MaxRise {
			s.Phase, s.Since = Held, at
			s.Reason = fmt.Sprintf("held: %.1f %% of the canary's requests fail at revision %d, %.1f %% is usual", *s.Now*100, s.Target, usual*100)
			return false, m.set(s)
		}
	}
	if at.Sub(s.WellSince) < m.policy.Watch || s.Paused {
		m.state = s // figures need no disk
		return false, nil
	}
	return true, m.done(s, s.Target, fmt.Sprintf("the canary was well for %s: all nodes get revision %d", m.policy.Watch, s.Target), at)
}

func (m *Machine) ratio(nodes []string, from, to time.Time) *float64 {
	requests, failed := m.traffic.Errors(nodes, from, to)
	if requests < minRequests {
		return nil
	}
	r := failed / requests
	return &r
}

// choose names the canary: those that the policy names, or the share of the
// connected nodes whose IDs hash lowest, so that it is the same ones each time.
func (m *Machine) choose(nodes []skew.NodeStatus, at time.Time) (State, bool) {
	s := m.state
	var connected []string
	for i := range nodes {
		if nodes[i].Connected {
			connected = append(connected, nodes[i].ID)
		}
	}
	chosen := slices.Clone(s.Canary)
	if len(m.policy.Nodes) > 0 {
		chosen = slices.Clone(m.policy.Nodes)
	} else {
		slices.SortFunc(connected, func(a, b string) int { return cmp.Or(cmp.Compare(hash(a), hash(b)), cmp.Compare(a, b)) })
		want := int(math.Ceil(float64(len(connected)*max(m.policy.Percent, 1)) / 100))
		have := 0
		for _, id := range connected {
			if slices.Contains(chosen, id) {
				have++
			}
		}
		for _, id := range connected {
			if have < want && !slices.Contains(chosen, id) {
				chosen, have = append(chosen, id), have+1
			}
		}
	}
	if len(chosen) == len(s.Canary) {
		return s, false
	}
	s.Canary, s.WellSince = chosen, time.Time{}
	s.Before = m.ratio(chosen, s.StartedAt.Add(-time.Minute), s.StartedAt)
	s.because("revision %d goes to %d of %d connected nodes; the others keep revision %d", s.Target, len(chosen), len(connected), s.Base)
	s.Since = at
	return s, true
}

func hash(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return h.Sum64()
}

// Hold stops the roll-out where it is; when none is under way, later revisions
// stay with the canary until somebody resumes.
func (m *Machine) Hold(by, why string, at time.Time) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	s.Paused, s.By = true, by
	if s.Phase == Canary {
		s.Phase, s.Since = Held, at
	}
	s.HeldFor = "held by " + by
	if why != "" {
		s.HeldFor += ": " + why
	}
	s.Reason = s.HeldFor
	return s, m.set(s)
}

// Resume lets everybody have the target, whatever the canary shows.
func (m *Machine) Resume(by string, at time.Time) (State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	s.Paused, s.By, s.HeldFor = false, by, ""
	err := m.done(s, s.Target, "resumed by "+by+": all nodes get it", at)
	return m.state, err
}
