package mesh

import "time"

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
	StartedAt time.Time         `json:"started_at,omitzero"`
	Labels    map[string]string `json:"labels,omitempty"`
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
