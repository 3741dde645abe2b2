package trace

import (
	"cmp"
	"slices"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// calls gives the graph of the trace: who called whom, how often, how long it
// took. A call that several spans tell of (both sidecars, both applications)
// counts once, as its hop. Who called first calls from nobody.
func (a *analysis) calls() []traces.Call {
	hops := map[string]*node{}
	last := map[string]*node{}
	failed := map[string]bool{}
	a.walk(func(n *node, _ int) {
		hop := n.span.Hop
		if hops[hop] == nil {
			hops[hop] = n
		}
		last[hop] = n
		failed[hop] = failed[hop] || n.span.Status == "error"
	})
	place := places(a.nodes)
	sums := map[[2]string]*traces.Call{}
	for hop, first := range hops {
		source, target := ends(first, last[hop], place)
		if source == target || target == "" || roleOf(first.span) == RoleAttempt {
			continue // a sidecar's attempts are parts of its call
		}
		key := [2]string{source, target}
		if sums[key] == nil {
			sums[key] = &traces.Call{Source: source, Target: target}
		}
		sums[key].Calls++
		sums[key].DurationUS += first.span.DurationUS
		if failed[hop] {
			sums[key].Errors++
		}
	}
	list := []traces.Call{}
	for _, c := range sums {
		list = append(list, *c)
	}
	slices.SortFunc(list, func(x, y traces.Call) int {
		return cmp.Or(cmp.Compare(x.Source, y.Source), cmp.Compare(x.Target, y.Target))
	})
	return list
}

// ends tells between whom a hop goes, by its first and its last span.
func ends(first, last *node, place func(*node) string) (source, target string) {
	switch {
	case first.span.Kind == "server" || first.span.Kind == "consumer":
		if first.parent != nil {
			source = place(first.parent)
		}
		return source, place(first)
	case first.span.Kind != "client", slices.ContainsFunc(last.children, isServer):
		return "", "" // the server's own span counts
	}
	if source = place(first); place(last) != source {
		return source, place(last)
	}
	if to := calleeOf(last.span); to != mesh.Unknown {
		return source, to
	}
	return source, cmp.Or(attribute(first.span, "server.address"), attribute(first.span, "net.peer.name"))
}

func isServer(n *node) bool { return n.span.Kind == "server" || n.span.Kind == "consumer" }

// places gives how a span's sender is named: by its workload, by that of its
// service's other spans when these agree, else by its service. Sidecars know
// their workload; applications often only their service.
func places(nodes []*node) func(*node) string {
	of := map[string]string{}
	for _, n := range nodes {
		switch w, known := of[n.span.Service]; {
		case n.span.Workload == "":
		case !known:
			of[n.span.Service] = n.span.Workload
		case w != n.span.Workload:
			of[n.span.Service] = n.span.Service
		}
	}
	return func(n *node) string { return cmp.Or(n.span.Workload, of[n.span.Service], n.span.Service) }
}
