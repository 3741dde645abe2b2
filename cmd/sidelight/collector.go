package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	collectorapp "github.com/sidelight-mesh/sidelight/collector/app"
	"github.com/sidelight-mesh/sidelight/collector/publish"
	"github.com/sidelight-mesh/sidelight/collector/scrape"
	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
)

// collectorFlags are the flags of the collector's half.
type collectorFlags struct {
	dataDir, otlpGRPC, otlpHTTP, jaegerGRPC string
	otlpTLS, otlpCert, otlpKey              string
	interval                                time.Duration
	targetFiles, targetURLs, targetNames    []string
	relabel, remoteWrite                    string
	remoteBytes, metricsBytes               int64
	tracesIndexed                           []string
	metricsFor, tracesFor                   time.Duration
	tracesForward                           string
	tracesHeader                            []string
	tracesSample                            float64
}

func (c *collectorFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.dataDir, "data-dir", "sidelight-data", "folder of the embedded stores; made when missing")
	flags.StringVar(&c.otlpGRPC, "otlp-grpc", "127.0.0.1:4317", "listen address for spans over OTLP/gRPC")
	flags.StringVar(&c.otlpHTTP, "otlp-http", "127.0.0.1:4318", "listen address for spans over OTLP/HTTP")
	flags.StringVar(&c.otlpTLS, "otlp-tls", tlsOff, "off: spans come in plain text; simple: over TLS; mutual: over TLS, from who shows a certificate of the mesh")
	flags.StringVar(&c.otlpCert, "otlp-cert-file", "", "PEM `file` of a certificate for the host names that senders outside of the mesh know the two by; read again when it changes")
	flags.StringVar(&c.otlpKey, "otlp-key-file", "", "PEM `file` of its key")
	flags.StringVar(&c.jaegerGRPC, "jaeger-grpc", "", "listen address of Jaeger's query API over gRPC, as 127.0.0.1:16685; none unless given")
	flags.DurationVar(&c.interval, "scrape-interval", 5*time.Second, "how often each sidecar is scraped")
	flags.StringSliceVar(&c.targetFiles, "targets", nil, "files of further scrape targets, in Prometheus' file_sd format; may hold *")
	flags.StringSliceVar(&c.targetURLs, "targets-url", nil, "URLs of further scrape targets, in Prometheus' HTTP SD format")
	flags.StringSliceVar(&c.targetNames, "targets-dns", nil, "names of further scrape targets: host:port, or _service._protocol.name for SRV records")
	flags.StringVar(&c.relabel, "relabel", "", "file with a list of Prometheus' relabel_configs, for what discovery says of targets")
	flags.StringVar(&c.remoteWrite, "remote-write", "", "URL that all metrics are copied to by remote write 1.0, like http://prometheus:9090/api/v1/write")
	flags.Int64Var(&c.remoteBytes, "remote-write-buffer-bytes", 512<<20, "how much waits on disk, at most, while that store is away; the oldest goes first")
	flags.Int64Var(&c.metricsBytes, "metrics-max-bytes", 2<<30, "how much the stored metrics may take on disk; the oldest go first")
	flags.DurationVar(&c.metricsFor, "metrics-retention", 24*time.Hour, "how long metrics are kept")
	flags.StringSliceVar(&c.tracesIndexed, "traces-index", nil, "attributes of spans by which searches are fast, as order.id; from the next hour on")
	flags.StringVar(&c.tracesForward, "traces-forward", "", "URL of an OTLP/HTTP receiver that all spans are copied to, like http://otel-collector:4318")
	flags.StringSliceVar(&c.tracesHeader, "traces-forward-header", nil, "header field that goes with them: 'X-Scope-OrgID=team'")
	flags.DurationVar(&c.tracesFor, "traces-retention", 24*time.Hour, "how long traces are kept")
	flags.Float64Var(&c.tracesSample, "traces-sample", 1, "share of ordinary traces that stay when their hour is over: more than 0, at most 1; errors, slow and rare ones always do")
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
	if c.metricsBytes <= 0 || c.remoteBytes <= 0 {
		return usageError{fmt.Errorf("--metrics-max-bytes %d, --remote-write-buffer-bytes %d: want more than 0", c.metricsBytes, c.remoteBytes)}
	}
	if c.tracesFor <= 0 {
		return usageError{fmt.Errorf("--traces-retention %s: want more than 0", c.tracesFor)}
	}
	if !(c.tracesSample > 0 && c.tracesSample <= 1) {
		return usageError{fmt.Errorf("--traces-sample %v: want more than 0 and at most 1; 0.1 keeps one ordinary trace in ten", c.tracesSample)}
	}
	if err := checkTLS("otlp-tls", c.otlpTLS); err != nil {
		return err
	}
	if c.otlpCert+c.otlpKey != "" && c.otlpTLS == tlsOff {
		return usageError{errors.New("--otlp-cert-file: is for --otlp-tls simple or mutual")}
	}
	listen := []listenFlag{{"otlp-grpc", c.otlpGRPC}, {"otlp-http", c.otlpHTTP}}
	if c.jaegerGRPC != "" {
		listen = append(listen, listenFlag{"jaeger-grpc", c.jaegerGRPC})
	}
	return checkListen(listen...)
}

func (c *collectorFlags) options(proc process, registry *prometheus.Registry) (collectorapp.Options, error) {
	opts := collectorapp.Options{
		DataDir: c.dataDir, OTLPGRPC: c.otlpGRPC, OTLPHTTP: c.otlpHTTP, JaegerGRPC: c.jaegerGRPC,
		ScrapeInterval: c.interval, MetricsRetention: c.metricsFor, TracesRetention: c.tracesFor, TracesIndexed: c.tracesIndexed, TracesSample: c.tracesSample,
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
	for _, name := range c.targetNames {
		names, err := target.NewDNS(target.DNSOptions{Name: name, Logger: proc.log})
		if err != nil {
			return opts, usageError{fmt.Errorf("--targets-dns: %w", err)}
		}
		opts.Targets = append(opts.Targets, names)
	}
	opts.MetricsMaxBytes = c.metricsBytes
	if c.remoteWrite != "" {
		forward, err := metrics.NewForward(metrics.ForwardOptions{
			URL: c.remoteWrite, Dir: filepath.Join(c.dataDir, "remote-write"), MaxBytes: c.remoteBytes, Logger: proc.log,
		})
		if err != nil {
			return opts, usageError{fmt.Errorf("--remote-write: %w", err)}
		}
		opts.Forward = forward
	}
	if c.tracesForward != "" {
		header, err := headerFields("--traces-forward-header", c.tracesHeader)
		if err != nil {
			return opts, err
		}
		if opts.ForwardTraces, err = traces.NewForward(traces.ForwardOptions{URL: c.tracesForward, Header: header, Logger: proc.log}); err != nil {
			return opts, usageError{fmt.Errorf("--traces-forward: %w", err)}
		}
	}
	if c.relabel == "" {
		return opts, nil
	}
	text, err := os.ReadFile(c.relabel)
	if err != nil {
		return opts, usageError{fmt.Errorf("--relabel: %w", err)}
	}
	if opts.Relabel, err = scrape.ParseRelabeling(text); err != nil {
		return opts, usageError{fmt.Errorf("--relabel %s: %w", c.relabel, err)}
	}
	return opts, nil
}

// otlpListener gives how spans are taken, nil for in plain text.
func (c *collectorFlags) otlpListener(own *identity.Source, log *slog.Logger) (*identity.Listener, error) {
	return listenTLS("otlp", c.otlpTLS, c.otlpCert, c.otlpKey, own, log)
}

func collectorCommand() *cobra.Command {
	var (
		proc   process
		flags  collectorFlags
		listen string
		server string

		httpTLS, httpCert, httpKey string

		own    identityFlags
		buffer int64
	)
	cmd := &cobra.Command{
		Use:   "collector",
		Short: "Run the collector alone: scrape sidecars, take spans, store both",
		Long: `Collector scrapes sidecars and takes spans. With --server it sends what changed
on each edge to that server; the server reads the stores over --http. Targets
come from a --server tls://, from --targets and --targets-url: a server lists its
connected sidecars at http://SERVER:8430/api/v1/sd, too.

  sidelight collector --server tls://SERVER:15012 --join-token-file collector.token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(flags.validate(), checkListen(listenFlag{"http", listen}), checkTLS("http-tls", httpTLS)); err != nil {
				return err
			}
			address, secure := strings.CutPrefix(server, tlsScheme)
			if server != "" {
				if err := checkListen(listenFlag{"server", address}); err != nil {
					return err
				}
				if buffer <= 0 {
					return usageError{fmt.Errorf("--server-buffer-bytes %d: want more than 0", buffer)}
				}
			}
			return proc.run(cmd, func(ctx context.Context) error {
				registry := newRegistry()
				opts, err := flags.options(proc, registry)
				if err != nil {
					return err
				}
				opts.HTTP = listen
				if opts.Provider, err = own.provider(server, filepath.Join(flags.dataDir, "identity"), proc.log); err != nil {
					return err
				}
				if opts.Provider != nil {
					opts.Identity = &identity.Source{}
				}
				if opts.HTTPTLS, err = listenTLS("http", httpTLS, httpCert, httpKey, opts.Identity, proc.log); err != nil {
					return err
				}
				if opts.HTTPTLS != nil && opts.HTTPTLS.Mutual {
					opts.HTTPTLS.Only = mesh.ServerAccount
				}
				if opts.OTLPTLS, err = flags.otlpListener(opts.Identity, proc.log); err != nil {
					return err
				}
				if server != "" {
					remote := publish.RemoteOptions{Server: address, Dir: filepath.Join(flags.dataDir, "edges"), MaxBytes: buffer, Logger: proc.log}
					if secure {
						remote.TLS = opts.Identity.ServerOfMeshTLS()
						targets, err := serverTargets(address, opts.Identity, proc.log)
						if err != nil {
							return err
						}
						opts.Targets = append(opts.Targets, targets)
					}
					if opts.Publish, err = publish.NewRemote(remote); err != nil {
						return usageError{fmt.Errorf("--server %s: %w", server, err)}
					}
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
	own.bind(cmd.Flags())
	cmd.Flags().StringVar(&listen, "http", "127.0.0.1:8432", "listen address of the stores' APIs and health")
	cmd.Flags().StringVar(&httpTLS, "http-tls", tlsOff, "off: they are served in plain text; simple: over TLS; mutual: over TLS, to the mesh's server only")
	cmd.Flags().StringVar(&httpCert, "http-cert-file", "", "PEM `file` of a certificate for the host names that clients outside of the mesh know them by; read again when it changes")
	cmd.Flags().StringVar(&httpKey, "http-key-file", "", "PEM `file` of its key")
	cmd.Flags().StringVar(&server, "server", "", "server that the edges go to: its --grpc-tls as tls://host:port, which also tells what to scrape, or its --grpc as host:port, in plain text")
	cmd.Flags().Int64Var(&buffer, "server-buffer-bytes", 256<<20, "how much of the edges waits on disk, at most, while that server is away; the oldest goes first")
	return cmd
}

// serverTargets asks a server's TLS port what there is to scrape.
func serverTargets(address string, own *identity.Source, log *slog.Logger) (target.Source, error) {
	config := own.ServerOfMeshTLS()
	config.NextProtos = []string{"http/1.1"}
	targets, err := target.NewHTTP(target.HTTPOptions{
		URL: "https://" + address + "/api/v1/sd", Logger: log,
		Transport: &http.Transport{TLSClientConfig: config, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 1},
	})
	if err != nil {
		return nil, usageError{fmt.Errorf("--server %s: %w", address, err)}
	}
	return targets, nil
}

// newCollector says which flag helps when another process holds the stores.
func newCollector(opts collectorapp.Options) (*collectorapp.App, error) {
	collector, err := collectorapp.New(opts)
	if errors.Is(err, mesh.ErrConflict) {
		return nil, fmt.Errorf("%w; stop it, or choose another folder with --data-dir", err)
	}
	return collector, err
}
