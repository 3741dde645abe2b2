// Package app is the collector put together: targets are scraped, what they
// counted goes to the store and, as edge batches, to the publisher. It owns
// the order in which the parts start and stop, the collector's own listeners,
// and the account of what was lost. The parts know nothing of each other.
package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/collector/jaeger"
	"github.com/sidelight-mesh/sidelight/collector/publish"
	"github.com/sidelight-mesh/sidelight/collector/receive"
	"github.com/sidelight-mesh/sidelight/collector/scrape"
	"github.com/sidelight-mesh/sidelight/collector/servicegraph"
	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
)

// Options say what the collector does. Zero fields take the default that
// stands beside them.
type Options struct {
	DataDir  string // required; made if need be
	OTLPGRPC string // "host:port"; "" none
	OTLPHTTP string // "host:port"; "" none
	// OTLPTLS is how both are served; nil: in plain text.
	OTLPTLS *identity.Listener
	// JaegerGRPC serves Jaeger's query API over gRPC: "host:port"; "" none.
	JaegerGRPC string
	HTTP       string             // the collector's own API when it runs alone; "" none
	HTTPTLS    *identity.Listener // how it is served; nil: in plain text
	// Instance is the label "instance" of the process's own metrics in the store.
	Instance string // HTTP, or "collector"

	Targets        []target.Source
	Relabel        scrape.Relabeling // of what the sources tell
	ScrapeInterval time.Duration     // 15 s
	Limits         scrape.Limits
	// Publish takes the edge batches. One that has to run, as publish.Remote
	// has, is run here, and stopped after the last scrape. nil: none are wanted.
	Publish publish.Publisher

	// Identity is the collector's certificate, which Provider brings; both nil: it
	// has none.
	Identity *identity.Source
	Provider identity.Provider

	// Forward copies what is scraped to another store; nil: to none.
	Forward *metrics.Forward

	// ForwardTraces copies the spans that are stored to another store; nil: to none.
	ForwardTraces *traces.Forward

	MetricsRetention time.Duration // 24 h
	MetricsMaxBytes  int64         // 2 GiB
	TracesRetention  time.Duration // 24 h
	TracesIndexed    []string      // attributes by which searches need not read spans
	TracesSample     float64       // share of ordinary traces that stay once their hour is sealed; default 1

	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: a registry of the collector's own
}

// App is the collector. Make one with New, then either Run it once, or Close
// it.
type App struct {
	opts     Options
	registry prometheus.Gatherer
	metrics  *metrics.Store
	own      metrics.Own
	traces   *traces.Store
	scraper  *scrape.Scraper
	receiver *receive.Receiver
	jaeger   *jaeger.Server // nil unless wanted
	listener net.Listener   // nil without an own API
	ready    chan struct{}

	apiRefused atomic.Uint64 // clients whose certificate was missing or not taken

	closeOnce sync.Once
	closeErr  error
}

// Addrs are the bound addresses, "" for what is not served.
type Addrs struct{ OTLPGRPC, OTLPHTTP, JaegerGRPC, HTTP string }

// New binds the listeners and opens the stores. When it fails it leaves
// nothing open.
func New(o Options) (*App, error) {
	if err := o.setDefaults(); err != nil {
		return nil, fmt.Errorf("new collector: %w", err)
	}
	a := &App{opts: o, ready: make(chan struct{})}
	if err := a.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("new collector: %w", err), a.Close())
	}
	return a, nil
}

func (o *Options) setDefaults() error {
	if o.DataDir == "" {
		return fmt.Errorf("%w: no data directory", mesh.ErrInvalid)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.ScrapeInterval == 0 {
		o.ScrapeInterval = 15 * time.Second
	}
	o.Instance = cmp.Or(o.Instance, o.HTTP, "collector")
	if o.Publish == nil {
		o.Publish = publish.Func(func(mesh.EdgeBatch) {})
	}
	return nil
}

// open makes the parts in the order in which they depend on each other.
func (a *App) open() (err error) {
	o := a.opts
	if g, ok := o.Registerer.(prometheus.Gatherer); ok {
		a.registry = g
	} else {
		a.registry = prometheus.NewRegistry()
	}
	if o.HTTP != "" {
		if a.listener, err = net.Listen("tcp", o.HTTP); err != nil {
			return fmt.Errorf("listen for the collector's API on %s: %w; choose another address with --http", o.HTTP, err)
		}
		if o.HTTPTLS != nil {
			l := *o.HTTPTLS
			l.Refused = a.refused
			a.listener = tls.NewListener(a.listener, l.TLS("h2", "http/1.1"))
		}
	}
	a.metrics, err = metrics.Open(metrics.Options{
		Dir:        filepath.Join(o.DataDir, "metrics"),
		Retention:  o.MetricsRetention,
		MaxBytes:   o.MetricsMaxBytes,
		Logger:     o.Logger.With("part", "metrics"),
		Registerer: o.Registerer,
	})
	if err != nil {
		return err
	}
	a.traces, err = traces.Open(traces.Options{
		Dir:       filepath.Join(o.DataDir, "traces"),
		Retention: o.TracesRetention, IndexAttributes: o.TracesIndexed, Sample: o.TracesSample,
		Logger: o.Logger.With("part", "traces"),
	})
	if err != nil {
		return err
	}
	a.receiver, err = receive.New(receive.Options{
		GRPC: o.OTLPGRPC, HTTP: o.OTLPHTTP, TLS: o.OTLPTLS, Store: o.ForwardTraces.Tee(a.traces),
		Logger: o.Logger.With("part", "receive"), Registerer: o.Registerer,
	})
	if err != nil {
		return err
	}
	if o.JaegerGRPC != "" {
		if a.jaeger, err = jaeger.Listen(o.JaegerGRPC, a.traces); err != nil {
			return err
		}
	}
	calls := servicegraph.New()
	a.scraper, err = scrape.New(scrape.Options{
		Store:      o.Forward.Tee(a.metrics),
		Publish:    calls.Watch(o.Publish.Publish),
		Sources:    o.Targets,
		Relabel:    o.Relabel,
		Identity:   o.Identity,
		Interval:   o.ScrapeInterval,
		Limits:     o.Limits,
		Logger:     o.Logger.With("part", "scrape"),
		Registerer: o.Registerer,
	})
	if err != nil {
		return err
	}
	for _, c := range []prometheus.Collector{calls, ownMetrics{a}} {
		if err := o.Registerer.Register(c); err != nil {
			return fmt.Errorf("register own metrics: %w", err)
		}
	}
	a.own = metrics.Own{
		Store: a.metrics, Gatherer: a.registry, Instance: o.Instance, Interval: o.ScrapeInterval,
		Logger: o.Logger.With("part", "metrics"),
	}
	a.metrics.SetMetadata(a.metadata)
	return nil
}

// refused takes note of a client of the API that was not let in.
func (a *App) refused(peer string, err error) {
	a.apiRefused.Add(1)
	a.opts.Logger.Warn("client of the collector's API refused", "part", "api", "peer", peer, "error", err)
}

// runner is a publisher with a life of its own.
type runner interface {
	Run(ctx context.Context) error
}

// Run collects until ctx ends, or a part fails that the rest cannot do
// without. It stops the intake first, then the publisher, then the API, the
// stores last.
func (a *App) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		scraping, receiving, publishing, serving sync.WaitGroup
		scrapeErr, receiveErr                    error
		publishErr, forwardErr, copyErr, openErr error
	)
	publishCtx, stopPublishing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPublishing()
	if a.opts.Provider != nil {
		publishing.Go(func() { a.opts.Provider.Run(publishCtx, a.opts.Identity) })
	}
	if p, ok := a.opts.Publish.(runner); ok {
		publishing.Go(func() { publishErr = p.Run(publishCtx) })
	}
	if a.opts.Forward != nil {
		publishing.Go(func() { forwardErr = a.opts.Forward.Run(publishCtx) })
	}
	if a.opts.ForwardTraces != nil {
		publishing.Go(func() { copyErr = a.opts.ForwardTraces.Run(publishCtx) })
	}
	server := a.server()
	if a.listener != nil {
		serving.Go(func() {
			if err := server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
				a.opts.Logger.Error("collector API stopped", "err", err)
			}
		})
	}
	scraping.Go(func() {
		if err := a.metrics.Opened(ctx); err != nil && ctx.Err() == nil {
			openErr = err
			cancel()
		}
	})
	scraping.Go(func() { a.own.Run(ctx) })
	scraping.Go(func() {
		// A collector that scrapes nothing must not look alive.
		defer cancel()
		scrapeErr = a.scraper.Run(ctx)
	})
	receiving.Go(func() {
		defer cancel()
		receiveErr = a.receiver.Run(ctx)
	})
	if a.jaeger != nil {
		serving.Go(func() {
			if err := a.jaeger.Run(ctx); err != nil {
				a.opts.Logger.Error("jaeger query API stopped", "error", err)
			}
		})
	}
	close(a.ready)
	<-ctx.Done()
	scraping.Wait()
	receiving.Wait()
	stopPublishing()
	publishing.Wait()
	a.shutdown(server)
	serving.Wait()
	return errors.Join(openErr, scrapeErr, receiveErr, publishErr, forwardErr, copyErr, a.Close())
}

// shutdown lets requests end that are being answered, for a moment.
func (a *App) shutdown(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		server.Close()
	}
}

// Close closes what New opened, for an App that is not Run. It is idempotent.
func (a *App) Close() error {
	a.closeOnce.Do(func() {
		if a.listener != nil {
			// Already closed by the server when it ran.
			_ = a.listener.Close()
		}
		if a.receiver != nil {
			_ = a.receiver.Close()
		}
		if a.jaeger != nil {
			_ = a.jaeger.Close()
		}
		if a.traces != nil {
			a.closeErr = a.traces.Close()
		}
		if a.metrics != nil {
			a.closeErr = errors.Join(a.closeErr, a.metrics.Close())
		}
	})
	return a.closeErr
}

// Metrics gives the metric store, to read from in the same process.
func (a *App) Metrics() *metrics.Store { return a.metrics }

// Traces gives the span store, to read from in the same process.
func (a *App) Traces() *traces.Store { return a.traces }

// Addrs gives the bound addresses.
func (a *App) Addrs() Addrs {
	var addrs Addrs
	addrs.OTLPGRPC, addrs.OTLPHTTP = a.receiver.Addrs()
	if a.jaeger != nil {
		addrs.JaegerGRPC = a.jaeger.Addr()
	}
	if a.listener != nil {
		addrs.HTTP = a.listener.Addr().String()
	}
	return addrs
}

// TargetHealth gives how the last scrape of each target went, by address.
func (a *App) TargetHealth() []target.Health { return a.scraper.Health() }

func (a *App) metadata() []metrics.Metadata {
	out := a.own.Metadata()
	for _, m := range a.scraper.Metadata() {
		out = append(out, metrics.Metadata(m))
	}
	return out
}
