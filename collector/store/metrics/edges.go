package metrics

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/sidelight-mesh/sidelight/collector/dialect"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// Edges reads what was counted on all edges in a window that ended at a time
// in the past: a batch for each target, as its scrapes would have given them,
// for a graph of then. It asks for increases, so that what a target counted at
// the borders of the window is estimated as Prometheus does.
//
// Errors are Querier's.
func Edges(ctx context.Context, q Querier, at time.Time, window time.Duration) ([]mesh.EdgeBatch, error) {
	r := edgeReader{at: at, window: window, targets: map[string]*pastTarget{}}
	dialects := dialect.All()
	for _, s := range dialects.Stored() {
		expr := fmt.Sprintf("increase(%s[%s])", s.Name, model.Duration(window))
		if s.Level {
			expr = s.Name
		}
		samples, err := q.Instant(ctx, expr, at)
		if err != nil {
			return nil, fmt.Errorf("read edges of %s: %w", at.UTC().Format(time.RFC3339), err)
		}
		for _, sample := range samples {
			if !(sample.Value >= 0) || math.IsInf(sample.Value, 0) {
				continue
			}
			labels := sample.Labels
			if fact, ok := dialects.Resolve(s.Name, func(name string) string { return labels[name] }); ok {
				r.take(fact, labels, sample.Value)
			}
		}
	}
	return r.batches(), nil
}

type edgeReader struct {
	at      time.Time
	window  time.Duration
	targets map[string]*pastTarget // by instance
}

type pastTarget struct {
	batch   mesh.EdgeBatch
	edges   map[mesh.EdgeKey]*mesh.EdgeDelta
	buckets map[string]*classic // by the histogram's labels
}

// classic is a classic histogram: what its buckets gained, cumulative.
type classic struct {
	delta  *mesh.EdgeDelta
	scale  float64
	bounds map[float64]float64
}

func (r *edgeReader) take(f dialect.Fact, labels map[string]string, value float64) {
	t := r.target(labels)
	d := t.edges[f.Key]
	if d == nil {
		d = &mesh.EdgeDelta{Key: f.Key, Requests: map[mesh.Outcome]float64{}, Responses: map[mesh.Outcome]float64{}}
		t.edges[f.Key] = d
	}
	value *= f.Scale
	switch f.Field {
	case dialect.Requests:
		d.Requests[f.Outcome] += value
	case dialect.Responses:
		d.Responses[f.Outcome] += value
	case dialect.Latency:
		t.bucket(d, f, labels, value/f.Scale)
	case dialect.Attempts:
		d.Attempts += value
	case dialect.NewConnections:
		d.NewConnections += value
	case dialect.TCPOpened:
		d.TCPOpened += value
	case dialect.TCPClosed:
		d.TCPClosed += value
		if f.Failed() {
			d.Requests[f.Outcome] += value
		}
	case dialect.SentBytes, dialect.RequestBytes:
		d.SentBytes += value
	case dialect.ReceivedBytes, dialect.ResponseBytes:
		d.ReceivedBytes += value
	case dialect.ActiveConnections:
		d.ActiveConnections += value
	}
}

func (r *edgeReader) target(labels map[string]string) *pastTarget {
	instance := labels[model.InstanceLabel]
	t := r.targets[instance]
	if t == nil {
		t = &pastTarget{
			batch: mesh.EdgeBatch{
				Target: cmp.Or(instance, "store"), Node: labels["node"], At: r.at, Interval: r.window, Up: true,
				Workload: mesh.Workload{Cluster: labels["cluster"], Namespace: labels["namespace"], Name: labels["workload"], App: labels["app"], Version: labels["version"]},
			},
			edges: map[mesh.EdgeKey]*mesh.EdgeDelta{}, buckets: map[string]*classic{},
		}
		r.targets[instance] = t
	}
	return t
}

func (t *pastTarget) bucket(d *mesh.EdgeDelta, f dialect.Fact, labels map[string]string, value float64) {
	if f.Part != dialect.Bucket {
		return
	}
	var id strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != model.BucketLabel {
			id.WriteString(name + "\xff" + strconv.Quote(labels[name]))
		}
	}
	c := t.buckets[id.String()]
	if c == nil {
		c = &classic{delta: d, scale: f.Scale, bounds: map[float64]float64{}}
		t.buckets[id.String()] = c
	}
	c.bounds[f.Upper] = value
}

func (r *edgeReader) batches() []mesh.EdgeBatch {
	out := make([]mesh.EdgeBatch, 0, len(r.targets))
	for _, instance := range slices.Sorted(maps.Keys(r.targets)) {
		t := r.targets[instance]
		for _, c := range t.buckets {
			c.count()
		}
		for _, d := range t.edges {
			t.batch.Deltas = append(t.batch.Deltas, *d)
		}
		out = append(out, t.batch)
	}
	return out
}

// count turns the cumulative buckets into a histogram of its own and adds it.
func (c *classic) count() {
	var h mesh.Histogram
	lower, below := 0.0, 0.0
	for _, upper := range slices.Sorted(maps.Keys(c.bounds)) {
		if n := c.bounds[upper] - below; n > 0 {
			h.Buckets = append(h.Buckets, mesh.Bucket{Lower: min(lower, upper) * c.scale, Upper: upper * c.scale, Count: n})
			below = c.bounds[upper]
		}
		lower = upper
	}
	h.Count = below
	c.delta.Latency.Merge(h)
}
