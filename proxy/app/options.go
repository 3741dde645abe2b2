package app

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/intercept"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// Options are a sidecar's whole set-up. The zero value of an address means
// that the sidecar does not listen there.
type Options struct {
	NodeID         string
	Workload       mesh.Workload
	ServiceAccount string
	Labels         map[string]string
	Locality       string // "region/zone/sub-zone", as much of it as is known
	Build          string

	Servers []string // control planes, "host:port" or, all of them, "tls://host:port", tried in turn; none = Static
	// Register makes the workload's ports endpoints while the sidecar is connected.
	Register bool
	// StateOfTheWorld: the control planes have no incremental protocol.
	StateOfTheWorld bool
	// Pull asks them by REST, so often; 0: they tell.
	Pull           time.Duration
	MetricsTLS     bool   // Metrics speaks TLS, to collectors of the mesh only
	Collector      string // OTLP gRPC, "host:port", with TLS "https://host:port"; "" = no spans
	CollectorRoots string // file of the roots that it is believed by, and by its host name; "" = by its identity

	Outbound    string
	Inbound     []xds.Inbound
	TCPOutbound []xds.TCPOutbound

	// Intercept says that the kernel brings the app's traffic, by the rules of
	// proxy/intercept: "" (explicit ports), "redirect" or "tproxy". The addresses
	// of Inbound are then those that clients dial, and are not bound.
	Intercept       intercept.Mode
	CaptureOutbound []string
	CaptureInbound  []string

	Admin   string
	Metrics string
	Health  string
	Probes  []Probe // of the app's, answered at Health

	// Identity says where the sidecar's certificate comes from; nothing in it
	// means that there is none, and no TLS.
	Identity IdentityOptions

	StateDir       string
	DrainTime      time.Duration
	Sampling       float64
	NoErrorSpans   bool      // failed requests have spans only when sampled
	AccessLog      io.Writer // nil = off
	MaxConnections int
	Fault          xds.Fault
	ParentPID      int  // 0 = nobody's child
	Guest          bool // another of this process tells about the process in its metrics
	Tidy           bool // give memory back while calm; for a process that is only a sidecar

	// Static is configuration for a sidecar without control plane. Its listeners
	// may name port 0 where Outbound, Inbound and TCPOutbound do.
	Static     *forward.Snapshot
	StaticDump *xds.Dump // Static in Envoy's form, for the admin port; nil = not shown

	// Gateway is the IP address to listen on at the mesh's edge; "" = this is a
	// sidecar.
	Gateway string

	Logger *slog.Logger
	Level  *slog.LevelVar // what /logging changes; nil = fixed
}

func (o *Options) kind() string {
	if o.Gateway != "" {
		return "gateway"
	}
	return "sidecar"
}

// Validate says what is wrong, naming the command line's flag.
func (o *Options) Validate() error {
	bad := func(flag, format string, args ...any) error {
		return flagError{fmt.Errorf("--%s: %s", flag, fmt.Sprintf(format, args...))}
	}
	switch {
	case o.NodeID == "":
		return bad("node-id", "must be set")
	case o.Workload.Name == "":
		return bad("workload", "must be set")
	case o.Workload.Namespace == "":
		return bad("namespace", "must be set")
	case len(o.Servers) == 0 && o.Static == nil:
		return bad("server", "must be set")
	case o.Intercept != "" && o.Intercept != intercept.Redirect && o.Intercept != intercept.TProxy:
		return bad("intercept", "%q is none of off, redirect, tproxy", o.Intercept)
	case o.Intercept != "" && len(o.TCPOutbound) > 0:
		return bad("tcp-outbound", "is for explicit ports; with --intercept the app dials the service itself")
	case o.Sampling < 0 || o.Sampling > 1:
		return bad("sampling", "%v is not between 0 and 1", o.Sampling)
	case o.DrainTime < 0:
		return bad("drain-time", "%s is negative", o.DrainTime)
	}
	if o.Gateway != "" && net.ParseIP(o.Gateway) == nil {
		return bad("gateway-address", "%q is not an IP address", o.Gateway)
	}
	if err := o.Identity.validate(o.Servers); err != nil {
		return err
	}
	if o.MetricsTLS && !o.Identity.given() {
		return bad("metrics-tls", "needs a certificate: give --join-token-file, --cert-file or --workload-api")
	}
	seen := make(map[string]bool, len(o.Probes))
	for _, p := range o.Probes {
		if err := p.validate(); err != nil {
			return bad("app-probe", "%v", err)
		}
		if seen[p.path()] {
			return bad("app-probe", "%s is given twice; name the containers: CONTAINER/%s=URL", p.Kind, p.Kind)
		}
		seen[p.path()] = true
	}
	collector, secure := spansOver(o.Collector)
	if o.CollectorRoots != "" && !secure {
		return bad("collector-roots-file", "is for TLS: write --collector https://HOST:PORT")
	}
	addresses := []struct{ flag, value string }{
		{"outbound", o.Outbound},
		{"admin", o.Admin},
		{"metrics", o.Metrics},
		{"health", o.Health},
		{"collector", collector},
	}
	for _, s := range o.Servers {
		addresses = append(addresses, struct{ flag, value string }{"server", strings.TrimPrefix(s, tlsScheme)})
	}
	for _, in := range o.Inbound {
		addresses = append(addresses, struct{ flag, value string }{"inbound", in.Address},
			struct{ flag, value string }{"inbound", in.App})
	}
	for _, t := range o.TCPOutbound {
		addresses = append(addresses, struct{ flag, value string }{"tcp-outbound", t.Address})
	}
	for flag, list := range map[string][]string{"capture-outbound": o.CaptureOutbound, "capture-inbound": o.CaptureInbound} {
		for _, a := range list {
			addresses = append(addresses, struct{ flag, value string }{flag, a})
		}
	}
	for _, a := range addresses {
		if a.value == "" {
			continue
		}
		if err := checkAddress(a.value); err != nil {
			return bad(a.flag, "%v", err)
		}
	}
	if o.Admin != "" && !isLoopback(o.Admin) {
		return bad("admin", "%s is not a loopback address; the admin port has no authentication", o.Admin)
	}
	return nil
}

// flagError is a command line that cannot be meant. It is mesh.ErrInvalid, which
// its text leaves unsaid.
type flagError struct{ error }

func (e flagError) Unwrap() []error { return []error{e.error, mesh.ErrInvalid} }

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q: port %q is not a number from 0 to 65535", address, port)
	}
	return nil
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
