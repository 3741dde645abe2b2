package e2e

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

type traceSearch struct {
	Traces []struct {
		ID       string `json:"trace_id"`
		Errors   int    `json:"errors"`
		Status   int    `json:"status"`
		Services []struct {
			Name string `json:"name"`
		} `json:"services"`
	} `json:"traces"`
}

type trace struct {
	ID       string   `json:"trace_id"`
	Spans    []span   `json:"spans"`
	Critical []string `json:"critical_path"`
	Problems []string `json:"problems"`
}

type span struct {
	ID         string  `json:"span_id"`
	Parent     string  `json:"parent_id"`
	Service    string  `json:"service"`
	Operation  string  `json:"operation"`
	Kind       string  `json:"kind"`
	Start      float64 `json:"start_us"`
	Duration   float64 `json:"duration_us"`
	Attributes []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	} `json:"attributes"`
}

func (s span) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return ""
}

// searchEdge is the search that someone makes who saw the failing edge.
var searchEdge = []string{"trace", "search", "--source", "booking/tickets", "--target", "booking/payments", "--errors"}

// findRefused gives a trace of a charge that the bank refused three times.
func findRefused(t *testing.T, m *meshUnderTest) trace {
	t.Helper()
	var found trace
	eventually(t, 20*time.Second, "a whole trace of a refused charge", func() error {
		list := decode[traceSearch](t, m.cli(t, append(searchEdge, "--status", "502", "-o", "json")...).must(t))
		for _, s := range list.Traces {
			found = decode[trace](t, m.cli(t, "trace", "get", s.ID, "-o", "json").must(t))
			if len(found.Problems) == 0 && slices.ContainsFunc(found.Spans, func(s span) bool { return s.attribute("sidelight.attempts") == "3" }) {
				return nil
			}
		}
		return fmt.Errorf("%d traces, none whole with three attempts", len(list.Traces))
	})
	return found
}

func checkTraces(t *testing.T, m *meshUnderTest) {
	tr := findRefused(t, m)
	byID := make(map[string]span, len(tr.Spans))
	for _, s := range tr.Spans {
		byID[s.ID] = s
	}
	call := tr.Spans[slices.IndexFunc(tr.Spans, func(s span) bool { return s.attribute("sidelight.attempts") == "3" })]
	if call.attribute("sidelight.service") != bank || call.Service != "payments" {
		t.Errorf("the span with three attempts is %s of %s to %s, want the charge at the bank", call.Operation, call.Service, call.attribute("sidelight.service"))
	}
	attempts := 0
	for _, s := range tr.Spans {
		if s.Parent == call.ID && strings.HasPrefix(s.Operation, "attempt") {
			attempts++
			if s.Start < call.Start || s.Start+s.Duration > call.Start+call.Duration+1 {
				t.Errorf("%s is not within its request: %v+%v in %v+%v", s.Operation, s.Start, s.Duration, call.Start, call.Duration)
			}
		}
	}
	if attempts != 3 {
		t.Errorf("%d spans of attempts, want 3", attempts)
	}
	for _, service := range []string{"ingress", "web", "tickets", "seats", "payments"} {
		if !slices.ContainsFunc(tr.Spans, func(s span) bool { return s.Service == service }) {
			t.Errorf("no span of %s", service)
		}
	}
	if len(tr.Critical) < 5 {
		t.Errorf("the critical path has %d spans: %q", len(tr.Critical), tr.Critical)
	}
	for _, id := range tr.Critical {
		if _, ok := byID[id]; !ok {
			t.Errorf("the critical path names span %s, which the trace does not have", id)
		}
	}
	if !slices.Contains(tr.Critical, call.ID) {
		t.Error("the slow call of the bank is not on the critical path")
	}

	table := m.cli(t, searchEdge...).must(t)
	if !strings.Contains(table, "TRACE") || !strings.Contains(table, "payments") {
		t.Errorf("trace search prints:\n%s", table)
	}
	waterfall := m.cli(t, "trace", "get", tr.ID).must(t)
	for _, want := range []string{"attempt 3", "3 attempts", "URX", "█"} {
		if !strings.Contains(waterfall, want) {
			t.Errorf("trace get does not print %q:\n%s", want, waterfall)
		}
	}
	if got := m.cli(t, "trace", "get", strings.Repeat("ab", 16)); got.code != 3 {
		t.Errorf("a trace that is not there: exit code %d, want 3:\n%s", got.code, got.stderr)
	}
}

type jaegerTraces struct {
	Data []struct {
		ID    string `json:"traceID"`
		Spans []struct {
			ID        string  `json:"spanID"`
			Operation string  `json:"operationName"`
			Duration  float64 `json:"duration"`
		} `json:"spans"`
	} `json:"data"`
}

func checkJaeger(t *testing.T, m *meshUnderTest) {
	tr := findRefused(t, m)
	var same jaegerTraces
	m.get(t, "/jaeger/api/traces/"+tr.ID, &same)
	if len(same.Data) != 1 || len(same.Data[0].Spans) != len(tr.Spans) {
		t.Fatalf("Jaeger's API gives %d traces, want 1 with %d spans", len(same.Data), len(tr.Spans))
	}
	durations := make(map[string]float64)
	for _, s := range same.Data[0].Spans {
		durations[s.ID] = s.Duration
	}
	for _, s := range tr.Spans {
		if d, ok := durations[s.ID]; !ok || math.Abs(d-s.Duration) > 1 {
			t.Errorf("span %s (%s) takes %v µs, by Jaeger's API %v", s.ID, s.Operation, s.Duration, d)
		}
	}
	var services struct{ Data []string }
	m.get(t, "/jaeger/api/services", &services)
	if !slices.Contains(services.Data, "payments") {
		t.Errorf("services by Jaeger's API: %q", services.Data)
	}
	var list jaegerTraces
	m.get(t, "/jaeger/api/traces?service=payments&limit=5&tags=%7B%22error%22%3A%22true%22%7D", &list)
	if len(list.Data) == 0 {
		t.Error("Jaeger's API finds no trace of payments with an error")
	}
}

// checkPrometheus holds the stored rate of an edge against the graph's.
func checkPrometheus(t *testing.T, m *meshUnderTest) {
	const promQL = `sum(rate(istio_requests_total{reporter="source",source_workload="ingress",destination_workload="web"}[60s]))`
	var v graphView
	m.get(t, "/api/v1/graph?window=60s", &v)
	e := v.edge("ingress", "web")
	if e == nil {
		t.Fatal("no edge ingress → web")
	}
	at := strconv.FormatInt(v.At.Unix(), 10)
	var ranged struct {
		Data struct {
			Type   string `json:"resultType"`
			Result []struct {
				Values [][2]any `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	m.get(t, "/prometheus/api/v1/query_range"+query("query", promQL, "start", at, "end", at, "step", "1"), &ranged)
	if ranged.Data.Type != "matrix" || len(ranged.Data.Result) != 1 || len(ranged.Data.Result[0].Values) != 1 {
		t.Fatalf("query_range answers %+v", ranged)
	}
	got, err := number(ranged.Data.Result[0].Values[0][1])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ingress → web: graph %.2f rps, PromQL %.2f", e.RPS, got)
	if math.Abs(got-e.RPS) > 0.03*e.RPS { // rate() extrapolates by up to one scrape in sixty at either end
		t.Errorf("ingress → web has %.2f rps, by PromQL %.2f", e.RPS, got)
	}
}

func number(v any) (float64, error) {
	text, ok := v.(string)
	if !ok {
		return 0, errors.New("not a string")
	}
	return strconv.ParseFloat(text, 64)
}

type propagation struct {
	Traces    int       `json:"traces"`
	Workloads []passing `json:"workloads"`
}

type passing struct {
	Workload string `json:"workload"`
	State    string `json:"state"`
	Why      string `json:"why"`
	Calls    []struct {
		Destination string `json:"destination"`
		State       string `json:"state"`
		Continued   int    `json:"continued"`
		Evidence    []struct {
			Received string `json:"received_trace_id"`
			Begun    string `json:"begun_trace_id"`
		} `json:"evidence"`
	} `json:"calls"`
}

// TestLostTrace plays tickets with an HTTP client that forgets the trace
// headers: that workload alone loses traces, what it calls payments for alone,
// and both halves of a torn trace are there.
func TestLostTrace(t *testing.T) {
	t.Parallel()
	m := startDemo(t, "--scenario", "lost-trace")
	var tickets passing
	eventually(t, 40*time.Second, "tickets is seen to lose traces", func() error {
		var p propagation
		if err := m.try("/api/v1/traces/propagation", &p); err != nil {
			return err
		}
		for _, w := range p.Workloads {
			if w.State == "loses" && w.Workload != "booking/tickets" {
				t.Errorf("%s is said to lose traces: %s", w.Workload, w.Why)
			}
			if w.Workload == "booking/tickets" {
				tickets = w
			}
		}
		if tickets.State != "loses" {
			return fmt.Errorf("%d traces, %+v", p.Traces, tickets)
		}
		return nil
	})
	t.Log(tickets.Why)
	for _, c := range tickets.Calls {
		switch c.Destination {
		case "booking/payments":
			if c.State != "loses" || c.Continued != 0 || len(c.Evidence) == 0 {
				t.Fatalf("calls to payments: %+v", c)
			}
			stops := decode[trace](t, m.cli(t, "trace", "get", c.Evidence[0].Received, "-o", "json").must(t))
			goesOn := decode[trace](t, m.cli(t, "trace", "get", c.Evidence[0].Begun, "-o", "json").must(t))
			through := func(tr trace, service string) bool {
				return slices.ContainsFunc(tr.Spans, func(s span) bool { return s.Service == service })
			}
			if !through(stops, "tickets") || through(stops, "payments") || !through(goesOn, "payments") || through(goesOn, "web") {
				t.Errorf("the torn trace: %+v, goes on as %+v", stops, goesOn)
			}
		case "booking/seats":
			if c.State != "passes" {
				t.Errorf("calls to seats: %+v", c)
			}
		}
	}
	wantAll(t, "trace propagation", m.cli(t, "trace", "propagation").must(t), "booking/tickets", "loses", "does not pass traceparent")
	if got := m.cli(t, "trace", "propagation", "--check"); got.code != 1 {
		t.Errorf("trace propagation --check: exit code %d, want 1:\n%s", got.code, got.stderr)
	}
}
