package graph

import (
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Group says what a node of a view is.
type Group string

// The groupings.
const (
	ByWorkload  Group = "workload"
	ByApp       Group = "app"
	ByVersioned Group = "versioned" // app and version
	ByService   Group = "service"
	ByNamespace Group = "namespace"
)

// Groups lists the groupings, finest first.
func Groups() []Group { return []Group{ByWorkload, ByVersioned, ByApp, ByService, ByNamespace} }

// Kind says what a node stands for.
type Kind string

// The kinds of node.
const (
	KindWorkload  Kind = "workload"
	KindService   Kind = "service"
	KindApp       Kind = "app"
	KindNamespace Kind = "namespace"
	KindExternal  Kind = "external"
	KindUnknown   Kind = "unknown"
	KindRest      Kind = "rest" // namespaces for which there was no room
)

// View is the graph at one time. Lists are never nil.
type View struct {
	Epoch   string    `json:"epoch"`
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"` // the end of what is shown: the newest second that is complete
	WindowS float64   `json:"window_s"`
	Group   Group     `json:"group"`
	Nodes   []*Node   `json:"nodes"` // by ID; what views share is not to be changed
	Edges   []*Edge   `json:"edges"` // the same
	Stale   []Stale   `json:"stale"`
	Folded  Folded    `json:"folded,omitzero"`   // with folding only
	Matched *Matched  `json:"matched,omitempty"` // with a find expression only
	Hidden  *Matched  `json:"hidden,omitempty"`  // with hide or filter only
	Totals  Totals    `json:"totals"`
	Limits  Limits    `json:"limits"`
}

// Stale is a source of data that does not answer.
type Stale struct {
	Source string    `json:"source"` // scrape target
	Node   string    `json:"node,omitempty"`
	Since  time.Time `json:"since"` // its last data
	Reason string    `json:"reason"`
}

// Matched counts what an expression matched.
type Matched struct {
	Nodes int `json:"nodes"`
	Edges int `json:"edges"`
}

// Totals are of all edges shown.
type Totals struct {
	RPS        float64  `json:"rps"`
	ErrorRatio float64  `json:"error_ratio"`
	P95MS      *float64 `json:"p95_ms"`
}

// Limits tells how full the engine is.
type Limits struct {
	Edges    int `json:"edges"`
	EdgesMax int `json:"edges_max"`
	Dropped  int `json:"dropped"` // edges that found no room
}

// Node is a workload, service, app, namespace or external host.
type Node struct {
	ID        string       `json:"id"` // "workload:cinema/catalog-v1", "service:<host>", "external:<host>", "unknown"
	Kind      Kind         `json:"kind"`
	Cluster   string       `json:"cluster,omitempty"`
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	App       string       `json:"app,omitempty"`
	Version   string       `json:"version,omitempty"`
	Meshed    bool         `json:"meshed"` // has a sidecar that reports
	Gateway   bool         `json:"gateway,omitempty"`
	Folded    *Folded      `json:"folded,omitempty"` // of a namespace, or of the rest
	Config    *ConfigState `json:"config,omitempty"`
	Health    Health       `json:"health"`
	In        Traffic      `json:"in"`
	Out       Traffic      `json:"out"`
	RPSSeries []float64    `json:"rps_series"` // last 60 s, one value a second, oldest first: in, or out when nothing comes in
	Match     bool         `json:"match,omitempty"`

	written *written // without match; nil when it is not kept
}

// ConfigState is the worst configuration state among a node's sidecars.
type ConfigState struct {
	State    string `json:"state"` // as in server/skew
	Revision uint64 `json:"revision"`
	Behind   int    `json:"behind"`
	Nodes    int    `json:"nodes"`
}

// Traffic sums the edges on one side of a node.
type Traffic struct {
	RPS               float64  `json:"rps"`
	ErrorRatio        float64  `json:"error_ratio"`
	P50MS             *float64 `json:"p50_ms"`
	P95MS             *float64 `json:"p95_ms"`
	P99MS             *float64 `json:"p99_ms"`
	SentBytesPerS     float64  `json:"sent_bytes_per_s"`
	ReceivedBytesPerS float64  `json:"received_bytes_per_s"`
	ActiveConnections float64  `json:"active_connections"`
}

// Edge is the traffic from one node to another by one protocol. Its main
// figures are the client side's where that reports, else the server side's.
type Edge struct {
	ID       string        `json:"id"` // "<source>><target>:<protocol>"
	Source   string        `json:"source"`
	Target   string        `json:"target"`
	Protocol mesh.Protocol `json:"protocol"`
	Service  *mesh.Service `json:"service,omitempty"` // what was called; the busiest when several

	RPS        float64            `json:"rps"`
	ErrorRatio float64            `json:"error_ratio"` // 5xx, no answer, gRPC status other than OK; TCP: failed connections
	P50MS      *float64           `json:"p50_ms"`
	P95MS      *float64           `json:"p95_ms"`
	P99MS      *float64           `json:"p99_ms"`
	Codes      map[string]float64 `json:"codes"` // code -> rps: "200", "0", "grpc:14"
	Flags      map[string]float64 `json:"flags"` // response flag -> rps, without "-"
	AnsweredBy AnsweredBy         `json:"answered_by"`
	Answers    []Answer           `json:"answers"` // errors only, worst first, at most ten

	AttemptsPerRequest    float64  `json:"attempts_per_request"` // 0 when not known
	Mirrored              bool     `json:"mirrored"`
	NewConnectionsPerS    float64  `json:"new_connections_per_s"`
	RequestsPerConnection *float64 `json:"requests_per_connection"`
	MTLSRatio             float64  `json:"mtls_ratio"`
	SentBytesPerS         float64  `json:"sent_bytes_per_s"`
	ReceivedBytesPerS     float64  `json:"received_bytes_per_s"`
	ActiveConnections     float64  `json:"active_connections"`
	Weight                *Weight  `json:"weight,omitempty"`

	ClientSide *Side `json:"client_side"`
	ServerSide *Side `json:"server_side"`

	Health      Health    `json:"health"`
	RPSSeries   []float64 `json:"rps_series"` // last 60 s, one value a second, oldest first
	ErrorSeries []float64 `json:"error_series"`
	Match       bool      `json:"match,omitempty"`

	written *written // without match; nil when it is not kept
}

// AnsweredBy splits an edge's requests, per second, by who decided the answer.
// Both are 0 when nobody could tell.
type AnsweredBy struct {
	Upstream float64 `json:"upstream"`
	Proxy    float64 `json:"proxy"` // either side's
}

// Answer is one kind of error answer.
type Answer struct {
	Code    int     `json:"code"`
	GRPC    string  `json:"grpc,omitempty"`
	Flags   string  `json:"flags"`
	By      string  `json:"by"`      // upstream | proxy; "" where the mesh does not tell
	Details string  `json:"details"` // why the proxy answered
	Object  string  `json:"object"`  // the configuration object that made it
	RPS     float64 `json:"rps"`
}

// Weight is an edge's share of the route split that it belongs to, 0 to 1.
type Weight struct {
	Configured float64 `json:"configured"`
	Actual     float64 `json:"actual"`
}

// Side is an edge as one reporter saw it.
type Side struct {
	RPS        float64  `json:"rps"`
	ErrorRatio float64  `json:"error_ratio"`
	P50MS      *float64 `json:"p50_ms"`
	P95MS      *float64 `json:"p95_ms"`
	P99MS      *float64 `json:"p99_ms"`
}

// Timeline is the whole mesh's traffic over time, for the time bar.
type Timeline struct {
	From       time.Time `json:"from"`
	StepS      int       `json:"step_s"`
	RPS        []float64 `json:"rps"`
	ErrorsPerS []float64 `json:"errors_per_s"`
	Markers    []Marker  `json:"markers"`
}

// Marker is an event on the time bar.
type Marker struct {
	At       time.Time   `json:"at"`
	Kind     string      `json:"kind"` // config | start | stop | breaker | alert
	Text     string      `json:"text"`
	Revision uint64      `json:"revision,omitempty"`
	Severity HealthState `json:"severity,omitempty"`
}
