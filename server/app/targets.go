package app

import (
	"context"

	"github.com/sidelight-mesh/sidelight/server/xds"
)

// WatchTargets calls update with all targets now and after each change, until
// ctx ends. It never calls update concurrently.
func (a *App) WatchTargets(ctx context.Context, update func([]Target)) error {
	changed := make(chan struct{}, 1)
	cancel := a.xds.OnTargets(func([]xds.Target) {
		select {
		case changed <- struct{}{}:
		default: // the one that waits will see this change too
		}
	})
	defer cancel()
	for {
		select {
		case <-changed: // at once for the first time
			update(a.scrapeTargets())
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *App) scrapeTargets() []Target {
	connected := a.xds.Targets()
	targets := make([]Target, 0, len(connected))
	for _, t := range connected {
		targets = append(targets, Target{Address: t.Address, Node: t.Node.ID, Workload: t.Node.Workload})
	}
	return targets
}
