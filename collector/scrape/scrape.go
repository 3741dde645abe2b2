// Package scrape reads the targets' metrics and tells what happened on each
// edge since the scrape before. It runs Prometheus' scrape manager over the
// merged targets of the sources, and stands between it and the store: each
// sample is written once and read twice, by the time series database and by
// the edge that it belongs to.
//
// Which edge a series belongs to is asked of package dialect once, when the
// series is new; from then on the series' storage reference leads there. When
// a scrape ends, the values that were staged become increases, reset-aware,
// and exactly one mesh.EdgeBatch is published, also when the scrape failed.
// The sum of all increases of a counter is what the counter gained while it
// was watched: nothing is estimated here.
//
// The package owns the scrape loops and what is remembered between scrapes. It
// stores nothing itself, and a store that cannot write does not stop it.
package scrape

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/storage"

	"github.com/sidelight-mesh/sidelight/collector/dialect"
	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
)

// Options say what is scraped, how, and where it goes. Zero fields take the
// default that stands beside them.
type Options struct {
	Store    storage.AppendableV2 // required
	Publish  func(mesh.EdgeBatch) // required; called from many goroutines; must not block; owns the batch
	Sources  []target.Source
	Relabel  Relabeling       // of what the sources tell
	Identity *identity.Source // shown to targets over TLS, and judges those of the mesh; nil: targets are believed by their host name
	Dialects dialect.Set      // dialect.All()
	Interval time.Duration    // 15 s; at least 100 ms
	Timeout  time.Duration    // 10 s; never longer than Interval
	Limits   Limits

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Limits bound what one target can cost. A target that goes past the first
// four fails its scrape; past the edges' limits it loses what is beyond them.
type Limits struct {
	BodyBytes   int64 // of one response, unpacked: 16 MiB
	Samples     uint  // of one response: 50,000
	Labels      uint  // of one series: 64
	LabelLength uint  // of one value: 1,024 bytes

	Targets  int // 5,000
	Edges    int // of one target: 2,000
	Outcomes int // of one edge and target, requests and responses each: 64
}

// Scraper scrapes until it is stopped. Make one with New, then Run it once.
type Scraper struct {
	opts    Options
	manager *scrape.Manager
	watches *watches
	merge   *merger
	counts  counts

	lists    sync.Pool // of *[]staged: a few serve all targets
	conns    conns
	stopping atomic.Bool
	now      func() time.Time // time.Now; tests have a clock of their own
}

// New checks the options and makes what Run needs. Nothing is scraped yet.
func New(o Options) (*Scraper, error) {
	if o.Store == nil || o.Publish == nil {
		return nil, fmt.Errorf("new scraper: %w: store and publish are required", mesh.ErrInvalid)
	}
	if err := o.setDefaults(); err != nil {
		return nil, fmt.Errorf("new scraper: %w", err)
	}
	s := &Scraper{opts: o, now: time.Now, lists: sync.Pool{New: func() any { return new([]staged) }}}
	s.watches = newWatches(o.Dialects, o.Limits, o.Interval, &s.counts)
	s.merge = newMerger(len(o.Sources), o.Limits.Targets, o.Relabel, &s.counts, o.Logger)
	client := []config.HTTPClientOption{config.WithDialContextFunc(s.conns.dial)}
	if o.Identity != nil {
		client = append(client, config.WithNewTLSConfigFunc(func(context.Context, *config.TLSConfig, ...config.TLSConfigOption) (*tls.Config, error) {
			return o.Identity.IdentityOrNameTLS(""), nil
		}))
	}
	manager, err := scrape.NewManager(&scrape.Options{
		PassMetadataInContext:    true, // tells the appender its target
		ParseST:                  true, // when a counter began: what its first value means
		DiscoveryReloadInterval:  model.Duration(reloadInterval),
		DiscoveryReloadOnStartup: true,
		HTTPClientOptions:        client,
	}, o.Logger, nil, nil, &appendable{scraper: s, store: o.Store}, o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("new scraper: %w", err)
	}
	s.manager = manager
	return s, nil
}

func (o *Options) setDefaults() error {
	if o.Dialects == nil {
		o.Dialects = dialect.All()
	}
	if o.Interval == 0 {
		o.Interval = 15 * time.Second
	}
	if o.Interval < 100*time.Millisecond {
		return fmt.Errorf("%w: scrape interval %s is shorter than 100ms", mesh.ErrInvalid, o.Interval)
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	o.Timeout = min(o.Timeout, o.Interval)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	o.Limits.setDefaults()
	return nil
}

func (l *Limits) setDefaults() {
	set := func(n *int, to int) {
		if *n <= 0 {
			*n = to
		}
	}
	setU := func(n *uint, to uint) {
		if *n == 0 {
			*n = to
		}
	}
	if l.BodyBytes <= 0 {
		l.BodyBytes = 16 << 20
	}
	setU(&l.Samples, 50_000)
	setU(&l.Labels, 64)
	setU(&l.LabelLength, 1024)
	set(&l.Targets, 20_000)
	set(&l.Edges, 2000)
	set(&l.Outcomes, 64)
}

// Run scrapes until ctx ends. A source that cannot go on is logged and keeps
// its last targets; it does not stop the others.
func (s *Scraper) Run(ctx context.Context) error {
	cfg, err := managerConfig(s.opts)
	if err != nil {
		return fmt.Errorf("run scraper: %w", err)
	}
	if err := s.manager.ApplyConfig(cfg); err != nil {
		return fmt.Errorf("run scraper: %w", err)
	}
	var (
		workers sync.WaitGroup
		sets    = make(chan map[string][]*targetgroup.Group)
		runErr  error
	)
	workers.Go(func() { runErr = s.manager.Run(sets) })
	for i, source := range s.opts.Sources {
		workers.Go(func() {
			err := source.Run(ctx, func(targets []target.Target) { s.merge.set(i, targets) })
			if err != nil && ctx.Err() == nil {
				s.opts.Logger.Error("target source stopped", "source", fmt.Sprintf("%T", source), "err", err)
			}
		})
	}
	s.feed(ctx, sets)
	// From here on a scrape that fails was cut short by ourselves.
	s.stopping.Store(true)
	s.conns.close()
	s.manager.Stop()
	workers.Wait()
	s.manager.UnregisterMetrics()
	if runErr != nil && !errors.Is(runErr, context.Canceled) {
		return fmt.Errorf("run scraper: %w", runErr)
	}
	return nil
}

// feed brings each change of the merged targets to the scrape manager.
func (s *Scraper) feed(ctx context.Context, sets chan<- map[string][]*targetgroup.Group) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.merge.changed:
		}
		targets := s.merge.targets()
		groups := s.watches.replace(targets, time.Now())
		select {
		case <-ctx.Done():
			return
		case sets <- map[string][]*targetgroup.Group{jobName: groups}:
		}
	}
}
