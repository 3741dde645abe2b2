package trace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// problemsMax bounds how many problems are told one by one.
const problemsMax = 20

// Analyze gives t with its spans in pre-order, their depth, role and self time,
// the critical path, the gaps on it, where errors began, who called whom, and
// what is wrong with the trace itself. Clocks that disagree are
// corrected, and each correction is told in Problems. t itself is not changed.
func Analyze(t traces.Trace) traces.Trace {
	t.Spans = slices.Clone(t.Spans)
	a := &analysis{}
	a.link(t.Spans)
	a.correctClocks()
	t.Start, t.DurationMS = a.rebase(t.Start, t.DurationMS)
	for _, n := range a.nodes {
		n.span.SelfUS = n.selfTime()
	}
	a.setRoles()
	a.setHops()
	a.noteMissingAnswers()
	a.noteOrphanedWork()

	t.CriticalPath = a.criticalPath()
	t.Origins = a.origins()
	t.Gaps = a.gaps(t.CriticalPath, int64(t.DurationMS*1000))
	t.Calls = a.calls()
	t.Spans = a.preOrder()
	t.Services = services(t.Spans)
	t.Problems = a.told(t.Problems)
	return t
}

// analysis is one trace while it is worked on.
type analysis struct {
	nodes    []*node // one a span, in the stored order
	roots    []*node
	problems []string
}

// node is a span with its place in the tree.
type node struct {
	span     *traces.Span
	parent   *node
	children []*node // by start
	placed   bool
}

func (n *node) start() int64 { return n.span.StartUS }
func (n *node) end() int64   { return n.span.StartUS + n.span.DurationUS }

// name says in a problem which span is meant.
func (n *node) name() string {
	where := n.span.Workload
	if where == "" {
		where = n.span.Service
	}
	return fmt.Sprintf("%s of %s", n.span.Operation, where)
}

func (a *analysis) note(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

// told joins what was found with what the store knew already.
func (a *analysis) told(stored []string) []string {
	all := make([]string, 0, len(stored)+len(a.problems))
	for _, p := range append(slices.Clone(a.problems), stored...) {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	if over := len(all) - problemsMax; over > 0 {
		all = append(all[:problemsMax], fmt.Sprintf("and %d more problems", over))
	}
	return all
}

// noteMissingAnswers finds calls to a workload of the mesh that sent no span.
func (a *analysis) noteMissingAnswers() {
	silent := map[string]int{}
	var order []string
	for _, n := range a.nodes {
		to := attribute(n.span, "sidelight.destination")
		if n.span.Kind != "client" || len(n.children) > 0 || !strings.Contains(to, "/") || strings.HasSuffix(to, "/unknown") {
			continue
		}
		if attribute(n.span, "sidelight.answered_by") == "proxy" {
			continue // the request never left the client's sidecar
		}
		if silent[to] == 0 {
			order = append(order, to)
		}
		silent[to]++
	}
	for _, to := range order {
		a.note("%s sent no span for %s to it: not sampled, lost, or its trace headers were dropped", to, count(silent[to], "call"))
	}
}

// noteOrphanedWork finds servers that went on after their caller had given up.
func (a *analysis) noteOrphanedWork() {
	for _, n := range a.nodes {
		p := n.parent
		if p == nil || n.span.Kind != "server" || p.span.Kind != "client" || p.span.Status != "error" {
			continue
		}
		if late := n.end() - p.end(); late > toleranceUS {
			a.note("%s went on for %s after its caller had given up", n.name(), millis(late))
		}
	}
}

func attribute(s *traces.Span, key string) string {
	for _, at := range s.Attributes {
		if at.Key == key {
			return at.Value
		}
	}
	return ""
}

func services(spans []traces.Span) []string {
	names := []string{}
	for _, s := range spans {
		if s.Service != "" {
			names = append(names, s.Service)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func millis(us int64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", float64(us)/1000), "0"), ".") + " ms"
}
