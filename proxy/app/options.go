package app

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// Options are a sidecar's whole set-up. The zero value of an address means
// that the sidecar does not listen there.
type Options struct {
	NodeID         string
	Workload       mesh.Workload
	ServiceAccount string
	Labels         map[string]string
	Build          string

	Servers   []string // control planes, "host:port", tried in turn; none = Static
	Collector string   // OTLP gRPC, "host:port"; "" = no spans

	Outbound    string
	Inbound     []xds.Inbound
	TCPOutbound []xds.TCPOutbound

	Admin   string
	Metrics string
	Health  string

	StateDir       string
	DrainTime      time.Duration
	Sampling       float64
	AccessLog      io.Writer // nil = off
	MaxConnections int
	Fault          xds.Fault
	ParentPID      int // 0 = nobody's child

	// Static is configuration for a sidecar without control plane. Its listeners
	// may name port 0 where Outbound, Inbound and TCPOutbound do.
	Static *forward.Snapshot

	Logger *slog.Logger
	Level  *slog.LevelVar // what /logging changes; nil = fixed
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
	case o.Sampling < 0 || o.Sampling > 1:
		return bad("sampling", "%v is not between 0 and 1", o.Sampling)
	case o.DrainTime < 0:
		return bad("drain-time", "%s is negative", o.DrainTime)
	}
	addresses := []struct{ flag, value string }{
		{"outbound", o.Outbound},
		{"admin", o.Admin},
		{"metrics", o.Metrics},
		{"health", o.Health},
		{"collector", o.Collector},
	}
	for _, s := range o.Servers {
		addresses = append(addresses, struct{ flag, value string }{"server", s})
	}
	for _, in := range o.Inbound {
		addresses = append(addresses, struct{ flag, value string }{"inbound", in.Address},
			struct{ flag, value string }{"inbound", in.App})
	}
	for _, t := range o.TCPOutbound {
		addresses = append(addresses, struct{ flag, value string }{"tcp-outbound", t.Address})
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
