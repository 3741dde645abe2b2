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

	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/alert"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/auth"
	"github.com/sidelight-mesh/sidelight/server/ca"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/config/kubernetes"
	"github.com/sidelight-mesh/sidelight/server/grafana"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/observe"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/statefile"
	"github.com/sidelight-mesh/sidelight/server/tap"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

// App is a server with its listeners bound. Run it once, or Close it.
type App struct {
	opts    Options
	started time.Time

	listeners  listeners
	store      *config.Store
	kubernetes *kubernetes.Source // nil without
	tracker    *skew.Tracker
	xds        *xds.Server
	authority  *ca.Authority
	engine     *graph.Engine
	tap        *tap.Hub
	access     *auth.Access
	hosts      *identity.HostFiles // by which the API speaks TLS; nil: plain HTTP
	grafana    *grafana.Proxy      // nil without
	alerts     *alert.Service      // nil: none are evaluated here
	api        *api.Server

	observer  *observe.Observer
	traffic   *skew.Traffic
	rollout   *rollout.Machine
	inventory statefile.File
	expected  map[string]bool // nodes that discovery alone knows; of the tick

	registry  atomic.Pointer[registry.Registry] // of the newest configuration
	intake    intake
	markers   markers
	stored    atomic.Pointer[stored]
	spans     atomic.Uint64 // that sidecars could not send, as they report it
	spansLost tally         // the same, of watchStored alone
	phase     atomic.Pointer[string]

	storeAway atomic.Pointer[graph.Stale] // nil while the metrics store answers
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
	sources := []config.Source{registrations{a, registrationGrace}}
	if err := a.openCluster(); err != nil {
		return err
	}
	if a.kubernetes != nil {
		sources = append(sources, a.kubernetes)
	}
	a.store, err = config.Open(config.Options{
		Dir: opts.ConfigDir, StateDir: subdir(opts.StateDir, "config"), Sources: sources,
		Check:  func(objects []*config.Object) []config.Problem { return check(opts.RootNamespace, objects) },
		Logger: opts.Logger.With("part", "config"), Registerer: a.opts.Registerer,
	})
	if err != nil {
		return fmt.Errorf("open configuration: %w", err)
	}
	stages := newStageMetrics(a.opts.Registerer)
	a.tracker = skew.New(skew.Options{Epoch: epoch(a.started), Observe: stages.observe})
	a.restoreInventory()
	a.traffic = skew.NewTraffic()
	if err := a.openRollout(); err != nil {
		return err
	}
	a.xds, err = xds.New(xds.Options{
		Store: a.store, Tracker: a.tracker, Status: a.tracker, Stages: a.rollout, Content: a.store.Content, Cluster: opts.Cluster,
		Security: xds.Security{TrustDomain: opts.Authority.TrustDomain, RootNamespace: opts.RootNamespace},
		Logger:   opts.Logger.With("part", "xds"), Registerer: a.opts.Registerer, Observe: stages.observe, AccessLog: accessLog{a},
		Fault: opts.Fault,
	})
	if err != nil {
		return fmt.Errorf("open configuration server: %w", err)
	}

	if err := a.openAuthority(); err != nil {
		return err
	}

	if a.observer, err = observe.New(opts.Observe, 0, opts.Logger.With("part", "observe")); err != nil {
		return fmt.Errorf("open observed sources: %w", err)
	}

	// Traffic, to the graph.
	a.engine = graph.New(graph.Options{Epoch: epoch(a.started)})
	a.intake.seen = map[string]struct{}{}
	a.xds.Agents().OnEjection(a.markers.ejected)
	a.tap = tap.New(tap.Options{Agents: markedAgents{a.xds.Agents(), &a.markers}, Redact: opts.TapRedact, Logger: opts.Logger.With("part", "tap")})

	// Both, to people.
	if opts.APICert != "" || opts.APIKey != "" {
		if a.hosts, err = identity.OpenHostFiles(opts.APICert, opts.APIKey, opts.Logger.With("part", "api")); err != nil {
			return fmt.Errorf("open API: %w", err)
		}
	}
	if a.access, err = auth.Open(opts.AccessFile, opts.Logger.With("part", "auth")); err != nil {
		return err
	}
	if opts.Grafana.URL != "" {
		opts.Grafana.Logger, opts.Grafana.Registerer = opts.Logger.With("part", "grafana"), a.opts.Registerer
		if a.grafana, err = grafana.New(opts.Grafana); err != nil {
			return err
		}
	}
	a.stored.Store(&stored{})
	if err := a.openAlerts(); err != nil {
		return err
	}
	apiOpts := api.Options{
		Graph: a.engine, Nodes: nodes{a.tracker, a.traffic}, Stages: rollouts{a}, Observed: a.observer, Config: a.store, Mesh: overall{a}, Tap: a.tap, Authority: a.authority,
		Traces: opts.Traces, Prometheus: opts.Prometheus, Jaeger: opts.Jaeger, UI: opts.UI, Grafana: a.grafana,
		JaegerUI: opts.JaegerUI, PersesUI: opts.PersesUI,
		Explain: explainer{a}, Access: a.access,
		Hosts: opts.Hosts, Logger: opts.Logger.With("part", "api"), Registerer: a.opts.Registerer,
	}
	if a.alerts != nil {
		apiOpts.Alerts = a.alerts
	}
	if a.api, err = api.New(apiOpts); err != nil {
		return fmt.Errorf("open API: %w", err)
	}
	if err := errors.Join(a.opts.Registerer.Register(ownMetrics{a}), a.opts.Registerer.Register(syncMetrics{a}), a.opts.Registerer.Register(rolloutMetrics{a})); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	return nil
}

// Addrs tells where the listeners are bound.
func (a *App) Addrs() Addrs {
	all := a.listeners.addrs()
	all.URL = "http://" + all.API
	if a.hosts != nil {
		all.URL = "https://" + all.API
	}
	return all
}

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
	workers.Go(func() { a.access.Run(core) })
	workers.Go(func() { a.tick(core) })
	workers.Go(func() { a.keepInventory(core) })
	workers.Go(func() { a.observer.Run(core) })
	workers.Go(func() { a.watchStored(core) })
	if a.grafana != nil {
		workers.Go(func() { a.grafana.Run(core) })
	}
	if a.alerts != nil {
		workers.Go(func() { a.alerts.Run(core) })
	}
	part(&workers, fail, "configuration", func() error { return a.store.Run(core) })
	part(&workers, fail, "configuration server", func() error { return a.xds.Run(core) })
	unsubscribe := a.store.Subscribe(a.configured)
	defer unsubscribe()
	sockets.Go(func() { a.api.Run(web) })

	streams, rest := grpc.NewServer(xds.ServerOptions()...), a.xds.REST(nil)
	a.xds.Register(streams)
	a.xds.RegisterStatus(streams)
	a.xds.RegisterRESTStatus(rest)
	meshv1.RegisterEdgesServer(streams, &edges{publish: a.Publish, stop: web.Done()})
	nodes := newNodePort(a.listeners.xds, nil, streams, rest, a.opts.Logger.With("part", "xds"))
	secure, err := a.securePort(web.Done())
	if err != nil {
		return err
	}
	public, admin := publicServer(a.api, a.opts.Logger), adminServer(api.Admin(a.opts.Gatherer, a.readiness, a.syncz), a.opts.Logger)
	var serving sync.WaitGroup
	part(&serving, fail, "configuration listener", func() error { a.awaitCluster(ctx); return nodes.serve() })
	part(&serving, fail, "TLS listener", func() error { a.awaitCluster(ctx); return secure.serve() })
	part(&serving, fail, "API listener", func() error {
		if a.hosts == nil {
			return ignoreClosed(public.Serve(a.listeners.api))
		}
		public.TLSConfig = identity.Listener{Hosts: a.hosts}.TLS("h2", "http/1.1")
		return ignoreClosed(public.ServeTLS(a.listeners.api, "", ""))
	})
	part(&serving, fail, "admin listener", func() error { return ignoreClosed(admin.Serve(a.listeners.admin)) })
	a.setPhase(phaseReady)
	switch at := a.listeners.api.Addr(); {
	case exposed(at) && a.opts.AccessFile == "":
		a.opts.Logger.Warn("the API listens for other machines, but refuses them until --access says who may what", "address", at)
	case exposed(at) && a.hosts == nil:
		a.opts.Logger.Warn("the API listens for other machines in plain text: give --api-cert-file and --api-key-file, or let a proxy in front end TLS and reach it on loopback", "address", at)
	}

	<-ctx.Done()
	a.setPhase(phaseStopping)
	stopWeb()
	shutdown(public)
	sockets.Wait()
	stopCore()
	var leaving sync.WaitGroup
	leaving.Go(nodes.stop)
	leaving.Go(secure.stop)
	leaving.Wait()
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
			view := a.tracker.View(now) // lets its time pass, too
			a.stepRollout(view.Nodes, now)
			if reg := a.registry.Load(); reg != nil {
				a.expect(reg, view.Nodes, now)
			}
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
	f := factsOf(reg, a.store.Objects(), a.tracker.View(now), a.opts.Cluster)
	f.Outliers = a.stored.Load().outs
	a.engine.SetFacts(f)
}

// syncz gives the nodes in istiod's form, for what reads istiod.
func (a *App) syncz() any { return a.tracker.Syncz(time.Now()) }

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
		r.Degraded = append(r.Degraded, fmt.Sprintf("%s, since %s: %s", s.Source, s.Since.UTC().Format(time.TimeOnly), s.Reason))
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
