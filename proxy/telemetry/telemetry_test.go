package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the goldens")

var (
	tickets  = &forward.Peer{Workload: mesh.Workload{Namespace: "cinema", Name: "tickets", App: "tickets", Version: "v1"}}
	payments = &forward.Peer{Workload: mesh.Workload{Namespace: "cinema", Name: "payments-v2", App: "payments", Version: "v2", Cluster: "east"}}
	nobodyX  = &forward.Peer{}
	service  = mesh.Service{Host: "payments.cinema.svc.cluster.local", Namespace: "cinema", Name: "payments"}
)

func outbound() *forward.Exchange {
	return &forward.Exchange{
		Begin: time.Unix(1000, 0), Direction: listen.Outbound, Protocol: mesh.HTTP,
		Source: tickets, Destination: payments, Service: service,
		Method: "GET", Path: "/pay?card=1234", Authority: "payments", RouteName: "pay", Proto: "HTTP/1.1",
		Status: 200, Details: "via_upstream", Duration: 12 * time.Millisecond, Own: 200 * time.Microsecond,
		RequestBytes: 300, ResponseBytes: 1500, Connections: 1, Revision: 42,
		Attempts: []forward.Attempt{{Endpoint: "10.0.0.7:8080", Workload: payments.Workload, Duration: 10 * time.Millisecond, Status: 200, Reached: true, SpanID: forward.SpanID{9}}},
		Trace:    forward.Trace{ID: forward.TraceID{1}, Span: forward.SpanID{2}, Parent: forward.SpanID{3}, Sampled: true},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

func expose(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func TestMetricsGolden(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	m.Done(outbound())

	x := outbound() // retried, then given up by the proxy; never reached anyone
	x.Destination, x.Status, x.Details = nobodyX, 503, "upstream_reset_before_response_started{remote_connection_failure}"
	x.Attempts[0].Status = 0
	x.Flags, x.Attempts = forward.FlagUF|forward.FlagURX, append(x.Attempts, x.Attempts...)
	m.Done(x)

	x = outbound() // gRPC, at the receiving side, from a stranger
	x.Direction, x.Protocol, x.GRPCStatus, x.Source = listen.Inbound, mesh.GRPC, "14", nobodyX
	m.Messages(x, 3, 1)
	m.Messages(x, 0, 2)
	m.Done(x)

	x = outbound() // no route, no service
	x.Destination, x.Service, x.Status, x.Flags, x.Details, x.Attempts = nobodyX, mesh.Service{}, 404, forward.FlagNR, "route_not_found", nil
	m.Done(x)

	x = outbound() // the client went away
	x.Status, x.Flags, x.Details = 0, forward.FlagDC, "downstream_remote_disconnect"
	m.Done(x)

	x = outbound()
	x.Protocol, x.Status = mesh.TCP, 0
	m.Opened(x)
	m.Moved(x, 100, 200)
	m.Done(x)
	m.Closed(x)
	m.Opened(x)
	golden(t, "metrics.txt", expose(t, reg))
}

func TestNativeHistograms(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	for i := range 100 {
		x := outbound()
		x.Duration = time.Duration(i+1) * time.Millisecond
		m.Done(x)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	native := 0
	for _, f := range families {
		if f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		series := f.GetMetric()
		h := series[len(series)-1].GetHistogram() // reporter "source" sorts last
		if h.Schema == nil || h.GetSchema() != 3 || h.GetSampleCount() != 100 || len(h.GetPositiveSpan()) == 0 || len(h.GetBucket()) == 0 {
			t.Errorf("%s: schema %d, %d samples, %d spans", f.GetName(), h.GetSchema(), h.GetSampleCount(), len(h.GetPositiveSpan()))
		}
		native++
	}
	if native != 4 {
		t.Errorf("%d histograms, want 4", native)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	m.edgeLimit = 100
	for i := range 150 { // a client that invents peers
		x := outbound()
		x.Direction = listen.Inbound
		x.Source = &forward.Peer{Workload: mesh.Workload{Namespace: "n", Name: fmt.Sprint("w", i)}}
		m.Done(x)
	}
	for i := range 3 * maxOutcomes { // an upstream that invents statuses
		x := outbound()
		x.Status = 200 + i
		m.Done(x)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != mesh.MetricRequests {
			continue
		}
		if n := len(f.GetMetric()); n > 100+maxOutcomes+10 {
			t.Errorf("%d series", n)
		}
		var total float64
		for _, s := range f.GetMetric() {
			total += s.GetCounter().GetValue()
		}
		if want := float64(150 + 3*maxOutcomes); total != want {
			t.Errorf("%v requests counted, want %v: a bound must not lose any", total, want)
		}
	}
	if text := expose(t, reg); !strings.Contains(text, `sidelight_series_limited_total{kind="edge"}`) || !strings.Contains(text, `sidelight_series_limited_total{kind="outcome"}`) {
		t.Error("the bounds were reached without a count")
	}
}

// exporter keeps spans, or fails.
type exporter struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
	fail  func() error
}

func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		if err := e.fail(); err != nil {
			return err
		}
	}
	e.spans = append(e.spans, spans...)
	return ctx.Err()
}

func (e *exporter) Shutdown(context.Context) error { return nil }

func attr(s sdktrace.ReadOnlySpan, key string) string {
	for _, a := range s.Attributes() {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

func TestSpans(t *testing.T) {
	e := &exporter{}
	s := NewSpans(SpanOptions{Workload: tickets.Workload, NodeID: "tickets-1", Exporter: e, Metrics: NewMetrics(prometheus.NewRegistry()), Errors: true})
	s.Done(outbound())
	unsampled := outbound()
	unsampled.Trace.Sampled = false
	s.Done(unsampled) // leaves no span
	failed := outbound()
	failed.Trace.Sampled = false // but an error does
	failed.Status, failed.Details, failed.Object = 504, "upstream_per_try_timeout", "VirtualService cinema/payments"
	failed.Flags = forward.FlagUT | forward.FlagURX
	failed.Attempts[0].Reason, failed.Attempts[0].Status = "per-try timeout 1s", 0
	failed.Attempts = append(failed.Attempts, failed.Attempts[0])
	failed.Attempts[1].SpanID = forward.SpanID{10}
	failed.Trace.Parent = forward.SpanID{}
	s.Done(failed)
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(e.spans) != 4 {
		t.Fatalf("%d spans, want 4", len(e.spans))
	}
	ok := e.spans[0]
	if ok.SpanContext().SpanID().String() != "0200000000000000" || ok.Parent().SpanID().String() != "0300000000000000" || !ok.Parent().IsRemote() {
		t.Errorf("span %s of %s", ok.SpanContext().SpanID(), ok.Parent().SpanID())
	}
	if ok.Name() != "GET pay" || ok.SpanKind().String() != "client" || ok.EndTime().Sub(ok.StartTime()) != 12*time.Millisecond || ok.Status().Code.String() != "Unset" {
		t.Errorf("span %s %s %s %s", ok.Name(), ok.SpanKind(), ok.EndTime().Sub(ok.StartTime()), ok.Status().Code)
	}
	for key, want := range map[string]string{
		"sidelight.reporter": "source", "sidelight.source": "cinema/tickets", "sidelight.destination": "cinema/payments-v2",
		"sidelight.service": service.Host, "http.request.method": "GET", "url.path": "/pay", "http.response.status_code": "200",
		"http.route": "pay", "sidelight.flags": "-", "sidelight.answered_by": "upstream", "sidelight.attempts": "1",
		"sidelight.revision": "42", "server.address": "10.0.0.7:8080",
	} {
		if got := attr(ok, key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	first, second, whole := e.spans[1], e.spans[2], e.spans[3]
	if first.Name() != "attempt 1" || second.Name() != "attempt 2" || first.Parent().SpanID() != whole.SpanContext().SpanID() ||
		first.SpanContext().SpanID() == second.SpanContext().SpanID() || first.Status().Description != "per-try timeout 1s" {
		t.Errorf("attempts %s %s under %s", first.Name(), second.Name(), first.Parent().SpanID())
	}
	if attr(ok, "sidelight.sampled_by") != "" || attr(whole, "sidelight.sampled_by") != "error" {
		t.Errorf("sampled by %q and %q", attr(ok, "sidelight.sampled_by"), attr(whole, "sidelight.sampled_by"))
	}
	if whole.Parent().IsValid() || whole.Status().Code.String() != "Error" || attr(whole, "sidelight.object") != "VirtualService cinema/payments" {
		t.Errorf("parent %s, status %v", whole.Parent().SpanID(), whole.Status())
	}
	for _, a := range whole.Resource().Attributes() {
		if a.Key == "service.name" && a.Value.AsString() != "tickets" {
			t.Errorf("service.name %s", a.Value.AsString())
		}
	}
}

func dropped(t *testing.T, m *Metrics, reason string) float64 {
	t.Helper()
	var d dto.Metric
	if err := m.spansDropped.WithLabelValues(reason).Write(&d); err != nil {
		t.Fatal(err)
	}
	return d.GetCounter().GetValue()
}

func TestSpanQueueNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m := NewMetrics(prometheus.NewRegistry())
		e := &exporter{fail: func() error { <-release; return nil }}
		s := NewSpans(SpanOptions{Workload: tickets.Workload, Exporter: e, Metrics: m})
		const n = 5000
		for range n {
			s.Done(outbound()) // must return though nobody takes anything
		}
		close(release)
		if err := s.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		full := dropped(t, m, reasonQueueFull)
		if full == 0 || float64(len(e.spans))+full != n {
			t.Errorf("%d sent and %v dropped of %d", len(e.spans), full, n)
		}
	})
}

func TestSpansOfAnAbsentCollectorAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMetrics(prometheus.NewRegistry())
		e := &exporter{fail: func() error { return errors.New("connection refused") }}
		var log bytes.Buffer
		s := NewSpans(SpanOptions{Workload: tickets.Workload, Exporter: e, Metrics: m, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		s.Done(outbound())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := dropped(t, m, reasonExport); got != 1 {
			t.Errorf("%v dropped, want 1", got)
		}
		tries := 0
		e.mu.Lock()
		e.fail = func() error {
			if tries++; tries < 3 {
				return errors.New("not yet")
			}
			return nil
		}
		e.mu.Unlock()
		s.Done(outbound())
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := dropped(t, m, reasonExport); got != 1 || len(e.spans) != 1 {
			t.Errorf("a collector that came back: %v dropped, %d sent", got, len(e.spans))
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 2 ||
			!strings.Contains(lines[0], "connection refused") || !strings.Contains(lines[0], "--collector") || !strings.Contains(lines[1], "again") {
			t.Errorf("the log says %q", lines)
		}
	})
}

// slowWriter blocks until released.
type slowWriter struct {
	bytes.Buffer
	gate chan struct{}
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.gate
	return w.Buffer.Write(p)
}

func TestAccessLog(t *testing.T) {
	w := &slowWriter{gate: make(chan struct{})}
	m := NewMetrics(prometheus.NewRegistry())
	l := NewAccessLog(w, m)
	const n = accessLogQueue + 100
	for range n {
		l.Done(outbound())
	}
	close(w.gate)
	if err := l.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(w.String()), "\n")
	var d dto.Metric
	m.logDropped.Write(&d)
	if len(lines)+int(d.GetCounter().GetValue()) != n || len(lines) < accessLogQueue {
		t.Errorf("%d lines and %v dropped of %d", len(lines), d.GetCounter().GetValue(), n)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &e); err != nil {
		t.Fatal(err)
	}
	if e["response_code"] != 200.0 || e["response_flags"] != "-" || e["source"] != "cinema/tickets" || e["upstream_host"] != "10.0.0.7:8080" {
		t.Errorf("line %v", e)
	}
}

func BenchmarkDone(b *testing.B) {
	m := NewMetrics(prometheus.NewRegistry())
	x := outbound()
	b.Run("metrics", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Done(x)
		}
	})
	s := NewSpans(SpanOptions{Workload: tickets.Workload, Exporter: &exporter{fail: func() error { return errors.New("away") }}, Metrics: m})
	b.Run("spans", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Done(x)
		}
	})
}
