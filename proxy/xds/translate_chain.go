package xds

import (
	"crypto/tls"
	"slices"
	"strconv"
	"strings"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// choosesByName tells a listener that looks at the name that clients call, or
// ends TLS by files, from one that takes the mesh's own TLS or none.
func choosesByName(chains []*listenerv3.FilterChain) bool {
	return slices.ContainsFunc(chains, func(c *listenerv3.FilterChain) bool {
		m := &tlsv3.DownstreamTlsContext{}
		match := c.GetFilterChainMatch()
		return len(match.GetServerNames()) > 0 || match.GetTransportProtocol() == "tls" && c.GetTransportSocket() == nil ||
			c.GetTransportSocket().GetTypedConfig().MessageIs(m) && c.GetTransportSocket().GetTypedConfig().UnmarshalTo(m) == nil &&
				len(m.GetCommonTlsContext().GetTlsCertificates()) > 0
	})
}

// chains reads a listener that chooses by name: each chain is served like a
// listener of its own.
func (t *translator) chains(m *listenerv3.Listener, c *listen.Config, r *resource, into *problems) {
	taken := map[string]int{}
	for i, fc := range m.GetFilterChains() {
		path := "filter_chains[" + strconv.Itoa(i) + "]"
		own := *c
		own.Chains = nil
		own.Name = c.Name + "/" + fc.GetName()
		if fc.GetName() == "" {
			own.Name = c.Name + "/" + strconv.Itoa(i)
		}
		own.Virtual, own.OriginalDst, own.Transparent = false, false, false
		own.TLSObject = objectOf(fc.GetMetadata())
		t.filters(fc.GetFilters(), path, &own, r, into)
		ch := listen.Chain{Names: fc.GetFilterChainMatch().GetServerNames(), Config: &own}
		t.chainTLS(fc, &ch, path, into)
		keys := ch.Names
		if len(keys) == 0 {
			if keys = []string{"*"}; ch.Plain {
				keys = []string{""}
			}
		}
		for _, name := range keys {
			if name != strings.ToLower(name) || name != "*" && strings.Contains(strings.TrimPrefix(name, "*."), "*") {
				into.add(path+".filter_chain_match.server_names", "%q must be a host in lower case, or *.host", name)
			}
			if before, twice := taken[name]; twice {
				into.add(path+".filter_chain_match", "matches what filter_chains[%d] matches", before)
			}
			taken[name] = i
		}
		c.Chains = append(c.Chains, ch)
	}
}

func (t *translator) chainTLS(fc *listenerv3.FilterChain, ch *listen.Chain, path string, into *problems) {
	match := fc.GetFilterChainMatch()
	if len(match.GetApplicationProtocols()) > 0 {
		into.add(path+".filter_chain_match.application_protocols", "not supported beside server names by build %s", t.build)
	}
	switch match.GetTransportProtocol() {
	case "tls":
	case "":
		ch.Plain = len(ch.Names) == 0 && fc.GetTransportSocket() == nil
	default:
		into.add(path+".filter_chain_match.transport_protocol", "%q is not supported here by build %s", match.GetTransportProtocol(), t.build)
	}
	if fc.GetTransportSocket() == nil {
		return
	}
	path += ".transport_socket.typed_config"
	m, ok := extension(fc.GetTransportSocket().GetTypedConfig(), path, into).(*tlsv3.DownstreamTlsContext)
	if !ok {
		into.add(path, "is no DownstreamTlsContext")
		return
	}
	common := m.GetCommonTlsContext()
	ch.TLS = &listen.ServerTLS{ALPN: common.GetAlpnProtocols()}
	path += ".common_tls_context"
	if isOrigination(common) { // files, as towards the outside
		t.serverFiles(m, ch.TLS, path, into)
		return
	}
	if ch.TLS.Mesh = t.meshCertificates(common, path, into); !m.GetRequireClientCertificate().GetValue() {
		into.add(path, "the mesh's own TLS asks for a client certificate in build %s", t.build)
	}
}

// serverFiles reads TLS that is ended by certificates in files.
func (t *translator) serverFiles(m *tlsv3.DownstreamTlsContext, out *listen.ServerTLS, path string, into *problems) {
	common := m.GetCommonTlsContext()
	if n := len(common.GetTlsCertificates()); n != 1 {
		into.add(path+".tls_certificates", "has %d, and one is supported by build %s", n, t.build)
		return
	}
	pair := common.GetTlsCertificates()[0]
	out.CertFile = file(pair.GetCertificateChain(), path+".tls_certificates[0].certificate_chain", into)
	out.KeyFile = file(pair.GetPrivateKey(), path+".tls_certificates[0].private_key", into)
	switch v := common.GetTlsParams().GetTlsMinimumProtocolVersion(); v {
	case tlsv3.TlsParameters_TLS_AUTO, tlsv3.TlsParameters_TLSv1_2:
	case tlsv3.TlsParameters_TLSv1_3:
		out.MinVersion = tls.VersionTLS13
	default:
		into.add(path+".tls_params.tls_minimum_protocol_version", "%s is not supported by build %s", v, t.build)
	}
	v := common.GetValidationContext()
	if v == nil {
		if m.GetRequireClientCertificate().GetValue() {
			into.add(path+".validation_context", "is missing: whom to believe")
		}
		return
	}
	out.Client = listen.ClientMayShow
	if m.GetRequireClientCertificate().GetValue() {
		out.Client = listen.ClientRequired
	}
	path += ".validation_context"
	out.CAFile = file(v.GetTrustedCa(), path+".trusted_ca", into)
	for i, san := range v.GetMatchTypedSubjectAltNames() {
		exact, ok := san.GetMatcher().GetMatchPattern().(*matcherv3.StringMatcher_Exact)
		if !ok || san.GetMatcher().GetIgnoreCase() {
			into.add(path+".match_typed_subject_alt_names["+strconv.Itoa(i)+"]", "only exact names are supported by build %s", t.build)
			continue
		}
		out.ClientNames = append(out.ClientNames, exact.Exact)
	}
}
