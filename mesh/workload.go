package mesh

// Unknown is what the standard metrics say for a name that nobody could tell.
const Unknown = "unknown"

// Workload names a set of interchangeable instances: what Kubernetes calls a
// Deployment. The zero value is the unknown workload.
type Workload struct {
	Cluster   string `json:"cluster,omitempty"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	App       string `json:"app,omitempty"`     // canonical service
	Version   string `json:"version,omitempty"` // canonical revision
}

// ID is "namespace/name", or "cluster/namespace/name" when a cluster is known.
func (w Workload) ID() string {
	if w.Cluster == "" {
		return w.Namespace + "/" + w.Name
	}
	return w.Cluster + "/" + w.Namespace + "/" + w.Name
}

// IsUnknown reports whether nobody could tell which workload this is.
func (w Workload) IsUnknown() bool { return w.Name == "" || w.Name == Unknown }

// Service is a name that clients call: a host of the registry.
type Service struct {
	Host      string `json:"host"` // as in the registry: "catalog.cinema.svc.cluster.local", "api.bank.example"
	Namespace string `json:"namespace"`
	Name      string `json:"name"` // short name
}

// Protocol is what a connection or request speaks, in the standard metrics'
// spelling.
type Protocol string

// The protocols that edges are told apart by.
const (
	HTTP Protocol = "http"
	GRPC Protocol = "grpc"
	TCP  Protocol = "tcp"
)
