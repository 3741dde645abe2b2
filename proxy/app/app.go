package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/intercept"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/tap"
	"github.com/sidelight-mesh/sidelight/proxy/tcp"
	"github.com/sidelight-mesh/sidelight/proxy/telemetry"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// App is a sidecar. Make it with New, which binds everything, then Run it.
type App struct {
	opts     Options
	log      *slog.Logger
	started  time.Time
	registry *prometheus.Registry

	engine   *forward.Engine
	sockets  *listen.Set
	runtime  *Runtime
	client   *xds.Client      // nil with a static configuration
	identity *identity.Source // nil: none
	provider identity.Provider
	taps     *tap.Sessions
	spans    *telemetry.Spans
	access   *telemetry.AccessLog
	health   *health
	life     *life
	admin    *admin

	ejections chan *meshv1.Ejection
	servers   []*server

	quit     chan struct{}
	quitOnce sync.Once
	drained  sync.Once
}

// server is one of the ports that are not for traffic.
type server struct {
	flag string
	ln   net.Listener
	http *http.Server
}

// Addrs are the addresses that are bound, with their real ports.
type Addrs struct {
	Outbound    string
	Inbound     []string // in the order of Options.Inbound
	TCPOutbound []string
	Admin       string
	Metrics     string
	Health      string
}

// New checks the options, binds every port and wires the parts together.
// Nothing is served before Run. An error names the flag at fault; everything
// that was bound is released then.
func New(o Options) (_ *App, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Build == "" {
		o.Build = "dev"
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Inbound, o.TCPOutbound = slices.Clone(o.Inbound), slices.Clone(o.TCPOutbound)
	o.CaptureOutbound, o.CaptureInbound = slices.Clone(o.CaptureOutbound), slices.Clone(o.CaptureInbound)
	a := &App{
		ejections: make(chan *meshv1.Ejection, maxEjections),
		opts:      o, log: o.Logger, started: time.Now(), quit: make(chan struct{}),
		registry: prometheus.NewRegistry(),
	}
	defer func() {
		if err != nil {
			a.release()
		}
	}()
	if !o.Guest {
		a.registry.MustRegister(collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	if a.taps, err = tap.New(tap.Options{Logger: o.Logger, Registerer: a.registry}); err != nil {
		return nil, err
	}
	if err := a.wireIdentity(); err != nil {
		return nil, err
	}
	if err := a.wireTraffic(); err != nil {
		return nil, err
	}
	if err := a.reserve(); err != nil {
		return nil, err
	}
	a.health = &health{runtime: a.runtime, inbound: a.opts.Inbound, probes: a.opts.Probes}
	a.life = newLife(a.started, a.opts.Inbound, a.health.notServing)
	if err := a.bindServers(); err != nil {
		return nil, err
	}
	if err := a.wireClient(); err != nil {
		return nil, err
	}
	return a, telemetry.RegisterNode(a.registry, telemetry.Node{
		ID: o.NodeID, Workload: o.Workload, Build: o.Build, StartedAt: a.started,
		Revision: a.runtime.revision, Sockets: a.sockets.Counts, Requests: a.engine.Active,
	})
}

// wireTraffic makes the engines and what observes them.
func (a *App) wireTraffic() error {
	o := &a.opts
	metrics := telemetry.NewMetrics(a.registry)
	observers := []forward.Observer{metrics}
	if o.Collector != "" {
		exporter, err := a.spanExporter()
		if err != nil {
			return err
		}
		a.spans = telemetry.NewSpans(telemetry.SpanOptions{
			Workload: o.Workload, NodeID: o.NodeID, Exporter: exporter, Metrics: metrics, Errors: !o.NoErrorSpans, Logger: a.log.With("part", "spans"),
		})
		observers = append(observers, a.spans)
	}
	if o.AccessLog != nil {
		a.access = telemetry.NewAccessLog(o.AccessLog, metrics)
		observers = append(observers, a.access)
	}
	var err error
	a.engine, err = forward.NewEngine(forward.Options{
		Workload: o.Workload, NodeID: o.NodeID, Sampling: o.Sampling, Identity: a.identity,
		Ejections: a.tellEjection, Observers: append(observers, a.taps), Logger: a.log,
	})
	if err != nil {
		return err
	}
	if err := telemetry.RegisterClusters(a.registry, a.engine); err != nil {
		return err
	}
	bytes := tcp.New(a.engine, metrics)
	a.sockets = listen.NewSet(listen.Options{
		Engines: listen.Engines{
			HTTP:    a.engine.Serve,
			TCP:     bytes.Serve,
			Refused: a.engine.Refused,
			Rejected: func(cfg *listen.Config, client net.Addr, why string) {
				if cfg.Kind == listen.TCP {
					bytes.Rejected(cfg, client, why)
					return
				}
				a.engine.Rejected(cfg, client, why)
			},
		},
		Identity:       a.identity,
		MaxConnections: o.MaxConnections,
		Logger:         a.log,
	})
	a.runtime = &Runtime{engine: a.engine, sockets: a.sockets}
	return nil
}

// reserve binds the traffic ports before the control plane is told of them.
func (a *App) reserve() error {
	bind := func(flag string, address *string) error {
		if *address == "" {
			return nil
		}
		bound, err := a.sockets.Reserve(*address)
		if err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
		*address = bound
		return nil
	}
	if err := bind("outbound", &a.opts.Outbound); err != nil {
		return err
	}
	if a.opts.Intercept != "" {
		return a.reserveEntrances()
	}
	for i := range a.opts.Inbound {
		if err := bind("inbound", &a.opts.Inbound[i].Address); err != nil {
			return err
		}
	}
	for i := range a.opts.TCPOutbound {
		if err := bind("tcp-outbound", &a.opts.TCPOutbound[i].Address); err != nil {
			return err
		}
	}
	return nil
}

// reserveEntrances binds where the kernel brings traffic.
func (a *App) reserveEntrances() error {
	for i, at := range a.opts.CaptureOutbound {
		bound, err := a.sockets.Reserve(at)
		if err != nil {
			return fmt.Errorf("--capture-outbound: %w", err)
		}
		a.opts.CaptureOutbound[i] = bound
	}
	reserve := a.sockets.Reserve
	if a.opts.Intercept == intercept.TProxy {
		reserve = a.sockets.ReserveTransparent
	}
	for i, at := range a.opts.CaptureInbound {
		bound, err := reserve(at)
		if err != nil {
			return fmt.Errorf("--capture-inbound: %w", err)
		}
		a.opts.CaptureInbound[i] = bound
	}
	return nil
}

func (a *App) bindServers() error {
	// Compression would hold more than 2 MB of the 5 MB that live in a sidecar,
	// for some ten kilobytes a scrape; Envoy does not compress its stats either.
	scrape := promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{
		Registry: a.registry, EnableOpenMetrics: true, MaxRequestsInFlight: 4, DisableCompression: true,
	})
	a.admin = newAdmin(a)
	metrics := http.NewServeMux()
	metrics.Handle("GET /metrics", scrape)
	metrics.Handle("GET /stats/prometheus", scrape)
	for _, s := range []struct {
		flag    string
		address *string
		handler http.Handler
	}{
		{"metrics", &a.opts.Metrics, metrics},
		{"health", &a.opts.Health, a.health.routes()},
		{"admin", &a.opts.Admin, a.admin.routes(scrape)},
	} {
		if *s.address == "" {
			continue
		}
		ln, err := net.Listen("tcp", *s.address)
		if err != nil {
			return fmt.Errorf("--%s: %w", s.flag, listen.Explain(*s.address, err))
		}
		*s.address = ln.Addr().String()
		if s.flag == "metrics" && a.opts.MetricsTLS {
			ln = tls.NewListener(ln, a.scrapedBy())
		}
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(s.flag == "admin") // for CSDS
		a.servers = append(a.servers, &server{flag: s.flag, ln: ln, http: &http.Server{
			Handler: s.handler, Protocols: protocols, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
			WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
			ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		}})
	}
	return nil
}

// scrapedBy is TLS for the collectors of the mesh.
func (a *App) scrapedBy() *tls.Config {
	var last atomic.Pointer[string]
	return identity.Listener{
		Identity: a.identity, Mutual: true, Only: mesh.CollectorAccount,
		Refused: func(peer string, err error) {
			text := peer + err.Error()
			if before := last.Swap(&text); before == nil || *before != text { // once for each cause
				a.log.Warn("scrape refused: --metrics-tls is for collectors of the mesh", "peer", peer, "error", err)
			}
		},
	}.TLS("http/1.1")
}

func (a *App) wireClient() error {
	o := &a.opts
	if len(o.Servers) == 0 {
		return nil
	}
	servers, secured, dial := a.controlPlane()
	var err error
	a.client, err = xds.New(xds.Options{
		Node: mesh.Node{
			ID: o.NodeID, Workload: o.Workload, Kind: o.kind(), Build: o.Build,
			Address: o.Metrics, Secure: o.MetricsTLS, StartedAt: a.started, Labels: o.Labels,
		},
		ServiceAccount: o.ServiceAccount,
		Locality:       o.Locality,
		Ports: xds.Ports{
			Gateway:  o.Gateway,
			Register: o.Register,
			Identity: a.identity != nil, Outbound: o.Outbound, Inbound: o.Inbound, TCPOutbound: o.TCPOutbound,
			Interception: strings.ToUpper(string(o.Intercept)), CaptureOutbound: o.CaptureOutbound, CaptureInbound: o.CaptureInbound,
		},
		Servers:         servers,
		TLS:             secured,
		Dial:            dial,
		Identity:        a.currentIdentity,
		IdentityChanged: a.identityChanged(),
		Runtime:         a.runtime,
		Taps:            a.taps,
		Ejections:       a.ejections,
		Life:            a.life.account,
		LifeChanged:     a.life.changed,
		ActiveRequests:  func() uint64 { return uint64(max(a.engine.Active(), 0)) },
		StateOfTheWorld: o.StateOfTheWorld,
		Pull:            o.Pull,
		StateDir:        o.StateDir,
		Fault:           o.Fault,
		Logger:          a.log,
		Registerer:      a.registry,
	})
	return err
}

// Addrs gives the addresses that are bound.
func (a *App) Addrs() Addrs {
	addrs := Addrs{Outbound: a.opts.Outbound, Admin: a.opts.Admin, Metrics: a.opts.Metrics, Health: a.opts.Health}
	for _, in := range a.opts.Inbound {
		addrs.Inbound = append(addrs.Inbound, in.Address)
	}
	for _, t := range a.opts.TCPOutbound {
		addrs.TCPOutbound = append(addrs.TCPOutbound, t.Address)
	}
	return addrs
}

// Run serves until ctx ends, the parent is gone or somebody asks the sidecar
// to quit; then it drains and returns. It may be called once.
func (a *App) Run(ctx context.Context) error {
	defer a.release()
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	var running sync.WaitGroup
	failed := make(chan error, len(a.servers))
	for _, s := range a.servers {
		running.Go(func() {
			if err := s.http.Serve(s.ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve --%s: %w", s.flag, err)
			}
		})
	}
	orphaned := make(chan struct{})
	if a.opts.ParentPID != 0 {
		running.Go(func() {
			if watchParent(serving, a.opts.ParentPID) {
				close(orphaned)
			}
		})
	}
	if a.opts.Tidy {
		running.Go(func() { tidy(serving, a.log) })
	}
	running.Go(func() { a.life.watchStart(serving) })
	err := a.configure(serving, &running)
	a.log.Info("sidecar started", "node", a.opts.NodeID, "workload", a.opts.Workload.ID(),
		"outbound", a.opts.Outbound, "metrics", a.opts.Metrics, "admin", a.opts.Admin, "health", a.opts.Health)
	drain := a.opts.DrainTime
	if err == nil {
		select {
		case <-ctx.Done():
		case <-a.quit:
		case err = <-failed:
		case <-orphaned:
			a.log.Warn("the parent process is gone", "pid", a.opts.ParentPID)
			drain = min(drain, 500*time.Millisecond)
		}
	}
	a.drain(drain)
	a.leave()
	stop() // configuration and tap until here: the server sees a sidecar drain
	a.flush()
	running.Wait()
	return err
}

// configure starts whoever brings configuration.
func (a *App) configure(ctx context.Context, running *sync.WaitGroup) error {
	if a.opts.Static != nil {
		if err := a.runtime.Apply(a.opts.Static); err != nil {
			return fmt.Errorf("static configuration: %w", err)
		}
	}
	running.Go(func() {
		if err := a.taps.Run(ctx); err != nil {
			a.log.Error("tap sessions", "error", err)
		}
	})
	if a.provider != nil {
		running.Go(func() { a.provider.Run(ctx, a.identity) })
	}
	if a.client != nil {
		running.Go(func() {
			if err := a.client.Run(ctx); err != nil {
				a.log.Error("configuration client", "error", err)
			}
		})
	}
	return nil
}

// drain takes the sidecar out of traffic: not ready, no new connections, what
// is under way gets its time.
func (a *App) drain(limit time.Duration) {
	a.drained.Do(func() {
		a.health.draining.Store(true)
		a.life.drain()
		a.log.Info("draining", "active_requests", a.engine.Active(), "drain_time", limit)
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		cut := a.sockets.Drain(ctx)
		if cut > 0 {
			a.log.Warn("drain time is over", "connections_cut", cut, "drain_time", limit)
		}
		a.life.drained(cut)
	})
}

// farewellTime bounds how long the control plane may take to hear that the
// sidecar leaves.
const farewellTime = 300 * time.Millisecond

// leave tells the control plane in which order the sidecar and its app go.
func (a *App) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), farewellTime)
	defer cancel()
	a.life.leave(ctx)
	if a.client != nil {
		a.client.Farewell(ctx)
	}
}

// flushTime bounds how long the last spans and log lines may take.
const flushTime = time.Second

// flush sends what telemetry still holds, and closes the other ports.
func (a *App) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if a.spans != nil {
		if err := a.spans.Shutdown(ctx); err != nil {
			a.log.Debug("shut spans down", "error", err)
		}
		a.spans = nil
	}
	if a.access != nil {
		_ = a.access.Shutdown(ctx)
		a.access = nil
	}
	if a.admin != nil {
		a.admin.status.Stop() // ends streams that only watch
	}
	for _, s := range a.servers {
		_ = s.http.Shutdown(ctx)
		_ = s.http.Close()
	}
	a.engine.Close()
}

// release frees whatever is still held; after Run there is nothing.
func (a *App) release() {
	if a.sockets != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		a.sockets.Drain(ctx)
	}
	for _, s := range a.servers {
		_ = s.ln.Close()
	}
	if a.engine != nil {
		a.flush()
	}
}

// Quit makes Run return.
func (a *App) Quit() { a.quitOnce.Do(func() { close(a.quit) }) }
