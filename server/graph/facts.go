package graph

import (
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Facts are what other parts know and traffic alone does not tell. The engine
// keeps the maps it is given: callers replace, never change them.
type Facts struct {
	Services  map[string]ServiceFacts  // by host
	Workloads map[string]WorkloadFacts // by mesh.Workload.ID
	Splits    []Split
	Mirrors   []Mirror
}

// ServiceFacts is one host of the registry.
type ServiceFacts struct {
	Service   mesh.Service
	External  bool     // outside the mesh (MESH_EXTERNAL)
	Workloads []string // IDs of the workloads behind it
}

// WorkloadFacts is one workload that is known from the registry or from the
// sidecars that are or were connected.
type WorkloadFacts struct {
	Workload     mesh.Workload
	Meshed       bool         // has a sidecar
	Config       *ConfigState // nil when it has no sidecar; the worst of them otherwise
	ConfigSince  time.Time
	ConfigReason string
}

// Split is a route that divides a host's requests by weight.
type Split struct {
	Host    string
	Sources []string // workload IDs that the route holds for; empty: all
	Object  string   // "VirtualService cinema/catalog"
	Shares  []Share
}

// Share is one destination of a split: the workloads of one subset.
type Share struct {
	Workloads []string // IDs
	Weight    float64  // of whatever sum
}

// Mirror names workloads that get a host's requests as copies.
type Mirror struct {
	Host      string
	Workloads []string // IDs
}
