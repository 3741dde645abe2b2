package dns

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// System is the resolver of the machine: its hosts file, its name servers. How
// long an answer holds it learns by looking at what the servers send, over UDP;
// net's own resolver does not say.
type System struct {
	server string // asked instead of the machine's, in tests
}

// Lookup implements Resolver.
func (s System) Lookup(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	var holds leastTTL
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if s.server != "" {
			address = s.server
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		if udp, ok := conn.(*net.UDPConn); ok {
			return &watched{udp, &holds}, nil
		}
		return conn, err
	}}
	found, err := r.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, 0, err
	}
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, holds.duration(), nil
}

// leastTTL is the shortest time that an answer's records hold.
type leastTTL struct{ seconds atomic.Int64 } // 0: none seen

func (l *leastTTL) saw(ttl uint32) {
	seconds := max(int64(ttl), 1) // 0 asks not to keep it: the shortest interval
	for {
		old := l.seconds.Load()
		if old != 0 && old <= seconds || l.seconds.CompareAndSwap(old, seconds) {
			return
		}
	}
}

func (l *leastTTL) duration() time.Duration { return time.Duration(l.seconds.Load()) * time.Second }

// watched is a connection to a name server.
type watched struct {
	*net.UDPConn
	holds *leastTTL
}

// Read gives the next message.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.UDPConn.Read(p)
	if err == nil {
		w.holds.read(p[:n])
	}
	return n, err
}

// read looks at a message's answers; one that is broken says nothing.
func (l *leastTTL) read(message []byte) {
	var p dnsmessage.Parser
	if _, err := p.Start(message); err != nil || p.SkipAllQuestions() != nil {
		return
	}
	for {
		h, err := p.AnswerHeader()
		if err != nil {
			return
		}
		switch h.Type {
		case dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeCNAME:
			l.saw(h.TTL)
		}
		if p.SkipAnswer() != nil {
			return
		}
	}
}
