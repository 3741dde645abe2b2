package trace

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// Propagation tells which workloads pass trace headers on, by what many traces
// show. A sidecar gives every request that it lets in a trace; an application
// that does not hand the headers to its own calls lets its sidecar begin
// another trace for each of them, and the first one stops there.
type Propagation struct {
	From      time.Time `json:"from"` // of the oldest trace read
	To        time.Time `json:"to"`
	Traces    int       `json:"traces"`    // read
	Workloads []Passing `json:"workloads"` // that sidecars saw call others; those that lose traces first
}

// What a workload does with the trace headers it receives.
const (
	Passes   = "passes"    // each call belongs to a request that it served
	Loses    = "loses"     // calls begin traces of their own while requests wait for them
	OwnCalls = "own-calls" // its calls have nothing to do with the requests it serves, or it serves none
	Unclear  = "unclear"   // it is too busy, or the calls are too few, to tell the two apart
)

// Passing is one workload's way with trace headers.
type Passing struct {
	Workload string      `json:"workload"`
	Service  string      `json:"service"`
	State    string      `json:"state"` // the worst of Calls
	Why      string      `json:"why"`
	Received int         `json:"received"` // requests that it served with a trace
	Calls    []PassingTo `json:"calls"`
}

// PassingTo is what a workload does with trace headers when it calls another.
type PassingTo struct {
	Destination string     `json:"destination"` // "namespace/name", or a host outside the mesh
	State       string     `json:"state"`
	Continued   int        `json:"continued"`    // calls within the trace of a request
	Begun       int        `json:"begun"`        // calls that began a trace
	During      int        `json:"during"`       // of these, while the same instance served a request without such a call
	ChanceRatio float64    `json:"chance_ratio"` // of these, to be expected if calls and requests had nothing to do with each other
	Lost        int        `json:"lost"`         // calls that During exceeds chance by, scaled up to all
	Evidence    []Evidence `json:"evidence"`     // the newest, at most 5
}

// Evidence is one request whose trace stopped, and the trace that the call
// made for it began.
type Evidence struct {
	At       time.Time `json:"at"`
	Received string    `json:"received_trace_id"`
	Span     string    `json:"received_span_id"`
	Begun    string    `json:"begun_trace_id"`
}

const (
	evidenceMax = 5
	// callsToTell is how many calls that began traces are needed to judge.
	callsToTell = 5
	// deviations is how far from chance During must be. At four, one verdict
	// in thirty thousand is wrong.
	deviations = 4
)

// PropagationStudy collects traces one by one and judges at the end. It keeps
// a few words per sidecar span, not the traces. The zero value is empty.
type PropagationStudy struct {
	traces   int
	from, to time.Time
	by       map[string]*passingFacts
}

// passingFacts is what was seen of one workload.
type passingFacts struct {
	service  string
	received int
	served   map[string][]served // by instance
	passed   map[string]int      // calls within a trace, by destination
	begun    map[string][]begun  // calls that began one, by destination
}

// served is a request that a workload's sidecar let in.
type served struct {
	from, to    time.Time
	trace, span string
	passedTo    map[string]bool // whom the workload called within the same trace
}

// begun is a call with which a trace began.
type begun struct {
	at    time.Time
	node  string
	trace string
}

// Add takes one trace.
func (p *PropagationStudy) Add(t traces.Trace) {
	p.traces++
	end := t.Start.Add(time.Duration(t.DurationMS * float64(time.Millisecond)))
	if p.from.IsZero() || t.Start.Before(p.from) {
		p.from = t.Start
	}
	if end.After(p.to) {
		p.to = end
	}
	passedTo := map[string]map[string]bool{} // by workload
	for i := range t.Spans {
		s := &t.Spans[i]
		if s.Workload == "" || s.Node == "" {
			continue
		}
		at := t.Start.Add(time.Duration(s.StartUS) * time.Microsecond)
		if passedTo[s.Workload] == nil {
			passedTo[s.Workload] = map[string]bool{}
		}
		switch roleOf(s) {
		case RoleInbound:
			f := p.facts(s)
			f.received++
			f.served[s.Node] = append(f.served[s.Node], served{
				from: at, to: at.Add(time.Duration(s.DurationUS) * time.Microsecond),
				trace: t.TraceID, span: s.SpanID, passedTo: passedTo[s.Workload],
			})
		case RoleOutbound:
			f, to := p.facts(s), calleeOf(s)
			if s.ParentID == "" {
				f.begun[to] = append(f.begun[to], begun{at, s.Node, t.TraceID})
				continue
			}
			f.passed[to]++
			passedTo[s.Workload][to] = true
		}
	}
}

func (p *PropagationStudy) facts(s *traces.Span) *passingFacts {
	f := p.by[s.Workload]
	if f == nil {
		f = &passingFacts{service: s.Service, served: map[string][]served{}, passed: map[string]int{}, begun: map[string][]begun{}}
		if p.by == nil {
			p.by = map[string]*passingFacts{}
		}
		p.by[s.Workload] = f
	}
	return f
}

// calleeOf names whom a sidecar called: the workload, or the host when nobody
// told which workload answers there.
func calleeOf(s *traces.Span) string {
	to := attribute(s, "sidelight.destination")
	if host := attribute(s, "sidelight.service"); host != "" && (to == "" || to == mesh.Unknown) {
		return host
	}
	return cmp.Or(to, attribute(s, "upstream_cluster"), mesh.Unknown)
}

// Judge gives the verdict on every workload that called somebody.
func (p *PropagationStudy) Judge() Propagation {
	out := Propagation{From: p.from, To: p.to, Traces: p.traces, Workloads: []Passing{}}
	for workload, f := range p.by {
		if len(f.passed)+len(f.begun) > 0 {
			out.Workloads = append(out.Workloads, f.judge(workload, p.to.Sub(p.from)))
		}
	}
	slices.SortFunc(out.Workloads, func(a, b Passing) int {
		return cmp.Or(cmp.Compare(gravity(a.State), gravity(b.State)), cmp.Compare(a.Workload, b.Workload))
	})
	return out
}

func gravity(state string) int {
	return slices.Index([]string{Loses, Unclear, Passes, OwnCalls}, state)
}

func (f *passingFacts) judge(workload string, over time.Duration) Passing {
	out := Passing{Workload: workload, Service: f.service, Received: f.received, Calls: []PassingTo{}}
	for to := range union(f.passed, f.begun) {
		out.Calls = append(out.Calls, f.judgeCalls(to, over))
	}
	slices.SortFunc(out.Calls, func(a, b PassingTo) int {
		return cmp.Or(cmp.Compare(gravity(a.State), gravity(b.State)), cmp.Compare(a.Destination, b.Destination))
	})
	out.State = out.Calls[0].State
	out.Why = f.why(out)
	return out
}

func (f *passingFacts) judgeCalls(to string, over time.Duration) PassingTo {
	out := PassingTo{Destination: to, Continued: f.passed[to], Begun: len(f.begun[to]), Evidence: []Evidence{}}
	open := map[string][]served{}
	busy := map[string]float64{}
	for node, requests := range f.served {
		open[node] = slices.DeleteFunc(slices.Clone(requests), func(r served) bool { return r.passedTo[to] })
		busy[node] = busyShare(open[node], over)
	}
	calls := slices.Clone(f.begun[to])
	slices.SortFunc(calls, func(a, b begun) int { return b.at.Compare(a.at) })
	for _, c := range calls {
		out.ChanceRatio += busy[c.node] / float64(len(calls))
		at := slices.IndexFunc(open[c.node], func(r served) bool { return !c.at.Before(r.from) && c.at.Before(r.to) })
		if at < 0 {
			continue
		}
		out.During++
		if r := open[c.node][at]; len(out.Evidence) < evidenceMax {
			out.Evidence = append(out.Evidence, Evidence{At: c.at, Received: r.trace, Span: r.span, Begun: c.trace})
		}
	}
	out.settle()
	return out
}

// settle holds During against chance: a call that has nothing to do with the
// requests falls into one as often as the instance is busy with any.
func (c *PassingTo) settle() {
	n, chance := float64(c.Begun), min(c.ChanceRatio, 1)
	during := float64(c.During)
	spread := math.Sqrt(n * chance * (1 - chance))
	switch {
	case c.Begun == 0:
		c.State = Passes
	case c.During == 0:
		c.State = OwnCalls
	case c.Begun < callsToTell || chance > 0.9:
		c.State = Unclear
	case during > n*chance+deviations*max(spread, 0.5):
		c.State = Loses
		c.Lost = int(math.Round((during - n*chance) / (1 - chance)))
	default:
		c.State = OwnCalls
	}
	if c.State != Loses {
		c.Evidence = []Evidence{}
	}
}

// busyShare is the part of a time in which at least one request was served.
func busyShare(requests []served, over time.Duration) float64 {
	if over <= 0 {
		return 0
	}
	slices.SortFunc(requests, func(a, b served) int { return a.from.Compare(b.from) })
	var sum time.Duration
	var reach time.Time
	for _, r := range requests {
		from := r.from
		if from.Before(reach) {
			from = reach
		}
		if r.to.After(from) {
			sum += r.to.Sub(from)
			reach = r.to
		}
	}
	return float64(sum) / float64(over)
}

func (f *passingFacts) why(p Passing) string {
	switch p.State {
	case Loses:
		var lost, begun int
		var to []string
		for _, c := range p.Calls {
			if c.State == Loses {
				lost, begun, to = lost+c.Lost, begun+c.Begun, append(to, c.Destination)
			}
		}
		return fmt.Sprintf("%d of its %s to %s that began a trace were made while it served a request whose trace stops here: it does not pass traceparent (or b3) on",
			lost, count(begun, "call"), strings.Join(to, " and "))
	case Unclear:
		if c := p.Calls[0]; c.Begun < callsToTell {
			return fmt.Sprintf("%s to %s began a trace of its own: too few to tell why", count(c.Begun, "call"), c.Destination)
		}
		return "some of its calls begin traces of their own, but it is too busy to tell whether requests wait for them"
	case OwnCalls:
		if p.Received == 0 {
			return "it serves no request: its calls begin traces rightly"
		}
		return "its calls that begin traces are no part of the requests that it serves"
	}
	return "each call that it makes is within the trace of a request"
}

func union(a map[string]int, b map[string][]begun) map[string]bool {
	all := make(map[string]bool, len(a)+len(b))
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}
