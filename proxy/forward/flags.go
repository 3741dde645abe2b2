package forward

import (
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Flags is a set of response flags. The zero value is none.
type Flags uint32

// The flags that this sidecar sets, in the order in which Envoy prints them.
const (
	FlagUH Flags = 1 << iota
	FlagUT
	FlagLR
	FlagUR
	FlagUF
	FlagUC
	FlagUO
	FlagNR
	FlagDI
	FlagFI
	FlagDC
	FlagURX
	FlagSI
	FlagDPE
	FlagUPE
	FlagNC
	FlagOM
	FlagRL
)

var flagNames = [...]mesh.Flag{
	mesh.FlagNoHealthyUpstream,
	mesh.FlagUpstreamRequestTimeout,
	mesh.FlagLocalReset,
	mesh.FlagUpstreamRemoteReset,
	mesh.FlagUpstreamConnectionFailure,
	mesh.FlagUpstreamConnectionTerm,
	mesh.FlagUpstreamOverflow,
	mesh.FlagNoRouteFound,
	mesh.FlagDelayInjected,
	mesh.FlagFaultInjected,
	mesh.FlagDownstreamTermination,
	mesh.FlagUpstreamRetryLimitExceeded,
	mesh.FlagStreamIdleTimeout,
	mesh.FlagDownstreamProtocolError,
	mesh.FlagUpstreamProtocolError,
	mesh.FlagNoClusterFound,
	mesh.FlagOverload,
	mesh.FlagRateLimited,
}

// String gives the short forms, comma separated, or "-".
func (f Flags) String() string {
	if f == 0 {
		return string(mesh.FlagNone)
	}
	if f&(f-1) == 0 { // the usual case costs no allocation
		for i, name := range flagNames {
			if f == 1<<i {
				return string(name)
			}
		}
	}
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, string(name))
		}
	}
	return strings.Join(names, ",")
}

// Has reports whether all of g are set.
func (f Flags) Has(g Flags) bool { return f&g == g }
