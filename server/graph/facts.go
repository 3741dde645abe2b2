package graph

import (
	"maps"
	"slices"
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
	Outliers  []Outlier

	Objectives map[string]Objective // by host
}

// Outlier is what one sidecar keeps from a cluster now: endpoints that outlier
// detection took out, or requests over a limit.
type Outlier struct {
	Node    string // the sidecar
	Caller  string // its workload's ID
	Host    string // the cluster's
	Subset  string
	Ejected int    // endpoints; 0 when Breaker is given
	Breaker string // the limit that is reached: connections, pending, requests, retries
}

// ServiceFacts is one host of the registry.
type ServiceFacts struct {
	Service   mesh.Service
	External  bool     // outside the mesh (MESH_EXTERNAL)
	Workloads []string // IDs of the workloads behind it
}

func (s ServiceFacts) equal(o ServiceFacts) bool {
	return s.Service == o.Service && s.External == o.External && slices.Equal(s.Workloads, o.Workloads)
}

// rulesEqual reports whether edges would be judged the same.
func (f *Facts) rulesEqual(o *Facts) bool {
	return maps.EqualFunc(f.Objectives, o.Objectives, Objective.equal) &&
		slices.EqualFunc(f.Splits, o.Splits, Split.equal) &&
		slices.EqualFunc(f.Mirrors, o.Mirrors, func(a, b Mirror) bool { return a.Host == b.Host && slices.Equal(a.Workloads, b.Workloads) })
}

// WorkloadFacts is one workload that is known from the registry or from the
// sidecars that are or were connected.
type WorkloadFacts struct {
	Workload     mesh.Workload
	Meshed       bool         // has a sidecar
	Gateway      bool         // its proxy stands at the mesh's edge, beside no application
	Config       *ConfigState // nil when it has no sidecar; the worst of them otherwise
	ConfigSince  time.Time
	ConfigReason string
}

func (w WorkloadFacts) equal(o WorkloadFacts) bool {
	return w.Workload == o.Workload && w.Meshed == o.Meshed && w.Gateway == o.Gateway && w.ConfigReason == o.ConfigReason &&
		w.ConfigSince.Equal(o.ConfigSince) && (w.Config == o.Config || w.Config != nil && o.Config != nil && *w.Config == *o.Config)
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

func (s Split) equal(o Split) bool {
	return s.Host == o.Host && s.Object == o.Object && slices.Equal(s.Sources, o.Sources) &&
		slices.EqualFunc(s.Shares, o.Shares, func(a, b Share) bool { return a.Weight == b.Weight && slices.Equal(a.Workloads, b.Workloads) })
}

// Mirror names workloads that get a host's requests as copies.
type Mirror struct {
	Host      string
	Workloads []string // IDs
}
