package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	collectorapp "github.com/sidelight-mesh/sidelight/collector/app"
	"github.com/sidelight-mesh/sidelight/collector/publish"
	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// collectorFlags are the flags of the collector's half.
type collectorFlags struct {
	dataDir, otlpGRPC, otlpHTTP string
	interval                    time.Duration
	targetFiles, targetURLs     []string
	metricsFor, tracesFor       time.Duration
}

func (c *collectorFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.dataDir, "data-dir", "sidelight-data", "folder of the embedded stores; made when missing")
	flags.StringVar(&c.otlpGRPC, "otlp-grpc", "127.0.0.1:4317", "listen address for spans over OTLP/gRPC")
	flags.StringVar(&c.otlpHTTP, "otlp-http", "127.0.0.1:4318", "listen address for spans over OTLP/HTTP")
	flags.DurationVar(&c.interval, "scrape-interval", 5*time.Second, "how often each sidecar is scraped")
	flags.StringSliceVar(&c.targetFiles, "targets", nil, "files of further scrape targets, in Prometheus' file_sd format; may hold *")
	flags.StringSliceVar(&c.targetURLs, "targets-url", nil, "URLs of further scrape targets, in Prometheus' HTTP SD format")
	flags.DurationVar(&c.metricsFor, "metrics-retention", 24*time.Hour, "how long metrics are kept")
	flags.DurationVar(&c.tracesFor, "traces-retention", 24*time.Hour, "how long traces are kept")
}

// validate says what cannot be meant, naming the flag.
func (c *collectorFlags) validate() error {
	const shortest = 100 * time.Millisecond
	if c.interval < shortest {
		return usageError{fmt.Errorf("--scrape-interval %s: want at least %s", c.interval, shortest)}
	}
	if c.metricsFor <= 0 {
		return usageError{fmt.Errorf("--metrics-retention %s: want more than 0", c.metricsFor)}
	}
	if c.tracesFor <= 0 {
		return usageError{fmt.Errorf("--traces-retention %s: want more than 0", c.tracesFor)}
	}
	return checkListen(listenFlag{"otlp-grpc", c.otlpGRPC}, listenFlag{"otlp-http", c.otlpHTTP})
}

func (c *collectorFlags) options(proc process, registry *prometheus.Registry) (collectorapp.Options, error) {
	opts := collectorapp.Options{
		DataDir: c.dataDir, OTLPGRPC: c.otlpGRPC, OTLPHTTP: c.otlpHTTP,
		ScrapeInterval: c.interval, MetricsRetention: c.metricsFor, TracesRetention: c.tracesFor,
		Logger: proc.log, Registerer: registry,
	}
	if len(c.targetFiles) > 0 {
		files, err := target.NewFile(proc.log, c.targetFiles...)
		if err != nil {
			return opts, usageError{fmt.Errorf("--targets: %w", err)}
		}
		opts.Targets = append(opts.Targets, files)
	}
	for _, url := range c.targetURLs {
		discovery, err := target.NewHTTP(target.HTTPOptions{URL: url, Logger: proc.log})
		if err != nil {
			return opts, usageError{fmt.Errorf("--targets-url: %w", err)}
		}
		opts.Targets = append(opts.Targets, discovery)
	}
	return opts, nil
}

func collectorCommand() *cobra.Command {
	var (
		proc   process
		flags  collectorFlags
		listen string
		server string
	)
	cmd := &cobra.Command{
		Use:   "collector",
		Short: "Run the collector alone: scrape sidecars, take spans, store both",
		Long: `Collector scrapes sidecars and takes spans. With --server it sends what changed
on each edge to that server; the server reads the stores over --http. Targets
come from --targets and --targets-url: a server lists its connected sidecars at
http://SERVER:8430/api/v1/sd.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(flags.validate(), checkListen(listenFlag{"http", listen})); err != nil {
				return err
			}
			if server != "" {
				if err := checkListen(listenFlag{"server", server}); err != nil {
					return err
				}
			}
			return proc.run(cmd, func(ctx context.Context) error {
				registry := newRegistry()
				opts, err := flags.options(proc, registry)
				if err != nil {
					return err
				}
				opts.HTTP = listen
				if server != "" {
					remote, err := publish.NewRemote(publish.RemoteOptions{Server: server, Logger: proc.log})
					if err != nil {
						return usageError{fmt.Errorf("--server %s: %w", server, err)}
					}
					opts.Publish = remote
				}
				collector, err := newCollector(opts)
				if err != nil {
					return err
				}
				addrs := collector.Addrs()
				proc.log.Info("sidelight collector runs", "http", addrs.HTTP, "otlp_grpc", addrs.OTLPGRPC, "otlp_http", addrs.OTLPHTTP)
				return collector.Run(ctx)
			})
		},
	}
	proc.bind(cmd)
	flags.bind(cmd)
	cmd.Flags().StringVar(&listen, "http", "127.0.0.1:8432", "listen address of the stores' APIs and health")
	cmd.Flags().StringVar(&server, "server", "", "configuration address (host:port) of the server that the edges go to")
	return cmd
}

// newCollector says which flag helps when another process holds the stores.
func newCollector(opts collectorapp.Options) (*collectorapp.App, error) {
	collector, err := collectorapp.New(opts)
	if errors.Is(err, mesh.ErrConflict) {
		return nil, fmt.Errorf("%w; stop it, or choose another folder with --data-dir", err)
	}
	return collector, err
}
