package config

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	networking "istio.io/api/networking/v1"
	security "istio.io/api/security/v1beta1"

	"github.com/sidelight-mesh/sidelight/server/config/gatewayapi"
	"github.com/sidelight-mesh/sidelight/server/config/smi"
)

// The kinds that are understood.
const (
	KindVirtualService  = "VirtualService"
	KindDestinationRule = "DestinationRule"
	KindServiceEntry    = "ServiceEntry"
	KindWorkloadEntry   = "WorkloadEntry"
	KindGateway         = "Gateway"
	KindSidecar         = "Sidecar"

	KindAuthorizationPolicy = "AuthorizationPolicy"
	KindPeerAuthentication  = "PeerAuthentication"

	KindHTTPRoute = "HTTPRoute"
	KindGRPCRoute = "GRPCRoute"

	KindTrafficSplit   = "TrafficSplit"
	KindTrafficTarget  = "TrafficTarget"
	KindHTTPRouteGroup = "HTTPRouteGroup"
	KindTCPRoute       = "TCPRoute" // SMI's
)

// The groups of the kinds.
const (
	groupNetworking = "networking.istio.io"
	groupSecurity   = "security.istio.io"
	groupGatewayAPI = "gateway.networking.k8s.io"
	groupSplit      = "split.smi-spec.io"
	groupAccess     = "access.smi-spec.io"
	groupSpecs      = "specs.smi-spec.io"
)

// apiKind is a kind with the versions that its group serves it in. All versions
// of a kind are one schema.
type apiKind struct {
	kind, group string
	versions    []string
	spec        func() proto.Message
}

func apiKinds() []apiKind {
	istio := []string{"v1", "v1beta1", "v1alpha3"}
	return []apiKind{
		{KindVirtualService, groupNetworking, istio, func() proto.Message { return &networking.VirtualService{} }},
		{KindDestinationRule, groupNetworking, istio, func() proto.Message { return &networking.DestinationRule{} }},
		{KindServiceEntry, groupNetworking, istio, func() proto.Message { return &networking.ServiceEntry{} }},
		{KindWorkloadEntry, groupNetworking, istio, func() proto.Message { return &networking.WorkloadEntry{} }},
		{KindGateway, groupNetworking, istio, func() proto.Message { return &networking.Gateway{} }},
		{KindSidecar, groupNetworking, istio, func() proto.Message { return &networking.Sidecar{} }},
		{KindAuthorizationPolicy, groupSecurity, []string{"v1", "v1beta1"}, func() proto.Message { return &security.AuthorizationPolicy{} }},
		{KindPeerAuthentication, groupSecurity, []string{"v1", "v1beta1"}, func() proto.Message { return &security.PeerAuthentication{} }},
		{KindHTTPRoute, groupGatewayAPI, []string{"v1", "v1beta1"}, func() proto.Message { return &gatewayapi.HTTPRoute{} }},
		{KindGRPCRoute, groupGatewayAPI, []string{"v1"}, func() proto.Message { return &gatewayapi.GRPCRoute{} }},
		{KindTrafficSplit, groupSplit, []string{"v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1"}, func() proto.Message { return &smi.TrafficSplit{} }},
		{KindTrafficTarget, groupAccess, []string{"v1alpha3", "v1alpha2"}, func() proto.Message { return &smi.TrafficTarget{} }},
		{KindHTTPRouteGroup, groupSpecs, []string{"v1alpha4", "v1alpha3"}, func() proto.Message { return &smi.HTTPRouteGroup{} }},
		{KindTCPRoute, groupSpecs, []string{"v1alpha4", "v1alpha3"}, func() proto.Message { return &smi.TCPRoute{} }},
	}
}

func kindOf(kind string) (apiKind, bool) {
	for _, k := range apiKinds() {
		if k.kind == kind {
			return k, true
		}
	}
	return apiKind{}, false
}

// APIGroup is the group of a kind.
func APIGroup(kind string) string {
	if k, ok := kindOf(kind); ok {
		return k.group
	}
	return groupNetworking
}

// APIVersions lists the versions of a kind that are understood, the best first.
func APIVersions(kind string) []string {
	k, _ := kindOf(kind)
	return k.versions
}

// Kinds lists all kinds that are understood.
func Kinds() []string {
	var kinds []string
	for _, k := range apiKinds() {
		kinds = append(kinds, k.kind)
	}
	slices.Sort(kinds)
	return kinds
}

// newSpec gives an empty spec of a kind, nil when the kind is not understood.
func newSpec(kind string) proto.Message {
	if k, ok := kindOf(kind); ok {
		return k.spec()
	}
	return nil
}

// supportedKinds lists the kinds by group and versions, for people.
func supportedKinds() string {
	var order []string
	kinds := map[string][]string{}
	for _, k := range apiKinds() {
		of := k.group + "/" + strings.Join(k.versions, ", ")
		if kinds[of] == nil {
			order = append(order, of)
		}
		kinds[of] = append(kinds[of], k.kind)
	}
	for i, of := range order {
		order[i] = strings.Join(kinds[of], ", ") + " of " + of
	}
	return strings.Join(order, "; ")
}

// byAge are the kinds of which, where two say the same, the oldest goes first.
func byAge(kind string) bool { return kind == KindHTTPRoute || kind == KindGRPCRoute }
