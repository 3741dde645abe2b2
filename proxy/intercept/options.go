package intercept

import (
	"fmt"
	"net/netip"
	"slices"
)

// Mode is how inbound connections reach the sidecar.
type Mode string

// The modes. Outbound connections are redirected in both.
const (
	Redirect Mode = "redirect" // by changing the destination; the app sees the sidecar's address
	TProxy   Mode = "tproxy"   // by a transparent socket, with the destination as it was
)

// Options say which connections are intercepted. The zero value of a list means
// that it leaves nothing out, or takes everything in.
type Options struct {
	Mode         Mode
	OutboundPort uint16 // the sidecar's entrance for what the app sends; 0 = none is intercepted
	InboundPort  uint16 // for what the app receives; 0 = none is intercepted

	// The sidecar's own user: what it sends is never intercepted, or it would
	// get it back.
	ExcludeUIDs []uint32
	ExcludeGIDs []uint32

	IncludeInboundPorts  []uint16 // only these
	ExcludeInboundPorts  []uint16
	IncludeOutboundCIDRs []netip.Prefix // only these
	ExcludeOutboundCIDRs []netip.Prefix
	ExcludeOutboundPorts []uint16

	// ExcludeInterfaces are inbound interfaces that are left alone.
	ExcludeInterfaces []string

	IPv4, IPv6 bool
}

// Validate says what is wrong with the options.
func (o *Options) Validate() error {
	switch {
	case o.Mode != Redirect && o.Mode != TProxy:
		return fmt.Errorf("mode %q is neither redirect nor tproxy", o.Mode)
	case !o.IPv4 && !o.IPv6:
		return fmt.Errorf("neither IPv4 nor IPv6 is to be intercepted; name at least one")
	case o.OutboundPort == 0 && o.InboundPort == 0:
		return fmt.Errorf("neither outbound nor inbound connections are to be intercepted; give at least one port")
	case o.OutboundPort != 0 && len(o.ExcludeUIDs)+len(o.ExcludeGIDs) == 0:
		return fmt.Errorf("no user or group is left out: the sidecar's own connections would come back to it")
	case len(o.IncludeInboundPorts) > 0 && slices.Contains(o.IncludeInboundPorts, o.InboundPort):
		return fmt.Errorf("inbound port %d is the sidecar's own entrance", o.InboundPort)
	}
	for _, name := range o.ExcludeInterfaces {
		if !interfaceName(name) {
			return fmt.Errorf("%q is no name of an interface", name)
		}
	}
	return nil
}

// interfaceName: what Linux takes, less what would need quoting in the rules.
func interfaceName(name string) bool {
	if name == "" || len(name) > 15 {
		return false
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
