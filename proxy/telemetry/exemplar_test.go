package telemetry

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

// A scrape in OpenMetrics gives, with a bucket, a trace that shows what is in it.
func TestExemplars(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	first := outbound()
	m.Done(first)
	soon := outbound() // in the same second: one is enough
	soon.Trace.ID = forward.TraceID{2}
	m.Done(soon)
	unsampled := outbound() // whose trace nobody could look up
	unsampled.Begin = first.Begin.Add(time.Minute)
	unsampled.Trace.ID, unsampled.Trace.Sampled = forward.TraceID{3}, false
	m.Done(unsampled)
	slow := outbound()
	slow.Begin, slow.Duration, slow.Trace.ID = first.Begin.Add(2*time.Minute), 3*time.Second, forward.TraceID{4}
	m.Done(slow)

	server := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	defer server.Close()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		if _, exemplar, ok := strings.Cut(line, " # "); ok {
			if !strings.HasPrefix(line, mesh.MetricDuration+"_bucket{") {
				t.Errorf("an exemplar on %s", line)
			}
			_, bound, _ := strings.Cut(line, `le="`)
			bound, _, _ = strings.Cut(bound, `"`)
			got = append(got, bound+" "+strings.Join(strings.Fields(exemplar)[:2], " "))
		}
	}
	want := []string{
		`25.0 {trace_id="01000000000000000000000000000000"} 12.0`,
		`5000.0 {trace_id="04000000000000000000000000000000"} 3000.0`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got exemplars\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What comes over the wire cannot make the metrics grow without end: not by the
// number of values, nor by their size.
func TestOutcomesAreBoundedOverAllEdges(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	m.outcomeLimit.Store(500)
	const edges, statuses = 50, 60
	for e := range edges {
		destination := &forward.Peer{Workload: mesh.Workload{Namespace: "n", Name: strings.Repeat("w", e+1)}}
		for s := range statuses {
			x := outbound()
			x.Destination, x.Status = destination, 200+s*11%400
			m.Done(x)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != mesh.MetricRequests {
			continue
		}
		if n := len(f.GetMetric()); n > 500+edges*5 {
			t.Errorf("%d series", n)
		}
		if n := sum(f); n != edges*statuses {
			t.Errorf("%v requests are counted, want %d: a bound must not lose any", n, edges*statuses)
		}
	}
}

func sum(f *dto.MetricFamily) (total float64) {
	for _, m := range f.GetMetric() {
		total += m.GetCounter().GetValue()
	}
	return total
}
