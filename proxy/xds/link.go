package xds

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	minBackoff = 500 * time.Millisecond
	maxBackoff = 30 * time.Second

	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second

	maxMessage = 64 << 20 // of a response; a full set for a big mesh is a few MB
)

// retryDelay is how long to wait before try n, counted from 1: exponential with
// full jitter, so that a thousand sidecars do not come back at once.
func retryDelay(n int) time.Duration {
	ceiling := maxBackoff
	if n < 7 {
		ceiling = min(maxBackoff, minBackoff<<n)
	}
	return minBackoff + time.Duration(rand.Int64N(int64(ceiling-minBackoff)+1))
}

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// link is the connection to the control plane that the ADS stream and the agent
// stream share. The ADS stream decides which server is talked to; the agent
// stream follows it.
type link struct {
	servers []string
	options []grpc.DialOption

	mu      sync.Mutex
	conn    *grpc.ClientConn
	server  int
	changed chan struct{} // closed when conn is replaced
}

func newLink(servers []string, creds credentials.TransportCredentials, dial func(context.Context, string) (net.Conn, error)) *link {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		// The streams have their own back-off; this one would add to it.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: maxBackoff, Multiplier: 1, MaxDelay: maxBackoff},
			MinConnectTimeout: 10 * time.Second,
		}),
		grpc.WithDisableServiceConfig(),
	}
	if dial != nil {
		options = append(options, grpc.WithContextDialer(dial))
	}
	return &link{servers: servers, options: options, changed: make(chan struct{})}
}

// open gives a connection that may work, making a new one when the last is
// broken, and the server's address.
func (l *link) open() (*grpc.ClientConn, string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	address := l.servers[l.server]
	if l.conn != nil && l.conn.GetState() == connectivity.Ready {
		return l.conn, address, nil
	}
	l.dropLocked()
	conn, err := grpc.NewClient("passthrough:///"+address, l.options...)
	if err != nil {
		return nil, address, err
	}
	l.conn = conn
	close(l.changed)
	l.changed = make(chan struct{})
	return conn, address, nil
}

// next turns to the next server, when there is another.
func (l *link) next() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.servers) > 1 {
		l.server = (l.server + 1) % len(l.servers)
		l.dropLocked()
	}
}

// current gives the connection and the channel that tells when it is replaced.
// The connection is nil before the first.
func (l *link) current() (*grpc.ClientConn, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn, l.changed
}

func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropLocked()
}

func (l *link) dropLocked() {
	if l.conn != nil {
		_ = l.conn.Close() // ends its streams; nothing else can be done about an error
		l.conn = nil
	}
}
