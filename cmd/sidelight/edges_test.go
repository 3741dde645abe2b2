package main

import (
	"testing"

	"github.com/sidelight-mesh/sidelight/server/graph"
)

// A service whose requests reach nobody stands beside the workload of the same
// name: the two must be told apart.
func TestNodeName(t *testing.T) {
	for _, tc := range []struct {
		node graph.Node
		by   graph.Group
		want string
	}{
		{graph.Node{Kind: graph.KindWorkload, Namespace: "cinema", Name: "reviews"}, graph.ByWorkload, "cinema/reviews"},
		{graph.Node{Kind: graph.KindService, Namespace: "cinema", Name: "reviews"}, graph.ByWorkload, "cinema/reviews (service)"},
		{graph.Node{Kind: graph.KindService, Namespace: "cinema", Name: "reviews"}, graph.ByService, "cinema/reviews"},
		{graph.Node{Kind: graph.KindExternal, Namespace: "cinema", Name: "api.bank.example"}, graph.ByWorkload, "api.bank.example"},
		{graph.Node{Kind: graph.KindUnknown, Name: "unknown"}, graph.ByWorkload, "unknown"},
		{graph.Node{Kind: graph.KindNamespace, Name: "cinema"}, graph.ByNamespace, "cinema"},
	} {
		if got := nodeName(&tc.node, tc.by); got != tc.want {
			t.Errorf("%s %s by %s: %q, want %q", tc.node.Kind, tc.node.Name, tc.by, got, tc.want)
		}
	}
}
