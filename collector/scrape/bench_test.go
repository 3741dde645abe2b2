package scrape

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// exposition is a busy sidecar's: 200 edges with four counters and a native
// histogram each, and as many series again that say nothing of edges.
type exposition struct {
	sets  []labels.Labels
	refs  []storage.SeriesRef
	hists []*histogram.Histogram
}

func newExposition() *exposition {
	e := new(exposition)
	add := func(ls labels.Labels, h *histogram.Histogram) {
		e.sets, e.hists = append(e.sets, ls), append(e.hists, h)
	}
	for i := range 200 {
		of := func(name string, more ...string) labels.Labels {
			return labels.FromStrings(append([]string{
				"__name__", name, "node", "web-1", "workload", "web", "namespace", "cinema",
				"reporter", "source", "source_workload", "web", "source_workload_namespace", "cinema",
				"destination_workload", fmt.Sprintf("to-%d", i), "destination_workload_namespace", "cinema",
				"destination_service", fmt.Sprintf("to-%d.cinema.svc.cluster.local", i), "request_protocol", "http",
			}, more...)...)
		}
		add(of(mesh.MetricRequests, "response_code", "200"), nil)
		add(of(mesh.MetricResponses, "response_code", "200", "response_source", "upstream"), nil)
		add(of(mesh.MetricAttempts), nil)
		add(of(mesh.MetricUpstreamConnections), nil)
		add(of(mesh.MetricDuration, "response_code", "200"), tsdbutil.GenerateTestHistogram(1))
		for j := range 5 {
			add(of(fmt.Sprintf("something_else_%d", j)), nil)
		}
	}
	e.refs = make([]storage.SeriesRef, len(e.sets))
	return e
}

// scrape appends all series once. Every tenth edge moves.
func (e *exposition) scrape(b *testing.B, app storage.AppenderV2, n int, at time.Time) {
	b.Helper()
	for i, ls := range e.sets {
		h := e.hists[i]
		if h != nil {
			h = tsdbutil.GenerateTestHistogram(int64(1 + n*((i/10+n)%10/9)))
		}
		ref, err := app.Append(e.refs[i], ls, 0, at.UnixMilli(), float64(n/10+(i/10+n)%10/9), h, nil, storage.AOptions{})
		if err != nil {
			b.Fatal(err)
		}
		e.refs[i] = ref
	}
	up := labels.FromStrings("__name__", "up", "node", "web-1")
	if _, err := app.Append(0, up, 0, at.UnixMilli(), 1, nil, nil, storage.AOptions{MetricFamilyName: "up\xff"}); err != nil {
		b.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAppend measures one scrape of a busy sidecar, 2,000 series, into
// the store alone, and into the store and the edges: what the graph costs on
// top of keeping history.
func BenchmarkAppend(b *testing.B) {
	run := func(b *testing.B, with bool) {
		store, err := metrics.Open(metrics.Options{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		r := newRig(b, Limits{})
		through := &appendable{scraper: r.scraper, store: store}
		e := newExposition()
		at, n := time.Now(), 0
		b.ReportAllocs()
		for b.Loop() {
			var app storage.AppenderV2
			if with {
				app = through.AppenderV2(r.ctx)
			} else {
				app = store.AppenderV2(r.ctx)
			}
			n++
			e.scrape(b, app, n, at.Add(time.Duration(n)*time.Second))
			r.got = r.got[:0]
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(e.sets)), "ns/sample")
	}
	b.Run("store", func(b *testing.B) { run(b, false) })
	b.Run("store+edges", func(b *testing.B) { run(b, true) })
}
