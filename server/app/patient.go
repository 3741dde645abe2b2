package app

import (
	"net"

	"google.golang.org/grpc/mem"
)

// patient is a connection that gRPC waits on without a buffer: thousands of nodes
// say nothing nearly all the time. gRPC knows by itself how to wait so on a bare
// TCP connection, and asks others for ReadOnReady.
type patient struct {
	net.Conn
	first [512]byte // most of what nodes say, pings and acknowledgements, fits
	full  bool      // the last read filled what it was given: there is more
}

// ReadOnReady reads into a buffer of the pool that it gets when there is something
// to read.
func (p *patient) ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error) {
	if p.full {
		buf := pool.Get(size)
		n, err := p.Read(*buf)
		p.full = n == len(*buf)
		if n == 0 {
			pool.Put(buf)
			return nil, 0, err
		}
		return buf, n, err
	}
	n, err := p.Read(p.first[:min(size, len(p.first))])
	if n == 0 {
		return nil, 0, err
	}
	p.full = n == len(p.first)
	buf := pool.Get(size)
	return buf, copy(*buf, p.first[:n]), err
}
