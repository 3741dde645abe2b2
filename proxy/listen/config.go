package listen

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/policy"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// Direction tells traffic that the app sends from traffic that it receives.
type Direction string

// The directions, in the spelling of tap events.
const (
	Outbound Direction = "outbound"
	Inbound  Direction = "inbound"
)

// Kind is what a listener speaks.
type Kind uint8

// The kinds of listener.
const (
	HTTP Kind = iota // HTTP/1.1 and HTTP/2 with prior knowledge on one port
	TCP
)

// Config is one listener.
type Config struct {
	Name      string
	Address   string // "127.0.0.1:15001"
	Direction Direction
	Kind      Kind
	Revision  uint64

	// Virtual listeners have no socket: they take what comes in on a listener of
	// their direction with OriginalDst, for their address. One whose IP is all
	// zeros takes its port at every address.
	Virtual bool
	// OriginalDst: traffic that the kernel brought here goes to the virtual
	// listener for where it was going, and to this one when there is none.
	OriginalDst bool
	// Transparent sockets take connections for foreign addresses (TPROXY).
	Transparent bool

	// TLS says who may connect without it; TLSObject is the configuration object
	// that says so, "" for the mesh's default.
	TLS       TLSMode
	TLSObject string
	Policy    *policy.Policy // who may do what; nil: anybody anything
	// NormalizePath: policies, routes and the app get the one form of a path that
	// mesh.NormalizePath gives.
	NormalizePath bool

	// Chains, where there are any, serve in the listener's place: which one depends
	// on the name that a client calls.
	Chains []Chain

	// HTTP: either the name of a route table that is swapped by itself, or the
	// table, inline.
	RouteName string
	Routes    *route.Table
	Connect   bool // routes may take CONNECT; without, it is refused unless a route allows it
	Edge      bool // HTTP clients are strangers: what they say by the proxies' own headers does not count

	// TCP
	Cluster     string
	Split       []Share       // instead of Cluster, by weight
	IdleTimeout time.Duration // of a connection without bytes; 0 = 1 h

	StatPrefix string
}

// Share is one of several clusters of a TCP listener.
type Share struct {
	Cluster string
	Weight  uint32
}

// To gives the cluster of a connection. Random must be uniform over all 64 bits.
func (c *Config) To(random uint64) string {
	total := uint64(0)
	for _, s := range c.Split {
		total += uint64(s.Weight)
	}
	if total == 0 {
		return c.Cluster
	}
	at := random % total
	for _, s := range c.Split {
		if at < uint64(s.Weight) {
			return s.Cluster
		}
		at -= uint64(s.Weight)
	}
	return c.Cluster
}

// Validate says what is wrong with the listener, or nil.
func (c *Config) Validate() error {
	switch {
	case c.Name == "":
		return fmt.Errorf("listener at %q: no name", c.Address)
	case c.Address == "":
		return fmt.Errorf("listener %s: no address", c.Name)
	case c.Virtual && (c.OriginalDst || c.Transparent):
		return fmt.Errorf("listener %s: has no socket of its own, so it cannot take intercepted traffic", c.Name)
	case c.Direction != Outbound && c.Direction != Inbound:
		return fmt.Errorf("listener %s: traffic direction %q", c.Name, c.Direction)
	case len(c.Chains) > 0:
		for i := range c.Chains {
			if err := c.Chains[i].Config.Validate(); err != nil {
				return err
			}
		}
	case c.Kind == HTTP && c.Routes == nil && c.RouteName == "":
		return fmt.Errorf("listener %s: neither routes nor the name of a route configuration", c.Name)
	case c.Kind == TCP && c.Cluster == "" && len(c.Split) == 0:
		return fmt.Errorf("listener %s: no cluster", c.Name)
	}
	if c.Virtual {
		if _, err := netip.ParseAddrPort(c.Address); err != nil {
			return fmt.Errorf("listener %s: address %q is not IP:port", c.Name, c.Address)
		}
	}
	return nil
}
