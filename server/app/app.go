// Package app wires the server: configuration -> registry -> xDS -> tracker on
// one side, edges -> graph on the other, and the API over both. It owns the
// listeners, the one-second tick, the account of what was lost, and the order
// of start and stop. What a part means stands in that part.
package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc"

	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/tap"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

// App is a server with its listeners bound. Run it once, or Close it.
type App struct {
	opts    Options
	started time.Time

	listeners listeners
	store     *config.Store
	tracker   *skew.Tracker
	xds       *xds.Server
	engine    *graph.Engine
	tap       *tap.Hub
	api       *api.Server

	registry atomic.Pointer[registry.Registry] // of the newest configuration
	intake   intake
	markers  markers
	cost     atomic.Pointer[api.Cost]
	spans    atomic.Uint64 // that sidecars could not send, as they report it
	phase    atomic.Pointer[string]
}

// The phases of a server's life, as /readyz tells them.
const (
	phaseStarting = "the server is starting"
	phaseReady    = ""
	phaseStopping = "the server is stopping"
)

// New binds the listeners, reads the configuration and wires the parts.
// Nothing runs yet. What fails leaves nothing behind.
func New(opts Options) (*App, error) {
	opts.setDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	a := &App{opts: opts, started: time.Now()}
	a.setPhase(phaseStarting)
	if err := a.wire(); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// wire is one straight line on purpose: it is the map of the server.
func (a *App) wire() (err error) {
	opts := a.opts
	if a.listeners, err = listen(opts); err != nil {
		return err
	}
	if opts.Registerer == nil {
		own := prometheus.NewRegistry()
		own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		a.opts.Registerer, a.opts.Gatherer = own, own
	}

	// Configuration, to the nodes.
	a.store, err = config.Open(config.Options{
		Dir: opts.ConfigDir, StateDir: subdir(opts.StateDir, "config"), Check: registry.Check,
		Logger: opts.Logger.With("part", "config"), Registerer: a.opts.Registerer,
	})
	if err != nil {
		return fmt.Errorf("open configuration: %w", err)
	}
	a.tracker = skew.New(skew.Options{Epoch: epoch(a.started)})
	a.xds, err = xds.New(xds.Options{
		Store: a.store, Tracker: a.tracker, Cluster: opts.Cluster,
		Logger: opts.Logger.With("part", "xds"), Registerer: a.opts.Registerer,
	})
	if err != nil {
		return fmt.Errorf("open configuration server: %w", err)
	}

	// Traffic, to the graph.
	a.engine = graph.New(graph.Options{Epoch: epoch(a.started)})
	a.intake.seen = map[string]struct{}{}
	a.tap = tap.New(markedAgents{a.xds.Agents(), &a.markers}, opts.Logger.With("part", "tap"))

	// Both, to people.
	a.cost.Store(&api.Cost{})
	a.api, err = api.New(api.Options{
		Graph: a.engine, Nodes: a.tracker, Config: a.store, Mesh: overall{a}, Tap: a.tap,
		Traces: opts.Traces, Prometheus: opts.Prometheus, Jaeger: opts.Jaeger, UI: opts.UI,
		Hosts: opts.Hosts, Logger: opts.Logger.With("part", "api"), Registerer: a.opts.Registerer,
	})
	if err != nil {
		return fmt.Errorf("open API: %w", err)
	}
	if err := a.opts.Registerer.Register(ownMetrics{a}); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

// Addrs tells where the listeners are bound.
func (a *App) Addrs() Addrs { return a.listeners.addrs() }

// Close releases what New took, of an App that was never run.
func (a *App) Close() {
	a.listeners.close()
	if a.xds != nil {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = a.xds.Run(over) // ends at once
	}
}

// Run serves until ctx ends or a listener breaks, then stops within three
// seconds: requests and sockets first, then the nodes' streams, the parts that
// both rest on, and last the admin listener.
func (a *App) Run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	web, stopWeb := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWeb()
	core, stopCore := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCore()

	var workers, sockets sync.WaitGroup
	workers.Go(func() { a.tap.Run(core) })
	workers.Go(func() { a.tick(core) })
	workers.Go(func() { a.watchCost(core) })
	part(&workers, fail, "configuration", func() error { return a.store.Run(core) })
	part(&workers, fail, "configuration server", func() error { return a.xds.Run(core) })
	unsubscribe := a.store.Subscribe(a.configured)
	defer unsubscribe()
	sockets.Go(func() { a.api.Run(web) })

	nodes := grpc.NewServer(xds.ServerOptions()...)
	a.xds.Register(nodes)
	meshv1.RegisterEdgesServer(nodes, &edges{publish: a.Publish, stop: web.Done()})
	public, admin := publicServer(a.api, a.opts.Logger), adminServer(api.Admin(a.opts.Gatherer, a.readiness), a.opts.Logger)
	var serving sync.WaitGroup
	part(&serving, fail, "configuration listener", func() error { return nodes.Serve(a.listeners.xds) })
	part(&serving, fail, "API listener", func() error { return ignoreClosed(public.Serve(a.listeners.api)) })
	part(&serving, fail, "admin listener", func() error { return ignoreClosed(admin.Serve(a.listeners.admin)) })
	a.setPhase(phaseReady)
	if exposed(a.listeners.api.Addr()) {
		a.opts.Logger.Warn("the API has no authentication and can be reached from other machines", "address", a.listeners.api.Addr())
	}

	<-ctx.Done()
	a.setPhase(phaseStopping)
	stopWeb()
	shutdown(public)
	sockets.Wait()
	stopCore()
	stopGRPC(nodes)
	workers.Wait()
	shutdown(admin)
	serving.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// part runs one part; when it fails, everything stops with its error.
func part(group *sync.WaitGroup, fail context.CancelCauseFunc, name string, run func() error) {
	group.Go(func() {
		if err := run(); err != nil && !errors.Is(err, context.Canceled) {
			fail(fmt.Errorf("run %s: %w", name, err))
		}
	})
}

// tick lets time pass for the parts that have no clock of their own.
func (a *App) tick(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			a.tracker.Tick(now)
			a.refreshFacts(now)
		case <-ctx.Done():
			return
		}
	}
}

// configured takes a new state of the configuration.
func (a *App) configured(snap config.Snapshot) {
	a.registry.Store(registry.Build(snap.Objects))
	a.refreshFacts(time.Now())
}

// refreshFacts tells the graph what traffic does not.
func (a *App) refreshFacts(now time.Time) {
	reg := a.registry.Load()
	if reg == nil {
		return
	}
	a.engine.SetFacts(factsOf(reg, a.store.Objects(), a.tracker.View(now), a.opts.Cluster))
}

// readiness tells what keeps the server from being ready, and what it does
// without meanwhile. A server without sidecars or stores is ready: what it has
// it serves, and what it lacks it names.
func (a *App) readiness() api.Readiness {
	var r api.Readiness
	if phase := *a.phase.Load(); phase != phaseReady {
		r.Missing = append(r.Missing, phase)
	}
	if a.opts.Traces == nil {
		r.Degraded = append(r.Degraded, "there is no trace store")
	}
	if a.opts.Metrics == nil {
		r.Degraded = append(r.Degraded, "there is no metrics store")
	}
	for _, s := range (overall{a}).Missing(time.Now()) {
		r.Degraded = append(r.Degraded, s.Reason)
	}
	broken := 0
	for _, p := range a.store.Problems() {
		if p.Severity == config.SeverityError {
			broken++
		}
	}
	if broken > 0 {
		r.Degraded = append(r.Degraded, fmt.Sprintf("the configuration folder has %d errors: see /api/v1/config/problems", broken))
	}
	return r
}

func (a *App) setPhase(phase string) { a.phase.Store(&phase) }

// epoch names this run.
func epoch(started time.Time) string {
	return started.UTC().Format("20060102T150405.000")
}

func subdir(dir, name string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, name)
}
