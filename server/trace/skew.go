package trace

import (
	"slices"
	"strings"
)

// toleranceUS is what clocks of one machine and the book-keeping at the end of
// a request may differ by; less is never corrected.
const toleranceUS = 1000

// correctClocks moves what another machine's clock placed where it cannot have
// been: a server span before its client span, or past its end although the
// client got the answer. All below it moves with it, since it is that
// machine's clock too, until a span further down is moved on its own account.
func (a *analysis) correctClocks() {
	type pair struct{ from, to string }
	moved := map[pair][]int64{}
	var order []pair
	stack := slices.Clone(a.roots)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if d := n.clockError(); d != 0 {
			n.move(-d)
			p := pair{n.parent.machine(), n.machine()}
			if moved[p] == nil {
				order = append(order, p)
			}
			moved[p] = append(moved[p], d)
		}
		stack = append(stack, n.children...)
	}
	slices.SortFunc(order, func(x, y pair) int { return strings.Compare(x.from+" "+x.to, y.from+" "+y.to) })
	for _, p := range order {
		slices.Sort(moved[p])
		d := moved[p][len(moved[p])/2]
		way := "ahead of"
		if d < 0 {
			way, d = "behind", -d
		}
		a.note("clock of %s is %s %s that of %s: corrected in %s", p.to, millis(d), way, p.from, count(len(moved[p]), "span"))
	}
	a.sort()
}

// clockError is how far n's clock is ahead of its parent's, as far as the two
// spans prove it; 0 when they agree or cannot tell.
func (n *node) clockError() int64 {
	p := n.parent
	if p == nil || n.span.Kind != "server" || p.span.Kind != "client" || n.machine() == p.machine() {
		return 0
	}
	early := p.start() - n.start()
	late := n.end() - p.end()
	answered := p.span.Status != "error" // else the server may rightly outlive its caller
	switch {
	case early > toleranceUS, answered && late > toleranceUS:
	default:
		return 0
	}
	if n.span.DurationUS > p.span.DurationUS {
		// It does not fit at any offset. Its start is what causality fixes.
		return min(n.start()-p.start(), 0)
	}
	// Halfway between the two bounds: the network takes as long there as back.
	middle := p.start() + (p.span.DurationUS-n.span.DurationUS)/2
	return n.start() - middle
}

func (n *node) machine() string {
	if n.span.Workload != "" {
		return n.span.Workload
	}
	return n.span.Service
}

func (n *node) move(by int64) {
	stack := []*node{n}
	for len(stack) > 0 {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		top.shift(by)
		stack = append(stack, top.children...)
	}
}

func (n *node) shift(by int64) {
	n.span.StartUS += by
	n.span.Events = slices.Clone(n.span.Events) // the caller's
	for i := range n.span.Events {
		n.span.Events[i].AtUS += by
	}
}
