package demo

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// The demo's ports stay below the range that the kernel takes outgoing ports
// from: a port that was free a moment ago is then still free when its process
// binds it.
const (
	lowestPort  = 20000
	highestPort = 30000
)

// portSource hands out loopback ports that nothing listens on.
type portSource struct {
	next  int
	tried int
}

func newPortSource() *portSource {
	// A random begin keeps two demos on one machine out of each other's way.
	return &portSource{next: lowestPort + rand.IntN((highestPort-lowestPort)/100)*100}
}

func (s *portSource) take() (int, error) {
	for s.tried < highestPort-lowestPort {
		port := s.next
		s.tried++
		if s.next++; s.next == highestPort {
			s.next = lowestPort
		}
		if portFree(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port on 127.0.0.1: none left between %d and %d", lowestPort, highestPort)
}

func portFree(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// assign gives every instance the ports that it needs.
func (s *portSource) assign(instances []*Instance) error {
	for _, i := range instances {
		p := &i.ports
		wanted := []*int{&p.app}
		if i.Meshed {
			wanted = append(wanted, &p.inbound, &p.outbound, &p.admin, &p.metrics, &p.health)
		}
		if i.TCPTo != "" {
			wanted = append(wanted, &p.tcpOutbound)
		}
		for _, port := range wanted {
			var err error
			if *port, err = s.take(); err != nil {
				return err
			}
		}
	}
	return nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
