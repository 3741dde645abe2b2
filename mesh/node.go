package mesh

import (
	"slices"
	"time"
)

// Node is one running sidecar, gateway or per-node proxy: a thing that takes
// configuration. Its ID is unique in a mesh and stable over reconnects, as
// "sidecar~<address>~<instance>.<namespace>~<domain>" or any text of the
// user's.
type Node struct {
	ID        string            `json:"id"`
	Workload  Workload          `json:"workload"`
	Kind      string            `json:"kind"` // sidecar | gateway | pernode
	Build     string            `json:"build"`
	Address   string            `json:"address,omitempty"` // metrics "host:port", from which the collector scrapes
	Secure    bool              `json:"secure,omitempty"`  // over TLS, to collectors of the mesh only
	StartedAt time.Time         `json:"started_at,omitzero"`
	Labels    map[string]string `json:"labels,omitempty"`
	PullS     float64           `json:"pull_s,omitempty"` // it asks for its configuration so often, in seconds; 0: it is told
}

// The identities of Sidelight's own processes, by which others know them: no
// workload can be in their namespace.
const (
	SystemNamespace  = "sidelight-system"
	ServerAccount    = "sidelight"
	CollectorAccount = "collector"
)

// Identity is the certificate that a node uses.
type Identity struct {
	Principal string           `json:"principal"` // spiffe://cluster.local/ns/cinema/sa/web; "": it has none yet
	Serial    string           `json:"serial"`    // hex
	NotBefore time.Time        `json:"not_before,omitzero"`
	NotAfter  time.Time        `json:"not_after,omitzero"`
	Failure   *IdentityFailure `json:"failure,omitempty"` // why it has no newer one
}

// IdentityFailure says why a node did not get a certificate when it asked last.
type IdentityFailure struct {
	Since  time.Time `json:"since"`  // of the first try that failed
	Reason string    `json:"reason"` // one word of a few: refused, server_unreachable
	Error  string    `json:"error"`
	Remedy string    `json:"remedy"` // what to do
}

// Life is one run of a sidecar beside its application: what came up when, and
// what went when. A zero time is of what has not happened, or was not seen. All
// are by the sidecar's clock.
type Life struct {
	StartedAt      time.Time `json:"started_at"`
	App            bool      `json:"app"`                  // it has an application whose port it knows
	ServingAt      time.Time `json:"serving_at,omitzero"`  // it had configuration, and forwarded from then on
	AppAt          time.Time `json:"app_at,omitzero"`      // the application was first seen to accept connections
	DrainingAt     time.Time `json:"draining_at,omitzero"` // it took no new connections from then on
	DrainedAt      time.Time `json:"drained_at,omitzero"`  // what was under way had ended, or was cut
	AppGoneAt      time.Time `json:"app_gone_at,omitzero"` // the application accepted no connections any more
	EndedAt        time.Time `json:"ended_at,omitzero"`    // it left
	ConnectionsCut int64     `json:"connections_cut"`      // when its drain time was over
}

// Revision is one accepted change of the desired configuration.
type Revision struct {
	Number  uint64    `json:"number"`
	At      time.Time `json:"at"`
	By      string    `json:"by"`      // who
	Source  string    `json:"source"`  // "file:cinema/catalog.yaml", "api"
	Summary string    `json:"summary"` // "changed VirtualService cinema/catalog"
	Objects []Change  `json:"objects"` // what changed against the revision before
	Hash    string    `json:"hash"`    // sha256 of the canonical content, hex
}

// EndpointsOnly reports whether nothing changed but what is called: instances came
// or went. Nobody wrote such a revision.
func (r *Revision) EndpointsOnly() bool {
	return len(r.Objects) > 0 && !slices.ContainsFunc(r.Objects, func(c Change) bool { return c.Kind != "WorkloadEntry" })
}

// Change is one object of a revision that differs from the revision before.
type Change struct {
	Op        string `json:"op"` // added | changed | removed
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// The xDS resource types that are tracked, by the short names that the CLI,
// the API and the UI use.
const (
	TypeListener = "listener"
	TypeRoute    = "route"
	TypeCluster  = "cluster"
	TypeEndpoint = "endpoint"
)

// TypeURL gives the xDS type URL of a short name, or "".
func TypeURL(short string) string { return typeURLs[short] }

// TypeName gives the short name of an xDS type URL, or the URL itself.
func TypeName(url string) string {
	for short, u := range typeURLs {
		if u == url {
			return short
		}
	}
	return url
}

var typeURLs = map[string]string{
	TypeListener: "type.googleapis.com/envoy.config.listener.v3.Listener",
	TypeRoute:    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
	TypeCluster:  "type.googleapis.com/envoy.config.cluster.v3.Cluster",
	TypeEndpoint: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
}
