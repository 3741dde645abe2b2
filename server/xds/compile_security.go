package xds

import (
	"cmp"
	"fmt"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rawbufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	networking "istio.io/api/networking/v1"
	securityv1beta1 "istio.io/api/security/v1beta1"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// labelTLSMode is how Istio marks an endpoint whose sidecar takes mutual TLS.
const (
	labelTLSMode = "security.istio.io/tlsMode"
	tlsModeIstio = "istio"
)

// The names of secrets that every sidecar has by itself: its own certificate,
// and the roots of the mesh.
const (
	secretOwn   = "default"
	secretRoots = "ROOTCA"
)

const (
	tlsSocket = "envoy.transport_sockets.tls"
	rawSocket = "envoy.transport_sockets.raw_buffer"
)

// meshALPN tells a sidecar's TLS from what an app speaks itself.
var meshALPN = []string{"istio-h2", "istio-http/1.1", "istio-http/1.0", "istio"}

// Security is what identities are made of, and where policies of the whole mesh
// stand.
type Security struct {
	TrustDomain   string // default "cluster.local"
	RootNamespace string // default "istio-system"
}

func (s Security) orDefault() Security {
	return Security{cmp.Or(s.TrustDomain, "cluster.local"), cmp.Or(s.RootNamespace, "istio-system")}
}

// transportSockets says how the endpoints of a cluster are connected to: as the
// rule says, else under mutual TLS where an endpoint's sidecar takes it.
func (w *world) transportSockets(c *clusterv3.Cluster, s *registry.Service, port registry.Port, subset *networking.Subset, tls *networking.ClientTLSSettings) {
	if s.External || tls.GetMode() != networking.ClientTLSSettings_DISABLE && tls.GetMode() != networking.ClientTLSSettings_ISTIO_MUTUAL {
		return
	}
	own := w.meshTLS(s, port, subset, tls)
	switch {
	case tls != nil && tls.Mode == networking.ClientTLSSettings_ISTIO_MUTUAL:
		c.TransportSocket = own
	case tls != nil: // DISABLE
	case slices.ContainsFunc(s.Endpoints, func(e registry.Endpoint) bool { return e.HasLabels(subset.GetLabels()) && takesTLS(e) }):
		c.TransportSocketMatches = []*clusterv3.Cluster_TransportSocketMatch{
			{
				Name:            "tlsMode-istio",
				Match:           &structpb.Struct{Fields: map[string]*structpb.Value{"tlsMode": structpb.NewStringValue(tlsModeIstio)}},
				TransportSocket: own,
			},
			{Name: "tlsMode-disabled", Match: &structpb.Struct{}, TransportSocket: socket(rawSocket, &rawbufferv3.RawBuffer{})},
		}
	}
}

func takesTLS(e registry.Endpoint) bool { return e.Labels[labelTLSMode] == tlsModeIstio }

// meshTLS is mutual TLS with the endpoints of a service, all or those whose
// sidecars take it: each must be one of the service accounts that they have.
func (w *world) meshTLS(s *registry.Service, port registry.Port, subset *networking.Subset, tls *networking.ClientTLSSettings) *corev3.TransportSocket {
	all := tls != nil
	var names []string
	for _, e := range s.Endpoints {
		if namespace := cmp.Or(e.Workload.Namespace, s.Namespace); e.HasLabels(subset.GetLabels()) && (all || takesTLS(e)) {
			names = append(names, fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", w.security.TrustDomain, namespace, cmp.Or(e.ServiceAccount, "default")))
		}
	}
	slices.Sort(names)
	sans := &tlsv3.CertificateValidationContext{}
	for _, name := range slices.Compact(names) {
		sans.MatchTypedSubjectAltNames = append(sans.MatchTypedSubjectAltNames, &tlsv3.SubjectAltNameMatcher{
			SanType: tlsv3.SubjectAltNameMatcher_URI, Matcher: exactly(name),
		})
	}
	return socket(tlsSocket, &tlsv3.UpstreamTlsContext{
		Sni: cmp.Or(tls.GetSni(), fmt.Sprintf("outbound_.%d_.%s_.%s", port.Number, subset.GetName(), s.Host)),
		CommonTlsContext: &tlsv3.CommonTlsContext{
			AlpnProtocols:                  []string{"istio"},
			TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{Name: secretOwn}},
			ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext:         sans,
					ValidationContextSdsSecretConfig: &tlsv3.SdsSecretConfig{Name: secretRoots},
				},
			},
		},
	})
}

func socket(name string, m proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{Name: name, ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(m)}}
}

func exactly(text string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: text}}
}

// peerMode says who may connect to a port of a node without mutual TLS: the
// port's own mode, the workload's, the namespace's, the mesh's, and PERMISSIVE.
func (w *world) peerMode(p *proxy, port uint32) (mode securityv1beta1.PeerAuthentication_MutualTLS_Mode, by *config.Object) {
	const unset = securityv1beta1.PeerAuthentication_MutualTLS_UNSET
	var workload, namespace, root *config.Object
	for _, o := range w.peers { // by key, so that the first is always the same
		labels := o.PeerAuthentication().GetSelector().GetMatchLabels()
		switch {
		case o.Namespace == p.node.Workload.Namespace && len(labels) > 0:
			if workload == nil && matchLabels(labels, p.node.Labels) {
				workload = o
			}
		case o.Namespace == p.node.Workload.Namespace && namespace == nil:
			namespace = o
		case o.Namespace == w.security.RootNamespace && len(labels) == 0 && root == nil:
			root = o
		}
	}
	if workload != nil {
		if mode := workload.PeerAuthentication().GetPortLevelMtls()[port].GetMode(); mode != unset {
			return mode, workload
		}
	}
	for _, o := range []*config.Object{workload, namespace, root} {
		if o != nil {
			if mode := o.PeerAuthentication().GetMtls().GetMode(); mode != unset {
				return mode, o
			}
		}
	}
	return securityv1beta1.PeerAuthentication_MutualTLS_PERMISSIVE, nil
}

func matchLabels(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// secured puts the policies that hold for a node's port into its listener, and
// gives the objects that they stand in.
func (w *world) secured(p *proxy, in inboundPort, l *listenerv3.Listener) []string {
	objects := w.authorize(p, in, l)
	mode, by := w.peerMode(p, in.servicePort)
	if by != nil {
		objects = append(objects, by.Key().String())
	}
	chain := l.FilterChains[0]
	switch {
	case mode == securityv1beta1.PeerAuthentication_MutualTLS_DISABLE:
		return objects
	case mode == securityv1beta1.PeerAuthentication_MutualTLS_PERMISSIVE && !p.identity:
		return objects // nobody could speak TLS with it
	case mode == securityv1beta1.PeerAuthentication_MutualTLS_PERMISSIVE:
		plain := proto.CloneOf(chain)
		chain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls"}
		if in.protocol == "tcp" { // other TLS is the app's own
			chain.FilterChainMatch.ApplicationProtocols = meshALPN
		}
		l.FilterChains = append(l.FilterChains, plain)
	}
	if by != nil {
		chain.Metadata = metadataOf(map[string]map[string]any{"istio": {"config": objectPath(by)}})
	}
	if in.protocol == "tcp" {
		chain.TransportSocket = meshServerTLS()
	} else {
		chain.TransportSocket = meshServerTLS("h2", "http/1.1")
	}
	return objects
}
