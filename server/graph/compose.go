package graph

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

// Query chooses a view.
type Query struct {
	Group      Group         // ByWorkload when empty
	Namespaces []string      // edges that touch any of them; empty: all
	Window     time.Duration // 30 s when 0
	Find       *expr.Expr    // from ParseFind; marks, never removes
	Hide       *expr.Expr    // removes what it matches, and the edges of nodes that go
	Filter     *expr.Expr    // removes all but the edges and nodes that it matches, and their ends

	// Most is how many nodes and edges there may be before namespaces are shown
	// as one node each; 0: no bound. Expand are the IDs of nodes that are taken
	// apart all the same. With Expand alone, everything else is folded.
	Most   int
	Expand []string
	// Focus is a node's ID: only what is at most Hops edges away is shown.
	Focus string
	Hops  int // 1 when 0
	// ServiceNodes puts what was called between caller and called workload.
	ServiceNodes bool
}

// viewing is one view while it is made.
type viewing struct {
	*plan
	engine  *Engine
	turn    uint64
	none    map[string]float64 // what edges without flags share
	clock   clock
	splits  splits
	duty    []*gatheredNode // nodes that are composed anew
	whole   bool            // all pairs are read again
	justNow bool            // the view before this one was made

	// While the plan is made.
	pairs   []*pair  // that the view is made of, see pairsNow
	skipped bool     // some that are newer
	quiet   []*place // see quietPlaces
	focus   *focus
	folding *folding

	// What many elements of a view are made of, and what is used again.
	gathers  slab[gathered]
	counted  slab[counted]
	readings slab[reading]
	figures  slab[figures]
	sums     []sum
	rates    slab[outcomeRate]
	counts   slab[bucketCount]
	numbers  slab[float64]
	reads    []reading
	ordered  []mesh.Bucket
	merged   []bucketCount
}

type edgeOf struct {
	source, target *gatheredNode
	protocol       mesh.Protocol
}

// gatheredNode is one node of a view while it is added up.
type gatheredNode struct {
	place
	allIn, allOut []*gathered
	in, out       []*gathered // without those that are dropped from this view
	sumIn, sumOut edgeSum     // their sums
	workloads     []*workload // with traffic or targets, by ID
	facts         []knownFacts
	crowd         *crowd // that it stands for; nil before it is counted
	behind        Folded
	gone          bool   // with all its edges
	seen          uint64 // the turn in which it was last part of what is shown
	due           uint64 // the turn in which it was last composed
	lasting       bool   // see lasts
	heard         uint64 // see silences
	begun         begun
	held          bool   // to an objective
	labels        []byte // as JSON
	node          *Node
}

// knownFacts are those of a workload of the node, with traffic or without.
type knownFacts struct {
	id string
	WorkloadFacts
}

// View computes the graph as it was known at a time within the history.
func (e *Engine) View(q Query, at time.Time) View {
	e.mu.Lock()
	defer e.mu.Unlock()
	if q.Window < time.Second {
		q.Window = 30 * time.Second
	}
	if q.Group == "" {
		q.Group = ByWorkload
	}
	e.turns++
	v := &viewing{engine: e, turn: e.turns, clock: e.clockAt(at), splits: newSplits(e.facts, q.Group.number()), none: map[string]float64{}}
	v.plan = e.plan(&q, v)
	v.update()
	out := View{
		Epoch: e.opt.Epoch, Seq: e.seq, At: time.Unix(v.clock.end, 0).UTC(), WindowS: v.window, Group: q.Group,
		Nodes: []*Node{}, Edges: []*Edge{}, Stale: e.stale(v.clock.at),
		Limits: Limits{Edges: len(e.edges.pairs), EdgesMax: e.opt.MaxEdges, Dropped: len(e.edges.refused)},
	}
	v.compose(&out, q.Namespaces)
	if q.Hide != nil || q.Filter != nil {
		sift(&out, q.Hide, q.Filter)
	}
	if q.Find != nil {
		out.Matched = mark(&out, q.Find)
	}
	return out
}

// place sorts pairs into edges and nodes.
func (v *viewing) place() {
	e := v.engine
	for _, p := range v.pairsNow() {
		at := e.endsOf(p, v.group)
		source, target := v.shown(at.source), v.shown(at.target)
		v.has(source, p.source)
		if v.group != groupService || target.kind != KindExternal {
			v.has(target, p.target)
		}
		if v.services && p.service.Host != "" && target.kind != KindService && target.kind != KindExternal && !target.many() {
			called := e.shared(e.placeService(p.service, v.group), v.group)
			between := v.shown(called)
			v.join(source, between, p)
			v.join(between, target, p).second = true
			continue
		}
		v.join(source, target, p)
	}
	for _, at := range v.quietPlaces() {
		v.shown(at)
	}
	for _, t := range e.targets {
		if t.of != nil && t.of.id != "" {
			if n := v.placed(e.placeOf(t.of, v.group)); n != nil {
				v.has(n, t.of)
			}
		}
	}
	for id, f := range e.facts.Workloads {
		if e.edges.workloads[id] == nil {
			if n := v.placed(e.placeOf(&workload{Workload: f.Workload, id: id}, v.group)); n != nil {
				n.knows(id, f)
			}
		}
	}
}

// join adds a pair to the edge between two nodes.
func (v *viewing) join(source, target *gatheredNode, p *pair) *gathered {
	of := edgeOf{source, target, p.protocol}
	g := v.edges[of]
	if g == nil {
		g = &v.gathers.take(1)[0]
		g.id = source.id + ">" + target.id + ":" + string(p.protocol)
		g.source, g.target, g.protocol = source, target, p.protocol
		v.edges[of] = g
		g.index = len(v.all)
		v.all = append(v.all, g)
		if p.protocol == mesh.TCP {
			v.tcp = append(v.tcp, g)
		}
		source.allOut = append(source.allOut, g)
		target.allIn = append(target.allIn, g)
	}
	g.pairs = append(g.pairs, p)
	spots, here := v.of[p], spot{g, len(g.pairs) - 1}
	if spots[0].edge == nil {
		spots[0] = here
	} else {
		spots[1] = here
	}
	v.of[p] = spots
	g.mirrored = g.mirrored || v.engine.mirrored(p)
	g.nameless = g.nameless || p.service.Host == ""
	return g
}

// placed gives the node of a place in this view, nil when it is out of focus.
func (v *viewing) placed(at place) *gatheredNode {
	shared := v.engine.shared(at, v.group)
	if !v.focus.includes(shared) {
		return nil
	}
	return v.shown(shared)
}

// quietPlaces are those of what has no traffic: a workload that nobody calls
// is part of the mesh all the same.
func (v *viewing) quietPlaces() []*place {
	e := v.engine
	if v.quiet != nil {
		return v.quiet
	}
	v.quiet = []*place{}
	add := func(at place) {
		if shared := e.shared(at, v.group); v.focus.includes(shared) {
			v.quiet = append(v.quiet, shared)
		}
	}
	for _, t := range e.targets {
		if t.of != nil && t.of.id != "" {
			add(e.placeOf(t.of, v.group))
		}
	}
	for id, f := range e.facts.Workloads {
		if e.edges.workloads[id] == nil {
			add(e.placeOf(&workload{Workload: f.Workload, id: id}, v.group))
		}
	}
	if v.group == groupService {
		for host, f := range e.facts.Services {
			if !f.External {
				s := f.Service
				s.Host = host
				add(e.placeService(s, v.group))
			}
		}
	}
	return v.quiet
}

// has notes that a workload is part of the node.
func (v *viewing) has(n *gatheredNode, w *workload) {
	if w.id == "" || w.partTurn == v.turn && w.part == n {
		return
	}
	// Only by service, a workload is part of several nodes.
	if v.group == groupService && slices.Contains(n.workloads, w) {
		return
	}
	w.part, w.partTurn = n, v.turn
	n.workloads = append(n.workloads, w)
	if f, ok := v.engine.facts.Workloads[w.id]; ok {
		n.knows(w.id, f)
	}
}

func (n *gatheredNode) knows(id string, f WorkloadFacts) {
	n.facts = append(n.facts, knownFacts{id, f})
}

// update brings the plan up to date: first all figures, then the edges and
// nodes that show them.
func (v *viewing) update() {
	p := v.plan
	first := p.last == nil
	due := v.due()
	changed := make([]*gathered, 0, len(due))
	restless := make([]*gathered, 0, len(p.restless))
	for _, g := range due {
		if !v.holds(g) {
			v.gather(g)
			changed = append(changed, g)
			v.disturb(g.source)
			v.disturb(g.target)
		}
		if g.restless() {
			restless = append(restless, g)
		}
	}
	// Shares of a split add up to the same in whatever order edges became due.
	slices.SortFunc(restless, func(a, b *gathered) int { return cmp.Compare(a.index, b.index) })
	p.restless = restless
	v.dropAccounted()
	v.countFolded()
	for _, g := range changed {
		g.edge = v.edge(g)
		v.follow(g)
	}
	rest := p.tcp // which may have been dropped, or be back
	if first {
		rest = p.all
	}
	for _, g := range rest {
		v.follow(g)
	}
	p.uneasy = p.uneasy[:0]
	for _, n := range v.duty {
		if n.gone {
			n.lasting = true // until an edge is back
			continue
		}
		n.node = v.composeNode(n)
		if n.lasting = n.lasts(v); !n.lasting {
			p.uneasy = append(p.uneasy, n)
		}
	}
}

// compose puts the view together from what is shown.
func (v *viewing) compose(out *View, namespaces []string) {
	all := len(namespaces) == 0
	asked := func(n *gatheredNode) bool { return all || slices.Contains(namespaces, n.namespace) }
	var some edgeSum
	out.Edges = make([]*Edge, 0, len(v.byID))
	for _, g := range v.byID {
		if g.dropped {
			continue
		}
		if !all {
			if !asked(g.source) && !asked(g.target) {
				continue
			}
			g.source.seen, g.target.seen = v.turn, v.turn
			if !g.second { // counted on the way to its service
				some.add(g.counted, 1, v.engine.buckets.rank)
			}
		}
		out.Edges = append(out.Edges, &g.edge)
	}
	out.Nodes = make([]*Node, 0, len(v.sorted))
	for _, n := range v.sorted {
		if n.gone || n.seen != v.turn && !asked(n) {
			continue
		}
		out.Nodes = append(out.Nodes, n.node)
		if v.folded && n.many() {
			out.Folded.add(n.behind)
			if n.kind == KindNamespace {
				out.Folded.Namespaces++
			}
		}
	}
	if all {
		out.Totals = v.totals(&v.total)
	} else {
		out.Totals = v.totals(&some)
	}
}

// composeNode makes a node of the view.
func (v *viewing) composeNode(n *gatheredNode) *Node {
	made := &struct {
		Node
		written written
	}{}
	out := &made.Node
	*out = Node{
		ID: n.id, Kind: n.kind, Cluster: n.cluster, Namespace: n.namespace, Name: n.name, App: n.app, Version: n.version,
		In: v.traffic(&n.sumIn, n.in), Out: v.traffic(&n.sumOut, n.out), Config: worstConfig(n.facts), Health: v.nodeHealth(n),
		written: &made.written,
	}
	if n.labels == nil {
		n.labels = out.labels(nil)
	}
	out.written.head = n.labels
	if n.kind != KindUnknown && n.kind != KindExternal {
		out.Meshed = slices.ContainsFunc(n.workloads, func(w *workload) bool { return w.reports }) ||
			slices.ContainsFunc(n.facts, func(f knownFacts) bool { return f.Meshed })
	}
	if n.many() {
		behind := n.behind
		out.Folded = &behind
	}
	for _, f := range n.facts {
		if f.Gateway {
			out.Gateway = true
		}
	}
	side, sum := n.in, &n.sumIn
	if len(side) == 0 {
		side, sum = n.out, &n.sumOut
	}
	if len(side) == 1 {
		out.RPSSeries = side[0].rps
		return out
	}
	all := &v.engine.scratch.rps
	for i, n := range sum.rps {
		all[i] = float64(n) / perShown
	}
	out.RPSSeries = v.series(all[:])
	return out
}

// roundAll rounds a series: for a sparkline two decimals do, and what spreading
// counts over seconds leaves behind them does not show.
func roundAll(series []float64) {
	for i, x := range series {
		if x == math.Trunc(x) {
			continue
		}
		if x >= 1 {
			series[i] = math.Round(x*100) / 100
		} else {
			series[i] = round(x)
		}
	}
}

// configSeverity orders configuration states, worst highest. The words are
// server/skew's; the two packages do not know each other.
var configSeverity = []string{"synced", "in-flight", "slow", "never-connected", "disconnected", "unsupported", "stale", "drifted", "rejected"}

func worstConfig(facts []knownFacts) *ConfigState {
	var worst *ConfigState
	for _, f := range facts {
		c := f.Config
		if c == nil {
			continue
		}
		if worst == nil {
			first := *c
			worst = &first
			continue
		}
		if cmp.Compare(slices.Index(configSeverity, c.State), slices.Index(configSeverity, worst.State)) > 0 {
			worst.State = c.State
		}
		worst.Revision = min(worst.Revision, c.Revision)
		worst.Behind = max(worst.Behind, c.Behind)
		worst.Nodes += c.Nodes
	}
	return worst
}
