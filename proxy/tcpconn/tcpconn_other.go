//go:build !linux

package tcpconn

import (
	"errors"
	"net"
	"time"
)

// Conn is a TCP socket as Linux has it.
type Conn struct{ *net.TCPConn }

func wrap(t *net.TCPConn) net.Conn { return t }

// Pieces is there on Linux only.
func (*Conn) Pieces(int, func([]byte) bool) (int, error) { return 0, errors.ErrUnsupported }

// GiveUpAfter is there on Linux only.
func (*Conn) GiveUpAfter(time.Duration) {}
