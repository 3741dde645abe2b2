package app

import (
	typev1beta1 "istio.io/api/type/v1beta1"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// selecting is what the objects have in common that protect workloads:
// AuthorizationPolicy, PeerAuthentication and the like.
type selecting interface {
	GetSelector() *typev1beta1.WorkloadSelector
}

// policiesOf lists the objects that mean nothing without a sidecar. It is pure.
func policiesOf(reg *registry.Registry, objects []*config.Object, nodes skew.NodesView, cluster string) []graph.Policy {
	f := factsBuilder{reg: reg, objects: objects, cluster: cluster, clusters: map[string]string{}}
	f.Workloads = map[string]graph.WorkloadFacts{}
	f.addNodes(nodes)
	var out []graph.Policy
	for _, o := range objects {
		name := o.Key().String()
		switch spec := o.Spec.(type) {
		case selecting:
			if ids := f.selected(o.Namespace, spec.GetSelector().GetMatchLabels()); len(ids) > 0 {
				out = append(out, graph.Policy{Object: name, Workloads: ids})
			}
		default:
			for _, host := range f.hostsOf(o) {
				out = append(out, graph.Policy{Object: name, Host: host})
			}
		}
	}
	return out
}

func (f *factsBuilder) hostsOf(o *config.Object) []string {
	var hosts []string
	if vs := o.VirtualService(); vs != nil {
		for _, h := range vs.Hosts {
			hosts = append(hosts, f.reg.Resolve(h, o.Namespace))
		}
	}
	hosts = append(hosts, f.reg.ParentHosts(o)...)
	if dr := o.DestinationRule(); dr != nil {
		hosts = append(hosts, f.reg.Resolve(dr.Host, o.Namespace))
	}
	return hosts
}

// policiesBy names objects by the host that callers carry them out for, and by
// the workload whose own sidecars do.
func policiesBy(policies []graph.Policy) (host, workload map[string][]string) {
	host, workload = map[string][]string{}, map[string][]string{}
	for _, p := range policies {
		if p.Host != "" {
			host[p.Host] = append(host[p.Host], p.Object)
		}
		for _, id := range p.Workloads {
			workload[id] = append(workload[id], p.Object)
		}
	}
	return host, workload
}

// selected lists the workloads of a namespace whose endpoints have labels.
func (f *factsBuilder) selected(namespace string, labels map[string]string) []string {
	var ids []string
	for _, s := range f.reg.Services() {
		if s.External {
			continue
		}
		for _, ep := range s.Endpoints {
			if !ep.Workload.IsUnknown() && ep.Workload.Namespace == namespace && ep.HasLabels(labels) {
				ids = append(ids, f.workload(ep.Workload).ID())
			}
		}
	}
	return distinct(ids)
}
