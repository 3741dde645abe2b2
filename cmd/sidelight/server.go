package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/collector/jaeger"
	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/frontend"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
	serverapp "github.com/sidelight-mesh/sidelight/server/app"
	"github.com/sidelight-mesh/sidelight/server/ca"
	"github.com/sidelight-mesh/sidelight/server/config/kubernetes"
	"github.com/sidelight-mesh/sidelight/server/grafana"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

// serverFlags are the flags of the server's half.
type serverFlags struct {
	configDir, api, admin string
	grpc, grpcTLS         string
	metricsURL            string
	tracesURL             string
	tracesHeader          []string
	hosts                 []string
	apiCert, apiKey       string
	access                string
	tapRedact             []string
	ca                    ca.Options
	rootNamespace         string
	grafana               grafana.Options
	rollout               rolloutFlags
	observe               []string
	jaegerUI, persesUI    string
	slowPush              time.Duration
	kubernetes            bool
	kubeconfig            string
	kubeContext           string
	podTargets            bool // of run only, which has the collector, too
}

func (s *serverFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.configDir, "config-dir", "sidelight-config", "watched folder of configuration objects; made when missing")
	flags.BoolVar(&s.kubernetes, "kubernetes", false, "read objects, services and endpoints from Kubernetes, too: from the cluster of the kubeconfig, or the one that this runs in; see docs/kubernetes.md")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "`file` that says how Kubernetes is reached; implies --kubernetes. Default $KUBECONFIG, then ~/.kube/config, then the cluster that this runs in")
	flags.StringVar(&s.kubeContext, "kube-context", "", "context of the kubeconfig; implies --kubernetes")
	flags.StringVar(&s.api, "api", "127.0.0.1:8430", "listen address of UI and API")
	flags.StringVar(&s.admin, "admin", "127.0.0.1:8431", "listen address of health, own metrics and profiles")
	flags.StringVar(&s.grpc, "grpc", "127.0.0.1:15010", "listen address of configuration and agent streams")
	flags.StringVar(&s.grpcTLS, "grpc-tls", "127.0.0.1:15012", "listen address of the same over TLS, where sidecars get their certificates, too")
	flags.StringVar(&s.ca.TrustDomain, "trust-domain", "cluster.local", "trust domain of the mesh's identities")
	flags.StringVar(&s.rootNamespace, "root-namespace", "istio-system", "namespace of the policies that hold for the whole mesh")
	flags.StringVar(&s.ca.CertFile, "ca-cert", "", "PEM `file` of a certificate authority to issue by, its chain up to the root; made when not given")
	flags.StringVar(&s.ca.KeyFile, "ca-key", "", "PEM `file` of its key")
	flags.DurationVar(&s.ca.Lifetime, "cert-lifetime", 24*time.Hour, "how long sidecars' certificates hold; they are renewed at half of it")
	flags.StringVar(&s.metricsURL, "metrics-url", "", "URL of a Prometheus API to read stored metrics from, instead of the collector's store: Prometheus, Thanos, Mimir, VictoriaMetrics")
	flags.StringVar(&s.tracesURL, "traces-url", "", "where to read traces instead of the collector's store: jaeger+http://HOST:16686 (api_v3) or tempo+http://HOST:3200")
	flags.StringSliceVar(&s.tracesHeader, "traces-url-header", nil, "header field that goes with each question: 'X-Scope-OrgID=team'")
	s.rollout.bind(flags)
	flags.StringSliceVar(&s.observe, "observe", nil, "other control planes and proxies to show: http://ISTIOD:15014/debug/syncz of each replica, http://ENVOY:15000/config_dump, csds://HOST:PORT")
	flags.DurationVar(&s.slowPush, "slow-push", 0, "test fault: send changes to one node after the other, with this pause before each")
	_ = flags.MarkHidden("slow-push")
	flags.StringSliceVar(&s.hosts, "allowed-hosts", nil, "names besides loopback by which browsers may reach the API")
	flags.StringVar(&s.apiCert, "api-cert-file", "", "PEM `file` of the certificate by which UI and API speak TLS, its chain behind it; read again when it changes")
	flags.StringVar(&s.apiKey, "api-key-file", "", "PEM `file` of its key")
	flags.StringVar(&s.access, "access", "", "`file` of rules that say who may look, tap and change; see docs/access.md")
	flags.StringSliceVar(&s.tapRedact, "tap-redact-headers", nil, "header fields whose values a tap never shows, besides credentials and cookies: x-account,x-user")
	flags.StringVar(&s.grafana.URL, "grafana-url", "", "URL of your Grafana, to show its panels in the UI below /grafana/; see docs/dashboards.md")
	flags.StringVar(&s.grafana.User, "grafana-user", "", "the Grafana user that every visitor is, by Grafana's auth.proxy")
	flags.StringVar(&s.grafana.UserHeader, "grafana-user-header", "", "header by which a proxy in front names the visitor to Grafana; trusted")
	flags.StringVar(&s.jaegerUI, "jaeger-ui-url", "", "URL of your Jaeger UI, to link to")
	flags.StringVar(&s.persesUI, "perses-url", "", "URL of your Perses, to link to; the dashboards are looked for in its project sidelight")
}

// validate says what cannot be meant, naming the flag.
func (s *serverFlags) validate() error {
	if (s.apiCert == "") != (s.apiKey == "") {
		return usageError{errors.New("--api-cert-file and --api-key-file go together")}
	}
	if _, err := s.rollout.policy(); err != nil {
		return err
	}
	for flag, address := range map[string]string{"jaeger-ui-url": s.jaegerUI, "perses-url": s.persesUI} {
		if u, err := url.Parse(address); address != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return usageError{fmt.Errorf("--%s: want a URL like https://jaeger.example.com", flag)}
		}
	}
	return checkListen(listenFlag{"api", s.api}, listenFlag{"admin", s.admin}, listenFlag{"grpc", s.grpc}, listenFlag{"grpc-tls", s.grpcTLS})
}

// cluster is the one to read from; nil for none.
func (s *serverFlags) cluster() *kubernetes.Options {
	if !s.kubernetes && s.kubeconfig == "" && s.kubeContext == "" {
		return nil
	}
	return &kubernetes.Options{Kubeconfig: s.kubeconfig, Context: s.kubeContext}
}

func (s *serverFlags) options(proc process, registry *prometheus.Registry) serverapp.Options {
	policy, _ := s.rollout.policy() // validate said that it is right
	return serverapp.Options{
		Kubernetes: s.cluster(),
		Rollout:    policy, Observe: s.observe, ConfigDir: s.configDir, API: s.api, Admin: s.admin, XDS: s.grpc, Secure: s.grpcTLS, Authority: s.ca, RootNamespace: s.rootNamespace, Hosts: s.hosts, APICert: s.apiCert, APIKey: s.apiKey, AccessFile: s.access, Grafana: s.grafana,
		Fault: xds.Fault{PushPause: s.slowPush}, TapRedact: s.tapRedact,
		JaegerUI: s.jaegerUI, PersesUI: s.persesUI,
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
				var server *serverapp.App
				own := &identity.Source{}
				if collector != "" {
					if err := readFromCollector(&opts, collector, own.IdentityOrNameTLS(mesh.CollectorAccount)); err != nil {
						return err
					}
				}
				if err := errors.Join(flags.readMetrics(&opts), flags.readTraces(&opts)); err != nil {
					return err
				}
				var err error
				if server, err = serverapp.New(opts); err != nil {
					return err
				}
				ctx, stop := context.WithCancel(ctx)
				var renewing sync.WaitGroup
				defer renewing.Wait()
				defer stop()
				renewing.Go(func() {
					(&identity.Issuer{
						Issue:  func(csr []byte) (chain, roots [][]byte, err error) { return server.Issue(mesh.ServerAccount, csr) },
						Logger: proc.log.With("part", "identity"),
					}).Run(ctx, own)
				})
				addrs := server.Addrs()
				proc.log.Info("sidelight server runs", "url", addrs.URL, "admin", addrs.Admin, "config_and_agents", addrs.XDS)
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

// readMetrics makes the server read stored metrics from --metrics-url.
func (s *serverFlags) readMetrics(opts *serverapp.Options) error {
	if s.metricsURL == "" {
		return nil
	}
	stored, err := metrics.NewRemote(metrics.RemoteOptions{URL: s.metricsURL})
	if err != nil {
		return usageError{fmt.Errorf("--metrics-url: %w", err)}
	}
	base, err := url.Parse(s.metricsURL)
	if err != nil {
		return usageError{fmt.Errorf("--metrics-url: %w", err)}
	}
	opts.Metrics, opts.Prometheus = stored, forward(base.JoinPath("/"), "", storeTransport(nil))
	return nil
}

// readTraces makes the server read traces from --traces-url.
func (s *serverFlags) readTraces(opts *serverapp.Options) error {
	if s.tracesURL == "" {
		return nil
	}
	header, err := headerFields("--traces-url-header", s.tracesHeader)
	if err != nil {
		return err
	}
	stored, err := traces.NewRemote(traces.RemoteOptions{URL: s.tracesURL, Header: header})
	if err != nil {
		return usageError{fmt.Errorf("--traces-url: %w", err)}
	}
	opts.Traces, opts.Jaeger = stored, jaeger.Handler(stored)
	return nil
}

// headerFields reads NAME=VALUE.
func headerFields(flag string, fields []string) (http.Header, error) {
	header := http.Header{}
	for _, f := range fields {
		name, value, ok := strings.Cut(f, "=")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, ": ") {
			return nil, usageError{fmt.Errorf("%s %q: want NAME=VALUE", flag, f)}
		}
		header.Add(name, value)
	}
	return header, nil
}

// storeTransport carries questions to a store. Secure may be nil.
func storeTransport(secure *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: secure, ForceAttemptHTTP2: true,
		ResponseHeaderTimeout: storeTime, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 16,
	}
}

// readFromCollector makes the server read stored data from a collector in
// another process.
func readFromCollector(opts *serverapp.Options, address string, secure *tls.Config) error {
	base, err := collectorURL(address)
	if err != nil {
		return err
	}
	transport := storeTransport(secure)
	client, err := traces.NewClient(base.JoinPath("store/traces").String(), transport)
	if err != nil {
		return usageError{err}
	}
	opts.Traces = client
	opts.Jaeger = forward(base, "jaeger", transport)
	opts.Prometheus = forward(base, "prometheus", transport)
	stored, err := metrics.NewRemote(metrics.RemoteOptions{URL: base.JoinPath("prometheus").String(), Transport: transport})
	if err != nil {
		return usageError{err}
	}
	opts.Metrics = stored
	opts.RemoteTargets = remoteTargets(base.JoinPath("targets").String(), transport)
	return nil
}
