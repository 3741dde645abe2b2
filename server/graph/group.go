package graph

import (
	"slices"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// place is what a workload or service is in one grouping: the node of a view
// that it belongs to. Places are shared by all pairs that end there.
type place struct {
	node      *gatheredNode // in the view of turn
	turn      uint64
	id        string
	kind      Kind
	cluster   string
	namespace string
	name      string
	app       string
	version   string
}

// ends are a pair's two places in one grouping.
type ends struct {
	source, target *place
	seq            uint64 // of what they were worked out from; 0 never
}

// places are those of one state of names and facts, by grouping and ID.
type places struct {
	seq  uint64
	byID [groupCount]map[string]*place
}

// The groupings by number.
const (
	groupWorkload = iota
	groupVersioned
	groupApp
	groupService
	groupNamespace
	groupCount
)

func (g Group) number() int {
	if i := slices.Index(Groups(), g); i >= 0 {
		return i
	}
	return groupWorkload
}

var nowhere = place{id: "unknown", kind: KindUnknown, name: mesh.Unknown}

// endsOf places a pair. The answer holds until facts or names change.
func (e *Engine) endsOf(p *pair, group int) *ends {
	seq := 1 + e.placing + e.edges.changed
	at := &p.ends[group]
	if at.seq != seq {
		*at = ends{e.shared(e.placeOf(p.source, group), group), e.shared(e.placeTarget(p, group), group), seq}
	}
	return at
}

// shared gives the one place with an ID.
func (e *Engine) shared(at place, group int) *place {
	if seq := 1 + e.placing + e.edges.changed; e.places.seq != seq {
		e.places = places{seq: seq}
	}
	byID := e.places.byID[group]
	if byID == nil {
		byID = make(map[string]*place)
		e.places.byID[group] = byID
	}
	if known := byID[at.id]; known != nil {
		return known
	}
	byID[at.id] = &at
	return &at
}

// placeTarget places what was called. A request that never reached a workload
// stays with its service.
func (e *Engine) placeTarget(p *pair, group int) place {
	if group == groupService && p.service.Host != "" {
		return e.placeService(p.service, group)
	}
	if p.target.id != "" {
		return e.placeOf(p.target, group)
	}
	if p.service.Host == "" {
		return nowhere
	}
	return e.placeService(p.service, group)
}

// placeOf places a workload.
func (e *Engine) placeOf(w *workload, group int) place {
	if w.id == "" {
		return nowhere
	}
	switch group {
	case groupApp, groupVersioned:
		return placeApp(w, group)
	case groupService:
		if s, ok := e.serviceOf(w); ok {
			return e.placeService(s, group)
		}
	case groupNamespace:
		return placeNamespace(w.Namespace)
	}
	return place{
		id: "workload:" + w.id, kind: KindWorkload, cluster: w.Cluster,
		namespace: w.Namespace, name: w.Name, app: w.App, version: w.Version,
	}
}

func placeApp(w *workload, group int) place {
	name := w.App
	if name == "" {
		name = w.Name
	}
	id := mesh.Workload{Cluster: w.Cluster, Namespace: w.Namespace, Name: name}.ID()
	p := place{id: "app:" + id, kind: KindApp, cluster: w.Cluster, namespace: w.Namespace, name: name, app: name}
	if group == groupVersioned && w.Version != "" {
		p.id += ":" + w.Version
		p.version = w.Version
	}
	return p
}

func placeNamespace(ns string) place {
	return place{id: "namespace:" + ns, kind: KindNamespace, namespace: ns, name: ns}
}

func (e *Engine) placeService(s mesh.Service, group int) place {
	facts, known := e.facts.Services[s.Host]
	if known {
		if facts.Service.Name != "" {
			s.Name = facts.Service.Name
		}
		if facts.Service.Namespace != "" {
			s.Namespace = facts.Service.Namespace
		}
	}
	if s.Name == "" {
		s.Name = s.Host
	}
	switch {
	case known && facts.External, s.Name == "PassthroughCluster", s.Name == "BlackHoleCluster":
		return place{id: "external:" + s.Host, kind: KindExternal, namespace: s.Namespace, name: s.Host}
	case group == groupNamespace && s.Namespace != "":
		return placeNamespace(s.Namespace)
	}
	return place{id: "service:" + s.Host, kind: KindService, namespace: s.Namespace, name: s.Name}
}

// serviceOf says which service a workload stands behind: by the registry,
// else by the name that it was called by. Of several the first by host.
func (e *Engine) serviceOf(w *workload) (mesh.Service, bool) {
	if s, ok := e.scratch.serviceByWorkload(e)[w.id]; ok {
		return s, true
	}
	best := ""
	for host := range w.hosts {
		if !e.facts.Services[host].External && (best == "" || host < best) {
			best = host
		}
	}
	return w.hosts[best], best != ""
}

// servicesByWorkload turns the registry's lists round.
func servicesByWorkload(f Facts) map[string]mesh.Service {
	out := make(map[string]mesh.Service)
	for host, s := range f.Services {
		if s.External {
			continue
		}
		svc := s.Service
		svc.Host = host
		for _, id := range s.Workloads {
			if had, ok := out[id]; !ok || svc.Host < had.Host {
				out[id] = svc
			}
		}
	}
	return out
}

// scratch is what views reuse.
type scratch struct {
	client, server, lead    *sums
	clients, servers, leads *running // of a bundle
	rps, failed             [seriesSeconds]float64

	byWorkload map[string]mesh.Service
	placing    uint64
	built      bool
}

func (s *scratch) serviceByWorkload(e *Engine) map[string]mesh.Service {
	if !s.built || s.placing != e.placing {
		s.byWorkload, s.placing, s.built = servicesByWorkload(e.facts), e.placing, true
	}
	return s.byWorkload
}
