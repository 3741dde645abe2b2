package scrape

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/storage"

	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// TestBounds scrapes more edges and outcomes than are allowed: what is beyond
// is counted as lost, and an edge's total stays true.
func TestBounds(t *testing.T) {
	r := newRig(t, Limits{Edges: 3, Outcomes: 4})
	r.scrape(epoch(), "text/plain", []byte("ready 1\n"))
	var body strings.Builder
	for i := range 5 {
		fmt.Fprintf(&body, "istio_requests_total{reporter=\"source\",source_workload=\"web\",destination_workload=\"edge-%d\",response_code=\"200\"} 1\n", i)
	}
	for i := range 100 {
		fmt.Fprintf(&body, "sidelight_responses_total{reporter=\"source\",source_workload=\"web\",destination_workload=\"edge-0\",response_code=\"%d\",response_source=\"proxy\",response_code_details=\"why-%d\"} 1\n", 500+i%20, i)
	}
	b := r.scrape(epoch().Add(time.Second), "text/plain", []byte(body.String()))
	if len(b.Deltas) != 3 {
		t.Errorf("%d edges, want 3", len(b.Deltas))
	}
	responses := b.Deltas[0].Responses
	var total float64
	for o, n := range responses {
		total += n
		if o.AnsweredBy != mesh.AnsweredByProxy || o.Code < 500 || o.Code > 519 {
			t.Errorf("outcome %+v", o)
		}
	}
	// 4 whole, 4 by exact status, and the class.
	if total != 100 || len(responses) > 9 {
		t.Errorf("%v responses in %d outcomes: %v", total, len(responses), responses)
	}
	l := r.scraper.Losses()
	if l.SeriesRefused != 2 || l.OutcomesFolded != 96 {
		t.Errorf("losses %+v", l)
	}
	// Refused series are not asked about again and again.
	r.scrape(epoch().Add(2*time.Second), "text/plain", []byte(body.String()))
	if again := r.scraper.Losses(); again != l {
		t.Errorf("losses grew: %+v", again)
	}
}

// TestManySeriesForgotten churns through series: what is remembered stays
// bounded.
func TestManySeriesForgotten(t *testing.T) {
	r := newRig(t, Limits{Samples: 50, Edges: 1000})
	for i := range 64 {
		var body strings.Builder
		for j := range 20 {
			fmt.Fprintf(&body, "istio_requests_total{reporter=\"source\",source_workload=\"web\",destination_workload=\"to-%d-%d\"} 1\n", i, j)
		}
		r.scrape(epoch().Add(time.Duration(i)*time.Second), "text/plain", []byte(body.String()))
	}
	for _, w := range r.scraper.watches.byID {
		if len(w.series) > 120 || len(w.edges) > 120 || len(w.order) != len(w.edges) {
			t.Errorf("%d series and %d edges are remembered, in a list of %d", len(w.series), len(w.edges), len(w.order))
		}
	}
}

// TestNativeBuckets holds that a native histogram's increase comes with its
// bounds, and that quantiles over it are those of what was observed.
func TestNativeBuckets(t *testing.T) {
	r := newRig(t, Limits{})
	at := time.Now()
	p := startProcess(at.Add(-time.Hour))
	observe := func(from, to int) {
		for i := from; i <= to; i++ {
			p.duration.WithLabelValues("source", "web", "catalog", "200").Observe(float64(i))
		}
	}
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	observe(2000, 3000)
	r.scrape(at, string(format), p.expose(t, format))
	observe(1, 1000)
	p.duration.WithLabelValues("source", "web", "catalog", "200").Observe(0)
	b := r.scrape(at.Add(time.Second), string(format), p.expose(t, format))
	if len(b.Deltas) != 1 {
		t.Fatalf("deltas %+v", b.Deltas)
	}
	h := b.Deltas[0].Latency
	if h.Count != 1001 || math.Abs(h.Sum-500500) > 1e-6 {
		t.Errorf("count %v, sum %v", h.Count, h.Sum)
	}
	last := mesh.Bucket{Upper: -1}
	for _, bucket := range h.Buckets {
		if bucket.Lower < 0 || bucket.Lower < last.Upper || bucket.Upper <= bucket.Lower || bucket.Count <= 0 {
			t.Errorf("bucket %+v after %+v", bucket, last)
		}
		last = bucket
	}
	for q, want := range map[float64]float64{0.5: 500, 0.99: 990} {
		if got := h.Quantile(q); math.Abs(got-want) > want*0.1 {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
}

// TestBytes holds that an edge's bytes are what the sum of their histogram
// gained, whatever the form in which it comes, and that it may begin again.
func TestBytes(t *testing.T) {
	r := newRig(t, Limits{})
	at := time.Now()
	forms := map[string]expfmt.Format{
		"native": expfmt.NewFormat(expfmt.TypeProtoDelim), "classic": expfmt.NewFormat(expfmt.TypeTextPlain),
	}
	exposer := func() (observe func(bytes ...float64), body func(form string) []byte) {
		p := &process{registry: prometheus.NewRegistry()}
		sizes := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: mesh.MetricRequestBytes, Buckets: []float64{100}, NativeHistogramBucketFactor: 1.1,
		}, []string{"reporter", "source_workload", "destination_workload"})
		p.registry.MustRegister(sizes)
		return func(bytes ...float64) {
			for _, n := range bytes {
				sizes.WithLabelValues("source", "web", "catalog").Observe(n)
			}
		}, func(form string) []byte { return p.expose(t, forms[form]) }
	}
	observe, body := exposer()
	observe(1000)
	for i, step := range []struct {
		form    string
		again   bool // by another process
		observe []float64
		want    float64
	}{
		{form: "native", want: 1000}, // it began just now
		{form: "native", observe: []float64{10, 20}, want: 30},
		{form: "native", want: 0},
		{form: "classic", observe: []float64{5}, want: 5},
		{form: "native", observe: []float64{6}, want: 6},
		{form: "native", again: true, observe: []float64{300, 400}, want: 700},
		{form: "native", again: true, observe: []float64{900}, want: 900}, // more bytes, by fewer requests
		{form: "classic", again: true, observe: []float64{1, 2}, want: 3},
	} {
		if step.again {
			observe, body = exposer()
		}
		observe(step.observe...)
		b := r.scrape(at.Add(time.Duration(i)*time.Second), string(forms[step.form]), body(step.form))
		var got float64
		for _, d := range b.Deltas {
			got += d.SentBytes
		}
		if got != step.want {
			t.Errorf("step %d: %v bytes, want %v", i, got, step.want)
		}
	}
}

// TestStoreRefuses goes on when the store takes nothing at all: the edges of
// series that were known stay true, and each scrape is told of.
func TestStoreRefuses(t *testing.T) {
	r := newRig(t, Limits{})
	body := func(n int) []byte {
		return fmt.Appendf(nil, "istio_requests_total{reporter=\"source\",source_workload=\"a\",destination_workload=\"b\",response_code=\"200\"} %d\n", n)
	}
	r.scrape(epoch(), "text/plain", body(10))
	r.store.appendErr = storage.ErrOutOfOrderSample
	r.store.commitErr = errors.New("no space left on device")
	b := r.scrape(epoch().Add(time.Second), "text/plain", body(13))
	if !b.Up || sumOf([]mesh.EdgeBatch{b})["b requests 200"] != 3 {
		t.Errorf("batch %+v", b)
	}
	r.scrape(epoch().Add(2*time.Second), "text/plain", body(13))
	if l := r.scraper.Losses(); l.ScrapesUnsaved != 2 {
		t.Errorf("losses %+v", l)
	}
	r.store.commitErr = nil
	r.scrape(epoch().Add(3*time.Second), "text/plain", body(13))
	if logs := r.logs.String(); strings.Count(logs, "cannot write") != 1 || strings.Count(logs, "writes again") != 1 {
		t.Errorf("logs:\n%s", logs)
	}
}

// TestWaitsWithoutStore holds that a target that has not answered takes nothing
// of the store.
func TestWaitsWithoutStore(t *testing.T) {
	r := newRig(t, Limits{})
	through := &appendable{scraper: r.scraper, store: r.store}
	if err := through.AppenderV2(r.ctx).Rollback(); err != nil || r.store.begun != 0 {
		t.Errorf("%d transactions for no sample, %v", r.store.begun, err)
	}
	r.scrape(epoch(), "text/plain", []byte("ready 1\n"))
	if r.store.begun != 1 {
		t.Errorf("%d transactions for one scrape", r.store.begun)
	}
}

// TestStopsAtOnce stops in the middle of a scrape that would go on for long,
// and tells of no failure: the target did not fail.
func TestStopsAtOnce(t *testing.T) {
	asked := make(chan struct{}, 1)
	addr := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	var in *inbox
	t.Run("run", func(t *testing.T) {
		_, _, in = start(t, Options{Sources: []target.Source{target.Static{{Address: addr}}}, Interval: 2500 * time.Millisecond})
		<-asked
	}) // the run's cleanup fails when stopping takes more than two seconds
	if got := in.of(addr); len(got) != 0 {
		t.Errorf("told of %+v", got)
	}
}

func TestScrapeError(t *testing.T) {
	for text, want := range map[string]string{
		"a\n\tb  c": "a b c",
		"\xff":      "?",
	} {
		if got := scrapeError(errors.New(text)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	long := scrapeError(errors.New(strings.Repeat("ä", 1000)))
	if len(long) > 310 || !utf8.ValidString(long) {
		t.Errorf("%d bytes: %q", len(long), long)
	}
	if scrapeError(nil) == "" {
		t.Error("no reason")
	}
}

// TestIdentity holds that a target is another one when its series' labels are
// others, and the same when nothing of that changed.
func TestIdentity(t *testing.T) {
	base := target.Target{Address: "a:1", Labels: map[string]string{"team": "front", "__meta_x": "1"}}
	same := base.Clone()
	same.Labels["__meta_x"] = "2"
	ids := map[string]int{}
	for i, tt := range []target.Target{
		base, same,
		{Address: "a:2", Labels: base.Labels},
		{Address: "a:1", Labels: base.Labels, Node: "n"},
		{Address: "a:1", Labels: base.Labels, Path: "/x"},
		{Address: "a:1", Labels: base.Labels, Workload: mesh.Workload{Version: "v2"}},
		{Address: "a:1", Labels: map[string]string{"team": "back"}},
	} {
		id := string(managerLabels(tt)[identityLabel])
		if other, ok := ids[id]; ok && (other != 0 || i != 1) {
			t.Errorf("target %d has the identity of %d", i, other)
		}
		ids[id] = i
	}
	if len(ids) != 6 {
		t.Errorf("%d identities, want 6", len(ids))
	}
}

func TestForget(t *testing.T) {
	ws := newWatches(nil, Limits{}, time.Second, new(counts))
	at := epoch()
	ws.replace([]target.Target{{Address: "a:1"}, {Address: "b:1"}}, at)
	kept := func() int { return len(ws.byID) }
	ws.replace([]target.Target{{Address: "a:1"}}, at.Add(time.Minute))
	ws.replace([]target.Target{{Address: "a:1"}}, at.Add(5*time.Minute))
	if kept() != 2 {
		t.Errorf("%d remembered, want the one that left too", kept())
	}
	ws.replace([]target.Target{{Address: "a:1"}}, at.Add(7*time.Minute))
	if kept() != 1 {
		t.Errorf("%d remembered long after", kept())
	}
	many := make([]target.Target, 0, maxRemoved+50)
	for i := range cap(many) {
		many = append(many, target.Target{Address: fmt.Sprintf("m:%d", i)})
	}
	ws.replace(many, at.Add(8*time.Minute))
	ws.replace(nil, at.Add(8*time.Minute))
	if diff := cmp.Diff(maxRemoved, kept()); diff != "" {
		t.Errorf("remembered: %s", diff)
	}
}
