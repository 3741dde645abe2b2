package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/frontend"
	serverapp "github.com/sidelight-mesh/sidelight/server/app"
)

// serverFlags are the flags of the server's half.
type serverFlags struct {
	configDir, api, admin, grpc string
	hosts                       []string
}

func (s *serverFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.configDir, "config-dir", "sidelight-config", "watched folder of configuration objects; made when missing")
	flags.StringVar(&s.api, "api", "127.0.0.1:8430", "listen address of UI and API")
	flags.StringVar(&s.admin, "admin", "127.0.0.1:8431", "listen address of health, own metrics and profiles")
	flags.StringVar(&s.grpc, "grpc", "127.0.0.1:15010", "listen address of configuration and agent streams")
	flags.StringSliceVar(&s.hosts, "allowed-hosts", nil, "names besides loopback by which browsers may reach the API")
}

// validate says what cannot be meant, naming the flag.
func (s *serverFlags) validate() error {
	return checkListen(listenFlag{"api", s.api}, listenFlag{"admin", s.admin}, listenFlag{"grpc", s.grpc})
}

func (s *serverFlags) options(proc process, registry *prometheus.Registry) serverapp.Options {
	return serverapp.Options{
		ConfigDir: s.configDir, API: s.api, Admin: s.admin, XDS: s.grpc, Hosts: s.hosts,
		Version: version, Logger: proc.log, Registerer: registry, Gatherer: registry,
	}
}

func serverCommand() *cobra.Command {
	var (
		proc      process
		flags     serverFlags
		stateDir  string
		collector string
	)
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the server alone: configuration, graph, tap, API and UI",
		Long: `Server runs without a collector in the same process. Collectors elsewhere are
started with --server set to this server's --grpc address; they send the edges
here. Stored metrics and traces are read from --collector.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.validate(); err != nil {
				return err
			}
			return proc.run(cmd, func(ctx context.Context) error {
				registry := newRegistry()
				opts := flags.options(proc, registry)
				opts.StateDir, opts.Mode, opts.UI = stateDir, "server", frontend.Handler()
				if collector != "" {
					if err := readFromCollector(&opts, collector); err != nil {
						return err
					}
				}
				server, err := serverapp.New(opts)
				if err != nil {
					return err
				}
				addrs := server.Addrs()
				proc.log.Info("sidelight server runs", "url", "http://"+addrs.API, "admin", addrs.Admin, "config_and_agents", addrs.XDS)
				return server.Run(ctx)
			})
		},
	}
	proc.bind(cmd)
	flags.bind(cmd)
	cmd.Flags().StringVar(&stateDir, "state-dir", "sidelight-state", "folder for the history of revisions")
	cmd.Flags().StringVar(&collector, "collector", "", "URL of a collector's HTTP listener, for stored metrics and traces")
	return cmd
}

// readFromCollector makes the server read stored data from a collector in
// another process.
func readFromCollector(opts *serverapp.Options, address string) error {
	base, err := collectorURL(address)
	if err != nil {
		return err
	}
	client, err := traces.NewClient(base.JoinPath("store/traces").String())
	if err != nil {
		return usageError{err}
	}
	opts.Traces = client
	opts.Jaeger = forward(base, "jaeger", storeTime)
	opts.Prometheus = forward(base, "prometheus", storeTime)
	opts.Metrics = remoteScalar{base.JoinPath("prometheus/api/v1/query").String()}
	return nil
}

// scalarQuery asks the embedded store for one number.
type scalarQuery struct{ store *metrics.Store }
