package graph

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A view that is asked for again is not made anew. Its plan stays: which pairs
// make which edge between which nodes, and what each of them came to the last
// time. A plan holds as long as names, facts and the set of pairs do; an edge,
// as long as the seconds that are read and the records in them do; a node, as
// long as its edges do. What may have changed is found by what happened (see
// touched), so that a live view costs what changed since the last one.
type plan struct {
	key   planKey
	shape uint64    // of what it was made from
	at    time.Time // of the view that it was made for
	until float64   // from when on a pair may have left the history
	asked uint64    // the turn in which it was used last

	group    int
	window   float64
	services bool
	folded   bool

	nodes  map[string]*gatheredNode
	edges  map[edgeOf]*gathered
	of     map[*pair][2]spot // where each is; the second is from a service node
	all    []*gathered       // as the rings lie
	byID   []*gathered       // the same
	tcp    []*gathered       // of all
	sorted []*gatheredNode   // by ID

	bundled int     // pairs of bundles
	total   edgeSum // of all edges

	last     *moment         // of the last view, nil before the first
	restless []*gathered     // that are looked at each time, as the rings lie
	uneasy   []*gatheredNode // the same for nodes
}

// spot is the place of a pair in an edge.
type spot struct {
	edge *gathered
	at   int
}

// moment is what readings depend on besides their targets.
type moment struct {
	at       float64
	touched  uint64 // where the list of what happened ended
	silences uint64
	ruled    uint64
	outlined uint64
	base     int64
	newest   float64 // second of all edges, +Inf when each has its own
}

// planKey is what of a query decides about the plan.
type planKey struct {
	group         Group
	window        time.Duration
	services      bool
	most, hops    int
	expand, focus string
}

func keyOf(q *Query) planKey {
	k := planKey{group: q.Group, window: q.Window, services: q.ServiceNodes, most: q.Most, expand: strings.Join(q.Expand, "\n"), focus: q.Focus}
	if q.Focus != "" {
		k.hops = max(q.Hops, 1)
	}
	return k
}

// shape changes with whatever plans are made from. Each part only grows.
func (e *Engine) shape() uint64 { return e.edges.changed + e.placing + e.shaped }

// plan gives the plan of a query, the one of last time if it holds. Views of
// the past have plans of their own that are not kept.
func (e *Engine) plan(q *Query, v *viewing) *plan {
	key := keyOf(q)
	old := e.plans[key]
	live := e.live(v.clock.at)
	if old != nil && live && old.shape == e.shape() && !v.clock.time.Before(old.at) && v.clock.at < old.until {
		old.asked = e.turns
		return old
	}
	p := v.makePlan(q, key)
	if !live || v.skipped || p.elements() > e.opt.MaxKept {
		return p
	}
	if old != nil {
		p.inherit(old)
	}
	p.at, p.asked, p.shape = v.clock.time, e.turns, e.shape()
	e.plans[key] = p
	e.dropPlans()
	return p
}

// elements is the size of a plan. A strand takes a quarter of an edge's memory.
func (p *plan) elements() int { return len(p.all) + len(p.sorted) + p.bundled/4 }

// unasked is after how many views, of any kind, a plan is dropped that none of
// them needed.
const unasked = 1000

// dropPlans keeps plans within their bound, those in use longest.
func (e *Engine) dropPlans() {
	order := make([]*plan, 0, len(e.plans))
	for _, p := range e.plans {
		order = append(order, p)
	}
	slices.SortFunc(order, func(a, b *plan) int { return int(b.asked) - int(a.asked) })
	elements := 0
	for _, p := range order {
		if elements += p.elements(); elements > e.opt.MaxKept || e.turns-p.asked > unasked {
			delete(e.plans, p.key)
		}
	}
}

// makePlan sorts pairs into edges and nodes.
func (v *viewing) makePlan(q *Query, key planKey) *plan {
	p := &plan{
		key: key, group: q.Group.number(), window: q.Window.Seconds(),
		services: q.ServiceNodes && q.Group != ByService && q.Group != ByNamespace,
		until:    math.Inf(1), nodes: make(map[string]*gatheredNode), edges: make(map[edgeOf]*gathered, len(v.engine.edges.pairs)),
		of: make(map[*pair][2]spot, len(v.engine.edges.pairs)),
	}
	v.plan = p
	if q.Focus != "" {
		v.focusOn(q.Focus, max(q.Hops, 1))
	}
	if q.Most > 0 || len(q.Expand) > 0 {
		v.fold(q.Most, q.Expand)
		p.folded = true
	}
	v.place()
	p.byID = slices.Clone(p.all)
	slices.SortFunc(p.byID, func(a, b *gathered) int { return strings.Compare(a.id, b.id) })
	for _, g := range p.all {
		if g.bundle = g.bundled(); g.bundle != nil {
			p.bundled += len(g.pairs)
		}
		v.mind(g)
	}
	p.sorted = make([]*gatheredNode, 0, len(p.nodes))
	for _, n := range p.nodes {
		n.settle(v.engine)
		p.sorted = append(p.sorted, n)
	}
	slices.SortFunc(p.sorted, func(a, b *gatheredNode) int { return strings.Compare(a.id, b.id) })
	return p
}

// settle puts in order what came in any.
func (n *gatheredNode) settle(e *Engine) {
	n.in, n.out = n.allIn, n.allOut
	slices.SortFunc(n.workloads, func(a, b *workload) int { return strings.Compare(a.id, b.id) })
	slices.SortFunc(n.facts, func(a, b knownFacts) int { return strings.Compare(a.id, b.id) })
	if !n.many() {
		return
	}
	n.behind = Folded{Workloads: len(n.workloads)}
	names := make(map[string]bool)
	for _, w := range n.workloads {
		names[w.Namespace] = true
	}
	for _, f := range n.facts {
		names[f.Workload.Namespace] = true
		if e.edges.workloads[f.id] == nil { // without traffic
			n.behind.Workloads++
		}
	}
	if n.kind == KindRest {
		n.behind.Namespaces = len(names)
	}
}

// mind remembers the pairs that facts say more of.
func (v *viewing) mind(g *gathered) {
	objectives := v.engine.facts.Objectives
	if len(objectives) == 0 && len(v.splits.byHost) == 0 {
		return
	}
	for i, p := range g.pairs {
		if v.splits.byHost[p.service.Host] != nil {
			g.split = append(g.split, i)
		}
		if _, held := objectives[p.service.Host]; held && !g.namesake(i) {
			g.held = append(g.held, i)
			g.target.held = true
		}
	}
}

// outlying lists the pairs of an edge of which callers keep endpoints out.
func (v *viewing) outlying(g *gathered) []*pair {
	if e := v.engine; g.outlined != e.outlined {
		g.outlined, g.outlying = e.outlined, nil
		for _, p := range g.pairs {
			if e.outlying[p.service.Host] {
				g.outlying = append(g.outlying, p)
			}
		}
	}
	return g.outlying
}

// inherit takes over what edges came to under the plan before.
func (p *plan) inherit(old *plan) {
	i := 0
	for _, g := range p.byID {
		for i < len(old.byID) && old.byID[i].id < g.id {
			i++
		}
		if i < len(old.byID) && old.byID[i].id == g.id && slices.Equal(old.byID[i].pairs, g.pairs) {
			g.counted = old.byID[i].counted
			if b := old.byID[i].bundle; b != nil && b.like(g.bundle) {
				g.bundle = b
			}
		}
	}
}

// due lists the edges that may come to something else than last time.
func (v *viewing) due() []*gathered {
	p, e := v.plan, v.engine
	last := p.last
	now := moment{at: v.clock.at, touched: e.edges.touched.end(), silences: e.silences, ruled: e.ruled, outlined: e.outlined, base: e.ring.base, newest: v.clock.newest()}
	if now.newest == v.clock.at {
		now.newest = math.Inf(1)
	}
	p.last = &now
	v.justNow = last != nil && now.at-last.at < inStep
	if last == nil || last.ruled != now.ruled {
		v.duty = slices.Clone(p.sorted)
	} else {
		v.duty = slices.Clone(p.uneasy)
		if last.silences != now.silences {
			v.duty = append(v.duty, v.fallenSilent()...)
		}
	}
	for _, n := range v.duty {
		n.due = v.turn
	}
	if last == nil || last.ruled != now.ruled || last.outlined != now.outlined || last.base != now.base || last.newest != now.newest {
		v.whole = true
		return p.all
	}
	touched, known := e.edges.touched.since(last.touched)
	if !known {
		v.whole = true
		return p.all
	}
	due := slices.Clone(p.restless)
	for _, g := range due {
		g.due = v.turn
	}
	for _, pair := range touched {
		for _, s := range p.of[pair] {
			g := s.edge
			if g == nil {
				continue
			}
			g.stirred = append(g.stirred, s.at)
			if g.due != v.turn {
				g.due = v.turn
				due = append(due, g)
			}
		}
	}
	return due
}

func (v *viewing) fallenSilent() []*gatheredNode {
	var out []*gatheredNode
	for _, n := range v.sorted {
		if n.lasting {
			if silent, _ := v.silences(n); len(silent) > 0 {
				out = append(out, n)
			}
		}
	}
	return out
}

// disturb has a node composed anew.
func (v *viewing) disturb(n *gatheredNode) {
	if n.due != v.turn {
		n.due = v.turn
		v.duty = append(v.duty, n)
	}
}

// holds reports whether an edge would come to what it came to last time. It
// brings a bundle up to date, or leaves the readings of the pairs in v.reads.
func (v *viewing) holds(g *gathered) bool {
	c := g.counted
	same := c != nil && c.lasting && c.ruled == v.engine.ruled && len(v.outlying(g)) == 0
	read := func(i int) {
		r := v.clock.read(g.pairs[i], v.window, v.engine.ring.base)
		same = same && r == c.reads[i]
		v.reads[i] = r
	}
	stirred := g.stirred
	g.stirred = g.stirred[:0]
	if g.bundle != nil {
		return v.refresh(g, stirred) && same
	}
	if c != nil && !v.whole {
		v.reads = append(v.reads[:0], c.reads...)
		for _, i := range stirred {
			read(i)
		}
		for i := range c.reads {
			if c.reads[i].inputs == 0 {
				read(i)
			}
		}
		return same
	}
	v.reads = slices.Grow(v.reads[:0], len(g.pairs))[:len(g.pairs)]
	for i := range g.pairs {
		read(i)
	}
	return same
}

// restless reports whether an edge may change although nothing happens to it:
// where no target gives data, it is read up to the time of the view.
func (g *gathered) restless() bool {
	if g.bundle != nil {
		return !g.lasting || len(g.bundle.waiting) > 0
	}
	return !g.lasting || slices.ContainsFunc(g.reads, func(r reading) bool { return r.inputs == 0 })
}

// lasts reports whether what an edge came to depends on nothing but its
// readings and the facts in force.
func (v *viewing) lasts(g *gathered) bool {
	// Without data it says for how long.
	return g.live && len(g.split) == 0 && len(v.outlying(g)) == 0
}

// silences lists the sources of a node that give no data, and counts all. None
// does so again as long as no target falls silent.
func (v *viewing) silences(n *gatheredNode) (silent []*target, of int) {
	if n.heard == v.engine.silences+1 {
		return nil, 0
	}
	for _, w := range n.workloads {
		of += len(w.targets)
		for _, t := range w.targets {
			if t.silent(v.clock.at, v.clock.intervals) {
				silent = append(silent, t)
			}
		}
	}
	if len(silent) == 0 {
		n.heard = v.engine.silences + 1
	}
	return silent, of
}

// lasts reports whether nothing but its edges would change a node.
func (n *gatheredNode) lasts(v *viewing) bool {
	if n.held {
		return false // its budget burns on while nothing else changes
	}
	live := n.sumIn.live+n.sumOut.live > 0 || len(n.in)+len(n.out) == 0
	silent, _ := v.silences(n)
	return live && len(silent) == 0
}

// written is the JSON of an element, made once for all views that show it.
type written struct {
	head []byte // its labels
	text atomic.Pointer[[]byte]
}

func (w *written) get(write func(b []byte) []byte) []byte {
	if t := w.text.Load(); t != nil {
		return *t
	}
	buf := texts.Get().(*[]byte)
	*buf = write((*buf)[:0])
	t := bytes.Clone(*buf)
	texts.Put(buf)
	w.text.Store(&t)
	return t
}

// begin writes the labels of an element.
func (w *written) begin(b []byte, labels func(b []byte) []byte) []byte {
	if w == nil || w.head == nil {
		return labels(b)
	}
	return append(b, w.head...)
}

// texts is where elements are written before they are kept at their size.
var texts = sync.Pool{New: func() any { return new([]byte) }}
