// Package storetest holds the suite that every traces.Querier passes, whatever
// stands behind it.
package storetest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// Span describes one span to store, in the few words that tests need.
type Span struct {
	Trace, ID, Parent byte
	Service, Name     string
	Source, Target    string
	Route             string
	Status            int
	Failed            bool
	At                time.Time
	Took              time.Duration
	Attributes        map[string]string
	Kind              ptrace.SpanKind
}

// ID gives the hex form of the trace that Span.Trace names.
func ID(trace byte) string {
	id := traceID(trace)
	return hex.EncodeToString(id[:])
}

func traceID(n byte) pcommon.TraceID { return pcommon.TraceID{0xab, 15: n} }

// Batch makes spans of descriptions, one resource each, as sidecars send them.
func Batch(spans ...Span) ptrace.Traces {
	td := ptrace.NewTraces()
	for _, s := range spans {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", s.Service)
		rs.Resource().Attributes().PutStr("sidelight.workload", "cinema/"+s.Service)
		span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		span.SetTraceID(traceID(s.Trace))
		span.SetSpanID(pcommon.SpanID{7: s.ID})
		if s.Parent != 0 {
			span.SetParentSpanID(pcommon.SpanID{7: s.Parent})
		}
		span.SetName(s.Name)
		span.SetKind(s.Kind)
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(s.At))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(s.At.Add(s.Took)))
		put := func(key, value string) {
			if value != "" {
				span.Attributes().PutStr(key, value)
			}
		}
		put("sidelight.source", s.Source)
		put("sidelight.destination", s.Target)
		put("http.route", s.Route)
		if s.Status != 0 {
			span.Attributes().PutInt("http.response.status_code", int64(s.Status))
		}
		for k, v := range s.Attributes {
			put(k, v)
		}
		if s.Failed {
			span.Status().SetCode(ptrace.StatusCodeError)
			span.Status().SetMessage("it broke")
		}
	}
	return td
}

// Backend is a store under test.
type Backend struct {
	// Open gives a writer and the querier that must see what it wrote.
	Open func(t *testing.T) (traces.Writer, traces.Querier)
	// Silent says that the store does not tell what it holds: its Stats are zero.
	Silent bool
}

// Suite runs the query port's contract.
func Suite(t *testing.T, backend Backend) {
	w, q := backend.Open(t)
	ctx := context.Background()
	now := time.Now().Add(-10 * time.Second).Truncate(time.Millisecond)
	write := func(spans ...Span) {
		t.Helper()
		if err := w.WriteSpans(ctx, Batch(spans...)); err != nil {
			t.Fatal(err)
		}
	}
	// Trace 1 fails between tickets and payments; its parts come in three
	// batches and out of order. Trace 2 is slow, trace 3 is short and fine.
	write(Span{Trace: 1, ID: 3, Parent: 2, Service: "payments", Name: "POST /charge", Source: "cinema/tickets", Target: "cinema/payments", Route: "charges", Status: 503, Failed: true, At: now.Add(20 * time.Millisecond), Took: 30 * time.Millisecond})
	write(Span{Trace: 1, ID: 1, Service: "web", Name: "GET /", Status: 502, Failed: true, At: now, Took: 100 * time.Millisecond})
	write(Span{Trace: 1, ID: 2, Parent: 1, Service: "tickets", Name: "POST /charge", Source: "cinema/tickets", Target: "cinema/payments", Status: 200, At: now.Add(10 * time.Millisecond), Took: 50 * time.Millisecond})
	write(
		Span{Trace: 2, ID: 1, Service: "web", Name: "GET /", Status: 200, At: now.Add(time.Second), Took: 2 * time.Second},
		Span{Trace: 2, ID: 2, Parent: 1, Service: "catalog", Name: "GET /films", Route: "split", Status: 200, At: now.Add(time.Second), Took: 1900 * time.Millisecond, Attributes: map[string]string{"version": "v2"}},
	)
	write(Span{Trace: 3, ID: 1, Service: "web", Name: "GET /health", Status: 200, At: now.Add(2 * time.Second), Took: time.Millisecond})

	for _, tt := range []struct {
		name  string
		query traces.Query
		want  []byte
	}{
		{"all, newest first", traces.Query{}, []byte{3, 2, 1}},
		{"limit", traces.Query{Limit: 2}, []byte{3, 2}},
		{"service", traces.Query{Service: "payments"}, []byte{1}},
		{"operation", traces.Query{Service: "web", Operation: "GET /"}, []byte{2, 1}},
		{"workload", traces.Query{Workload: "cinema/catalog"}, []byte{2}},
		{"edge", traces.Query{Source: "cinema/tickets", Target: "cinema/payments"}, []byte{1}},
		{"source alone", traces.Query{Source: "cinema/tickets"}, []byte{1}},
		{"target alone", traces.Query{Target: "cinema/payments"}, []byte{1}},
		{"edge the other way round", traces.Query{Source: "cinema/payments", Target: "cinema/tickets"}, nil},
		{"route", traces.Query{Route: "charges"}, []byte{1}},
		{"status", traces.Query{Status: "503"}, []byte{1}},
		{"status class", traces.Query{Status: "2xx"}, []byte{3, 2, 1}},
		{"errors", traces.Query{Errors: true}, []byte{1}},
		{"no errors", traces.Query{Clean: true}, []byte{3, 2}},
		{"one span must fit all", traces.Query{Service: "web", Status: "503"}, nil},
		{"service and status", traces.Query{Service: "payments", Status: "5xx"}, []byte{1}},
		{"service and errors", traces.Query{Service: "web", Errors: true}, []byte{1}},
		{"edge and route", traces.Query{Source: "cinema/tickets", Target: "cinema/payments", Route: "charges"}, []byte{1}},
		{"tag", traces.Query{Tags: map[string]string{"version": "v2"}}, []byte{2}},
		{"tag that is not there", traces.Query{Tags: map[string]string{"version": "v3"}}, nil},
		{"at least", traces.Query{MinDuration: 500 * time.Millisecond}, []byte{2}},
		{"at most", traces.Query{MaxDuration: 500 * time.Millisecond}, []byte{3, 1}},
		{"from", traces.Query{From: now.Add(500 * time.Millisecond)}, []byte{3, 2}},
		{"to", traces.Query{To: now.Add(500 * time.Millisecond)}, []byte{1}},
		{"unknown service", traces.Query{Service: "nobody"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := q.Search(ctx, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if got.Traces == nil {
				t.Error("Traces is nil, want an empty list")
			}
			var ids []string
			for _, s := range got.Traces {
				ids = append(ids, s.TraceID)
			}
			var want []string
			for _, n := range tt.want {
				want = append(want, ID(n))
			}
			if diff := cmp.Diff(want, ids); diff != "" {
				t.Errorf("traces (-want +got):\n%s", diff)
			}
		})
	}

	t.Run("summary", func(t *testing.T) {
		got, err := q.Search(ctx, traces.Query{Service: "payments"})
		if err != nil || len(got.Traces) != 1 {
			t.Fatalf("Search = %v, %v", got, err)
		}
		want := traces.Summary{
			TraceID: ID(1), Service: "web", Operation: "GET /", DurationMS: 100, Spans: 3, Errors: 2, Status: 502,
			Services: []traces.ServiceCount{{Name: "payments", Spans: 1, Errors: 1}, {Name: "tickets", Spans: 1}, {Name: "web", Spans: 1, Errors: 1}},
		}
		s := got.Traces[0]
		if !s.Start.Equal(now) {
			t.Errorf("start %v, want %v", s.Start, now)
		}
		s.Start = time.Time{}
		if diff := cmp.Diff(want, s); diff != "" {
			t.Errorf("summary (-want +got):\n%s", diff)
		}
	})

	t.Run("get", func(t *testing.T) {
		trace, err := q.Get(ctx, ID(1))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range trace.Spans {
			got = append(got, fmt.Sprintf("%s %s +%d for %d %s", s.Service, s.Operation, s.StartUS, s.DurationUS, s.Status))
		}
		want := []string{"web GET / +0 for 100000 error", "tickets POST /charge +10000 for 50000 unset", "payments POST /charge +20000 for 30000 error"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("spans (-want +got):\n%s", diff)
		}
		if got := trace.Spans[2].Message; got != "it broke" {
			t.Errorf("message %q", got)
		}
		if trace.Spans[0].ParentID != "" || trace.Spans[1].ParentID != trace.Spans[0].SpanID {
			t.Errorf("parents: %+v", trace.Spans)
		}
	})

	t.Run("stream", func(t *testing.T) {
		var got []string
		for trace, err := range q.Stream(ctx, traces.Query{Service: "web", Limit: 2}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s of %d spans", trace.TraceID, len(trace.Spans)))
		}
		if diff := cmp.Diff([]string{ID(3) + " of 1 spans", ID(2) + " of 2 spans"}, got); diff != "" {
			t.Errorf("traces (-want +got):\n%s", diff)
		}
		for range q.Stream(ctx, traces.Query{}) {
			break // must not block or panic
		}
		errs := 0
		for _, err := range q.Stream(ctx, traces.Query{Limit: -1}) {
			if errs++; !errors.Is(err, mesh.ErrInvalid) {
				t.Errorf("Stream of a bad query = %v, want ErrInvalid", err)
			}
		}
		if errs != 1 {
			t.Errorf("%d errors of a bad query, want 1", errs)
		}
	})

	t.Run("errors", func(t *testing.T) {
		for id, want := range map[string]error{ID(99): mesh.ErrNotFound, "xyz": mesh.ErrInvalid, ID(1) + "0": mesh.ErrInvalid} {
			if _, err := q.Get(ctx, id); !errors.Is(err, want) {
				t.Errorf("Get(%q) = %v, want %v", id, err, want)
			}
		}
		for _, query := range []traces.Query{
			{Limit: -1},
			{Limit: 100_000},
			{Operation: "x"},
			{Errors: true, Clean: true},
			{Status: "999"},
			{Status: "abc"},
			{MinDuration: 2, MaxDuration: 1},
			{From: now, To: now.Add(-1)},
		} {
			if _, err := q.Search(ctx, query); !errors.Is(err, mesh.ErrInvalid) {
				t.Errorf("Search(%+v) = %v, want ErrInvalid", query, err)
			}
		}
	})

	t.Run("names", func(t *testing.T) {
		services, err := q.Services(ctx)
		if diff := cmp.Diff([]string{"catalog", "payments", "tickets", "web"}, services); err != nil || diff != "" {
			t.Errorf("services %v (-want +got):\n%s", err, diff)
		}
		operations, err := q.Operations(ctx, "web")
		if diff := cmp.Diff([]string{"GET /", "GET /health"}, operations); err != nil || diff != "" {
			t.Errorf("operations %v (-want +got):\n%s", err, diff)
		}
		operations, err = q.Operations(ctx, "we")
		if err != nil || len(operations) != 0 {
			t.Errorf("operations of a part of a name: %v, %v", operations, err)
		}
	})

	t.Run("stats", func(t *testing.T) {
		s := q.Stats()
		if backend.Silent {
			if s != (traces.Stats{}) {
				t.Errorf("stats %+v, want none", s)
			}
			return
		}
		if s.Spans != 6 || s.Traces != 3 || s.Refused != 0 {
			t.Errorf("stats %+v, want 6 spans of 3 traces", s)
		}
	})

	// Ninety traces of one second and one of an hour ago: more than a store is
	// asked for at once, and far apart.
	var (
		want []string
		busy []Span
	)
	write(Span{Trace: 200, ID: 1, Service: "busy", Name: "POST /beat", At: now.Add(-time.Hour), Took: time.Millisecond})
	for i := range byte(90) {
		busy = append(busy, Span{Trace: 100 + i, ID: 1, Service: "busy", Name: "POST /beat", At: now.Add(time.Duration(i) * 10 * time.Millisecond), Took: time.Millisecond})
		want = append([]string{ID(100 + i)}, want...)
	}
	write(busy...)
	want = append(want, ID(200))
	t.Run("the newest of many", func(t *testing.T) {
		for _, limit := range []int{1, 30, 90, 91, 500} {
			got, err := q.Search(ctx, traces.Query{Service: "busy", Limit: limit})
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, s := range got.Traces {
				ids = append(ids, s.TraceID)
			}
			if diff := cmp.Diff(want[:min(limit, len(want))], ids); diff != "" {
				t.Errorf("the newest %d (-want +got):\n%s", limit, diff)
			}
		}
	})
}
