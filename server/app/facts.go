package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// factsOf puts together what the graph cannot learn from traffic. It is pure.
func factsOf(reg *registry.Registry, objects []*config.Object, nodes skew.NodesView, cluster string) graph.Facts {
	f := factsBuilder{reg: reg, objects: objects, cluster: cluster, clusters: map[string]string{}}
	f.Services = map[string]graph.ServiceFacts{}
	f.Workloads = map[string]graph.WorkloadFacts{}
	f.addNodes(nodes)
	f.addServices()
	f.Objectives = objectivesOf(objects)
	routed := f.meshed()
	for _, o := range objects {
		if vs := o.VirtualService(); vs != nil {
			f.addRoutes(o, vs, routed)
		}
	}
	for _, o := range reg.VirtualServices(objects) {
		f.addRoutes(o, o.VirtualService(), routed)
	}
	return f.Facts
}

type factsBuilder struct {
	graph.Facts
	reg      *registry.Registry
	objects  []*config.Object
	cluster  string            // of endpoints that no node tells the cluster of
	clusters map[string]string // "namespace/name" -> cluster, as nodes say it
}

func (f *factsBuilder) addNodes(nodes skew.NodesView) {
	behind := map[string]int{}      // instances that do not run what they should
	for _, n := range nodes.Nodes { // worst first
		if n.Workload.IsUnknown() {
			continue
		}
		id := n.Workload.ID()
		f.clusters[n.Workload.Namespace+"/"+n.Workload.Name] = n.Workload.Cluster
		facts, seen := f.Workloads[id]
		if !seen {
			facts = graph.WorkloadFacts{
				Workload: n.Workload, ConfigSince: n.Since, ConfigReason: n.Reason,
				Config: &graph.ConfigState{State: string(n.State), Revision: n.Revision, Behind: n.Behind},
			}
		}
		facts.Meshed = facts.Meshed || n.State != skew.NeverConnected
		facts.Gateway = facts.Gateway || n.Kind == "gateway"
		facts.Config.Nodes++
		f.Workloads[id] = facts
		if n.State != skew.Synced && n.State != skew.InFlight && n.State != skew.Slow {
			behind[id]++
		}
	}
	for id, n := range behind {
		facts := f.Workloads[id]
		if facts.Config.Nodes > 1 {
			facts.ConfigReason = fmt.Sprintf("%d of %d instances: %s", n, facts.Config.Nodes, cmp.Or(facts.ConfigReason, facts.Config.State))
			f.Workloads[id] = facts
		}
	}
}

func (f *factsBuilder) addServices() {
	for _, s := range f.reg.Services() {
		facts := graph.ServiceFacts{Service: s.Service, External: s.External}
		for _, ep := range s.Endpoints {
			w := f.workload(ep.Workload)
			if s.External || w.IsUnknown() {
				continue
			}
			facts.Workloads = append(facts.Workloads, w.ID())
			if _, known := f.Workloads[w.ID()]; !known {
				f.Workloads[w.ID()] = graph.WorkloadFacts{Workload: w}
			}
		}
		facts.Workloads = distinct(facts.Workloads)
		f.Services[s.Host] = facts
	}
}

// meshed lists the workloads whose sidecars follow routes: what others send
// goes where they send it.
func (f *factsBuilder) meshed() []string {
	var ids []string
	for id, w := range f.Workloads {
		if w.Meshed {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// workload gives an endpoint's workload the cluster that its node names: the
// registry does not know it, and without it the two would not be one.
func (f *factsBuilder) workload(w mesh.Workload) mesh.Workload {
	if cluster, ok := f.clusters[w.Namespace+"/"+w.Name]; ok {
		w.Cluster = cluster
	} else if w.Cluster == "" {
		w.Cluster = f.cluster
	}
	return w
}

func (f *factsBuilder) addRoutes(o *config.Object, vs *networking.VirtualService, routed []string) {
	name := o.Key().String()
	if len(o.Rules) > 0 {
		name = o.Rules[0].Object.Key().String()
	}
	var splits [][]graph.Share
	var mirrored []string
	for _, r := range vs.Http {
		if len(r.Route) > 1 {
			shares := make([]graph.Share, 0, len(r.Route))
			for _, d := range r.Route {
				shares = append(shares, graph.Share{Workloads: f.behind(d.Destination, o.Namespace), Weight: float64(d.Weight)})
			}
			splits = append(splits, shares)
		}
		if r.Mirror != nil {
			mirrored = append(mirrored, f.behind(r.Mirror, o.Namespace)...)
		}
		for _, m := range r.Mirrors {
			mirrored = append(mirrored, f.behind(m.Destination, o.Namespace)...)
		}
	}
	for _, r := range vs.Tcp {
		if len(r.Route) > 1 {
			shares := make([]graph.Share, 0, len(r.Route))
			for _, d := range r.Route {
				shares = append(shares, graph.Share{Workloads: f.behind(d.Destination, o.Namespace), Weight: float64(d.Weight)})
			}
			splits = append(splits, shares)
		}
	}
	for _, host := range vs.Hosts {
		host = f.reg.Resolve(host, o.Namespace)
		// With several weighted routes an edge's share is of no one of them:
		// which request took which is not in the metrics.
		if len(splits) == 1 {
			f.Splits = append(f.Splits, graph.Split{Host: host, Sources: routed, Object: name, Shares: splits[0]})
		}
		if len(mirrored) > 0 {
			f.Mirrors = append(f.Mirrors, graph.Mirror{Host: host, Workloads: distinct(mirrored)})
		}
	}
}

// behind lists the workloads that a destination leads to.
func (f *factsBuilder) behind(d *v1alpha3.Destination, namespace string) []string {
	svc, ok := f.reg.Lookup(d.GetHost(), namespace)
	if !ok {
		return nil
	}
	labels := f.subsetLabels(svc, d.GetSubset(), namespace)
	if d.GetSubset() != "" && labels == nil {
		return nil
	}
	var ids []string
	for _, ep := range svc.Endpoints {
		if ep.HasLabels(labels) {
			ids = append(ids, f.workload(ep.Workload).ID())
		}
	}
	return distinct(ids)
}

func (f *factsBuilder) subsetLabels(svc *registry.Service, subset, namespace string) map[string]string {
	if subset == "" {
		return nil
	}
	for _, o := range f.objects {
		dr := o.DestinationRule()
		if dr == nil || f.reg.Resolve(dr.Host, o.Namespace) != svc.Host || !registry.Visible(o, namespace) {
			continue
		}
		for _, s := range dr.Subsets {
			if s.Name == subset {
				if s.Labels == nil {
					return map[string]string{}
				}
				return s.Labels
			}
		}
	}
	return nil
}

func distinct(ids []string) []string {
	slices.SortFunc(ids, strings.Compare)
	return slices.Compact(ids)
}
