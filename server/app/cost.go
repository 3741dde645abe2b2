package app

import (
	"context"
	"fmt"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

const (
	costEvery  = 5 * time.Second
	costWindow = time.Minute
)

// costQueries are the figures that only the metrics store has, of sidecars:
// their series carry the node that the server gave the collector.
var costQueries = struct{ cpu, memory, added, spans string }{
	cpu:    `sum(rate(process_cpu_seconds_total{node!=""}[1m]))`,
	memory: `sum(process_resident_memory_bytes{node!=""})`,
	added:  `histogram_quantile(%g, sum(rate(` + mesh.MetricProxyAdded + `[1m]))) * 1000`,
	spans:  `sum(` + mesh.MetricSpansDropped + `)`,
}

// watchCost keeps the cost figures fresh, off the path of every request.
func (a *App) watchCost(ctx context.Context) {
	if a.opts.Metrics == nil {
		return
	}
	tick := time.NewTicker(costEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case now := <-tick.C:
			bounded, cancel := context.WithTimeout(ctx, costEvery)
			err := a.measureCost(bounded, now)
			cancel()
			if err != nil && !failing && ctx.Err() == nil {
				a.opts.Logger.Warn("cost of the mesh is not known", "error", err)
			}
			failing = err != nil
		case <-ctx.Done():
			return
		}
	}
}

func (a *App) measureCost(ctx context.Context, now time.Time) error {
	ask := func(expr string) (*float64, error) {
		v, ok, err := a.opts.Metrics.Scalar(ctx, expr, now)
		if err != nil || !ok {
			return nil, err
		}
		return &v, nil
	}
	var c api.Cost
	cpu, err := ask(costQueries.cpu)
	if err != nil {
		return fmt.Errorf("measure CPU of the sidecars: %w", err)
	}
	memory, err := ask(costQueries.memory)
	if err != nil {
		return fmt.Errorf("measure memory of the sidecars: %w", err)
	}
	if c.AddedP50MS, err = ask(fmt.Sprintf(costQueries.added, 0.5)); err != nil {
		return fmt.Errorf("measure added latency: %w", err)
	}
	if c.AddedP99MS, err = ask(fmt.Sprintf(costQueries.added, 0.99)); err != nil {
		return fmt.Errorf("measure added latency: %w", err)
	}
	lost, err := ask(costQueries.spans)
	if err != nil {
		return fmt.Errorf("count lost spans: %w", err)
	}
	if lost != nil {
		a.spans.Store(uint64(max(*lost, 0)))
	}
	if memory != nil {
		c.MemoryBytes = *memory
	}
	if cpu != nil {
		c.CPUCores = *cpu
		if rps := a.engine.View(graph.Query{Window: costWindow}, now).Totals.RPS; rps > 0 {
			perRequest := *cpu / rps * 1e6
			c.CPUUSPerRequest = &perRequest
		}
	}
	a.cost.Store(&c)
	return nil
}
