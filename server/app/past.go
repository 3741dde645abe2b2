package app

import (
	"context"
	"fmt"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

// leastPast is the shortest window that is read back from the store: it must
// hold two scrapes at the usual intervals.
const leastPast = time.Minute

// Past gives the graph of a time that the rings do not reach, from the metrics
// store. What traffic alone does not tell (configuration states, splits,
// ejections) is not known of then; the registry of today names the services.
func (o overall) Past(ctx context.Context, q graph.Query, at time.Time) (graph.View, error) {
	if o.opts.Metrics == nil {
		return graph.View{}, fmt.Errorf("graph of %s: there is no metrics store: %w", at.UTC().Format(time.RFC3339), mesh.ErrUnavailable)
	}
	q.Window = max(q.Window, leastPast)
	batches, err := metrics.Edges(ctx, o.opts.Metrics, at, q.Window)
	if err != nil {
		return graph.View{}, err
	}
	then := graph.New(graph.Options{Epoch: epoch(at), History: 2 * q.Window})
	then.SetFacts(o.pastFacts())
	for i := range batches {
		then.Add(batches[i])
	}
	return then.View(q, at), nil
}

// pastFacts are those of today that may be taken for those of then.
func (o overall) pastFacts() graph.Facts {
	reg := o.registry.Load()
	if reg == nil {
		return graph.Facts{}
	}
	now := factsOf(reg, o.store.Objects(), o.tracker.View(time.Now()), o.opts.Cluster)
	return graph.Facts{Services: now.Services, Objectives: now.Objectives}
}
