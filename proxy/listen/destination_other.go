//go:build !linux

package listen

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

func originalDst(*net.TCPConn, bool) netip.AddrPort { return netip.AddrPort{} }

func transparent(string, string, syscall.RawConn) error {
	return errors.New("transparent sockets exist on Linux only")
}
