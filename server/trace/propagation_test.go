package trace

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// traffic makes the traces that sidecars of one workload would send.
type traffic struct {
	traces []traces.Trace
}

func (g *traffic) trace(at time.Duration, spans ...traces.Span) {
	t := traces.Trace{TraceID: fmt.Sprint(len(g.traces) + 1), Start: began.Add(at)}
	for _, s := range spans {
		t.DurationMS = max(t.DurationMS, float64(s.StartUS+s.DurationUS)/1000)
	}
	t.Spans = spans
	g.traces = append(g.traces, t)
}

func in(at, took time.Duration) traces.Span {
	return traces.Span{
		SpanID: "in", ParentID: "caller", Service: "tickets", Workload: "booking/tickets", Node: "tickets-1", Kind: "server",
		StartUS: at.Microseconds(), DurationUS: took.Microseconds(),
		Attributes: []traces.Attribute{{Key: "sidelight.reporter", Value: "destination"}},
	}
}

func out(parent, to string, at, took time.Duration) traces.Span {
	return traces.Span{
		SpanID: "out" + to, ParentID: parent, Service: "tickets", Workload: "booking/tickets", Node: "tickets-1", Kind: "client",
		StartUS: at.Microseconds(), DurationUS: took.Microseconds(),
		Attributes: []traces.Attribute{{Key: "sidelight.reporter", Value: "source"}, {Key: "sidelight.destination", Value: to}},
	}
}

const ms = time.Millisecond

func TestPropagation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, tt := range []struct {
		name string
		make func(g *traffic)
		want []string // "destination state"
		why  string
	}{
		{"headers are passed on", func(g *traffic) {
			for i := range 50 {
				g.trace(time.Duration(i)*100*ms, in(0, 20*ms), out("in", "booking/payments", 5*ms, 10*ms))
			}
		}, []string{"booking/payments passes"}, "within the trace of a request"},
		{"headers are lost", func(g *traffic) {
			for i := range 50 {
				at := time.Duration(i) * 100 * ms
				g.trace(at, in(0, 20*ms))
				g.trace(at+5*ms, out("", "booking/payments", 0, 10*ms))
			}
		}, []string{"booking/payments loses"}, "50 of its 50 calls to booking/payments"},
		{"lost to one of two", func(g *traffic) {
			for i := range 50 {
				at := time.Duration(i) * 100 * ms
				g.trace(at, in(0, 20*ms), out("in", "booking/seats", 2*ms, 2*ms))
				g.trace(at+5*ms, out("", "booking/payments", 0, 10*ms))
			}
		}, []string{"booking/payments loses", "booking/seats passes"}, "to booking/payments that began"},
		{"a poller beside the requests", func(g *traffic) {
			for i := range 200 {
				g.trace(time.Duration(i)*100*ms, in(0, 20*ms), out("in", "booking/payments", 5*ms, 10*ms))
				g.trace(time.Duration(rng.Int64N(int64(20*time.Second))), out("", "booking/audit", 0, 3*ms))
			}
		}, []string{"booking/payments passes", "booking/audit own-calls"}, "within the trace"},
		{"nobody calls it", func(g *traffic) {
			for i := range 50 {
				g.trace(time.Duration(i)*100*ms, out("", "booking/payments", 0, 10*ms))
			}
		}, []string{"booking/payments own-calls"}, "it serves no request"},
		{"lost by half the requests, beside own calls", func(g *traffic) {
			for i := range 100 {
				at := time.Duration(i) * 100 * ms
				g.trace(at, in(0, 20*ms))
				if i%2 == 0 {
					g.trace(at+5*ms, out("", "booking/payments", 0, 10*ms))
				}
				g.trace(at+60*ms, out("", "booking/payments", 0, 10*ms))
			}
		}, []string{"booking/payments loses"}, ""},
		{"too busy to tell", func(g *traffic) {
			for i := range 100 {
				at := time.Duration(i) * 100 * ms
				g.trace(at, in(0, 200*ms))
				g.trace(at+5*ms, out("", "booking/payments", 0, 10*ms))
			}
		}, []string{"booking/payments unclear"}, "too busy"},
		{"too few to tell", func(g *traffic) {
			for i := range 3 {
				at := time.Duration(i) * 100 * ms
				g.trace(at, in(0, 20*ms))
				g.trace(at+5*ms, out("", "booking/payments", 0, 10*ms))
			}
		}, []string{"booking/payments unclear"}, "too few"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var g traffic
			tt.make(&g)
			var study PropagationStudy
			for _, trace := range g.traces {
				study.Add(trace)
			}
			got := study.Judge()
			if got.Traces != len(g.traces) || len(got.Workloads) != 1 {
				t.Fatalf("%d traces, workloads %+v", got.Traces, got.Workloads)
			}
			w := got.Workloads[0]
			var calls []string
			for _, c := range w.Calls {
				calls = append(calls, c.Destination+" "+c.State)
				if (c.State == Loses) != (len(c.Evidence) > 0) {
					t.Errorf("%s: evidence %v", c.State, c.Evidence)
				}
			}
			if strings.Join(calls, ", ") != strings.Join(tt.want, ", ") || !strings.Contains(w.Why, tt.why) {
				t.Errorf("calls %v, want %v; why %q, want %q\n%+v", calls, tt.want, w.Why, tt.why, w)
			}
		})
	}
}

// The evidence names both halves of a trace that was torn.
func TestPropagationEvidence(t *testing.T) {
	var study PropagationStudy
	for i := range 10 {
		at := began.Add(time.Duration(i) * time.Second)
		study.Add(traces.Trace{TraceID: fmt.Sprintf("received-%d", i), Start: at, DurationMS: 20, Spans: []traces.Span{in(0, 20*ms)}})
		study.Add(traces.Trace{TraceID: fmt.Sprintf("begun-%d", i), Start: at.Add(5 * ms), DurationMS: 10, Spans: []traces.Span{out("", "booking/payments", 0, 10*ms)}})
	}
	got := study.Judge().Workloads[0].Calls[0]
	if got.Lost != 10 || len(got.Evidence) != evidenceMax {
		t.Fatalf("%+v", got)
	}
	want := Evidence{At: began.Add(9*time.Second + 5*ms), Received: "received-9", Span: "in", Begun: "begun-9"}
	if got.Evidence[0] != want {
		t.Errorf("newest evidence %+v, want %+v", got.Evidence[0], want)
	}
}

func TestNoTraces(t *testing.T) {
	var study PropagationStudy
	if got := study.Judge(); got.Workloads == nil || got.Traces != 0 {
		t.Errorf("%+v", got)
	}
}
