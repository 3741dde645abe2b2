package listen

import (
	"fmt"
	"time"

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

	// HTTP: either the name of a route table that is swapped by itself, or the
	// table, inline.
	RouteName string
	Routes    *route.Table

	// TCP
	Cluster     string
	IdleTimeout time.Duration // of a connection without bytes; 0 = 1 h

	StatPrefix string
}

// Validate says what is wrong with the listener, or nil.
func (c *Config) Validate() error {
	switch {
	case c.Name == "":
		return fmt.Errorf("listener at %q: no name", c.Address)
	case c.Address == "":
		return fmt.Errorf("listener %s: no address", c.Name)
	case c.Kind == HTTP && c.Routes == nil && c.RouteName == "":
		return fmt.Errorf("listener %s: neither routes nor the name of a route configuration", c.Name)
	case c.Kind == TCP && c.Cluster == "":
		return fmt.Errorf("listener %s: no cluster", c.Name)
	case c.Direction != Outbound && c.Direction != Inbound:
		return fmt.Errorf("listener %s: traffic direction %q", c.Name, c.Direction)
	}
	return nil
}
