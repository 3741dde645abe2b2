package cluster

import "slices"

// TLS is how connections to endpoints are encrypted.
type TLS struct {
	// Mesh: both ends show certificates of the mesh (Istio's ISTIO_MUTUAL).
	Mesh bool
	SNI  string
	ALPN []string
	// Names are those of which the endpoint's certificate must bear one; none
	// means that whoever the roots vouch for will do.
	Names []string

	// What follows is of TLS towards endpoints outside of the mesh, by files that
	// are read at each handshake, so that new ones need no new configuration.
	CertFile, KeyFile string // shown when the endpoint asks; "" = none
	CAFile            string // whom to believe; "" = whom the system believes
	SkipVerify        bool   // believe anybody
}

// ModeMesh is the TLSMode of an endpoint whose sidecar takes mutual TLS.
const ModeMesh = "istio"

// TLSTo is how connections to an endpoint are encrypted; nil for plain text.
func (c *Config) TLSTo(e *Endpoint) *TLS {
	if e.TLSMode == ModeMesh && c.MeshTLS != nil {
		return c.MeshTLS
	}
	return c.TLS
}

// Equal reports whether connections made under t also serve o.
func (t *TLS) Equal(o *TLS) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t.Mesh == o.Mesh && t.CertFile == o.CertFile && t.KeyFile == o.KeyFile && t.CAFile == o.CAFile &&
		t.SkipVerify == o.SkipVerify && t.SNI == o.SNI && slices.Equal(t.ALPN, o.ALPN) && slices.Equal(t.Names, o.Names)
}
