package trace

import (
	"cmp"
	"slices"
)

// criticalPath gives the IDs of the spans that the root's duration is made of,
// by start: at each moment, from the end backwards, the span that everything
// above it was waiting for. Making any other span faster changes nothing.
func (a *analysis) criticalPath() []string {
	path := []string{}
	root := a.mainRoot()
	if root == nil {
		return path
	}
	// A frame is a span and the moment until which it counts.
	type frame struct {
		n     *node
		until int64
	}
	var on []*node
	stack := []frame{{root, root.end()}}
	for len(stack) > 0 {
		f := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		on = append(on, f.n)
		children := slices.Clone(f.n.children)
		slices.SortStableFunc(children, func(x, y *node) int { return cmp.Compare(y.end(), x.end()) })
		t := f.until
		for _, c := range children {
			end := c.end()
			if end > t {
				if t != f.until {
					continue // ran beside a child that is on the path already
				}
				if end > f.n.end()+toleranceUS && f.n.span.Status != "error" {
					continue // went on after its parent, which did not wait for it
				}
				end = t
			}
			if c.start() >= end {
				continue
			}
			stack = append(stack, frame{c, end})
			t = c.start()
		}
	}
	slices.SortStableFunc(on, func(x, y *node) int { return cmp.Compare(x.start(), y.start()) })
	for _, n := range on {
		path = append(path, n.span.SpanID)
	}
	return path
}

// mainRoot is the root that took longest; the first of equals.
func (a *analysis) mainRoot() *node {
	var main *node
	for _, r := range a.roots {
		if main == nil || r.span.DurationUS > main.span.DurationUS {
			main = r
		}
	}
	return main
}
