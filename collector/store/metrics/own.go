package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
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
	at     time.Time
	series map[uint64]labels.Labels
}

// write stores what the gatherer gives. What it gave before and does not now is
// marked as ended: a state that is over must not be read for five minutes more.
// A counter that it did not give before was 0 then: without that, the first
// loss, refusal or failure of a kind would be no increase. One collector that
// fails does not keep the others' metrics out.
func (o Own) write(ctx context.Context, at time.Time, before *written) (*written, error) {
	families, gatherErr := o.Gatherer.Gather()
	samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.TimeFromUnixNano(at.UnixNano())}, families...)
	if err != nil {
		return nil, fmt.Errorf("read own metrics: %w", err)
	}
	up := &model.Sample{Metric: model.Metric{model.MetricNameLabel: "up"}, Value: 1}
	counted := countedNames(families)
	app := o.Store.AppenderV2(ctx)
	b := labels.NewScratchBuilder(16)
	now := &written{at, make(map[uint64]labels.Labels, len(samples))}
	add := func(series labels.Labels, at time.Time, v float64) {
		if err == nil {
			_, err = app.Append(0, series, 0, at.UnixMilli(), v, nil, nil, storage.AOptions{})
		}
	}
	for _, s := range append(samples, up) {
		b.Reset()
		for name, v := range s.Metric {
			if name != model.JobLabel && name != model.InstanceLabel {
				b.Add(string(name), string(v))
			}
		}
		b.Add(model.JobLabel, OwnJob)
		b.Add(model.InstanceLabel, o.Instance)
		b.Sort()
		series := b.Labels()
		hash := series.Hash()
		now.series[hash] = series
		if before != nil && before.series[hash].IsEmpty() && counted[string(s.Metric[model.MetricNameLabel])] {
			// Past the mark of one that ended then.
			add(series, before.at.Add(time.Millisecond), 0)
		}
		add(series, at, float64(s.Value))
	}
	if before != nil {
		for hash, series := range before.series {
			if _, still := now.series[hash]; !still {
				add(series, at, math.Float64frombits(value.StaleNaN))
			}
		}
	}
	if err != nil {
		_ = app.Rollback()
		return nil, fmt.Errorf("store own metrics: %w", err)
	}
	if err := app.Commit(); err != nil {
		return nil, fmt.Errorf("store own metrics: %w", err)
	}
	if gatherErr != nil {
		return now, fmt.Errorf("gather own metrics: %w", gatherErr)
	}
	return now, nil
}

// countedNames gives the names of samples that only ever grow from 0.
func countedNames(families []*dto.MetricFamily) map[string]bool {
	names := map[string]bool{}
	for _, f := range families {
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			names[f.GetName()] = true
		case dto.MetricType_HISTOGRAM:
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				names[f.GetName()+suffix] = true
			}
		case dto.MetricType_SUMMARY:
			names[f.GetName()+"_sum"], names[f.GetName()+"_count"] = true, true
		default: // levels
		}
	}
	return names
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
