package graph

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
// whose JSON differs.
func Diff(prev, next View) Delta { return Delta{} }
