package cluster

import (
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Policy is how a cluster draws an endpoint.
type Policy uint8

// The load balancing policies.
const (
	RoundRobin Policy = iota
	LeastRequest
	Random
	RingHash // by the request's hash, see ring.go
	Maglev
)

// String gives the policy's name in Envoy's spelling.
func (p Policy) String() string {
	switch p {
	case LeastRequest:
		return "LEAST_REQUEST"
	case Random:
		return "RANDOM"
	case RingHash:
		return "RING_HASH"
	case Maglev:
		return "MAGLEV"
	default:
		return "ROUND_ROBIN"
	}
}

// Hashed reports whether requests of one hash go to one endpoint.
func (p Policy) Hashed() bool { return p == RingHash || p == Maglev }

// Config is one cluster: a name, how to reach its endpoints, and what it
// stands for.
type Config struct {
	Name           string // "outbound|8080|v1|catalog.cinema.svc.cluster.local"
	Policy         Policy
	RingMin        uint64        // RingHash: points at least; 0 = 1024
	RingMax        uint64        // RingHash: points at most; 0 = 8 Mi
	TableSize      uint64        // Maglev: a prime up to 5,000,011; 0 = 65,537
	PanicPercent   uint32        // below this share of healthy endpoints all are drawn; 0 = never
	ConnectTimeout time.Duration // 0 = 10 s
	HTTP2          bool          // speak HTTP/2 with prior knowledge
	IdleTimeout    time.Duration // of a pooled connection; 0 = 1 h

	// Endpoints are inline ones (STATIC, STRICT_DNS); an address may carry a
	// host name. EDS clusters leave it nil and name the assignment.
	Endpoints   []Endpoint
	DNS         *DNS // how host names are looked up; nil: when a connection is opened
	EDS         bool
	OriginalDst bool   // no endpoints: each request goes where its client had dialled
	ByHost      bool   // no endpoints: each request goes to the host that it names
	ServiceName string // name of the endpoint assignment; "" = Name

	Services []mesh.Service // what clients called, usually one
	External bool           // outside the mesh: no peer metadata is sent
	Object   string         // "DestinationRule cinema/catalog"
	Revision uint64

	TLS     *TLS // nil: plain text
	MeshTLS *TLS // instead of TLS, to endpoints of ModeMesh; nil: none of its own

	SlowStart *SlowStart // nil: endpoints that come get their share at once

	Limits  Limits
	Outlier *Outlier // nil: no endpoint is ever ejected
}

// AssignmentName is the key under which the cluster's endpoints arrive.
func (c *Config) AssignmentName() string {
	if c.ServiceName != "" {
		return c.ServiceName
	}
	return c.Name
}

// Limits are the circuit breaker's thresholds, for all endpoints together. 0
// means no limit.
type Limits struct {
	MaxConnections uint32 // an endpoint without any may always have one
	MaxPending     uint32 // requests that wait for a connection (HTTP/1.1)
	MaxRequests    uint32 // active requests
	MaxRetries     uint32 // active retries; not heeded with a budget
	Budget         *RetryBudget

	MaxRequestsPerConnection uint32 // 1 = no keep-alive
}

// RetryBudget lets a share of the requests under way be retries, and some
// always.
type RetryBudget struct {
	Percent float64
	Min     uint32
}

// Allows reports whether one more retry fits beside so many others and so many
// requests.
func (b *RetryBudget) Allows(retries, requests int64) bool {
	return retries < max(int64(b.Min), int64(b.Percent/100*float64(requests)))
}

// Health is what the control plane says of an endpoint.
type Health uint8

// The states of health. Only Healthy and Degraded endpoints are drawn.
const (
	Healthy Health = iota
	Unhealthy
	Draining
	Degraded
)

// String gives the state's name in Envoy's spelling.
func (h Health) String() string {
	switch h {
	case Unhealthy:
		return "UNHEALTHY"
	case Draining:
		return "DRAINING"
	case Degraded:
		return "DEGRADED"
	default:
		return "HEALTHY"
	}
}

// Endpoint is one instance of a cluster. It is comparable.
type Endpoint struct {
	Address  string // "host:port"
	Hostname string // for AutoHost; "" = the address's host
	Weight   uint32 // 0 counts as 1
	Health   Health
	Priority uint32        // 0 is the best; the next is drawn when too few of one are healthy
	Workload mesh.Workload // from the endpoint's metadata; zero when not told
	TLSMode  string        // ModeMesh, or "" when its metadata says nothing
}
