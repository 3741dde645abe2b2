package listen

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// Of <linux/netfilter_ipv4.h> and <linux/netfilter_ipv6/ip6_tables.h>.
const (
	soOriginalDst    = 80
	ip6SoOriginalDst = 80
)

// originalDst reads what netfilter's connection tracking remembers; the zero
// value when the connection was not redirected.
func originalDst(c *net.TCPConn, v4 bool) netip.AddrPort {
	raw, err := c.SyscallConn()
	if err != nil {
		return netip.AddrPort{}
	}
	var dst netip.AddrPort
	_ = raw.Control(func(fd uintptr) {
		if v4 {
			// The kernel fills a sockaddr_in of 16 bytes: family, port, address.
			if m, err := unix.GetsockoptIPv6Mreq(int(fd), unix.SOL_IP, soOriginalDst); err == nil {
				b := m.Multiaddr
				dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), uint16(b[2])<<8|uint16(b[3]))
			}
			return
		}
		if m, err := unix.GetsockoptIPv6MTUInfo(int(fd), unix.SOL_IPV6, ip6SoOriginalDst); err == nil {
			port := m.Addr.Port // in network order
			dst = netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr), port<<8|port>>8)
		}
	})
	return dst
}

// transparent lets a socket take connections for addresses that are not the
// machine's own. It needs CAP_NET_ADMIN.
func transparent(network, _ string, c syscall.RawConn) error {
	var err error
	controlErr := c.Control(func(fd uintptr) {
		if network == "tcp6" {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1); err != nil {
				return
			}
		}
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1)
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}
