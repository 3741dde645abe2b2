package app

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

const (
	storedEvery = 5 * time.Second
	costWindow  = time.Minute
)

// storedQueries are the figures that only the metrics store has, of sidecars:
// their series carry the node that the server gave the collector.
var storedQueries = struct{ cpu, memory, added, spans, ejected, open string }{
	cpu:     `sum by (node) (rate(process_cpu_seconds_total{node!=""}[1m]))`,
	memory:  `sum by (node) (process_resident_memory_bytes{node!=""})`,
	added:   `histogram_quantile(%g, sum(rate(` + mesh.MetricProxyAdded + `[1m]))) * 1000`,
	spans:   `sum by (node, instance) (` + mesh.MetricSpansDropped + `)`,
	ejected: `sum by (node, cluster) (` + mesh.MetricEjectionsActive + `{node!=""}) > 0`,
	open:    `max by (node, cluster, breaker) (` + mesh.MetricBreakerOpen + `{node!=""}) > 0`,
}

// stored is what the metrics store said last.
type stored struct {
	cost   api.Cost            // of all sidecars; Proxies is not known here
	byNode map[string]api.Cost // CPU and memory of each
	outs   []graph.Outlier
}

// watchStored keeps the stored figures fresh, off the path of every request.
func (a *App) watchStored(ctx context.Context) {
	if a.opts.Metrics == nil {
		return
	}
	tick := time.NewTicker(storedEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			bounded, cancel := context.WithTimeout(ctx, storedEvery)
			got, err := a.readStored(bounded, now)
			cancel()
			a.noteStore(ctx, got, err, now)
		case <-ctx.Done():
			return
		}
	}
}

// noteStore takes what the store answered, or that it did not: then what was
// known last stays, and the graph says so.
func (a *App) noteStore(ctx context.Context, got *stored, err error, now time.Time) {
	switch {
	case err == nil:
		a.stored.Store(got)
		a.storeAway.Store(nil)
	case ctx.Err() == nil && a.storeAway.Load() == nil:
		a.opts.Logger.Warn("the metrics store does not answer", "error", err)
		a.storeAway.Store(&graph.Stale{
			Source: "metrics store", Since: now,
			Reason: "does not answer: the sidecars' cost, ejections and breakers are those of before, and there is no graph of the past; the server's log says why",
		})
	}
}

func (a *App) readStored(ctx context.Context, now time.Time) (*stored, error) {
	got := &stored{byNode: map[string]api.Cost{}}
	if err := a.readCost(ctx, now, got); err != nil {
		return nil, err
	}
	ejected, err := a.opts.Metrics.Instant(ctx, storedQueries.ejected, now)
	if err != nil {
		return nil, fmt.Errorf("read ejections: %w", err)
	}
	for _, s := range ejected {
		got.outs = append(got.outs, a.outlier(s.Labels, s.Value))
	}
	open, err := a.opts.Metrics.Instant(ctx, storedQueries.open, now)
	if err != nil {
		return nil, fmt.Errorf("read circuit breakers: %w", err)
	}
	for _, s := range open {
		got.outs = append(got.outs, a.outlier(s.Labels, 0))
	}
	return got, nil
}

// outlier reads the labels of a cluster's figure: "outbound|8080|v1|host".
func (a *App) outlier(labels map[string]string, ejected float64) graph.Outlier {
	o := graph.Outlier{Node: labels["node"], Ejected: int(ejected), Breaker: labels[mesh.LabelBreaker]}
	if n, ok := a.tracker.Node(o.Node, time.Now()); ok {
		o.Caller = n.Workload.ID()
	}
	if part := strings.Split(labels[mesh.LabelCluster], "|"); len(part) == 4 {
		o.Subset, o.Host = part[2], part[3]
	}
	return o
}

func (a *App) readCost(ctx context.Context, now time.Time, got *stored) error {
	number := func(expr string) (*float64, error) {
		samples, err := a.opts.Metrics.Instant(ctx, expr, now)
		if err != nil || len(samples) == 0 || math.IsNaN(samples[0].Value) {
			return nil, err
		}
		return &samples[0].Value, nil
	}
	cpu, err := a.opts.Metrics.Instant(ctx, storedQueries.cpu, now)
	if err != nil {
		return fmt.Errorf("measure CPU of the sidecars: %w", err)
	}
	for _, s := range cpu {
		got.cost.CPUCores += s.Value
		got.byNode[s.Labels["node"]] = api.Cost{Proxies: 1, CPUCores: s.Value}
	}
	memory, err := a.opts.Metrics.Instant(ctx, storedQueries.memory, now)
	if err != nil {
		return fmt.Errorf("measure memory of the sidecars: %w", err)
	}
	for _, s := range memory {
		got.cost.MemoryBytes += s.Value
		one := got.byNode[s.Labels["node"]]
		one.Proxies, one.MemoryBytes = 1, s.Value
		got.byNode[s.Labels["node"]] = one
	}
	if got.cost.AddedP50MS, err = number(fmt.Sprintf(storedQueries.added, 0.5)); err != nil {
		return fmt.Errorf("measure added latency: %w", err)
	}
	if got.cost.AddedP99MS, err = number(fmt.Sprintf(storedQueries.added, 0.99)); err != nil {
		return fmt.Errorf("measure added latency: %w", err)
	}
	lost, err := a.opts.Metrics.Instant(ctx, storedQueries.spans, now)
	if err != nil {
		return fmt.Errorf("count lost spans: %w", err)
	}
	for _, s := range lost {
		a.spansLost.see(s.Labels["node"]+" "+s.Labels["instance"], s.Value, now)
	}
	a.spans.Store(a.spansLost.sum(now))
	if len(cpu) > 0 {
		if rps := a.engine.View(graph.Query{Window: costWindow}, now).Totals.RPS; rps > 0 {
			perRequest := got.cost.CPUCores / rps * 1e6
			got.cost.CPUUSPerRequest = &perRequest
		}
	}
	return nil
}
