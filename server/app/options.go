package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/ca"
	"github.com/sidelight-mesh/sidelight/server/config/kubernetes"
	"github.com/sidelight-mesh/sidelight/server/grafana"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

// Options says what a server is made of. Only ConfigDir is needed; what is nil
// is missing, and the API says so where it is asked for.
type Options struct {
	ConfigDir string // watched directory of YAML, made when it is missing
	StateDir  string // revisions and inventory across a restart; "" = memory only

	API   string // listen address of UI and API; default 127.0.0.1:8430
	Admin string // listen address of health, metrics and profiles; default 127.0.0.1:8431
	XDS   string // listen address of configuration and agent streams; default 127.0.0.1:15010

	// Secure is the listen address of the same over TLS, and of certificates;
	// default 127.0.0.1:15012. Authority says what they are issued by; its Dir is
	// of no effect, they are kept in StateDir.
	Secure    string
	Authority ca.Options
	// RootNamespace is where policies stand that hold for the whole mesh; default
	// istio-system.
	RootNamespace string

	// Cluster names the mesh cluster that endpoints of the registry are in; ""
	// when there is but one.
	Cluster string

	// Rollout says which nodes get a revision first.
	Rollout rollout.Policy

	// Fault makes the distribution of configuration misbehave, for showing it.
	Fault xds.Fault

	// Observe are other control planes and proxies whose state is shown, as
	// server/observe takes them.
	Observe []string

	// Hosts are the names besides loopback by which browsers may reach the API
	// (--allowed-hosts): "mesh.example.com", with a port when it matters.
	Hosts []string

	// APICert and APIKey are PEM files by which the API speaks TLS, followed as
	// they change; "" for plain HTTP.
	APICert, APIKey string

	// AccessFile holds the rules of who may look, tap and change; "" for those
	// without a file.
	AccessFile string

	// TapRedact names header fields whose values a tap never shows, besides those
	// that hold credentials; in any case.
	TapRedact []string

	Metrics    metrics.Querier // stored metrics: cost, ejections, history
	Prometheus http.Handler    // Prometheus API, relative to /api/v1/...
	Jaeger     http.Handler    // Jaeger API, relative to /api/...
	Traces     traces.Querier  // stored traces
	Alerts     *Alerts         // nil: no alerts are evaluated here
	UI         http.Handler    // everything that is not the API
	// Kubernetes is a cluster to read objects, services and endpoints from, besides
	// ConfigDir; nil for none. Its Earlier and Logger are set here.
	Kubernetes *kubernetes.Options
	// Grafana is the user's, to be embedded; without a URL there is none. Its
	// Logger and Registerer are set here.
	Grafana grafana.Options
	// JaegerUI and PersesUI are the addresses of the user's own, to link to.
	JaegerUI, PersesUI string

	// Targets tells what the collector in this process scrapes and how that
	// goes; nil when the collector runs elsewhere.
	Targets func() []TargetStatus
	// RemoteTargets asks the collector elsewhere for the same; nil when there is
	// none to ask.
	RemoteTargets func(ctx context.Context) ([]TargetStatus, error)
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

// Alerts say which rules this process evaluates, and who is told.
type Alerts struct {
	Engine        func(metrics.RuleOptions) *metrics.Rules // over the store
	Every         time.Duration                            // how often rules are evaluated that do not say
	Files         []string                                 // the user's rule files, may hold *
	Alertmanagers []string                                 // base URLs
	Webhooks      []string                                 // URLs
	ExternalURL   string                                   // of the UI, for links in notifications; default the API's address
}

// Target is a metrics endpoint of a connected node, for a collector to scrape.
type Target struct {
	Address  string // host:port
	Secure   bool   // over TLS
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
	API, Admin, XDS, Secure string
	URL                     string // of the API: https where it has a certificate
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
	if o.Secure == "" {
		o.Secure = "127.0.0.1:15012"
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
