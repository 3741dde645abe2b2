package xds

import (
	"cmp"
	"strconv"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sidelight-mesh/sidelight/server/registry"
)

// proxyless compiles what a gRPC client finds services by: for each name a
// listener without an address, which names the routes of that host alone. Its
// clusters are the sidecars'; its endpoints have what gRPC insists on, a
// locality with a name and a weight.
func (w *world) proxyless(by sharing, out *set) {
	if done := w.grpc[by]; done != nil {
		for t := range typeCount {
			for r := range done[t].each {
				out.add(t, r)
			}
		}
		return
	}
	made := newSet()
	ns := by.namespace
	services := w.registry.Visible(ns)
	for _, s := range services {
		for _, r := range w.serviceResources(w.under(s, ns, by.where)) {
			if made.add(r.t, r.resource); r.t == endpointType {
				made.add(endpointType, localized(r.resource))
			}
		}
	}
	c := &routing{world: w, ns: ns, labels: readLabels(by.labels), taken: map[string]bool{}, objects: map[string]bool{}}
	c.hosts(services)
	for _, h := range c.order {
		c.objects = map[string]bool{}
		vh := c.virtualHost(h)
		objects := make([]string, 0, len(c.objects))
		for o := range c.objects {
			objects = append(objects, o)
		}
		name := h.host + ":" + strconv.Itoa(int(h.port))
		made.add(routeType, newResource(routeType, name, &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{vh}}, objects...))
		for _, domain := range vh.Domains {
			made.add(listenerType, apiListener(domain, name))
		}
	}
	w.grpc[by] = made
	w.proxyless(by, out)
}

func apiListener(name, route string) *Resource {
	hcm := &hcmv3.HttpConnectionManager{
		HttpFilters:    []*hcmv3.HttpFilter{httpFilterOf(routerFilter, &routerv3.Router{})},
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{ConfigSource: overADS(), RouteConfigName: route}},
	}
	return newResource(listenerType, name, &listenerv3.Listener{Name: name, ApiListener: &listenerv3.ApiListener{ApiListener: pack(hcm)}})
}

// localized is an assignment whose every locality has a name and a weight.
func localized(r *Resource) *Resource {
	load := &endpointv3.ClusterLoadAssignment{}
	if err := proto.Unmarshal(r.Any.GetValue(), load); err != nil {
		return r // it is ours, so this never happens
	}
	for _, group := range load.Endpoints {
		if group.Locality == nil {
			group.Locality = locality(registry.Locality{Region: "default"})
		}
		weight := uint32(0)
		for _, e := range group.LbEndpoints {
			weight += cmp.Or(e.GetLoadBalancingWeight().GetValue(), 1)
		}
		group.LoadBalancingWeight = wrapperspb.UInt32(max(weight, 1))
	}
	return newResource(endpointType, r.Name, load, append([]string{}, r.Objects...)...)
}
