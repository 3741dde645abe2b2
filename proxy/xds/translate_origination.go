package xds

import (
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

// isOrigination tells TLS by files, towards the outside, from the mesh's own,
// whose certificates come by SDS.
func isOrigination(m *tlsv3.CommonTlsContext) bool {
	return len(m.GetTlsCertificateSdsSecretConfigs()) == 0 && m.GetCombinedValidationContext() == nil && m.GetValidationContextSdsSecretConfig() == nil
}

// origination reads which files to show and whom to believe. No validation
// context means, as in Envoy, that anybody is believed.
func (t *translator) origination(m *tlsv3.CommonTlsContext, out *cluster.TLS, path string, into *problems) {
	t.noParams(m, path, into)
	switch own := m.GetTlsCertificates(); len(own) {
	case 0:
	case 1:
		at := path + ".tls_certificates[0]"
		out.CertFile = file(own[0].GetCertificateChain(), at+".certificate_chain", into)
		out.KeyFile = file(own[0].GetPrivateKey(), at+".private_key", into)
	default:
		into.add(path+".tls_certificates", "has %d, and one is supported by build %s", len(own), t.build)
	}
	v := m.GetValidationContext()
	if v == nil {
		out.SkipVerify = true
		return
	}
	path += ".validation_context"
	switch {
	case v.GetTrustedCa() != nil:
		out.CAFile = file(v.GetTrustedCa(), path+".trusted_ca", into)
	case v.GetSystemRootCerts() == nil:
		into.add(path, "needs trusted_ca or system_root_certs")
	}
	for i, san := range v.GetMatchTypedSubjectAltNames() {
		exact, ok := san.GetMatcher().GetMatchPattern().(*matcherv3.StringMatcher_Exact)
		if !ok || san.GetMatcher().GetIgnoreCase() {
			into.add(path+".match_typed_subject_alt_names["+strconv.Itoa(i)+"]", "only exact names are supported by build %s", t.build)
			continue
		}
		out.Names = append(out.Names, exact.Exact)
	}
}

func file(d *corev3.DataSource, path string, into *problems) string {
	if d.GetFilename() == "" {
		into.add(path, "must name a file")
	}
	return d.GetFilename()
}
