package xds

import (
	"cmp"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/server/registry"
)

// connectTimeout is Istio's mesh default.
const connectTimeout = 10 * time.Second

const httpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// serviceResources compiles the clusters of a service under a rule, one for
// each port and subset, and their endpoints where those come by EDS.
func (w *world) serviceResources(of serviceRule) []typed {
	if done, ok := w.services[of]; ok {
		return done
	}
	var out []typed
	var spec *networking.DestinationRule
	if of.rule != nil {
		spec = of.rule.DestinationRule()
	}
	subsets := append([]*networking.Subset{nil}, spec.GetSubsets()...)
	for _, port := range of.service.Ports {
		for _, subset := range subsets {
			out = append(out, w.clusterResources(of, spec, port, subset)...)
		}
	}
	w.services[of] = out
	return out
}

func (w *world) clusterResources(of serviceRule, rule *networking.DestinationRule, port registry.Port, subset *networking.Subset) []typed {
	s := of.service
	name := clusterName(port.Number, subset.GetName(), s.Host)
	c := &clusterv3.Cluster{
		Name:           name,
		ConnectTimeout: durationpb.New(connectTimeout),
		Metadata:       clusterMetadata(of),
	}
	policy := effective(rule.GetTrafficPolicy(), subset.GetTrafficPolicy(), port.Number)
	balance(c, policy.GetLoadBalancer())
	connectionPool(c, policy.GetConnectionPool(), policy.GetRetryBudget())
	outlierDetection(c, policy.GetOutlierDetection())
	originateTLS(c, policy.GetTls(), s.Host)
	if options := httpOptions(port.IsHTTP2(), port.IsHTTP() && autoSNI(policy.GetTls(), s.Host), policy.GetConnectionPool().GetHttp()); options != nil {
		c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptionsKey: options}
	}
	w.transportSockets(c, s, port, subset, policy.GetTls())
	load, loadObjects := w.loadAssignment(s, port, subset, name)
	prioritise(load, of.where, policy)
	objects := []string{s.Object.String()}
	if of.rule != nil {
		objects = append(objects, of.rule.Key().String())
	}
	if byEDS(s) {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
		c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: overADS(), ServiceName: name}
		loadObjects = append(loadObjects, objects[:1]...)
		if subset != nil {
			loadObjects = append(loadObjects, objects[1:]...) // the subset's labels choose
		} else if of.where != (registry.Locality{}) {
			loadObjects = append(loadObjects, objects[1:]...) // the policy says what is near
		}
		if c.TransportSocket != nil || c.TransportSocketMatches != nil {
			objects = append(slices.Clone(objects), loadObjects...) // their service accounts are in it
		}
		return []typed{
			{clusterType, newResource(clusterType, name, c, objects...)},
			{endpointType, newResource(endpointType, name, load, loadObjects...)},
		}
	}
	if s.Resolution == registry.None && registry.IsWild(s.Host) {
		// Nobody could look a pattern up: requests say which host it is, bytes
		// where they were going.
		if byHost(c); !port.IsHTTP() {
			c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_ORIGINAL_DST}
		}
		return []typed{{clusterType, newResource(clusterType, name, c, objects...)}}
	}
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	if s.Resolution != registry.Static {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
		if s.OneAddress {
			c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
		}
		c.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
	}
	c.LoadAssignment = load
	return []typed{{clusterType, newResource(clusterType, name, c, append(objects, loadObjects...)...)}}
}

// byEDS: endpoints in the mesh come and go, so they have a resource of their
// own; those of external services stand in the cluster.
func byEDS(s *registry.Service) bool { return !s.External && s.Resolution == registry.Static }

func clusterMetadata(of serviceRule) *corev3.Metadata {
	s := of.service
	istio := map[string]any{"services": []any{serviceMetadata(s)}}
	if of.rule != nil {
		istio["config"] = objectPath(of.rule)
	}
	filters := map[string]map[string]any{"istio": istio}
	if s.External {
		filters["sidelight"] = map[string]any{"external": true}
	}
	return metadataOf(filters)
}

// serviceMetadata names a service to a sidecar, in Istio's keys.
func serviceMetadata(s *registry.Service) map[string]any {
	return map[string]any{"host": s.Host, "name": s.Name, "namespace": s.Namespace}
}

func overADS() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
		ResourceApiVersion:    corev3.ApiVersion_V3,
	}
}

// loadAssignment lists the endpoints of a port and subset, by locality, and the
// objects that they stand in. A service whose endpoints are found by name and
// that has none is its own.
func (w *world) loadAssignment(s *registry.Service, port registry.Port, subset *networking.Subset, name string) (load *endpointv3.ClusterLoadAssignment, objects []string) {
	load = &endpointv3.ClusterLoadAssignment{ClusterName: name}
	endpoints := s.Endpoints
	if len(endpoints) == 0 && s.Resolution != registry.Static {
		endpoints = []registry.Endpoint{{Address: s.Host}}
	}
	groups := map[registry.Locality]*endpointv3.LocalityLbEndpoints{}
	for _, e := range endpoints {
		if !e.HasLabels(subset.GetLabels()) {
			continue
		}
		group := groups[e.Locality]
		if group == nil {
			group = &endpointv3.LocalityLbEndpoints{Locality: locality(e.Locality)}
			groups[e.Locality] = group
			load.Endpoints = append(load.Endpoints, group) // endpoints are sorted, so this order is always the same
		}
		group.LbEndpoints = append(group.LbEndpoints, w.endpoint(e, port))
		if e.Object != "" {
			objects = append(objects, e.Object)
		}
	}
	return load, objects
}

func locality(l registry.Locality) *corev3.Locality {
	if l == (registry.Locality{}) {
		return nil
	}
	return &corev3.Locality{Region: l.Region, Zone: l.Zone, SubZone: l.SubZone}
}

func (w *world) endpoint(e registry.Endpoint, port registry.Port) *endpointv3.LbEndpoint {
	lb := &endpointv3.LbEndpoint{
		HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(e.Address, e.Port(port))}},
	}
	if e.Weight > 0 {
		lb.LoadBalancingWeight = wrapperspb.UInt32(e.Weight)
	}
	metadata := map[string]map[string]any{}
	if wl := e.Workload; wl.Name != "" {
		text := strings.Join([]string{wl.Name, wl.Namespace, wl.App, wl.Version, cmp.Or(wl.Cluster, w.cluster)}, ";")
		metadata["istio"] = map[string]any{"workload": text}
	}
	if takesTLS(e) {
		metadata["envoy.transport_socket_match"] = map[string]any{"tlsMode": tlsModeIstio}
	}
	if len(metadata) > 0 {
		lb.Metadata = metadataOf(metadata)
	}
	return lb
}
