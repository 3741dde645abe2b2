package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
)

// TLSMode says who may connect without TLS.
type TLSMode uint8

// The modes, by Istio's names.
const (
	TLSDisable    TLSMode = iota // bytes are taken as they come
	TLSPermissive                // mutual TLS and plain text on one port
	TLSStrict                    // mutual TLS only
)

// String gives the mode in PeerAuthentication's spelling.
func (m TLSMode) String() string {
	return [...]string{"DISABLE", "PERMISSIVE", "STRICT"}[m]
}

// Why a connection was turned away before it said anything, in the words of
// response_code_details. The first is Envoy's.
const (
	RejectedPlainText = "filter_chain_not_found"
	RejectedHandshake = "downstream_tls_handshake_failed"
)

// maxSilence is how long a TCP client may say nothing before it is taken for one
// that waits for the server to speak first, which TLS clients never do.
const maxSilence = 2 * time.Second

// meshALPN are the protocols by which sidecars tell each other's TLS from what
// apps speak themselves; plainALPN are those of other clients with a certificate.
var (
	meshALPN  = []string{"istio-h2", "istio-http/1.1", "istio-http/1.0", "istio"}
	plainALPN = []string{"h2", "http/1.1"}
)

// Info is what is known of a connection beside its bytes.
type Info struct {
	Mutual    bool           // it is under mutual TLS
	Principal string         // who the client proved to be; "" without TLS
	SNI       string         // what it called the server
	Ended     bool           // TLS of the client ends here
	Local     netip.AddrPort // where it went
	Remote    netip.AddrPort // where it comes from
}

// InfoOf gives what is known of the connection that a request or a TCP
// connection came on, from its context.
func InfoOf(ctx context.Context) Info {
	c, ok := ctx.Value(connKey{}).(*conn)
	if !ok {
		return Info{}
	}
	return c.info
}

// negotiate finds out what a new connection speaks, and hands it on. It runs on
// a goroutine of the connection's own.
func (k *socket) negotiate(cfg *Config, c *conn) {
	var rejected string
	var err error
	if len(cfg.Chains) > 0 {
		cfg, rejected, err = k.choose(cfg, c)
	} else {
		rejected, err = k.secure(cfg, c)
	}
	if err != nil {
		_ = c.Close()
		if rejected != "" {
			k.reject(cfg, c, rejected)
			k.set.opts.Logger.Debug("connection turned away", "listener", cfg.Name, "client", c.RemoteAddr(), "error", err)
		}
		return
	}
	c.plain.Store(!c.info.Mutual)
	// The configuration may have changed meanwhile; what it says now counts.
	if cfg = k.listener(c); cfg == nil || cfg.TLS == TLSStrict && !c.info.Mutual {
		_ = c.Close()
		if cfg != nil {
			k.reject(cfg, c, RejectedPlainText)
		}
		return
	}
	if cfg.Kind == HTTP {
		if !k.feed.push(c) {
			_ = c.Close()
		}
		return
	}
	defer func() { _ = c.Close() }()
	k.set.opts.Engines.TCP(context.WithValue(k.ctx, connKey{}, c), cfg, c)
}

// handshakeRecord is what every TLS client begins with.
const handshakeRecord = 0x16

// reject counts a connection that the mode does not let in.
func (k *socket) reject(cfg *Config, c *conn, why string) {
	k.set.insecure.Add(1)
	if k.set.opts.Engines.Rejected != nil {
		k.set.opts.Engines.Rejected(cfg, c.RemoteAddr(), why)
	}
}

// secure does the TLS handshake where the client begins one. On an error, the
// connection is to be closed, and rejected says why where that is worth telling.
func (k *socket) secure(cfg *Config, c *conn) (rejected string, err error) {
	patience := k.set.opts.HeaderTimeout
	if cfg.Kind == TCP && cfg.TLS == TLSPermissive {
		patience = min(patience, maxSilence)
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(patience))
	first := make([]byte, 1)
	n, err := io.ReadFull(c.raw, first)
	var ne net.Error
	switch {
	case n == 1:
	case cfg.Kind == TCP && cfg.TLS == TLSPermissive && errors.As(err, &ne) && ne.Timeout():
		_ = c.raw.SetReadDeadline(time.Time{})
		return "", nil
	default:
		return "", err // gone without a word
	}
	read := &replay{Conn: c.raw, rest: first}
	if first[0] != handshakeRecord {
		if cfg.TLS == TLSStrict {
			return RejectedPlainText, errors.New("plain text where only mutual TLS is taken")
		}
		_ = c.raw.SetReadDeadline(time.Time{})
		c.Conn = read
		return "", nil
	}
	_ = c.raw.SetDeadline(time.Now().Add(k.set.opts.HeaderTimeout))
	if cfg.Kind == TCP && cfg.TLS == TLSPermissive {
		foreign, seen := foreignTLS(k.ctx, read)
		read.rest = seen
		if foreign { // the app's own TLS, which passes as bytes
			_ = c.raw.SetDeadline(time.Time{})
			c.Conn = read
			return "", nil
		}
	}
	conn := tls.Server(read, k.serverTLS(cfg.Kind))
	if err := conn.HandshakeContext(k.ctx); err != nil {
		return RejectedHandshake, fmt.Errorf("TLS handshake: %w", err)
	}
	_ = c.raw.SetDeadline(time.Time{})
	state := conn.ConnectionState()
	c.info.Mutual, c.info.Principal, c.info.SNI = true, identity.Principal(state), state.ServerName
	c.tls.Store(conn)
	c.Conn = conn
	return "", nil
}

// serverTLS offers the protocols that the listener has. A client that asks for
// others is not turned away for it: what it speaks is seen soon enough.
func (k *socket) serverTLS(kind Kind) *tls.Config {
	offer := meshALPN
	if kind == HTTP {
		offer = slices.Concat(meshALPN, plainALPN)
	}
	config := k.set.opts.Identity.ServerTLS(offer)
	without := config.Clone()
	without.NextProtos = nil
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		for _, p := range hello.SupportedProtos {
			if slices.Contains(offer, p) {
				return nil, nil
			}
		}
		return without, nil
	}
	return config
}

// foreignTLS reads a client's hello, and reports whether it is no sidecar's. It
// gives all that it read.
func foreignTLS(ctx context.Context, from *replay) (foreign bool, seen []byte) {
	hello, seen := peekHello(ctx, from)
	return hello == nil || !slices.ContainsFunc(hello.SupportedProtos, func(p string) bool { return slices.Contains(meshALPN, p) }), seen
}

// replay gives out bytes that were read already before it reads on.
type replay struct {
	net.Conn
	rest []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// readOnly is a connection that swallows what is written: nobody must be told
// of a handshake that is only looked at.
type readOnly struct {
	from io.Reader
	net.Conn
}

func (r readOnly) Read(p []byte) (int, error)  { return r.from.Read(p) }
func (r readOnly) Write(p []byte) (int, error) { return len(p), nil }
func (readOnly) Close() error                  { return nil }

// cutPlain closes TCP connections without TLS that the configuration no longer
// takes, and all those whose chain is gone or asks for more. HTTP ones are turned away at their next request.
func (k *socket) cutPlain() {
	k.mu.Lock()
	var cut []*conn
	for c := range k.conns {
		cfg := k.listener(c)
		if cfg != nil && cfg.Kind == TCP && cfg.TLS == TLSStrict && c.plain.Load() || cfg == nil && c.chosen.Load() {
			cut = append(cut, c)
		}
	}
	k.mu.Unlock()
	for _, c := range cut {
		c.cut()
	}
}
