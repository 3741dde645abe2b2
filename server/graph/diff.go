package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Diff is what became of a graph between two times. Lists are never nil and
// in the order of IDs.
type Diff struct {
	From    time.Time   `json:"from"`
	To      time.Time   `json:"to"`
	WindowS float64     `json:"window_s"`
	Group   Group       `json:"group"`
	Nodes   DiffedNodes `json:"nodes"`
	Edges   DiffedEdges `json:"edges"`
	Markers []Marker    `json:"markers"` // what happened between them
}

// DiffedNodes are the nodes that came, went and changed.
type DiffedNodes struct {
	Added   []Node   `json:"added"`
	Removed []Node   `json:"removed"`
	Changed []Change `json:"changed"`
}

// DiffedEdges are the edges that came, went and changed.
type DiffedEdges struct {
	Added   []Edge   `json:"added"`
	Removed []Edge   `json:"removed"`
	Changed []Change `json:"changed"`
}

// Change is a node or edge that is another now.
type Change struct {
	ID     string   `json:"id"`
	Before Figures  `json:"before"`
	After  Figures  `json:"after"`
	What   []string `json:"what"` // plain words, worst first
}

// Figures are what a comparison compares.
type Figures struct {
	Health     HealthState `json:"health"`
	RPS        float64     `json:"rps"`
	ErrorRatio float64     `json:"error_ratio"`
	P95MS      *float64    `json:"p95_ms"`
	Revision   uint64      `json:"revision,omitempty"` // of configuration, of nodes
}

// What is not worth a word: rates and latencies waver.
const (
	diffErrors  = 0.01 // of the ratio
	diffFactor  = 1.5  // of rates and latencies, up or down
	diffRPS     = 1.0  // a second, at least
	diffLatency = 5.0  // ms, at least
)

// DiffOf compares two views of the same query. An element without traffic at
// one of the times counts as there all the same.
func DiffOf(before, after View, markers []Marker) Diff {
	d := Diff{
		From: before.At, To: after.At, WindowS: after.WindowS, Group: after.Group, Markers: slices.Clone(markers),
		Nodes: DiffedNodes{[]Node{}, []Node{}, []Change{}}, Edges: DiffedEdges{[]Edge{}, []Edge{}, []Change{}},
	}
	if d.Markers == nil {
		d.Markers = []Marker{}
	}
	nodes := make(map[string]*Node, len(before.Nodes))
	for _, n := range before.Nodes {
		nodes[n.ID] = n
	}
	for _, n := range after.Nodes {
		was := nodes[n.ID]
		delete(nodes, n.ID)
		if was == nil {
			d.Nodes.Added = append(d.Nodes.Added, *n)
		} else if c := changed(n.ID, was.figures(), n.figures()); len(c.What) > 0 {
			d.Nodes.Changed = append(d.Nodes.Changed, c)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		d.Nodes.Removed = append(d.Nodes.Removed, *nodes[id])
	}
	edges := make(map[string]*Edge, len(before.Edges))
	for _, e := range before.Edges {
		edges[e.ID] = e
	}
	for _, e := range after.Edges {
		was := edges[e.ID]
		delete(edges, e.ID)
		if was == nil {
			d.Edges.Added = append(d.Edges.Added, *e)
		} else if c := changed(e.ID, was.figures(), e.figures()); len(c.What) > 0 {
			d.Edges.Changed = append(d.Edges.Changed, c)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(edges)) {
		d.Edges.Removed = append(d.Edges.Removed, *edges[id])
	}
	return d
}

func (n *Node) figures() Figures {
	side := n.In
	if side.RPS == 0 {
		side = n.Out
	}
	f := Figures{Health: n.Health.State, RPS: side.RPS, ErrorRatio: side.ErrorRatio, P95MS: side.P95MS}
	if n.Config != nil {
		f.Revision = n.Config.Revision
	}
	return f
}

func (e *Edge) figures() Figures {
	return Figures{Health: e.Health.State, RPS: e.RPS, ErrorRatio: e.ErrorRatio, P95MS: e.P95MS}
}

func changed(id string, before, after Figures) Change {
	c := Change{ID: id, Before: before, After: after, What: []string{}}
	say := func(format string, args ...any) { c.What = append(c.What, fmt.Sprintf(format, args...)) }
	if before.Health != after.Health {
		say("health %s → %s", before.Health, after.Health)
	}
	if d := after.ErrorRatio - before.ErrorRatio; d >= diffErrors || d <= -diffErrors {
		say("errors %s → %s", percent(before.ErrorRatio), percent(after.ErrorRatio))
	}
	if b, a := before.P95MS, after.P95MS; b != nil && a != nil && apart(*b, *a, diffLatency) {
		say("p95 %s → %s ms", plain(*b), plain(*a))
	}
	if apart(before.RPS, after.RPS, diffRPS) {
		say("%s → %s requests a second", plain(before.RPS), plain(after.RPS))
	}
	if before.Revision != after.Revision && before.Revision != 0 && after.Revision != 0 {
		say("configuration revision %d → %d", before.Revision, after.Revision)
	}
	return c
}

func apart(a, b, least float64) bool {
	low, high := min(a, b), max(a, b)
	return high-low >= least && high >= low*diffFactor
}

func plain(x float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.1f", x), "0"), ".")
}
