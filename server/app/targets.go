package app

import (
	"context"
	"time"
)

// betweenTargets is the least time from one list of targets to the next: when a
// fleet connects, each node makes a list of all.
const betweenTargets = 100 * time.Millisecond

// WatchTargets calls update with all targets now and when they changed, until
// ctx ends. It never calls update concurrently.
func (a *App) WatchTargets(ctx context.Context, update func([]Target)) error {
	changed := make(chan struct{}, 1)
	cancel := a.xds.OnTargets(func() {
		select {
		case changed <- struct{}{}:
		default: // the one that waits will see this change too
		}
	})
	defer cancel()
	pause := time.NewTicker(betweenTargets)
	defer pause.Stop()
	for {
		select {
		case <-changed: // at once for the first time
			update(a.scrapeTargets())
		case <-ctx.Done():
			return nil
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *App) scrapeTargets() []Target {
	connected := a.xds.Targets()
	targets := make([]Target, 0, len(connected))
	for _, t := range connected {
		targets = append(targets, Target{Address: t.Address, Secure: t.Node.Secure, Node: t.Node.ID, Workload: t.Node.Workload})
	}
	return targets
}
