package xds

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// store holds what was accepted and what was refused, per type. The stream
// writes it, the applier and the account read it.
type store struct {
	mu      sync.Mutex
	types   map[string]*accepted
	refused map[resourceKey]refusal

	seen       []uint64  // revisions of accepted responses, newest last, bounded
	heard      bool      // a control plane has answered, so not all is from disk
	lastUpdate time.Time // of the last response, accepted or not

	changed chan struct{} // holds one token while there is something new
}

type resourceKey struct{ kind, name string }

// accepted is what is held of one type.
type accepted struct {
	resources map[string]*resource
	absent    map[string]bool // asked for by name, and the server said there is none
	answered  bool            // something is known about this type, from the server or from disk
	live      bool            // the server has answered
	revision  uint64          // of the newest accepted response
	spoiled   uint64          // revision of the first response refused since; 0 = none

	fresh bool // no response on the current stream yet
	// withheld is what was good in refused responses. The server believes that
	// it arrived and will not send it again on this stream, so it comes in with
	// the next response that is accepted.
	withheld update
}

// refusal is the newest version of a resource that was not accepted.
type refusal struct {
	version string
	reason  string
	at      time.Time
}

// update is one response, translated.
type update struct {
	kind     string
	revision uint64
	set      []*resource
	removed  []string
}

// then gives u followed by o.
func (u update) then(o update) update {
	out := update{kind: o.kind, revision: max(u.revision, o.revision)}
	touched := make(map[string]bool, len(o.set)+len(o.removed))
	for _, r := range o.set {
		touched[r.name] = true
	}
	for _, name := range o.removed {
		touched[name] = true
	}
	for _, r := range u.set {
		if !touched[r.name] {
			out.set = append(out.set, r)
		}
	}
	for _, name := range u.removed {
		if !touched[name] {
			out.removed = append(out.removed, name)
		}
	}
	out.set = append(out.set, o.set...)
	out.removed = append(out.removed, o.removed...)
	return out
}

func newStore() *store {
	s := &store{
		types:   make(map[string]*accepted),
		refused: make(map[resourceKey]refusal),
		changed: make(chan struct{}, 1),
	}
	for _, kind := range kinds() {
		s.types[kind] = &accepted{resources: make(map[string]*resource), absent: make(map[string]bool)}
	}
	return s
}

// restore fills an empty store from disk.
func (s *store) restore(updates []update) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range updates {
		t := s.types[u.kind]
		t.answered = true
		t.revision = max(t.revision, u.revision)
		s.see(u.revision)
		for _, r := range u.set {
			t.resources[r.name] = r
		}
	}
	s.signal()
}

// accept takes all of a response in.
func (s *store) accept(u update, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(u.kind)
	t.revision = max(t.revision, u.revision)
	s.see(u.revision)
	u = t.withheld.then(u)
	t.withheld = update{}
	for _, r := range u.set {
		if !r.equal(t.resources[r.name]) {
			t.resources[r.name] = r
		}
		delete(t.absent, r.name)
		delete(s.refused, resourceKey{u.kind, r.name})
	}
	for _, name := range u.removed {
		delete(s.refused, resourceKey{u.kind, name})
		switch {
		case isWildcard(u.kind):
			delete(t.resources, name)
		case t.resources[name] == nil:
			t.absent[name] = true
		default:
			// Routes and endpoints live as long as something names them. A server
			// may tell of their end before that of the cluster or the listener:
			// traffic must not lose them in between.
		}
	}
	t.answered, t.live = true, true
	if !s.refusedAny(u.kind) {
		t.spoiled = 0
	}
	s.heard, s.lastUpdate = true, at
	s.prune()
	s.signal()
}

// refuse notes that nothing of a response was taken in, and why; good is what
// could have been.
func (s *store) refuse(good update, reasons map[string]refusal, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin(good.kind)
	for name, r := range reasons {
		s.refused[resourceKey{good.kind, name}] = r
	}
	t.withheld = t.withheld.then(good)
	if t.spoiled == 0 {
		t.spoiled = good.revision
	}
	s.heard, s.lastUpdate = true, at
	s.signal()
}

// newStream is called when a stream opens: its server learns what is held and
// sends all that differs, so what an earlier stream left over is void.
func (s *store) newStream() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.types {
		t.withheld, t.fresh = update{}, true
	}
}

// begin clears the refusals of earlier streams at the first response on a new
// one: what still differs is in that response again.
func (s *store) begin(kind string) *accepted {
	t := s.types[kind]
	if t.fresh {
		t.fresh, t.spoiled = false, 0
		maps.DeleteFunc(s.refused, func(key resourceKey, _ refusal) bool { return key.kind == kind })
	}
	return t
}

// maxSeen bounds how far back a revision is remembered: only while a later one
// stands refused does it matter.
const maxSeen = 128

func (s *store) see(revision uint64) {
	if slices.Contains(s.seen, revision) {
		return
	}
	if len(s.seen) >= maxSeen {
		s.seen = s.seen[1:]
	}
	s.seen = append(s.seen, revision)
}

func (s *store) refusedAny(kind string) bool {
	for key := range s.refused {
		if key.kind == kind {
			return true
		}
	}
	return false
}

// prune forgets what nothing names any more: the server is told to stop sending
// it, and will send it again when it is asked for again.
func (s *store) prune() {
	for _, kind := range []string{mesh.TypeRoute, mesh.TypeEndpoint} {
		wanted := s.wantedLocked(kind)
		t := s.types[kind]
		maps.DeleteFunc(t.resources, func(name string, _ *resource) bool { return !wanted[name] })
		maps.DeleteFunc(t.absent, func(name string, _ bool) bool { return !wanted[name] })
		maps.DeleteFunc(s.refused, func(key resourceKey, _ refusal) bool { return key.kind == kind && !wanted[key.name] })
	}
}

// wanted gives the names of a type that should be subscribed to.
func (s *store) wanted(kind string) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wantedLocked(kind)
}

func (s *store) wantedLocked(kind string) map[string]bool {
	if isWildcard(kind) {
		return map[string]bool{wildcard: true}
	}
	out := make(map[string]bool)
	switch kind {
	case mesh.TypeRoute:
		for _, r := range s.types[mesh.TypeListener].resources {
			if r.listener.RouteName != "" {
				out[r.listener.RouteName] = true
			}
		}
	case mesh.TypeEndpoint:
		for _, r := range s.types[mesh.TypeCluster].resources {
			if r.cluster.EDS {
				out[r.cluster.AssignmentName()] = true
			}
		}
	}
	return out
}

// held gives a resource as it was last accepted, nil when there is none.
func (s *store) held(kind, name string) *resource {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.types[kind].resources[name]
}

// versions gives what is held of a type.
func (s *store) versions(kind string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]string)
	for name, r := range s.types[kind].resources {
		out[name] = r.version
	}
	return out
}

// candidate copies everything that was accepted.
func (s *store) candidate() *candidate {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &candidate{heard: s.heard, seen: slices.Clone(s.seen), types: make(map[string]accepted, len(s.types))}
	for kind, t := range s.types {
		c.types[kind] = accepted{
			resources: maps.Clone(t.resources),
			absent:    maps.Clone(t.absent),
			answered:  t.answered,
			live:      t.live,
			revision:  t.revision,
			spoiled:   t.spoiled,
		}
	}
	return c
}

// refusals copies what stands refused.
func (s *store) refusals() map[resourceKey]refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.refused)
}

// lastHeard tells when a response last came, and whether one ever did.
func (s *store) lastHeard() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastUpdate, s.heard
}

func (s *store) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// sortedNames gives the names of resources in order, so that what is built from
// them does not depend on map order.
func sortedNames(resources map[string]*resource) []string {
	return slices.Sorted(maps.Keys(resources))
}
