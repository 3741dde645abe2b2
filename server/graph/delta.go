package graph

import (
	"maps"
	"slices"
)

// Delta turns one view into the next: upserts and removals.
type Delta struct {
	Nodes     []Node   `json:"nodes"`
	Edges     []Edge   `json:"edges"`
	GoneNodes []string `json:"gone_nodes"`
	GoneEdges []string `json:"gone_edges"`
	Stale     []Stale  `json:"stale"`
	Totals    Totals   `json:"totals"`
	WindowS   float64  `json:"window_s"`
	Matched   *Matched `json:"matched,omitempty"`
	Limits    Limits   `json:"limits"`
}

// Diff gives what changed between two views of the same query: only elements
// whose JSON differs. Views list their elements by ID.
func Diff(prev, next View) Delta {
	d := Delta{
		Nodes: []Node{}, Edges: []Edge{}, GoneNodes: []string{}, GoneEdges: []string{},
		Stale: next.Stale, Totals: next.Totals, WindowS: next.WindowS, Matched: next.Matched, Limits: next.Limits,
	}
	walk(prev.Nodes, next.Nodes, func(n *Node) string { return n.ID },
		func(old, now *Node) {
			if old == nil || !sameNode(old, now) {
				d.Nodes = append(d.Nodes, *now)
			}
		},
		func(id string) { d.GoneNodes = append(d.GoneNodes, id) })
	walk(prev.Edges, next.Edges, func(e *Edge) string { return e.ID },
		func(old, now *Edge) {
			if old == nil || !sameEdge(old, now) {
				d.Edges = append(d.Edges, *now)
			}
		},
		func(id string) { d.GoneEdges = append(d.GoneEdges, id) })
	return d
}

// walk steps through two lists that are sorted by ID.
func walk[T any](prev, next []T, id func(*T) string, stays func(old, now *T), gone func(string)) {
	i := 0
	for j := range next {
		at := id(&next[j])
		for i < len(prev) && id(&prev[i]) < at {
			gone(id(&prev[i]))
			i++
		}
		if i < len(prev) && id(&prev[i]) == at {
			stays(&prev[i], &next[j])
			i++
			continue
		}
		stays(nil, &next[j])
	}
	for ; i < len(prev); i++ {
		gone(id(&prev[i]))
	}
}

func sameNode(a, b *Node) bool {
	return a.ID == b.ID && a.Kind == b.Kind && a.Cluster == b.Cluster && a.Namespace == b.Namespace && a.Name == b.Name &&
		a.App == b.App && a.Version == b.Version && a.Meshed == b.Meshed && samePointer(a.Config, b.Config) &&
		sameHealth(&a.Health, &b.Health) && sameTraffic(&a.In, &b.In) && sameTraffic(&a.Out, &b.Out) &&
		slices.Equal(a.RPSSeries, b.RPSSeries) && a.Match == b.Match
}

func sameEdge(a, b *Edge) bool {
	return a.ID == b.ID && a.Source == b.Source && a.Target == b.Target && a.Protocol == b.Protocol &&
		samePointer(a.Service, b.Service) && a.RPS == b.RPS && a.ErrorRatio == b.ErrorRatio &&
		samePointer(a.P50MS, b.P50MS) && samePointer(a.P95MS, b.P95MS) && samePointer(a.P99MS, b.P99MS) &&
		maps.Equal(a.Codes, b.Codes) && maps.Equal(a.Flags, b.Flags) && a.AnsweredBy == b.AnsweredBy &&
		slices.Equal(a.Answers, b.Answers) && a.AttemptsPerRequest == b.AttemptsPerRequest && a.Mirrored == b.Mirrored &&
		a.NewConnectionsPerS == b.NewConnectionsPerS && samePointer(a.RequestsPerConnection, b.RequestsPerConnection) &&
		a.MTLSRatio == b.MTLSRatio && a.SentBytesPerS == b.SentBytesPerS && a.ReceivedBytesPerS == b.ReceivedBytesPerS &&
		a.ActiveConnections == b.ActiveConnections && samePointer(a.Weight, b.Weight) &&
		sameSide(a.ClientSide, b.ClientSide) && sameSide(a.ServerSide, b.ServerSide) && sameHealth(&a.Health, &b.Health) &&
		slices.Equal(a.RPSSeries, b.RPSSeries) && slices.Equal(a.ErrorSeries, b.ErrorSeries) && a.Match == b.Match
}

func sameTraffic(a, b *Traffic) bool {
	return a.RPS == b.RPS && a.ErrorRatio == b.ErrorRatio && samePointer(a.P50MS, b.P50MS) &&
		samePointer(a.P95MS, b.P95MS) && samePointer(a.P99MS, b.P99MS) && a.SentBytesPerS == b.SentBytesPerS &&
		a.ReceivedBytesPerS == b.ReceivedBytesPerS && a.ActiveConnections == b.ActiveConnections
}

func sameSide(a, b *Side) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.RPS == b.RPS && a.ErrorRatio == b.ErrorRatio &&
		samePointer(a.P50MS, b.P50MS) && samePointer(a.P95MS, b.P95MS) && samePointer(a.P99MS, b.P99MS)
}

func sameHealth(a, b *Health) bool {
	return a.State == b.State && slices.EqualFunc(a.Reasons, b.Reasons, func(x, y Reason) bool {
		return x.Code == y.Code && x.Text == y.Text && x.Since.Equal(y.Since)
	})
}

func samePointer[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
