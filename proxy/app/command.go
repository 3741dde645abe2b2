package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/intercept"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// flags are the command line's values before they are understood.
type flags struct {
	Options
	inbound, tcpOutbound []string
	probes               []string
	outbound             string
	intercept            string
	captureOutbound      []string
	captureInbound       []string
	accessLog            string
	protocol             string
	pullInterval         time.Duration
	logLevel             string
	fault                string
	outboundSet          func() bool // --outbound was given
	bootstrap            string
	placement            string
	workloadsFile        string
	gatewayAddress       string
	labels               map[string]string
	given                func(flag string) bool // on the command line
}

// Command gives the command that runs a sidecar. Build is what it says of
// itself to the control plane.
func Command(build string) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Run a sidecar beside a workload",
		Long: `Run a sidecar: it forwards what its workload sends and receives, takes its
configuration from a Sidelight server (or another control plane that speaks
Envoy's xDS v3), and reports metrics, traces
and tapped requests.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Build = build
			return f.run(cmd.Context(), cmd.Flags(), cmd.ErrOrStderr())
		},
	}
	f.register(cmd)
	f.outboundSet = func() bool { return cmd.Flags().Changed("outbound") }
	f.given = cmd.Flags().Changed
	cmd.AddCommand(initCommand(), runCommand(cmd), waitCommand())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return flagError{err}
	})
	return cmd
}

func (f *flags) register(cmd *cobra.Command) {
	p := cmd.Flags()
	p.StringVar(&f.NodeID, "node-id", "", "unique name of this sidecar")
	p.StringVar(&f.Workload.Name, "workload", "", "workload it stands beside")
	p.StringVar(&f.Workload.Namespace, "namespace", "default", "the workload's namespace")
	p.StringVar(&f.Workload.App, "app-name", "", "canonical service of the workload (default: the workload's name)")
	p.StringVar(&f.Workload.Version, "version", "", "canonical revision of the workload")
	p.StringVar(&f.Workload.Cluster, "mesh-cluster", "", "cluster the workload runs in")
	p.StringVar(&f.ServiceAccount, "service-account", "default", "the workload's service account")
	p.BoolVar(&f.Register, "register", false, "make the workload an endpoint of the services that select its labels, while this sidecar is connected: a WorkloadEntry by itself")
	p.StringSliceVar(&f.Servers, "server", []string{"127.0.0.1:15010"}, "control plane `host:port`, or tls://host:port to be known there by certificate; repeat for more, tried in turn")
	p.StringVar(&f.protocol, "xds-protocol", "delta", "how configuration comes: delta, or sotw (state of the world) where the control plane has nothing else, over a stream; or rest, by asking every --pull-interval")
	p.DurationVar(&f.pullInterval, "pull-interval", 5*time.Second, "with --xds-protocol rest: how often the control plane is asked")
	p.StringVar(&f.Identity.JoinToken, "join-token", os.Getenv("SIDELIGHT_JOIN_TOKEN"), "join token for the first certificate; better by SIDELIGHT_JOIN_TOKEN or a file")
	p.Lookup("join-token").DefValue = "" // --help must not print the secret
	p.StringVar(&f.Identity.JoinTokenFile, "join-token-file", "", "`file` with a join token; it may come later")
	p.StringVar(&f.Identity.CertFile, "cert-file", "", "PEM `file` with a SPIFFE certificate that somebody else renews; with --key-file and --roots-file")
	p.StringVar(&f.Identity.KeyFile, "key-file", "", "PEM `file` with its key")
	p.StringVar(&f.Identity.RootsFile, "roots-file", "", "PEM `file` with the roots of the trust domain")
	p.StringVar(&f.Identity.WorkloadAPI, "workload-api", "", "SPIFFE Workload API: `unix:///path`")
	p.StringVar(&f.placement, "placement", "sidecar", "where it stands: sidecar; gateway at the edge of the mesh, by the Gateways that select its labels; or node, for many workloads")
	p.StringVar(&f.workloadsFile, "workloads", "", "with --placement node: YAML `file` with the flags of each workload that this process serves")
	p.StringVar(&f.gatewayAddress, "gateway-address", "127.0.0.1", "with --placement gateway: IP `address` to listen on, 0.0.0.0 for all")
	p.StringVar(&f.Locality, "locality", "", "where it runs, `REGION[/ZONE[/SUBZONE]]`: endpoints nearby go before others")
	p.StringToStringVar(&f.labels, "label", nil, "a label of the workload: `KEY=VALUE` (repeatable)")
	p.StringVar(&f.bootstrap, "bootstrap", "", "run by the static resources of an Envoy v3 bootstrap `file` (YAML or JSON), without a control plane")
	p.BoolVar(&f.MetricsTLS, "metrics-tls", false, "serve --metrics over TLS by the sidecar's certificate, to collectors of the mesh only")
	p.StringVar(&f.Collector, "collector", "127.0.0.1:4317", "OTLP gRPC `host:port` for spans, or https://host:port for TLS; off for none")
	p.StringVar(&f.CollectorRoots, "collector-roots-file", "", "PEM `file` of the roots that --collector https:// is believed by, and by its host name; by its identity in the mesh when not given")
	p.StringVar(&f.outbound, "outbound", "127.0.0.1:15001", "`address` where the app's requests come in; off for none")
	p.StringArrayVar(&f.inbound, "inbound", nil, "a port of the app: `ADDR=APPADDR/PROTO[/SERVICEPORT]`, PROTO http, grpc or tcp (repeatable)")
	p.StringArrayVar(&f.tcpOutbound, "tcp-outbound", nil, "a port that leads to a TCP service: `ADDR=HOST:PORT` (repeatable)")
	p.StringVar(&f.intercept, "intercept", "off", "`mode` in which the kernel brings traffic, as \"sidelight-proxy init\" set it up: redirect, tproxy, or off for explicit ports. The addresses of --inbound are then those that clients dial")
	p.StringSliceVar(&f.captureOutbound, "capture-outbound", nil, "with --intercept: `address` where the app's connections arrive (default 127.0.0.1:15001 and [::1]:15001)")
	p.StringSliceVar(&f.captureInbound, "capture-inbound", nil, "with --intercept: `address` where connections to the app arrive (default :15006)")
	p.StringVar(&f.Admin, "admin", "127.0.0.1:15000", "admin `address`, loopback only; off for none")
	p.StringVar(&f.Metrics, "metrics", "127.0.0.1:15020", "`address` of /metrics; off for none")
	p.StringVar(&f.Health, "health", "127.0.0.1:15021", "`address` of /healthz/ready, /healthz/serving, /healthz/live and the app's probes; off for none")
	p.StringArrayVar(&f.probes, "app-probe", nil, "a probe of the app's to answer at --health, readiness only while the sidecar serves: `[CONTAINER/]KIND=URL`, KIND readyz, livez or startupz, URL http, https, tcp or grpc (repeatable)")
	p.StringVar(&f.StateDir, "state-dir", "", "`directory` for the last good configuration")
	p.DurationVar(&f.DrainTime, "drain-time", 5*time.Second, "how long requests under way may take at the end")
	p.Float64Var(&f.Sampling, "sampling", 1, "share of new traces that is recorded, 0 to 1")
	p.BoolVar(&f.NoErrorSpans, "no-error-spans", false, "do not send spans of failed requests whose trace is not recorded")
	p.StringVar(&f.accessLog, "access-log", "off", "`file` for a line a request, - for standard output, or off")
	p.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	p.IntVar(&f.MaxConnections, "max-connections", 0, "client connections at a time (default 8192)")
	p.IntVar(&f.ParentPID, "parent-pid", 0, "exit when this `process` is gone")
	p.StringVar(&f.fault, "fault", "", "test fault: stall-config, nack=REGEX, drift=REGEX, slow-config=TIME or old-build=VERSION,FIELD")
	_ = p.MarkHidden("fault") // the flag exists, so it can be hidden
}

// run understands the flags and serves until a signal.
func (f *flags) run(ctx context.Context, command *pflag.FlagSet, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	// A second signal ends the process at once.
	defer context.AfterFunc(ctx, stop)()
	if f.placement == "node" || f.workloadsFile != "" {
		switch {
		case f.workloadsFile == "":
			return flagError{errors.New("--placement node: needs --workloads, a file with the workloads of this node")}
		case f.placement == "gateway":
			return flagError{errors.New("--workloads: is for --placement node")}
		}
		paceHeap()
		return f.runNode(ctx, command, stderr)
	}
	closeLog, err := f.complete(stderr)
	if err != nil {
		return err
	}
	defer closeLog()
	paceHeap()
	f.Tidy = true
	a, err := New(f.Options)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// complete turns the flags' texts into options.
func (f *flags) complete(stderr io.Writer) (closeLog func(), err error) {
	closeLog = func() {}
	f.Level = new(slog.LevelVar)
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return closeLog, flagError{fmt.Errorf("--log-level: %q is none of debug, info, warn, error", f.logLevel)}
	}
	f.Level.Set(level)
	f.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: f.Level}))
	if err := f.readBootstrap(); err != nil {
		return closeLog, err
	}
	if f.Workload.App == "" {
		f.Workload.App = f.Workload.Name
	}
	for _, a := range []*string{&f.outbound, &f.Admin, &f.Metrics, &f.Health, &f.Collector} {
		if *a == "off" {
			*a = ""
		}
	}
	switch f.protocol {
	case "delta":
	case "sotw":
		f.StateOfTheWorld = true
	case "rest":
		if f.Pull = f.pullInterval; f.Pull < time.Second || f.Pull > time.Hour {
			return closeLog, flagError{fmt.Errorf("--pull-interval: want 1s to 1h, got %s", f.pullInterval)}
		}
	default:
		return closeLog, flagError{fmt.Errorf("--xds-protocol: %q is none of delta, sotw, rest", f.protocol)}
	}
	if err := f.place(); err != nil {
		return closeLog, err
	}
	f.Outbound = f.outbound
	f.capture()
	for _, text := range f.inbound {
		in, err := parseInbound(text)
		if err != nil {
			return closeLog, flagError{fmt.Errorf("--inbound: %w", err)}
		}
		f.Inbound = append(f.Inbound, in)
	}
	for _, text := range f.tcpOutbound {
		t, err := parseTCPOutbound(text)
		if err != nil {
			return closeLog, flagError{fmt.Errorf("--tcp-outbound: %w", err)}
		}
		f.TCPOutbound = append(f.TCPOutbound, t)
	}
	for _, text := range f.probes {
		probe, err := parseProbe(text)
		if err != nil {
			return closeLog, flagError{fmt.Errorf("--app-probe: %w", err)}
		}
		f.Probes = append(f.Probes, probe)
	}
	var build string
	if f.Fault, build, err = parseFault(f.fault); err != nil {
		return closeLog, flagError{fmt.Errorf("--fault: %w", err)}
	}
	f.Build = cmp.Or(build, f.Build)
	switch f.accessLog {
	case "off", "":
	case "-":
		f.AccessLog = os.Stdout
	default:
		file, err := os.OpenFile(f.accessLog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return closeLog, fmt.Errorf("--access-log: %w", err)
		}
		f.AccessLog = file
		closeLog = func() { _ = file.Close() }
	}
	return closeLog, nil
}

// place sets what the placement makes of the other flags.
func (f *flags) place() error {
	f.Labels = f.labels
	switch f.placement {
	case "sidecar":
	case "gateway":
		f.Gateway = f.gatewayAddress
		if !f.outboundSet() {
			f.outbound = "" // there is no app beside it
		}
	default:
		return flagError{fmt.Errorf("--placement: %q is none of sidecar, gateway, node", f.placement)}
	}
	return nil
}

// capture sets what interception makes of the other flags.
func (f *flags) capture() {
	if f.intercept == "off" || f.intercept == "" {
		return
	}
	f.Intercept = intercept.Mode(f.intercept)
	f.CaptureOutbound, f.CaptureInbound = f.captureOutbound, f.captureInbound
	if len(f.CaptureOutbound) == 0 {
		f.CaptureOutbound = []string{"127.0.0.1:15001"}
		if hasIPv6() {
			f.CaptureOutbound = append(f.CaptureOutbound, "[::1]:15001")
		}
	}
	if len(f.CaptureInbound) == 0 {
		f.CaptureInbound = []string{":15006"}
	}
	if !f.outboundSet() {
		f.Outbound = "" // its default port is the entrance now
	}
}

// hasIPv6 reports whether this network namespace has IPv6 at all.
func hasIPv6() bool {
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	_ = ln.Close()
	return true
}

// parseInbound reads ADDR=APPADDR/PROTO[/SERVICEPORT].
func parseInbound(text string) (xds.Inbound, error) {
	var in xds.Inbound
	address, rest, ok := strings.Cut(text, "=")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 2 || len(parts) > 3 {
		return in, fmt.Errorf("%q is not ADDR=APPADDR/PROTO[/SERVICEPORT]", text)
	}
	in.Address, in.App, in.Protocol = address, parts[0], mesh.Protocol(parts[1])
	switch in.Protocol {
	case mesh.HTTP, mesh.GRPC, mesh.TCP:
	default:
		return in, fmt.Errorf("%q: protocol %q is none of http, grpc, tcp", text, parts[1])
	}
	port := ""
	if len(parts) == 3 {
		port = parts[2]
	} else if _, p, err := net.SplitHostPort(in.App); err == nil {
		port = p
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return in, fmt.Errorf("%q: service port %q is not a number from 1 to 65535", text, port)
	}
	in.ServicePort = n
	return in, nil
}

// parseTCPOutbound reads ADDR=HOST:PORT.
func parseTCPOutbound(text string) (xds.TCPOutbound, error) {
	var t xds.TCPOutbound
	address, target, ok := strings.Cut(text, "=")
	host, port, err := net.SplitHostPort(target)
	if !ok || err != nil || host == "" {
		return t, fmt.Errorf("%q is not ADDR=HOST:PORT", text)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return t, fmt.Errorf("%q: port %q is not a number from 1 to 65535", text, port)
	}
	return xds.TCPOutbound{Address: address, Host: host, Port: n}, nil
}

// parseFault reads NAME or NAME=VALUE.
func parseFault(text string) (f xds.Fault, build string, err error) {
	name, value, _ := strings.Cut(text, "=")
	switch name {
	case "":
	case "stall-config":
		f.StallAfterFirst = true
	case "nack":
		f.RefuseName, err = regexp.Compile(value)
	case "drift":
		f.KeepName, err = regexp.Compile(value)
	case "slow-config":
		f.Slow, err = time.ParseDuration(value)
	case "old-build":
		build, f.Unknown, _ = strings.Cut(value, ",")
	default:
		err = errors.New("want stall-config, nack=REGEX, drift=REGEX, slow-config=TIME or old-build=VERSION,FIELD")
	}
	return f, build, err
}
