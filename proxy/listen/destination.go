package listen

import (
	"context"
	"net"
	"net/netip"
)

// virtuals are the listeners without a socket of their own, by direction and
// address. An address of all zeros stands for every address with its port.
type virtuals map[virtualKey]*Config

type virtualKey struct {
	direction Direction
	address   netip.AddrPort
}

// find gives the listener for a destination: the one of that very address,
// else the one of its port.
func (v virtuals) find(direction Direction, dst netip.AddrPort) *Config {
	if c := v[virtualKey{direction, dst}]; c != nil {
		return c
	}
	any4 := netip.AddrPortFrom(netip.IPv4Unspecified(), dst.Port())
	if c := v[virtualKey{direction, any4}]; c != nil {
		return c
	}
	return v[virtualKey{direction, netip.AddrPortFrom(netip.IPv6Unspecified(), dst.Port())}]
}

// Destination gives the address that the client of a request or connection had
// dialled before the kernel brought it to this sidecar. It is the zero value
// where traffic was not intercepted. ctx is that of a request, or the one that
// the TCP engine got.
func Destination(ctx context.Context) netip.AddrPort {
	if c, ok := ctx.Value(connKey{}).(*conn); ok {
		return c.dst
	}
	return netip.AddrPort{}
}

// destination asks the kernel where an accepted connection was going. A
// connection that came here by itself has no other destination.
func (k *socket) destination(c net.Conn) netip.AddrPort {
	cfg := k.config.Load()
	if cfg == nil || !cfg.OriginalDst {
		return netip.AddrPort{}
	}
	local := addrPort(c.LocalAddr())
	dst := local
	if !cfg.Transparent {
		t, ok := c.(*net.TCPConn)
		if !ok {
			return netip.AddrPort{}
		}
		dst = originalDst(t, local.Addr().Is4())
	}
	if dst.Port() == addrPort(k.ln.Addr()).Port() && (dst == local || cfg.Transparent) {
		return netip.AddrPort{} // dialled this very socket
	}
	return dst
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	return netip.AddrPort{}
}
