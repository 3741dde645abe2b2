package graph

import (
	"cmp"
	"math"
	"slices"
	"strings"
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
}

// viewing is one view while it is made.
type viewing struct {
	engine *Engine
	group  int
	window float64
	none   map[string]float64 // what edges without flags share
	clock  clock
	nodes  map[string]*gatheredNode
	edges  map[edgeOf]*gathered
	order  []*gathered
	splits splits

	// What many elements of a view are made of, and what is used again.
	gathers slab[gathered]
	figures slab[figures]
	rates   slab[outcomeRate]
	counts  slab[bucketCount]
	numbers slab[float64]
	sorted  []mesh.Bucket
	merged  []bucketCount
}

type edgeOf struct {
	source, target *gatheredNode
	protocol       mesh.Protocol
}

// gatheredNode is one node of a view while it is added up.
type gatheredNode struct {
	place
	in, out   []*gathered
	workloads []*workload     // with traffic or targets
	facts     []WorkloadFacts // of those, and of those without traffic
	known     map[string]bool // IDs of both
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
	v := &viewing{
		engine: e, group: q.Group.number(), window: q.Window.Seconds(), clock: e.clockAt(at),
		none: map[string]float64{}, nodes: make(map[string]*gatheredNode), edges: make(map[edgeOf]*gathered, len(e.edges.pairs)),
	}
	v.splits = newSplits(e.facts, v.group)
	v.place()
	for _, g := range v.order {
		v.gather(g)
	}
	v.dropAccounted()
	out := View{
		Epoch: e.opt.Epoch, Seq: e.seq, At: time.Unix(v.clock.end, 0).UTC(), WindowS: v.window, Group: q.Group,
		Nodes: []Node{}, Edges: []Edge{}, Stale: e.stale(v.clock.at),
		Limits: Limits{Edges: len(e.edges.pairs), EdgesMax: e.opt.MaxEdges, Dropped: len(e.edges.refused)},
	}
	v.compose(&out, q.Namespaces)
	if q.Find != nil {
		out.Matched = mark(&out, q.Find)
	}
	return out
}

// place sorts pairs into edges and nodes.
func (v *viewing) place() {
	e := v.engine
	oldest := int64(v.clock.at) - e.ring.history
	for _, p := range e.edges.ordered {
		if p.first > int64(v.clock.at) || p.last < oldest {
			continue
		}
		at := e.endsOf(p, v.group)
		source, target := v.node(&at.source), v.node(&at.target)
		source.has(e, p.source)
		if v.group != groupService || target.kind != KindExternal {
			target.has(e, p.target)
		}
		of := edgeOf{source, target, p.protocol}
		g := v.edges[of]
		if g == nil {
			g = &v.gathers.take(1)[0]
			g.id = source.id + ">" + target.id + ":" + string(p.protocol)
			g.source, g.target, g.protocol = source, target, p.protocol
			g.rps, g.failed = v.numbers.take(seriesSeconds), v.numbers.take(seriesSeconds)
			v.edges[of] = g
			v.order = append(v.order, g)
			source.out = append(source.out, g)
			target.in = append(target.in, g)
		}
		g.pairs = append(g.pairs, p)
		g.mirrored = g.mirrored || e.mirrored(p)
	}
	for _, t := range e.targets {
		if t.of != nil && t.of.id != "" {
			at := e.placeOf(t.of, v.group)
			v.node(&at).has(e, t.of)
		}
	}
	v.placeFacts()
}

// placeFacts adds what has no traffic: a workload that nobody calls is part of
// the mesh all the same.
func (v *viewing) placeFacts() {
	e := v.engine
	for id, f := range e.facts.Workloads {
		if e.edges.workloads[id] == nil {
			w := &workload{Workload: f.Workload, id: id}
			at := e.placeOf(w, v.group)
			v.node(&at).knows(id, f)
		}
	}
	if v.group != groupService {
		return
	}
	for host, f := range e.facts.Services {
		if !f.External {
			s := f.Service
			s.Host = host
			at := e.placeService(s, v.group)
			v.node(&at)
		}
	}
}

func (v *viewing) node(at *place) *gatheredNode {
	n := v.nodes[at.id]
	if n == nil {
		n = &gatheredNode{place: *at}
		v.nodes[at.id] = n
	}
	return n
}

// has notes that a workload is part of the node.
func (n *gatheredNode) has(e *Engine, w *workload) {
	if w.id == "" || slices.Contains(n.workloads, w) {
		return
	}
	n.workloads = append(n.workloads, w)
	if f, ok := e.facts.Workloads[w.id]; ok {
		n.knows(w.id, f)
	}
}

func (n *gatheredNode) knows(id string, f WorkloadFacts) {
	if n.known[id] {
		return
	}
	if n.known == nil {
		n.known = make(map[string]bool)
	}
	n.known[id] = true
	n.facts = append(n.facts, f)
}

// compose puts the view together from what was gathered.
func (v *viewing) compose(out *View, namespaces []string) {
	shown := func(n *gatheredNode) bool {
		return len(namespaces) == 0 || slices.Contains(namespaces, n.namespace)
	}
	visible := make(map[*gatheredNode]bool, len(v.nodes))
	for _, n := range v.nodes {
		if shown(n) {
			visible[n] = true
		}
	}
	var all tally
	drawn := make([]*gathered, 0, len(v.order))
	out.Edges = slices.Grow(out.Edges, len(v.order))
	for _, g := range v.order {
		if !shown(g.source) && !shown(g.target) {
			continue
		}
		visible[g.source], visible[g.target] = true, true
		all.add(g.lead.tally)
		drawn = append(drawn, g)
		out.Edges = append(out.Edges, v.edge(g))
	}
	slices.SortFunc(out.Edges, func(a, b Edge) int { return strings.Compare(a.ID, b.ID) })
	out.Nodes = slices.Grow(out.Nodes, len(visible))
	for n := range visible {
		out.Nodes = append(out.Nodes, v.composeNode(n))
	}
	slices.SortFunc(out.Nodes, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	out.Totals = Totals{RPS: round(all.total), ErrorRatio: round(all.errorRatio()), P95MS: v.quantilesOfAll(drawn).p95}
}

// composeNode makes a node of the view.
func (v *viewing) composeNode(n *gatheredNode) Node {
	// Places were met in any order; what depends on the order is sorted.
	slices.SortFunc(n.workloads, func(a, b *workload) int { return strings.Compare(a.id, b.id) })
	slices.SortFunc(n.facts, func(a, b WorkloadFacts) int { return strings.Compare(a.Workload.ID(), b.Workload.ID()) })
	out := Node{
		ID: n.id, Kind: n.kind, Cluster: n.cluster, Namespace: n.namespace, Name: n.name, App: n.app, Version: n.version,
		In: v.traffic(n.in), Out: v.traffic(n.out), Config: worstConfig(n.facts), Health: v.nodeHealth(n),
	}
	if n.kind != KindUnknown && n.kind != KindExternal {
		out.Meshed = slices.ContainsFunc(n.workloads, func(w *workload) bool { return w.reports }) ||
			slices.ContainsFunc(n.facts, func(f WorkloadFacts) bool { return f.Meshed })
	}
	side := n.in
	if len(side) == 0 {
		side = n.out
	}
	out.RPSSeries = v.numbers.take(seriesSeconds)
	for _, g := range side {
		for i, x := range g.rps {
			out.RPSSeries[i] += x
		}
	}
	roundAll(out.RPSSeries)
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
			x = math.Round(x*100) / 100
		}
		series[i] = round(x)
	}
}

// traffic sums edges on one side of a node.
func (v *viewing) traffic(edges []*gathered) Traffic {
	var all tally
	var out Traffic
	for _, g := range edges {
		f := g.lead
		all.add(f.tally)
		out.SentBytesPerS += f.plain[sumSent]
		out.ReceivedBytesPerS += f.plain[sumReceived]
		out.ActiveConnections += f.active
	}
	q := v.quantilesOfAll(edges)
	out.RPS, out.ErrorRatio = round(all.total), round(all.errorRatio())
	out.P50MS, out.P95MS, out.P99MS = q.p50, q.p95, q.p99
	out.SentBytesPerS, out.ReceivedBytesPerS = round(out.SentBytesPerS), round(out.ReceivedBytesPerS)
	return out
}

// configSeverity orders configuration states, worst highest. The words are
// server/skew's; the two packages do not know each other.
var configSeverity = []string{"synced", "in-flight", "slow", "never-connected", "disconnected", "unsupported", "stale", "drifted", "rejected"}

func worstConfig(facts []WorkloadFacts) *ConfigState {
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
