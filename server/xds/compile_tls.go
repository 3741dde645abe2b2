package xds

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	"github.com/sidelight-mesh/sidelight/server/registry"
)

// originateTLS encrypts the connections of a cluster to what is outside of the
// mesh. Without an SNI it is the host, and without names the certificate must
// bear the SNI: Istio takes both from the Host header, which is the same for a
// service that has one host.
func originateTLS(c *clusterv3.Cluster, s *networking.ClientTLSSettings, host string) {
	switch s.GetMode() {
	case v1alpha3.ClientTLSSettings_SIMPLE, v1alpha3.ClientTLSSettings_MUTUAL:
	default:
		return
	}
	sni := s.Sni
	if sni == "" && !registry.IsWild(host) {
		sni = host
	}
	common := &tlsv3.CommonTlsContext{}
	if s.ClientCertificate != "" {
		common.TlsCertificates = []*tlsv3.TlsCertificate{{
			CertificateChain: fileSource(s.ClientCertificate), PrivateKey: fileSource(s.PrivateKey),
		}}
	}
	if !s.GetInsecureSkipVerify().GetValue() {
		v := &tlsv3.CertificateValidationContext{}
		if s.CaCertificates != "" {
			v.TrustedCa = fileSource(s.CaCertificates)
		} else {
			v.SystemRootCerts = &tlsv3.CertificateValidationContext_SystemRootCerts{}
		}
		names := s.SubjectAltNames
		if len(names) == 0 && sni != "" {
			names = []string{sni}
		}
		for _, name := range names {
			v.MatchTypedSubjectAltNames = append(v.MatchTypedSubjectAltNames, &tlsv3.SubjectAltNameMatcher{
				SanType: tlsv3.SubjectAltNameMatcher_DNS,
				Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: name}},
			})
		}
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: v}
	}
	c.TransportSocket = &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(&tlsv3.UpstreamTlsContext{Sni: sni, CommonTlsContext: common})},
	}
}

// autoSNI reports whether TLS to a service that stands for many hosts goes by the
// one that a request names.
func autoSNI(s *networking.ClientTLSSettings, host string) bool {
	return registry.IsWild(host) && s.GetSni() == "" &&
		(s.GetMode() == v1alpha3.ClientTLSSettings_SIMPLE || s.GetMode() == v1alpha3.ClientTLSSettings_MUTUAL)
}

func fileSource(name string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: name}}
}
