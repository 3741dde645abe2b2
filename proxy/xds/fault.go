package xds

import (
	"errors"
	"regexp"
	"strings"
	"time"

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
	// KeepName: resources whose name matches are acknowledged, and stay as they
	// were in the first complete configuration; nil = none.
	KeepName *regexp.Regexp
	// Slow: after the first complete configuration, each response waits so long
	// before it is looked at.
	Slow time.Duration
	// Unknown is a field, "envoy.config.route.v3.RouteAction.timeout", that this
	// build does not know: as one from before it was there.
	Unknown string
}

// keep puts what runs in place of what was accepted, where KeepName says so.
func (f Fault) keep(next, active *candidate) {
	if f.KeepName == nil || active == nil || !active.complete() {
		return
	}
	for kind, t := range next.types {
		for name := range t.resources {
			if before := active.types[kind].resources[name]; before != nil && f.KeepName.MatchString(name) {
				t.resources[name] = before
			}
		}
	}
}

// complete reports whether a server has sent what traffic needs.
func (c *candidate) complete() bool {
	return c.types[mesh.TypeCluster].live && c.types[mesh.TypeListener].live
}

// forget takes the unknown field out of the table of supported ones.
func (f Fault) forget(fields map[string]map[string]bool) {
	if i := strings.LastIndexByte(f.Unknown, '.'); i > 0 {
		delete(fields[f.Unknown[:i]], f.Unknown[i+1:])
	}
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
