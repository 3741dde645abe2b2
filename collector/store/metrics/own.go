package metrics

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
)

// OwnJob is the label "job" of what this process says about itself.
const OwnJob = "sidelight"

// Own writes a process's own metrics into its own store, each interval, as if
// it were scraped: over no socket, so that it works whatever the listeners
// are, and past the scraper, because they say nothing about edges.
type Own struct {
	Store    *Store
	Gatherer prometheus.Gatherer
	Instance string // label "instance"
	Interval time.Duration
	Logger   *slog.Logger
}

// Run writes until ctx ends.
func (o Own) Run(ctx context.Context) {
	tick := time.NewTicker(o.Interval)
	defer tick.Stop()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	failing := false
	var before *written
	for {
		select {
		case now := <-tick.C:
			wrote, err := o.write(ctx, now, before)
			if wrote != nil {
				before = wrote
			}
			if err != nil && !failing && ctx.Err() == nil {
				o.Logger.Warn("own metrics have a gap", "err", err)
			}
			failing = err != nil
		case <-ctx.Done():
			return
		}
	}
}

// written is what was stored last: the next time tells what is new and what is
// gone.
type written struct {
	at      time.Time
	seed    maphash.Seed // of the keys
	builder labels.ScratchBuilder
	series  map[ownKey]*ownSeries
}

// ownKey tells the series of this process apart without making their labels:
// there can be tens of thousands, and they are the same each time.
type ownKey struct {
	metric uint64 // hash of name and labels
	part   string // of a histogram or summary: "_sum", "_count", "_bucket", or "quantile"
	bound  float64
}

type ownSeries struct {
	ref    storage.SeriesRef
	labels labels.Labels
}

// write stores what the gatherer gives. What it gave before and does not now is
// marked as ended: a state that is over must not be read for five minutes more.
// A counter that it did not give before was 0 then: without that, the first
// loss, refusal or failure of a kind would be no increase. One collector that
// fails does not keep the others' metrics out.
func (o Own) write(ctx context.Context, at time.Time, before *written) (*written, error) {
	families, gatherErr := o.Gatherer.Gather()
	w := &ownWriter{Own: o, app: o.Store.AppenderV2(ctx), before: before}
	if before == nil {
		w.now = &written{at: at, seed: maphash.MakeSeed(), builder: labels.NewScratchBuilder(16), series: map[ownKey]*ownSeries{}}
	} else {
		w.now = &written{at: at, seed: before.seed, builder: before.builder, series: make(map[ownKey]*ownSeries, len(before.series))}
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			w.metric(f, m)
		}
	}
	up := sample{family: "up", v: 1}
	w.add(w.key(up), up)
	w.end()
	if w.err != nil {
		_ = w.app.Rollback()
		return nil, fmt.Errorf("store own metrics: %w", w.err)
	}
	if err := w.app.Commit(); err != nil {
		return nil, fmt.Errorf("store own metrics: %w", err)
	}
	if gatherErr != nil {
		return w.now, fmt.Errorf("gather own metrics: %w", gatherErr)
	}
	return w.now, nil
}

// ownWriter is one write.
type ownWriter struct {
	Own
	app         storage.AppenderV2
	before, now *written
	hash        maphash.Hash
	err         error
}

// sample is a value of one series.
type sample struct {
	family  string
	labels  []*dto.LabelPair
	part    string
	bound   float64
	counted bool // from 0
	v       float64
	h       *histogram.Histogram
}

// key gives the key of a sample's metric; those of its parts differ in part and
// bound.
func (w *ownWriter) key(s sample) ownKey {
	w.hash.SetSeed(w.now.seed)
	_, _ = w.hash.WriteString(s.family)
	for _, l := range s.labels {
		_ = w.hash.WriteByte(0xff) // in no text
		_, _ = w.hash.WriteString(l.GetName())
		_ = w.hash.WriteByte(0xff)
		_, _ = w.hash.WriteString(l.GetValue())
	}
	return ownKey{metric: w.hash.Sum64()}
}

// metric adds one metric. A histogram that has a native form is stored in that
// form: it is one series then, where buckets are a dozen. Its sum is stored
// beside it, because Grafana's map of services asks for that.
func (w *ownWriter) metric(f *dto.MetricFamily, m *dto.Metric) {
	s := sample{family: f.GetName(), labels: m.GetLabel()}
	key := w.key(s)
	add := func(part string, bound, v float64, counted bool) {
		s.part, s.bound, s.v, s.counted = part, bound, v, counted
		key.part, key.bound = part, bound
		w.add(key, s)
	}
	switch {
	case m.Counter != nil:
		add("", 0, m.Counter.GetValue(), true)
	case m.Gauge != nil:
		add("", 0, m.Gauge.GetValue(), false)
	case m.Untyped != nil:
		add("", 0, m.Untyped.GetValue(), false)
	case m.Summary != nil:
		for _, q := range m.Summary.GetQuantile() {
			add(model.QuantileLabel, q.GetQuantile(), q.GetValue(), false)
		}
		add("_sum", 0, m.Summary.GetSampleSum(), true)
		add("_count", 0, float64(m.Summary.GetSampleCount()), true)
	case m.Histogram != nil:
		h := m.Histogram
		add("_sum", 0, h.GetSampleSum(), true)
		if s.h = nativeOf(h); s.h != nil {
			add("", 0, 0, true)
			return
		}
		add("_count", 0, float64(h.GetSampleCount()), true)
		for _, b := range h.GetBucket() {
			if !math.IsInf(b.GetUpperBound(), 1) {
				add("_bucket", b.GetUpperBound(), float64(b.GetCumulativeCount()), true)
			}
		}
		add("_bucket", math.Inf(1), float64(h.GetSampleCount()), true)
	}
}

// nativeOf gives a histogram's native form, nil when it has none.
func nativeOf(h *dto.Histogram) *histogram.Histogram {
	spans := func(list []*dto.BucketSpan) []histogram.Span {
		out := make([]histogram.Span, len(list))
		for i, s := range list {
			out[i] = histogram.Span{Offset: s.GetOffset(), Length: s.GetLength()}
		}
		return out
	}
	if len(h.GetPositiveSpan()) == 0 && len(h.GetNegativeSpan()) == 0 {
		return nil
	}
	return &histogram.Histogram{
		Schema: h.GetSchema(), Count: h.GetSampleCount(), Sum: h.GetSampleSum(),
		ZeroThreshold: h.GetZeroThreshold(), ZeroCount: h.GetZeroCount(),
		PositiveSpans: spans(h.GetPositiveSpan()), PositiveBuckets: slices.Clone(h.GetPositiveDelta()),
		NegativeSpans: spans(h.GetNegativeSpan()), NegativeBuckets: slices.Clone(h.GetNegativeDelta()),
	}
}

// add appends one sample.
func (w *ownWriter) add(key ownKey, s sample) {
	var known *ownSeries
	if w.before != nil {
		known = w.before.series[key]
	}
	series := known
	if series == nil {
		series = &ownSeries{labels: w.labels(s)}
	}
	w.now.series[key] = series
	if known == nil && w.before != nil && s.counted {
		zero := s.h
		if zero != nil {
			zero = &histogram.Histogram{Schema: s.h.Schema, ZeroThreshold: s.h.ZeroThreshold}
		}
		// Past the mark of one that ended then.
		w.append(series, w.before.at.Add(time.Millisecond), 0, zero)
	}
	w.append(series, w.now.at, s.v, s.h)
}

func (w *ownWriter) append(s *ownSeries, at time.Time, v float64, h *histogram.Histogram) {
	if w.err == nil {
		s.ref, w.err = w.app.Append(s.ref, s.labels, 0, at.UnixMilli(), v, h, nil, storage.AOptions{})
	}
}

// end marks what was given before and is not now.
func (w *ownWriter) end() {
	if w.before == nil {
		return
	}
	for key, s := range w.before.series {
		if w.now.series[key] == nil {
			w.append(s, w.now.at, math.Float64frombits(value.StaleNaN), nil)
		}
	}
}

// labels makes the labels under which a sample is stored. Job and instance are
// ours to give.
func (w *ownWriter) labels(s sample) labels.Labels {
	b := &w.now.builder
	b.Reset()
	name := s.family
	switch s.part {
	case model.QuantileLabel:
		b.Add(model.QuantileLabel, fmt.Sprint(s.bound))
	case "_bucket":
		b.Add(model.BucketLabel, fmt.Sprint(s.bound))
		fallthrough
	default:
		name += s.part
	}
	b.Add(model.MetricNameLabel, name)
	for _, l := range s.labels {
		if n := l.GetName(); n != model.JobLabel && n != model.InstanceLabel && l.GetValue() != "" {
			b.Add(n, l.GetValue())
		}
	}
	b.Add(model.JobLabel, OwnJob)
	b.Add(model.InstanceLabel, w.Instance)
	b.Sort()
	return b.Labels()
}

// Metadata tells what the own metrics are, by metric.
func (o Own) Metadata() []Metadata {
	families, _ := o.Gatherer.Gather()
	out := make([]Metadata, 0, len(families))
	for _, f := range families {
		out = append(out, Metadata{Metric: f.GetName(), Type: typeName(f), Help: f.GetHelp(), Unit: f.GetUnit()})
	}
	slices.SortFunc(out, func(a, b Metadata) int { return strings.Compare(a.Metric, b.Metric) })
	return out
}

func typeName(f *dto.MetricFamily) string {
	if f.GetType() == dto.MetricType_UNTYPED {
		return "unknown"
	}
	return strings.ToLower(f.GetType().String())
}
