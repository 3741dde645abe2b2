// Package tcpconn is how the sidecar reads and writes TCP sockets: by calls that
// never wait, of which Go's scheduler is not told.
//
// net tells it of each call, in case that takes long. Then it takes the
// processor away, and while there is traffic it looks every 20 µs whether it
// should: of a proxy, that does little but receive and send, a tenth of the
// processor time alone (ADR 51). A call that never waits takes microseconds; when there
// is nothing to receive or no room to send, the goroutine waits for the poller as
// always. Deadlines, Close and the rest are net's.
package tcpconn

import "net"

// Wrap gives c with such calls where it is a TCP socket and this system has
// them, else c itself.
func Wrap(c net.Conn) net.Conn {
	if t, ok := c.(*net.TCPConn); ok {
		return wrap(t)
	}
	return c
}
