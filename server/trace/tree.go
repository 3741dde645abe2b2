package trace

import (
	"cmp"
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// link builds the tree. Whatever the input, every span gets exactly one place.
func (a *analysis) link(spans []traces.Span) {
	byID := make(map[string]*node, len(spans))
	a.nodes = make([]*node, len(spans))
	twice := 0
	for i := range spans {
		n := &node{span: &spans[i]}
		n.span.DurationUS = max(n.span.DurationUS, 0)
		a.nodes[i] = n
		if _, ok := byID[n.span.SpanID]; ok {
			twice++
			continue
		}
		byID[n.span.SpanID] = n
	}
	orphans, whole := 0, 0
	for _, n := range a.nodes {
		parent := byID[n.span.ParentID]
		switch {
		case n.span.ParentID == "":
			whole++
			a.roots = append(a.roots, n)
		case parent == nil:
			orphans++
			a.roots = append(a.roots, n)
		case parent == n:
			a.roots = append(a.roots, n)
			a.note("%s names itself as its parent", n.name())
		default:
			n.parent = parent
			parent.children = append(parent.children, n)
		}
	}
	if twice > 0 {
		a.note("%s with an ID that another span has", count(twice, "span"))
	}
	if orphans > 0 {
		a.note("%s whose parent is missing: it was not sampled, was lost, or has not arrived yet", count(orphans, "span"))
	}
	a.breakCycles()
	if whole > 1 {
		a.note("%d root spans: trace context was not passed on, or the ID was used twice", whole)
	}
	a.sort()
}

// breakCycles makes a root of the first span of each circle of parents.
func (a *analysis) breakCycles() {
	for _, r := range a.roots {
		r.place()
	}
	for _, n := range a.nodes {
		if n.placed {
			continue
		}
		a.note("%s is among its own ancestors", n.name())
		n.parent.children = slices.DeleteFunc(n.parent.children, func(c *node) bool { return c == n })
		n.parent = nil
		a.roots = append(a.roots, n)
		n.place()
	}
}

// place marks a subtree as reached. It keeps its own stack: input decides the
// depth.
func (n *node) place() {
	stack := []*node{n}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if top.placed {
			continue
		}
		top.placed = true
		stack = append(stack, top.children...)
	}
}

func (a *analysis) sort() {
	byStart := func(x, y *node) int {
		return cmp.Or(cmp.Compare(x.start(), y.start()), cmp.Compare(x.span.SpanID, y.span.SpanID))
	}
	slices.SortStableFunc(a.roots, byStart)
	for _, n := range a.nodes {
		slices.SortStableFunc(n.children, byStart)
	}
}

// preOrder gives the spans, parents before children, and sets their depth.
func (a *analysis) preOrder() []traces.Span {
	a.sort() // corrected clocks may have changed the order
	spans := make([]traces.Span, 0, len(a.nodes))
	a.walk(func(n *node, depth int) {
		n.span.Depth = depth
		spans = append(spans, *n.span)
	})
	return spans
}

// walk visits every node, parents before children.
func (a *analysis) walk(visit func(n *node, depth int)) {
	type step struct {
		n     *node
		depth int
	}
	stack := make([]step, 0, len(a.roots))
	for _, r := range slices.Backward(a.roots) {
		stack = append(stack, step{r, 0})
	}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		visit(top.n, top.depth)
		for _, c := range slices.Backward(top.n.children) {
			stack = append(stack, step{c, top.depth + 1})
		}
	}
}

// rebase makes the earliest span start at 0 again, and gives the trace's
// start and duration.
func (a *analysis) rebase(start time.Time, durationMS float64) (time.Time, float64) {
	if len(a.nodes) == 0 {
		return start, durationMS
	}
	first, last := a.nodes[0].start(), a.nodes[0].end()
	for _, n := range a.nodes {
		first, last = min(first, n.start()), max(last, n.end())
	}
	if first != 0 {
		for _, n := range a.nodes {
			n.shift(-first)
		}
	}
	return start.Add(time.Duration(first) * time.Microsecond), float64(last-first) / 1000
}

// selfTime is the span's duration without what its children cover of it.
func (n *node) selfTime() int64 {
	covered, reach := int64(0), n.start()
	for _, c := range n.children { // by start
		from, to := max(c.start(), reach), min(c.end(), n.end())
		if to > from {
			covered += to - from
			reach = to
		}
	}
	return n.span.DurationUS - covered
}
