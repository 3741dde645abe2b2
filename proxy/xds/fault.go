package xds

import (
	"errors"
	"regexp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Fault makes the sidecar misbehave in a known way, for tests and for showing
// what Sidelight says about it. The zero value is a healthy sidecar.
type Fault struct {
	// StallAfterFirst: after the first complete configuration the streams stay
	// open, and nothing more is read or acknowledged on ADS.
	StallAfterFirst bool
	// RefuseName refuses every resource whose name matches; nil = none.
	RefuseName *regexp.Regexp
}

// refusal gives an error such as a sidecar with narrow limits would give: about
// a value, not about a field that this build does not know.
func (f Fault) refusal(kind, name string) error {
	if f.RefuseName == nil || !f.RefuseName.MatchString(name) {
		return nil
	}
	switch kind {
	case mesh.TypeListener:
		return errors.New("address: is not among those that this sidecar may listen on")
	case mesh.TypeRoute:
		return errors.New("virtual_hosts[0].routes[0].route: the weights are over this sidecar's limit")
	case mesh.TypeCluster:
		return errors.New("connect_timeout: is over this sidecar's limit of 1s")
	default:
		return errors.New("endpoints[0].lb_endpoints[0].endpoint.address: is not among those that this sidecar may call")
	}
}
