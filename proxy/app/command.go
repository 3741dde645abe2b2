package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// flags are the command line's values before they are understood.
type flags struct {
	Options
	inbound, tcpOutbound []string
	outbound             string
	accessLog            string
	logLevel             string
	fault                string
}

// Command gives the command that runs a sidecar. Build is what it says of
// itself to the control plane.
func Command(build string) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Run a sidecar beside a workload",
		Long: `Run a sidecar: it forwards what its workload sends and receives, takes its
configuration from a Sidelight server (delta xDS), and reports metrics, traces
and tapped requests.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Build = build
			return f.run(cmd.Context(), cmd.ErrOrStderr())
		},
	}
	f.register(cmd)
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
	p.StringSliceVar(&f.Servers, "server", []string{"127.0.0.1:15010"}, "control plane `host:port`; repeat for more, tried in turn")
	p.StringVar(&f.Collector, "collector", "127.0.0.1:4317", "OTLP gRPC `host:port` for spans; off for none")
	p.StringVar(&f.outbound, "outbound", "127.0.0.1:15001", "`address` where the app's requests come in; off for none")
	p.StringArrayVar(&f.inbound, "inbound", nil, "a port of the app: `ADDR=APPADDR/PROTO[/SERVICEPORT]`, PROTO http, grpc or tcp (repeatable)")
	p.StringArrayVar(&f.tcpOutbound, "tcp-outbound", nil, "a port that leads to a TCP service: `ADDR=HOST:PORT` (repeatable)")
	p.StringVar(&f.Admin, "admin", "127.0.0.1:15000", "admin `address`, loopback only; off for none")
	p.StringVar(&f.Metrics, "metrics", "127.0.0.1:15020", "`address` of /metrics; off for none")
	p.StringVar(&f.Health, "health", "127.0.0.1:15021", "`address` of /healthz/ready and /healthz/live; off for none")
	p.StringVar(&f.StateDir, "state-dir", "", "`directory` for the last good configuration")
	p.DurationVar(&f.DrainTime, "drain-time", 5*time.Second, "how long requests under way may take at the end")
	p.Float64Var(&f.Sampling, "sampling", 1, "share of new traces that is recorded, 0 to 1")
	p.StringVar(&f.accessLog, "access-log", "off", "`-` (standard output), a file, or off")
	p.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	p.IntVar(&f.MaxConnections, "max-connections", 0, "client connections at a time (default 8192)")
	p.IntVar(&f.ParentPID, "parent-pid", 0, "exit when this `process` is gone")
	p.StringVar(&f.fault, "fault", "", "test fault: stall-config or nack=REGEX")
	_ = p.MarkHidden("fault") // the flag exists, so it can be hidden
}

// run understands the flags and serves until a signal.
func (f *flags) run(ctx context.Context, stderr io.Writer) error {
	closeLog, err := f.complete(stderr)
	if err != nil {
		return err
	}
	defer closeLog()
	limitMemory()
	a, err := New(f.Options)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	trim := time.AfterFunc(startPagesAfter, func() {
		f.Logger.Debug("gave start-up pages back", "bytes", dropStartPages())
	})
	defer trim.Stop()
	// A second signal ends the process at once.
	defer context.AfterFunc(ctx, stop)()
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
	if f.Workload.App == "" {
		f.Workload.App = f.Workload.Name
	}
	for _, a := range []*string{&f.outbound, &f.Admin, &f.Metrics, &f.Health, &f.Collector} {
		if *a == "off" {
			*a = ""
		}
	}
	f.Outbound = f.outbound
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
	if f.Fault, err = parseFault(f.fault); err != nil {
		return closeLog, flagError{fmt.Errorf("--fault: %w", err)}
	}
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

func parseFault(text string) (xds.Fault, error) {
	var f xds.Fault
	switch pattern, isNack := strings.CutPrefix(text, "nack="); {
	case text == "":
	case text == "stall-config":
		f.StallAfterFirst = true
	case isNack:
		re, err := regexp.Compile(pattern)
		if err != nil {
			return f, err
		}
		f.RefuseName = re
	default:
		return f, errors.New("want stall-config or nack=REGEX")
	}
	return f, nil
}

// limitMemory makes the collector work a little harder for a small footprint:
// there is one sidecar per workload. GOGC and GOMEMLIMIT, when set, win.
func limitMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemoryLimit)
	}
}

// startPagesAfter is when the first configuration has usually come.
const startPagesAfter = 3 * time.Second

// softMemoryLimit is where collection becomes eager. It is no hard bound: a
// sidecar with thousands of open streams takes what they need.
const softMemoryLimit = 48 << 20
