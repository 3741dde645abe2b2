package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
)

// TestBench is the second half of "make bench-dashboards": the panels of Mesh,
// which look at everything, on a mesh of 20,000 workloads. They read what the
// recording rules made; beside it stands what the same question costs without
// them, asked of raw series of a tenth of the size.
func TestBench(t *testing.T) {
	if os.Getenv("SIDELIGHT_BENCH") == "" {
		t.Skip("a benchmark: run make bench-dashboards")
	}
	const (
		workloads = 20_000
		raw       = 2_000
		samples   = 60 // a quarter of an hour
	)
	store, err := metrics.Open(metrics.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	begin := time.Now().Add(-samples * 15 * time.Second).Truncate(15 * time.Second)
	fillStore(t, store, recordedSeries(workloads), begin, samples, 15*time.Second)
	fillStore(t, store, rawSeries(raw), begin, samples, 15*time.Second)
	end := begin.Add((samples - 1) * 15 * time.Second)

	// CPU, not the clock: what else runs on a machine is not the query's fault.
	took := func(expr string, instant bool) float64 {
		best := 1e9
		for range 3 {
			at := cpu(t)
			var err error
			if instant {
				_, err = store.Instant(context.Background(), expr, end)
			} else {
				_, err = store.Range(context.Background(), expr, begin, end, 15*time.Second)
			}
			if err != nil {
				t.Fatalf("%s: %v", expr, err)
			}
			best = min(best, float64((cpu(t)-at).Microseconds())/1000)
		}
		return best
	}
	d, err := meshBoard().build()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nMesh dashboard, a quarter of an hour by 15 s, best of three, %d workloads\n\n| CPU ms | panel |\n|---:|---|\n", workloads)
	heaviest := 0.0
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			expr := everything(q.Expr)
			if strings.Contains(expr, "up{") {
				continue // not a series of the rules
			}
			ms := took(expr, q.Instant)
			heaviest = max(heaviest, ms)
			fmt.Printf("| %.1f | %s %s |\n", ms, p.Title, q.RefID)
		}
	}
	p95 := took(`topk(10, histogram_quantile(0.95, sum by (destination_service_name, destination_service_namespace, le) (rate(istio_request_duration_milliseconds_bucket{reporter="source"}[1m]))))`, false)
	fmt.Printf("| %.1f | p95 by service without the rules, %d workloads only |\n", p95, raw)
	verdict := "met"
	if heaviest >= 300 {
		verdict = "missed"
	}
	fmt.Printf("\ngoal dashboards-20000-heaviest: %.1f CPU ms < 300 ms %s\n", heaviest, verdict)
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// everything chooses everything of each variable.
func everything(expr string) string {
	return strings.ReplaceAll(fill.Replace(expr), "$namespace", ".+")
}

// recordedSeries is what rules/traffic.yaml makes of n workloads, each behind a
// service of its own, in a hundred namespaces.
func recordedSeries(n int) []labels.Labels {
	var out []labels.Labels
	for i := range n {
		ns, name := fmt.Sprintf("ns-%d", i%100), fmt.Sprintf("svc-%d", i)
		for _, record := range []string{
			"service:istio_requests:rate1m", "service:istio_request_errors:rate1m", "service:istio_request_errors:ratio1m",
			"service:istio_request_duration_milliseconds:p50_1m", "service:istio_request_duration_milliseconds:p95_1m", "service:istio_request_duration_milliseconds:p99_1m",
		} {
			out = append(out, labels.FromStrings("__name__", record, "reporter", "source",
				"destination_service", name+"."+ns+".svc", "destination_service_name", name, "destination_service_namespace", ns))
		}
		for _, record := range []string{"workload:istio_requests:rate1m", "workload:istio_request_errors:rate1m"} {
			out = append(out, labels.FromStrings("__name__", record, "reporter", "destination", "destination_workload", name, "destination_workload_namespace", ns))
		}
	}
	for i := range min(n, 1000) { // ten of each namespace
		ns, name := fmt.Sprintf("ns-%d", i%100), fmt.Sprintf("svc-%d", i)
		for _, record := range []string{"service:istio_requests:rate1m_top10", "service:istio_request_errors:ratio1m_top10", "service:istio_request_duration_milliseconds:p95_1m_top10"} {
			out = append(out, labels.FromStrings("__name__", record, "reporter", "source",
				"destination_service", name+"."+ns+".svc", "destination_service_name", name, "destination_service_namespace", ns))
		}
		for _, record := range []string{"workload:istio_requests:rate1m_top10", "workload:istio_request_errors:rate1m_top10"} {
			out = append(out, labels.FromStrings("__name__", record, "reporter", "destination", "destination_workload", name, "destination_workload_namespace", ns))
		}
	}
	for i := range 100 {
		for _, record := range []string{"namespace:istio_requests:rate1m", "namespace:istio_request_errors:rate1m", "namespace:services_called:count", "namespace:istio_tcp_bytes:rate1m"} {
			out = append(out, labels.FromStrings("__name__", record, "reporter", "source", "destination_service_namespace", fmt.Sprintf("ns-%d", i)))
		}
		for _, le := range bucketBounds {
			out = append(out, labels.FromStrings("__name__", "namespace:istio_request_duration_milliseconds_bucket:rate1m", "reporter", "source",
				"destination_service_namespace", fmt.Sprintf("ns-%d", i), "le", le))
		}
	}
	return out
}

var bucketBounds = strings.Fields("0.5 1 5 10 25 50 100 250 500 1000 2500 5000 10000 30000 60000 300000 600000 1.8e+06 3.6e+06 +Inf")

func rawSeries(n int) []labels.Labels {
	var out []labels.Labels
	for i := range n {
		ns, name := fmt.Sprintf("ns-%d", i%100), fmt.Sprintf("svc-%d", i)
		for _, le := range bucketBounds {
			out = append(out, labels.FromStrings("__name__", "istio_request_duration_milliseconds_bucket", "reporter", "source",
				"destination_service_name", name, "destination_service_namespace", ns, "response_code", "200", "source_workload", "web", "le", le))
		}
	}
	return out
}

func fillStore(t *testing.T, store *metrics.Store, series []labels.Labels, begin time.Time, n int, every time.Duration) {
	t.Helper()
	refs := make([]storage.SeriesRef, len(series))
	for i := range n {
		app := store.AppenderV2(t.Context())
		at := begin.Add(time.Duration(i) * every).UnixMilli()
		for j, ls := range series {
			ref, err := app.Append(refs[j], ls, 0, at, float64(i*(j%17)), nil, nil, storage.AOptions{})
			if err != nil {
				t.Fatal(err)
			}
			refs[j] = ref
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
}
