package app

import (
	"context"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/config/kubernetes"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

// openCluster opens the cluster as a source of configuration, when there is one.
func (a *App) openCluster() (err error) {
	if a.opts.Kubernetes == nil {
		return nil
	}
	opts := *a.opts.Kubernetes
	opts.Logger = a.opts.Logger.With("part", "kubernetes")
	opts.Earlier = a.ofCluster
	a.kubernetes, err = kubernetes.New(opts)
	return err
}

// WatchProxies calls update with the proxies of other meshes in the cluster's pods,
// now and when they changed, until ctx ends.
func (a *App) WatchProxies(ctx context.Context, update func([]kubernetes.Proxy)) error {
	return a.kubernetes.WatchProxies(ctx, update)
}

// ofCluster gives what is in effect of the cluster's.
func (a *App) ofCluster() map[string]config.Document {
	out := map[string]config.Document{}
	for _, o := range a.store.Objects() {
		if name, ok := strings.CutPrefix(o.Source, a.kubernetes.Name()+":"); ok {
			out[name] = config.Document{Text: o.YAML}
		}
	}
	return out
}

// awaitCluster waits until the cluster was read, if nothing is known of it from an
// earlier process: who connected sooner would be told that its services are gone.
func (a *App) awaitCluster(ctx context.Context) {
	if a.kubernetes == nil || len(a.ofCluster()) > 0 {
		return
	}
	select {
	case <-a.kubernetes.Given():
	case <-ctx.Done():
	}
}

// unreadCluster names what of the cluster cannot be read.
func (a *App) unreadCluster(at time.Time) []graph.Stale {
	if a.kubernetes == nil {
		return nil
	}
	var out []graph.Stale
	for _, t := range a.kubernetes.Troubles() {
		if !at.Before(t.Since) {
			out = append(out, graph.Stale{Source: t.What, Since: t.Since, Reason: t.Reason})
		}
	}
	return out
}
