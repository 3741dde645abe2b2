package metrics

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The first of a kind is an increase, though its counter was not there before;
// a level that is new was never 0, and nothing is made up of the time before
// the first write.
func TestOwnFirst(t *testing.T) {
	s := open(t, Options{})
	reg := prometheus.NewRegistry()
	lost := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lost_total", Help: "Lost."}, []string{"what"})
	level := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "level", Help: "Level."}, []string{"what"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "took_seconds", Help: "Time.", Buckets: []float64{1}}, []string{"what"})
	reg.MustRegister(lost, level, took)
	own := Own{Store: s, Gatherer: reg, Instance: "a:1", Interval: time.Hour}
	lost.WithLabelValues("old").Add(7)
	var last *written
	for i := range 4 {
		var err error
		if last, err = own.write(t.Context(), epoch().Add(time.Duration(i)*5*time.Second), last); err != nil {
			t.Fatal(err)
		}
		switch i {
		case 0:
			lost.WithLabelValues("new").Inc()
			level.WithLabelValues("new").Set(3)
			took.WithLabelValues("new").Observe(0.5)
		case 1:
			lost.Reset() // ends, and comes back
		case 2:
			lost.WithLabelValues("new").Inc()
		}
	}
	for expr, want := range map[string]bool{
		`increase(lost_total{what="new"}[10s] offset 10s) > 0`:        true,
		`increase(lost_total{what="new"}[10s]) > 0`:                   true,
		`increase(lost_total{what="old"}[1m]) > 0`:                    false,
		`increase(took_seconds_bucket{what="new",le="+Inf"}[1m]) > 0`: true,
		`increase(took_seconds_count{what="new"}[1m]) > 0`:            true,
		`min_over_time(level{what="new"}[1m]) < 3`:                    false,
	} {
		got, err := s.Instant(t.Context(), expr, epoch().Add(15*time.Second))
		if err != nil || (len(got) > 0) != want {
			t.Errorf("%s: %+v, %v, want something: %v", expr, got, err, want)
		}
	}
}

// A histogram with a native form is one series, with its sum beside it,
// counts from zero when it is new, and ends like others.
func TestOwnNative(t *testing.T) {
	s := open(t, Options{})
	reg := prometheus.NewRegistry()
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "took_seconds", Help: "Time.", Buckets: []float64{1}, NativeHistogramBucketFactor: 1.1,
	}, []string{"what"})
	reg.MustRegister(took)
	own := Own{Store: s, Gatherer: reg, Instance: "a:1", Interval: time.Hour}
	var last *written
	for i := range 3 {
		if i > 0 {
			took.WithLabelValues("new").Observe(4)
		}
		var err error
		if last, err = own.write(t.Context(), epoch().Add(time.Duration(i)*5*time.Second), last); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(expr string) []Sample {
		t.Helper()
		got, err := s.Instant(t.Context(), expr, last.at)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for expr, want := range map[string]float64{
		`histogram_count(increase(took_seconds[10s])) > bool 1.5`: 1, // both, the first from nothing
		`histogram_quantile(0.5, took_seconds) > bool 3.6`:        1,
		`took_seconds_sum{what="new",job="sidelight"}`:            8,
	} {
		if got := ask(expr); len(got) != 1 || got[0].Value != want {
			t.Errorf("%s: %+v, want %g", expr, got, want)
		}
	}
	if got := ask(`{__name__=~"took_seconds_(bucket|count)"}`); len(got) > 0 {
		t.Errorf("what the histogram holds is stored, too: %+v", got)
	}
	took.Reset()
	var err error
	if last, err = own.write(t.Context(), last.at.Add(time.Second), last); err != nil {
		t.Fatal(err)
	}
	if got := ask(`histogram_count(took_seconds)`); len(got) > 0 {
		t.Errorf("a histogram that ended is still there: %+v", got)
	}
}

// What a registry says can be asked for like what was scraped: with its labels,
// buckets and quantiles, under the job and instance that are ours to give.
func TestOwn(t *testing.T) {
	s := open(t, Options{})
	reg := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pushes_total", Help: "Pushes."}, []string{"type", "job"})
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "push_seconds", Help: "Time.", Buckets: []float64{1, 10}})
	reg.MustRegister(counter, histogram)
	counter.WithLabelValues("cds", "theirs").Add(3)
	histogram.Observe(5)
	own := Own{Store: s, Gatherer: reg, Instance: "a:1", Interval: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	written, err := own.write(t.Context(), epoch(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]float64{
		`pushes_total{type="cds",job="sidelight",instance="a:1"}`:        3,
		`push_seconds_bucket{le="10.0"} or push_seconds_bucket{le="10"}`: 1,
		`push_seconds_bucket{le="+Inf"}`:                                 1,
		`push_seconds_sum`:                                               5,
		`up{job="sidelight"}`:                                            1,
	} {
		got, err := s.Instant(t.Context(), expr, epoch())
		if err != nil || len(got) != 1 || got[0].Value != want {
			t.Errorf("%s: %+v, %v, want %g", expr, got, err, want)
		}
	}
	// A series that is gone ends at once, not five minutes later.
	counter.Reset()
	if _, err := own.write(t.Context(), epoch().Add(time.Second), written); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Instant(t.Context(), `pushes_total`, epoch().Add(2*time.Second)); err != nil || len(got) != 0 {
		t.Errorf("a series that ended is still there: %+v, %v", got, err)
	}
	counter.WithLabelValues("cds", "theirs").Add(3)
	meta := own.Metadata()
	if len(meta) != 2 || meta[0] != (Metadata{Metric: "push_seconds", Type: "histogram", Help: "Time."}) {
		t.Errorf("metadata %+v", meta)
	}
}
