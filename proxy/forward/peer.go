package forward

import "github.com/sidelight-mesh/sidelight/mesh"

// Peer is who stands at one end of an exchange. Peers are interned: the same
// workload is the same pointer as long as it is in use, so that telemetry can
// look its series up by pointer.
type Peer struct {
	mesh.Workload
	NodeID    string // "" when not told
	Principal string // SPIFFE identity; "" without mutual TLS
}
