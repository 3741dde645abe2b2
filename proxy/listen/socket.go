package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/tcpconn"
)

// socket is one bound address. What it serves can change at any time.
type socket struct {
	set      *Set
	ln       net.Listener
	reserved bool
	config   atomic.Pointer[Config] // nil: bound, but not served

	server *http.Server
	feed   *feed
	ctx    context.Context // ends when the socket is cut; TCP engines watch it
	cut    context.CancelFunc

	leaving atomic.Bool // draining: every answer says that it is its connection's last

	mu    sync.Mutex
	conns map[*conn]struct{}
	tcp   sync.WaitGroup
}

func newSocket(s *Set, ln net.Listener) *socket {
	ctx, cancel := context.WithCancel(context.Background())
	sock := &socket{
		set: s, ln: ln, ctx: ctx, cut: cancel,
		feed:  &feed{conns: make(chan net.Conn), done: make(chan struct{}), addr: ln.Addr()},
		conns: make(map[*conn]struct{}),
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	sock.server = &http.Server{
		Handler:                      http.HandlerFunc(sock.handle),
		Protocols:                    &protocols,
		DisableGeneralOptionsHandler: true, // OPTIONS * belongs to the service
		ReadHeaderTimeout:            s.opts.HeaderTimeout,
		IdleTimeout:                  s.opts.IdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ConnContext:                  func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		ConnState:                    connState,
		ErrorLog:                     slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          250,
			MaxReadFrameSize:              16 << 10,
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     256 << 10,
			SendPingTimeout:               time.Minute,
		},
	}
	return sock
}

func (k *socket) address() string { return k.ln.Addr().String() }

// accept takes connections until the listener is closed.
func (k *socket) accept() {
	defer k.feed.close()
	wait := 5 * time.Millisecond
	for {
		c, err := k.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors, usually: it passes, and spinning would
			// make it worse.
			k.set.opts.Logger.Error("accept", "address", k.address(), "error", err)
			select {
			case <-time.After(wait):
				wait = min(2*wait, time.Second)
				continue
			case <-k.ctx.Done():
				return
			}
		}
		wait = 5 * time.Millisecond
		k.dispatch(c)
	}
}

// dispatch hands a connection to the engine that the configuration names now.
func (k *socket) dispatch(c net.Conn) {
	cfg := k.config.Load()
	if cfg == nil || k.set.active.Load() >= int64(k.set.opts.MaxConnections) {
		k.set.refused.Add(1)
		_ = c.Close()
		return
	}
	wrapped := k.track(c)
	if cfg = k.listener(wrapped); cfg == nil { // gone a moment ago
		_ = wrapped.Close()
		return
	}
	if cfg.TLS != TLSDisable || len(cfg.Chains) > 0 {
		k.tcp.Go(func() { k.negotiate(cfg, wrapped) })
		return
	}
	wrapped.plain.Store(true)
	if cfg.Kind == HTTP {
		if !k.feed.push(wrapped) {
			_ = wrapped.Close()
		}
		return
	}
	k.tcp.Go(func() {
		defer func() { _ = wrapped.Close() }()
		k.set.opts.Engines.TCP(context.WithValue(k.ctx, connKey{}, wrapped), cfg, wrapped)
	})
}

// listener gives the configuration that a connection belongs to now: the
// socket's own, or the virtual listener's for where it was going.
func (k *socket) listener(c *conn) *Config {
	cfg := k.bound(c)
	if cfg == nil || len(cfg.Chains) == 0 || !c.chosen.Load() {
		return cfg
	}
	// A chain that asks for more than what the client has shown is not for it.
	if ch := cfg.chain(c.hello); ch != nil && ch.TLS.lets(c.terms) {
		return ch.Config
	}
	return nil
}

// bound gives the listener at the address that a connection came to, or was
// going to.
func (k *socket) bound(c *conn) *Config {
	cfg := k.config.Load()
	if cfg == nil || !cfg.OriginalDst || !c.dst.IsValid() {
		return cfg
	}
	if v := k.set.virtual.Load(); v != nil {
		if at := v.find(cfg.Direction, c.dst); at != nil {
			return at
		}
	}
	return cfg
}

// serve runs the HTTP server on the connections that accept feeds it.
func (k *socket) serve() {
	if err := k.server.Serve(k.feed); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		k.set.opts.Logger.Error("serve", "address", k.address(), "error", err)
	}
}

func (k *socket) handle(w http.ResponseWriter, r *http.Request) {
	cfg := k.config.Load()
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		c.unread.Store(false)
		if r.ProtoMajor == 2 {
			c.speaksHTTP2()
		}
		cfg = k.listener(c)
		if cfg != nil && cfg.TLS == TLSStrict && !c.info.Mutual {
			// The mode changed under an open connection.
			k.reject(cfg, c, RejectedPlainText)
			_ = c.Close()
			panic(http.ErrAbortHandler)
		}
	}
	if cfg == nil || cfg.Kind != HTTP {
		// The listener went or changed its nature under an open connection.
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	k.set.opts.Engines.HTTP(cfg, &answer{ResponseWriter: w, leaving: &k.leaving}, r)
}

// answer tells the client of a socket that drains that its connection ends: by
// Connection: close over HTTP/1, and over HTTP/2, where net/http takes the same
// for it, by GOAWAY.
type answer struct {
	http.ResponseWriter
	leaving   *atomic.Bool
	wroteHead bool
}

func (w *answer) WriteHeader(status int) {
	if w.wroteHead = true; w.leaving.Load() && status != http.StatusSwitchingProtocols {
		w.Header()["Connection"] = []string{"close"}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answer) Write(p []byte) (int, error) {
	if !w.wroteHead {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// noticeTime is how long clients are told with their answers that a connection
// ends, before idle ones are closed: a request that is on its way while its
// connection is closed would be lost.
const noticeTime = 500 * time.Millisecond

// drain ends the socket, gracefully until ctx ends.
func (k *socket) drain(ctx context.Context) (cut int) {
	_ = k.ln.Close()
	k.leaving.Store(true)
	notice, cancel := context.WithTimeout(ctx, noticeTime)
	k.wait(notice)
	cancel()
	err := k.server.Shutdown(ctx)
	k.wait(ctx)
	k.mu.Lock()
	open := make([]*conn, 0, len(k.conns))
	for c := range k.conns {
		open = append(open, c)
	}
	k.mu.Unlock()
	k.cut()
	for _, c := range open { // hijacked ones too, which Shutdown does not know
		c.cut()
	}
	if err != nil {
		_ = k.server.Close()
	}
	k.tcp.Wait()
	return len(open)
}

// wait returns when no connection is left or ctx ends.
func (k *socket) wait(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		k.mu.Lock()
		n := len(k.conns)
		k.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (k *socket) track(c net.Conn) *conn {
	k.set.accepted.Add(1)
	k.set.active.Add(1)
	raw := tcpconn.Wrap(c)
	wrapped := &conn{Conn: raw, raw: raw, socket: k, dst: k.destination(c)}
	if wrapped.info.Local = wrapped.dst; !wrapped.dst.IsValid() {
		if tcp, ok := c.LocalAddr().(*net.TCPAddr); ok {
			wrapped.info.Local = tcp.AddrPort()
		}
	}
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		wrapped.info.Remote = tcp.AddrPort()
	}
	k.mu.Lock()
	k.conns[wrapped] = struct{}{}
	k.mu.Unlock()
	return wrapped
}

// feed is a net.Listener that gives out connections accepted elsewhere.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

func (f *feed) push(c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		return false
	}
}

// Accept waits for the next connection.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close ends the feed, as http.Server asks.
func (f *feed) Close() error {
	f.close()
	return nil
}

func (f *feed) close() { f.once.Do(func() { close(f.done) }) }

// Addr is the socket's address.
func (f *feed) Addr() net.Addr { return f.addr }
