package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	collectorapp "github.com/sidelight-mesh/sidelight/collector/app"
	"github.com/sidelight-mesh/sidelight/collector/jaeger"
	"github.com/sidelight-mesh/sidelight/collector/publish"
	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/frontend"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	serverapp "github.com/sidelight-mesh/sidelight/server/app"
	"github.com/sidelight-mesh/sidelight/server/config/kubernetes"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

func runCommand() *cobra.Command {
	var (
		proc      process
		server    serverFlags
		collector collectorFlags
		alerts    alertFlags
		mode      string
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run server and collector in one process, with embedded storage",
		Long: `Run is the usual install: configuration, live graph, tap, traces, API and UI in
one process that needs no other software. Configuration is read from a watched
folder; what is stored goes to the data folder. All listeners are on loopback
unless told otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(server.validate(), collector.validate(), alerts.validate()); err != nil {
				return err
			}
			if server.podTargets && server.cluster() == nil {
				return usageError{errors.New("--targets-kubernetes: which cluster? Give --kubernetes or --kubeconfig, too")}
			}
			return proc.run(cmd, func(ctx context.Context) error {
				return runBoth(ctx, proc, server, collector, alerts, mode)
			})
		},
	}
	proc.bind(cmd)
	server.bind(cmd)
	collector.bind(cmd)
	alerts.bind(cmd.Flags())
	cmd.Flags().BoolVar(&server.podTargets, "targets-kubernetes", false, "scrape the proxies of other meshes in the pods of the cluster of --kubernetes, too")
	cmd.Flags().StringVar(&mode, "mode-name", "run", "what /api/v1/status calls this process")
	_ = cmd.Flags().MarkHidden("mode-name")
	return cmd
}

// runBoth wires the two halves in one process: what the collector scrapes goes
// straight into the server's graph, and the server's nodes are its targets.
func runBoth(ctx context.Context, proc process, sf serverFlags, cf collectorFlags, af alertFlags, mode string) error {
	registry := newRegistry()
	var server *serverapp.App
	connected := target.Func(func(ctx context.Context, update func([]target.Target)) error {
		return server.WatchTargets(ctx, func(nodes []serverapp.Target) { update(scrapeTargets(nodes)) })
	})
	opts, err := cf.options(proc, registry)
	if err != nil {
		return err
	}
	opts.Targets = append(opts.Targets, connected)
	if sf.podTargets {
		opts.Targets = append(opts.Targets, target.Func(func(ctx context.Context, update func([]target.Target)) error {
			return server.WatchProxies(ctx, func(proxies []kubernetes.Proxy) { update(proxyTargets(proxies)) })
		}))
	}
	opts.Instance = sf.admin
	opts.Identity = &identity.Source{}
	opts.Provider = &identity.Issuer{
		Issue:  func(csr []byte) (chain, roots [][]byte, err error) { return server.Issue(mesh.CollectorAccount, csr) },
		Logger: proc.log.With("part", "identity"),
	}
	if opts.OTLPTLS, err = cf.otlpListener(opts.Identity, proc.log); err != nil {
		return err
	}
	opts.Publish = publish.Func(func(b mesh.EdgeBatch) { server.Publish(b) })
	collector, err := newCollector(opts)
	if err != nil {
		return err
	}
	serverOpts := sf.options(proc, registry)
	serverOpts.Mode = mode
	serverOpts.StateDir = filepath.Join(cf.dataDir, "state")
	serverOpts.Traces = collector.Traces()
	serverOpts.Jaeger = jaeger.Handler(collector.Traces())
	serverOpts.Metrics = collector.Metrics()
	serverOpts.Prometheus = collector.Metrics().Handler()
	serverOpts.Alerts = af.options(collector.Metrics())
	serverOpts.UI = frontend.Handler()
	serverOpts.Targets = func() []serverapp.TargetStatus { return targetStatus(collector.TargetHealth()) }
	serverOpts.Unread = func() []graph.Stale { return unread(collector.Problems()) }
	serverOpts.Losses = func() []serverapp.Loss { return losses(collector.Losses()) }
	if err := errors.Join(sf.readMetrics(&serverOpts), sf.readTraces(&serverOpts)); err != nil {
		return errors.Join(err, collector.Close())
	}
	if server, err = serverapp.New(serverOpts); err != nil {
		return errors.Join(err, collector.Close())
	}
	addrs := server.Addrs()
	proc.log.Info("sidelight runs", "url", addrs.URL, "admin", addrs.Admin, "config_and_agents", addrs.XDS,
		"otlp_grpc", collector.Addrs().OTLPGRPC, "otlp_http", collector.Addrs().OTLPHTTP)

	// The server stops first: it reads what the collector stores.
	storing, stopStoring := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStoring()
	group, serving := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer stopStoring()
		return server.Run(serving)
	})
	group.Go(func() error { return collector.Run(storing) })
	return group.Wait()
}

// newRegistry gives the registry of a process's own metrics.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func scrapeTargets(nodes []serverapp.Target) []target.Target {
	targets := make([]target.Target, 0, len(nodes))
	for _, n := range nodes {
		t := target.Target{Address: n.Address, Node: n.Node, Workload: n.Workload}
		if n.Secure {
			t.Scheme = "https"
		}
		targets = append(targets, t)
	}
	return targets
}

func proxyTargets(proxies []kubernetes.Proxy) []target.Target {
	targets := make([]target.Target, 0, len(proxies))
	for _, p := range proxies {
		targets = append(targets, target.Target{Address: p.Address, Path: p.Path, Meta: p.Meta, Workload: p.Workload})
	}
	return targets
}

func targetStatus(health []target.Health) []serverapp.TargetStatus {
	status := make([]serverapp.TargetStatus, 0, len(health))
	for _, h := range health {
		status = append(status, serverapp.TargetStatus{
			Address: h.Address, Node: h.Node, Up: h.Up, Error: h.Error, LastScrape: h.LastScrape, Duration: h.Duration,
		})
	}
	return status
}

func unread(problems []target.Problem) []graph.Stale {
	stale := make([]graph.Stale, 0, len(problems))
	for _, p := range problems {
		stale = append(stale, graph.Stale{Source: p.Source, Since: p.Since, Reason: p.Message})
	}
	return stale
}

func losses(lost []collectorapp.Loss) []serverapp.Loss {
	out := make([]serverapp.Loss, 0, len(lost))
	for _, l := range lost {
		out = append(out, serverapp.Loss{Where: l.Where, What: l.What, Count: l.Count, Hint: l.Hint})
	}
	return out
}
