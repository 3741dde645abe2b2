package xds

import (
	"fmt"
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

// refusal gives the error that a build without support would give.
func (f Fault) refusal(kind, name, build string) error {
	if f.RefuseName == nil || !f.RefuseName.MatchString(name) {
		return nil
	}
	path := map[string]string{
		mesh.TypeListener: "filter_chains[0].transport_socket",
		mesh.TypeRoute:    "virtual_hosts[0].routes[0].route.hash_policy",
		mesh.TypeCluster:  "load_balancing_policy",
		mesh.TypeEndpoint: "endpoints[0].priority",
	}[kind]
	return fmt.Errorf("%s: not supported by build %s", path, build)
}
