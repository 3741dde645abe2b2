package app

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// begin is how long a connection may take to show its protocol.
const begin = 5 * time.Second

// nodePort is a port at which nodes get their configuration, in either of two
// ways: over gRPC, where they are told, or over REST, where they ask. The first
// bytes, or the protocol agreed on in TLS, say which.
type nodePort struct {
	listener net.Listener
	tls      *tls.Config // nil: plain text
	log      *slog.Logger

	grpc     *grpc.Server
	rest     *http.Server
	gRPCHalf half
	restHalf half

	mu       sync.Mutex
	deciding map[net.Conn]struct{} // connections that have not shown their protocol
}

func newNodePort(l net.Listener, config *tls.Config, streams *grpc.Server, rest http.Handler, log *slog.Logger) *nodePort {
	server := publicServer(rest, log)
	server.WriteTimeout = time.Minute
	return &nodePort{
		listener: l, tls: config, log: log, grpc: streams, rest: server,
		gRPCHalf: newHalf(l), restHalf: newHalf(l), deciding: map[net.Conn]struct{}{},
	}
}

// serve serves both until stop.
func (p *nodePort) serve() error {
	var halves sync.WaitGroup
	var err [2]error
	halves.Go(func() { err[0] = p.grpc.Serve(&p.gRPCHalf) })
	halves.Go(func() { err[1] = ignoreClosed(p.rest.Serve(&p.restHalf)) })
	p.accept()
	_ = p.restHalf.Close()
	_ = p.gRPCHalf.Close()
	halves.Wait()
	for i := range err {
		if errors.Is(err[i], net.ErrClosed) || errors.Is(err[i], grpc.ErrServerStopped) {
			err[i] = nil
		}
	}
	return errors.Join(err[:]...)
}

// stop lets what is under way end, then cuts it.
func (p *nodePort) stop() {
	_ = p.listener.Close() // nobody new; serve goes on until both halves are over
	shutdown(p.rest)
	stopGRPC(p.grpc)
}

// accept takes connections until the listener is closed.
func (p *nodePort) accept() {
	var deciding sync.WaitGroup
	defer deciding.Wait()
	for {
		conn, err := p.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			p.mu.Lock()
			for conn := range p.deciding {
				_ = conn.Close()
			}
			p.mu.Unlock()
			return
		case err != nil: // out of files, for instance: some will be free again
			p.log.Warn("accept a connection", "error", err)
			time.Sleep(100 * time.Millisecond)
		default:
			p.mu.Lock()
			p.deciding[conn] = struct{}{}
			p.mu.Unlock()
			deciding.Go(func() { p.decide(conn) })
		}
	}
}

// decide hands a connection to who speaks its protocol.
func (p *nodePort) decide(conn net.Conn) {
	accepted := conn
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.deciding, accepted)
	}()
	_ = conn.SetDeadline(time.Now().Add(begin)) // fails on a closed connection, which shows below
	to := &p.restHalf
	if p.tls != nil {
		secured := tls.Server(conn, p.tls)
		if err := secured.HandshakeContext(context.Background()); err != nil {
			p.log.Debug("no TLS", "peer", conn.RemoteAddr(), "error", err)
			_ = conn.Close()
			return
		}
		if secured.ConnectionState().NegotiatedProtocol == "h2" {
			to = &p.gRPCHalf
		}
		conn = secured
	} else {
		head := make([]byte, len("PRI"))
		if _, err := io.ReadFull(conn, head); err != nil {
			_ = conn.Close()
			return
		}
		if string(head) == "PRI" { // as each connection of HTTP/2 begins, and no request
			to = &p.gRPCHalf
		}
		conn = &begun{conn, head}
		if to == &p.gRPCHalf {
			conn = &patient{Conn: conn}
		}
	}
	_ = conn.SetDeadline(time.Time{})
	to.take(conn)
}

// begun is a connection of which the first bytes were read.
type begun struct {
	net.Conn
	head []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.head) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.head)
	if b.head = b.head[n:]; len(b.head) == 0 {
		b.head = nil
	}
	return n, nil
}

// half is a listener for the connections of one protocol.
type half struct {
	net.Listener // for its address
	conns        chan net.Conn
	closed       chan struct{}
	once         *sync.Once
}

func newHalf(of net.Listener) half {
	return half{of, make(chan net.Conn), make(chan struct{}), &sync.Once{}}
}

func (h *half) take(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.closed:
		_ = conn.Close()
	}
}

func (h *half) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *half) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// handshaken is TLS that nodePort has begun already.
type handshaken struct {
	credentials.TransportCredentials
}

func newHandshaken(config *tls.Config) handshaken { return handshaken{credentials.NewTLS(config)} }

// ServerHandshake tells what was agreed on.
func (handshaken) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return nil, nil, errors.New("not a connection of the TLS port")
	}
	return &patient{Conn: conn}, credentials.TLSInfo{
		State:          secured.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// Clone is called by servers that are made of copies.
func (h handshaken) Clone() credentials.TransportCredentials {
	return handshaken{h.TransportCredentials.Clone()}
}
