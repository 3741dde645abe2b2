package graph

import (
	"hash/maphash"
	"slices"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// series is one mesh.EdgeKey: what one reporter counts between two workloads.
// Its number is its place in the rings.
type series struct {
	id     uint32
	key    mesh.EdgeKey
	pair   *pair
	inputs []input // the targets that ever counted it
}

// input is one target's part in a series.
type input struct {
	from   *target
	active float64 // open connections, a level
}

// pair is what one workload asks of another under one host and protocol, with
// both reporters' series (one per security policy).
type pair struct {
	source, target *workload
	service        mesh.Service
	protocol       mesh.Protocol
	client, server []*series
	waypoint       []*series // that server makes needless
	first, last    int64     // seconds of its first and newest count
	version        uint64    // grows with what is counted
	provisional    provisional

	ends [groupCount]ends // cached, see endsOf
}

// provisional is what the server's side alone has counted, see countOnce.
type provisional struct{ requests, errors float64 }

type pairKey struct {
	source, target, host string
	protocol             mesh.Protocol
}

// workload is a workload that traffic was seen of, with the best that the
// reporters say of it.
type workload struct {
	mesh.Workload
	id      string // "" when unknown
	reports bool   // a reporter stands beside it
	targets []*target
	hosts   map[string]mesh.Service // under which it was called

	// The node that it was last found to be part of, in the view of its turn.
	part     *gatheredNode
	partTurn uint64
}

// edges knows all series and pairs.
type edges struct {
	limit     int
	bySeries  map[mesh.EdgeKey]*series
	numbers   []*series // by id; nil where free
	free      []uint32
	pairs     map[pairKey]*pair
	ordered   []*pair // by series number of their first, so that rings are read in order
	workloads map[string]*workload
	changed   uint64 // grows when a name that views use changed
	touched   touched

	refused map[uint64]struct{} // hashes of edges that found no room, bounded
	seed    maphash.Seed
}

func newEdges(limit int) *edges {
	return &edges{
		limit:     limit,
		bySeries:  make(map[mesh.EdgeKey]*series),
		pairs:     make(map[pairKey]*pair),
		workloads: make(map[string]*workload),
		refused:   make(map[uint64]struct{}),
		seed:      maphash.MakeSeed(),
	}
}

// maxRefused bounds how many edges without room are told apart.
const maxRefused = 1 << 16

// find gives the series of a key, making it when there is room.
func (e *edges) find(key mesh.EdgeKey, second int64) *series {
	if s := e.bySeries[key]; s != nil {
		return s
	}
	source, target := e.workload(key.Source), e.workload(key.Target)
	pk := pairKey{source.id, target.id, key.Service.Host, key.Protocol}
	p := e.pairs[pk]
	if p == nil {
		if len(e.pairs) >= e.limit {
			if len(e.refused) < maxRefused {
				e.refused[maphash.Comparable(e.seed, pk)] = struct{}{}
			}
			return nil
		}
		p = &pair{source: source, target: target, service: key.Service, protocol: key.Protocol, first: second, last: second}
		e.pairs[pk] = p
		e.ordered = append(e.ordered, p)
	}
	s := &series{key: key, pair: p}
	if n := len(e.free); n > 0 {
		s.id, e.free = e.free[n-1], e.free[:n-1]
		e.numbers[s.id] = s
	} else {
		s.id = uint32(len(e.numbers))
		e.numbers = append(e.numbers, s)
	}
	e.bySeries[key] = s
	e.join(p, s)
	return s
}

func (e *edges) join(p *pair, s *series) {
	side, reporter := &p.server, p.target
	if s.key.Reporter == mesh.FromSource {
		side, reporter = &p.client, p.source
	}
	switch {
	case s.key.Reporter == mesh.FromWaypoint && p.hasDestination():
		side = &p.waypoint // the same requests, a hop earlier
	case s.key.Reporter == mesh.FromDestination && !p.hasDestination():
		p.waypoint, p.server = append(p.waypoint, p.server...), nil
	}
	*side = append(*side, s)
	if s.key.Reporter == mesh.FromWaypoint {
		reporter = &workload{}
	}
	reporter.reports = reporter.id != ""
	if p.service.Name == "" {
		p.service.Name = s.key.Service.Name
	}
	if p.service.Namespace == "" {
		p.service.Namespace = s.key.Service.Namespace
	}
	if p.target.id != "" && p.service.Host != "" {
		if p.target.hosts == nil {
			p.target.hosts = make(map[string]mesh.Service)
		}
		p.target.hosts[p.service.Host] = p.service
	}
	e.changed++
}

func (p *pair) hasDestination() bool {
	return len(p.server) > 0 && p.server[0].key.Reporter != mesh.FromWaypoint
}

// workload gives the record of a workload, improved by what w says.
func (e *edges) workload(w mesh.Workload) *workload {
	id := ""
	if w.IsUnknown() {
		w = mesh.Workload{}
	} else {
		id = w.ID()
	}
	known := e.workloads[id]
	if known == nil {
		known = &workload{Workload: w, id: id}
		e.workloads[id] = known
		e.changed++
	}
	if w.App != "" && known.App != w.App {
		known.App = w.App
		e.changed++
	}
	if w.Version != "" && known.Version != w.Version {
		known.Version = w.Version
		e.changed++
	}
	return known
}

// forget drops pairs whose newest count is older than a second: their counts
// have left the rings, so that their numbers are free.
func (e *edges) forget(before int64) {
	kept := e.ordered[:0]
	for _, p := range e.ordered {
		if p.last >= before {
			kept = append(kept, p)
			continue
		}
		delete(e.pairs, pairKey{p.source.id, p.target.id, p.service.Host, p.protocol})
		for _, s := range slices.Concat(p.client, p.server, p.waypoint) {
			for _, in := range s.inputs {
				in.from.pairs = slices.DeleteFunc(in.from.pairs, func(o *pair) bool { return o == p })
			}
			delete(e.bySeries, s.key)
			e.numbers[s.id] = nil
			e.free = append(e.free, s.id)
		}
	}
	if len(kept) == len(e.ordered) {
		return
	}
	clear(e.ordered[len(kept):])
	e.ordered = kept
	used := make(map[*workload]bool)
	for _, p := range kept {
		used[p.source], used[p.target] = true, true
	}
	for id, w := range e.workloads {
		if !used[w] && len(w.targets) == 0 {
			delete(e.workloads, id)
		}
	}
	clear(e.refused)
	e.changed++
}

// from notes a target's part in the series.
func (s *series) from(t *target, active float64) {
	for i := range s.inputs {
		if s.inputs[i].from == t {
			s.inputs[i].active = active
			return
		}
	}
	s.inputs = append(s.inputs, input{t, active})
	t.pairs = append(t.pairs, s.pair)
}

// touched lists pairs that may read otherwise than before, in the order of what
// happened to them, so that each plan can go on where it was the last time.
type touched struct {
	begin uint64 // how many were dropped
	pairs []*pair
}

// maxTouched bounds the list. Who falls behind looks at everything.
const maxTouched = 1 << 16

func (t *touched) add(pairs []*pair) {
	if len(t.pairs) >= maxTouched {
		t.begin += uint64(len(t.pairs))
		t.pairs = t.pairs[:0]
	}
	t.pairs = append(t.pairs, pairs...)
}

func (t *touched) end() uint64 { return t.begin + uint64(len(t.pairs)) }

// since gives what was added after the list had an end; ok says whether it
// still knows.
func (t *touched) since(end uint64) (pairs []*pair, ok bool) {
	if end < t.begin {
		return nil, false
	}
	return t.pairs[end-t.begin:], true
}
