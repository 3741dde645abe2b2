package xds

import (
	"slices"

	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	"github.com/sidelight-mesh/sidelight/server/registry"
)

// prioritise puts the endpoints that are near a client before others, as Istio
// does: on by itself where outlier detection finds out who is well, since without
// it nothing would ever move to the next priority.
func prioritise(load *endpointv3.ClusterLoadAssignment, from registry.Locality, policy *networking.TrafficPolicy) {
	setting := policy.GetLoadBalancer().GetLocalityLbSetting()
	off := setting.GetEnabled() != nil && !setting.GetEnabled().GetValue()
	if from.Region == "" || off || policy.GetOutlierDetection() == nil {
		return
	}
	var ranks []uint32
	for _, group := range load.Endpoints {
		l := group.GetLocality()
		group.Priority = distance(from, registry.Locality{Region: l.GetRegion(), Zone: l.GetZone(), SubZone: l.GetSubZone()}, setting.GetFailover())
		ranks = append(ranks, group.Priority)
	}
	slices.Sort(ranks)
	ranks = slices.Compact(ranks)
	for _, group := range load.Endpoints { // without gaps
		at, _ := slices.BinarySearch(ranks, group.Priority)
		group.Priority = uint32(at)
	}
}

// distance says how far an endpoint is: in the same sub-zone, zone or region, in
// the region that the client's fails over to, or anywhere else.
func distance(from, to registry.Locality, failover []*v1alpha3.LocalityLoadBalancerSetting_Failover) uint32 {
	switch {
	case from == to:
		return 0
	case from.Region == to.Region && from.Zone == to.Zone:
		return 1
	case from.Region == to.Region:
		return 2
	}
	for _, f := range failover {
		if f.From == from.Region && f.To != to.Region {
			return 4
		}
	}
	return 3
}
