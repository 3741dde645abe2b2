package trace

import (
	"cmp"
	"slices"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// gapsMax is how many gaps are told, the longest first; gapShare is the part
// of the trace from which on one is worth telling.
const (
	gapsMax  = 10
	gapShare = 0.05
)

// origins gives the IDs of the spans where trouble began: failed spans none of
// whose children failed, in order of time.
func (a *analysis) origins() []string {
	var first []*node
	for _, n := range a.nodes {
		failed := func(c *node) bool { return c.span.Status == "error" }
		if failed(n) && !slices.ContainsFunc(n.children, failed) {
			first = append(first, n)
		}
	}
	slices.SortStableFunc(first, func(x, y *node) int { return cmp.Compare(x.start(), y.start()) })
	ids := []string{}
	for _, n := range first {
		ids = append(ids, n.span.SpanID)
	}
	return ids
}

// gaps finds the stretches of the critical path that no span tells more of: a
// span that has children waits or works there by itself. A span without
// children is no gap, it is the work.
func (a *analysis) gaps(path []string, totalUS int64) []traces.Gap {
	on := make(map[string]bool, len(path))
	for _, id := range path {
		on[id] = true
	}
	found := []traces.Gap{}
	for _, n := range a.nodes {
		if !on[n.span.SpanID] || len(n.children) == 0 {
			continue
		}
		reach := n.start()
		tell := func(until int64) {
			if until-reach > toleranceUS && float64(until-reach) >= gapShare*float64(totalUS) {
				found = append(found, traces.Gap{SpanID: n.span.SpanID, FromUS: reach, DurationUS: until - reach})
			}
		}
		for _, c := range n.children { // by start
			tell(min(c.start(), n.end()))
			reach = max(reach, c.end())
		}
		tell(n.end())
	}
	slices.SortStableFunc(found, func(x, y traces.Gap) int {
		return cmp.Or(cmp.Compare(y.DurationUS, x.DurationUS), cmp.Compare(x.FromUS, y.FromUS))
	})
	return found[:min(len(found), gapsMax)]
}
