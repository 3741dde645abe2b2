package xds

import (
	"slices"
	"strconv"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3" // read by nobody, so that it may be named
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	rawbufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// The names by which Istio's proxies know their own certificate and the mesh's
// roots. The sidecar has both from its identity, not from this stream.
const (
	ownCertificate = "default"
	meshRoots      = "ROOTCA"
)

// transportSockets reads how a cluster's connections are encrypted: one way for
// all endpoints, or by what each endpoint says of itself.
func (t *translator) transportSockets(m *clusterv3.Cluster, c *cluster.Config, into *problems) {
	if s := m.GetTransportSocket(); s != nil {
		c.TLS = t.upstreamTLS(s, "transport_socket", into)
	}
	for i, match := range m.GetTransportSocketMatches() {
		path := "transport_socket_matches[" + strconv.Itoa(i) + "]"
		tls := t.upstreamTLS(match.GetTransportSocket(), path+".transport_socket", into)
		switch {
		case isMeshMode(match.GetMatch()) && i == 0:
			c.MeshTLS = tls
		case len(match.GetMatch().GetFields()) == 0 && i == len(m.GetTransportSocketMatches())-1:
			c.TLS = tls
		default:
			into.add(path+".match", "only tlsMode: istio, then a match of all, is supported by build %s", t.build)
		}
	}
}

func isMeshMode(match *structpb.Struct) bool {
	return len(match.GetFields()) == 1 && match.GetFields()["tlsMode"].GetStringValue() == cluster.ModeMesh
}

// upstreamTLS gives nil for plain text.
func (t *translator) upstreamTLS(s *corev3.TransportSocket, path string, into *problems) *cluster.TLS {
	path += ".typed_config"
	if s.GetTypedConfig() == nil {
		into.add(path, "is missing")
		return nil
	}
	switch m := extension(s.GetTypedConfig(), path, into).(type) {
	case *rawbufferv3.RawBuffer:
		return nil
	case *tlsv3.UpstreamTlsContext:
		common := m.GetCommonTlsContext()
		out := &cluster.TLS{SNI: m.GetSni(), ALPN: common.GetAlpnProtocols()}
		if isOrigination(common) {
			t.origination(common, out, path+".common_tls_context", into)
			return out
		}
		out.Mesh = t.meshCertificates(common, path+".common_tls_context", into)
		names := common.GetCombinedValidationContext().GetDefaultValidationContext().GetMatchTypedSubjectAltNames()
		for i, san := range names {
			at := path + ".common_tls_context.combined_validation_context.default_validation_context.match_typed_subject_alt_names[" + strconv.Itoa(i) + "]"
			exact, ok := san.GetMatcher().GetMatchPattern().(*matcherv3.StringMatcher_Exact)
			if !ok || san.GetSanType() != tlsv3.SubjectAltNameMatcher_URI || san.GetMatcher().GetIgnoreCase() {
				into.add(at, "only exact URIs are supported by build %s", t.build)
				continue
			}
			out.Names = append(out.Names, exact.Exact)
		}
		return out
	}
	into.add(path, "neither TLS nor plain text")
	return nil
}

// meshCertificates checks that both the certificate and the roots are the
// sidecar's own.
func (t *translator) meshCertificates(m *tlsv3.CommonTlsContext, path string, into *problems) bool {
	t.noParams(m, path, into)
	own := m.GetTlsCertificateSdsSecretConfigs()
	if len(own) != 1 || own[0].GetName() != ownCertificate {
		into.add(path+".tls_certificate_sds_secret_configs", "must name %s, the sidecar's own certificate", ownCertificate)
		return false
	}
	roots := m.GetCombinedValidationContext().GetValidationContextSdsSecretConfig()
	if roots == nil {
		roots = m.GetValidationContextSdsSecretConfig()
	}
	if roots.GetName() != meshRoots {
		into.add(path, "the validation context must name %s, the mesh's roots", meshRoots)
		return false
	}
	return true
}

// noParams refuses versions of TLS where only those of the library are spoken.
func (t *translator) noParams(m *tlsv3.CommonTlsContext, path string, into *problems) {
	if m.GetTlsParams() != nil {
		into.add(path+".tls_params", "not supported by build %s", t.build)
	}
}

// tlsMode reads what an endpoint says of itself.
func tlsMode(m *corev3.Metadata) string {
	return m.GetFilterMetadata()["envoy.transport_socket_match"].GetFields()["tlsMode"].GetStringValue()
}

// downstreamTLS reads who may connect without TLS, from the chains: one for
// bytes as they come; one with TLS; or one with TLS and the same without. False
// means that there is no chain to translate.
func (t *translator) downstreamTLS(chains []*listenerv3.FilterChain, c *listen.Config, into *problems) bool {
	if n := len(chains); n < 1 || n > 2 {
		into.add("filter_chains", "has %d chains, and one, or one with TLS and one without, is supported by build %s", n, t.build)
		return false
	}
	for i, chain := range chains {
		match, path := chain.GetFilterChainMatch(), "filter_chains["+strconv.Itoa(i)+"]"
		secure := i == 0 && chain.GetTransportSocket() != nil
		if !secure && chain.GetTransportSocket() != nil {
			into.add(path+".transport_socket", "only the first chain may have one, in build %s", t.build)
		}
		switch p := match.GetTransportProtocol(); {
		case p == "" || p == "tls" && secure || p == "raw_buffer" && !secure && i == 1:
		default:
			into.add(path+".filter_chain_match.transport_protocol", "%q is not supported here by build %s", p, t.build)
		}
		for _, p := range match.GetApplicationProtocols() {
			if !secure || !strings.HasPrefix(p, "istio") {
				into.add(path+".filter_chain_match.application_protocols", "%q is not supported by build %s", p, t.build)
			}
		}
	}
	if len(chains) == 2 && !sameFilters(chains[0], chains[1]) {
		into.add("filter_chains[1].filters", "differ from those of the first chain, which is not supported by build %s", t.build)
	}
	s := chains[0].GetTransportSocket()
	if s == nil {
		if len(chains) == 2 {
			into.add("filter_chains[0].transport_socket", "is missing")
		}
		return true
	}
	c.TLS, c.TLSObject = listen.TLSStrict, objectOf(chains[0].GetMetadata())
	if len(chains) == 2 {
		c.TLS = listen.TLSPermissive
	}
	const path = "filter_chains[0].transport_socket.typed_config"
	if s.GetTypedConfig() == nil {
		into.add(path, "is missing")
		return true
	}
	m, ok := extension(s.GetTypedConfig(), path, into).(*tlsv3.DownstreamTlsContext)
	switch {
	case !ok:
		into.add(path, "is no DownstreamTlsContext")
	case !m.GetRequireClientCertificate().GetValue():
		into.add(path+".require_client_certificate", "only true is supported by build %s", t.build)
	default:
		t.meshCertificates(m.GetCommonTlsContext(), path+".common_tls_context", into)
	}
	return true
}

func sameFilters(a, b *listenerv3.FilterChain) bool {
	return slices.EqualFunc(a.GetFilters(), b.GetFilters(), func(x, y *listenerv3.Filter) bool { return proto.Equal(x, y) })
}

// networkPolicies reads the policies at the head of a chain, and gives what is
// behind them.
func (t *translator) networkPolicies(filters []*listenerv3.Filter, chain string, c *listen.Config, into *problems) []*listenerv3.Filter {
	for i, f := range filters {
		if f.GetTypedConfig().MessageName() != (&tcprbacv3.RBAC{}).ProtoReflect().Descriptor().FullName() {
			return filters[i:]
		}
		path := chain + ".filters[" + strconv.Itoa(i) + "].typed_config"
		if m, ok := extension(f.GetTypedConfig(), path, into).(*tcprbacv3.RBAC); ok {
			c.Policy = t.rbac(c.Policy, m.GetRules(), m.GetShadowRules(), path, into)
		}
	}
	return nil
}

func isRBAC(f *hcmv3.HttpFilter) bool {
	return f.GetTypedConfig().MessageName() == (&httprbacv3.RBAC{}).ProtoReflect().Descriptor().FullName()
}
