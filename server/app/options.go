package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

// Options says what a server is made of. Only ConfigDir is needed; what is nil
// is missing, and the API says so where it is asked for.
type Options struct {
	ConfigDir string // watched directory of YAML, made when it is missing
	StateDir  string // revisions and inventory across a restart; "" = memory only

	API   string // listen address of UI and API; default 127.0.0.1:8430
	Admin string // listen address of health, metrics and profiles; default 127.0.0.1:8431
	XDS   string // listen address of configuration and agent streams; default 127.0.0.1:15010

	// Cluster names the mesh cluster that endpoints of the registry are in; ""
	// when there is but one.
	Cluster string

	// Hosts are the names besides loopback by which browsers may reach the API
	// (--allowed-hosts): "mesh.example.com", with a port when it matters.
	Hosts []string

	Metrics    MetricsPort    // stored metrics, for the cost figures
	Prometheus http.Handler   // Prometheus API, relative to /api/v1/...
	Jaeger     http.Handler   // Jaeger API, relative to /api/...
	Traces     traces.Querier // stored traces
	UI         http.Handler   // everything that is not the API

	// Targets tells what the collector in this process scrapes and how that
	// goes; nil when the collector runs elsewhere.
	Targets func() []TargetStatus
	// Unread tells what that collector cannot read now, and since when: a broken
	// file of targets, a discovery that does not answer.
	Unread func() []graph.Stale
	// Losses tells what the other parts of this process lost.
	Losses func() []Loss

	Mode    string // run | server | demo, as /api/v1/status shows it
	Version string

	Logger     *slog.Logger
	Registerer prometheus.Registerer // own metrics; default a registry of its own
	Gatherer   prometheus.Gatherer   // what /metrics on the admin listener shows; default that registry
}

// MetricsPort answers one PromQL instant query with one number. ok is false
// when the query has no result. An error wraps mesh.ErrUnavailable when the
// store does not answer.
type MetricsPort interface {
	Scalar(ctx context.Context, expr string, at time.Time) (value float64, ok bool, err error)
}

// Target is a metrics endpoint of a connected node, for a collector to scrape.
type Target struct {
	Address  string // host:port
	Node     string
	Workload mesh.Workload
}

// TargetStatus is how the scraping of one target goes.
type TargetStatus struct {
	Address    string
	Node       string
	Up         bool
	Error      string
	LastScrape time.Time
	Duration   time.Duration
}

// Loss is one line of the losses ledger: something that was dropped, where,
// and what to do about it.
type Loss struct {
	Where string
	What  string
	Count uint64
	Hint  string
}

// Addrs are the addresses that the listeners were really bound to.
type Addrs struct {
	API, Admin, XDS string
}

func (o *Options) setDefaults() {
	if o.API == "" {
		o.API = "127.0.0.1:8430"
	}
	if o.Admin == "" {
		o.Admin = "127.0.0.1:8431"
	}
	if o.XDS == "" {
		o.XDS = "127.0.0.1:15010"
	}
	if o.Mode == "" {
		o.Mode = "server"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate tells what is wrong with o, naming the flag.
func (o *Options) Validate() error {
	if o.ConfigDir == "" {
		return fmt.Errorf("server options: no folder for the configuration, give one with --config-dir: %w", mesh.ErrInvalid)
	}
	if (o.Registerer == nil) != (o.Gatherer == nil) {
		return fmt.Errorf("server options: Registerer and Gatherer go together: %w", mesh.ErrInvalid)
	}
	return nil
}
