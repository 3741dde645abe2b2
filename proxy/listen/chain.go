package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
)

// Chain is what becomes of connections to a listener by the name that the client
// calls the server (SNI).
type Chain struct {
	Names  []string   // exact, or "*.example.com"; none: any
	Plain  bool       // bytes that are no TLS come here, too
	TLS    *ServerTLS // ended here; nil: passed on as it is
	Config *Config    // of what comes by this chain
}

// ClientCertificate says whether clients must show one.
type ClientCertificate uint8

// The choices.
const (
	ClientAnonymous ClientCertificate = iota
	ClientRequired
	ClientMayShow
)

// ServerTLS is how clients' TLS is ended. By files that are read again when they
// change, so that new ones need no new configuration; or with the mesh's own
// certificates.
type ServerTLS struct {
	Mesh              bool // both ends show certificates of the mesh
	CertFile, KeyFile string
	CAFile            string // whom to believe
	Client            ClientCertificate
	ClientNames       []string // of which a client's certificate must bear one; none: any
	MinVersion        uint16   // 0 = TLS 1.2
	ALPN              []string

	files files
}

// lets reports whether a client that was let in on old terms is in on these.
func (t *ServerTLS) lets(old *ServerTLS) bool {
	if t == nil || old == nil {
		return t == nil && old == nil
	}
	return t.Mesh == old.Mesh && (t.Client != ClientRequired ||
		old.Client == ClientRequired && t.CAFile == old.CAFile && slices.Equal(t.ClientNames, old.ClientNames))
}

// Each calls f with the listener, or with what serves each of its chains.
func (c *Config) Each(f func(*Config)) {
	if len(c.Chains) == 0 {
		f(c)
	}
	for i := range c.Chains {
		f(c.Chains[i].Config)
	}
}

// chain gives the chain for a client that speaks TLS to a name, or none: the one
// of that name, else of the longest pattern, else of any. Nil: there is none.
func (c *Config) chain(said opening) *Chain {
	var best *Chain
	rank := -1
	for i := range c.Chains {
		ch := &c.Chains[i]
		if len(ch.Names) == 0 && (said.tls || ch.Plain) {
			if r := anyRank(ch); r > rank {
				best, rank = ch, r
			}
		}
		for _, n := range ch.Names {
			suffix, wild := strings.CutPrefix(n, "*")
			switch {
			case !said.tls:
			case n == said.name:
				return ch
			case wild && len(suffix)+1 > rank && len(said.name) > len(suffix) && strings.HasSuffix(said.name, suffix):
				best, rank = ch, len(suffix)+1
			}
		}
	}
	return best
}

// anyRank puts what is for TLS alone before what is for everything.
func anyRank(ch *Chain) int {
	if ch.Plain {
		return 0
	}
	return 1
}

// choose finds the chain of a new connection, and ends its TLS where the chain
// says so. It gives what serves it. On an error the connection is to be closed,
// and rejected says why where that is worth telling; cfg is then whose it was.
func (k *socket) choose(cfg *Config, c *conn) (serves *Config, rejected string, err error) {
	hello, err := k.hello(cfg, c)
	if err != nil {
		return cfg, "", err
	}
	c.hello, c.info.SNI = hello, hello.name
	ch := cfg.chain(hello)
	if ch == nil {
		what := "plain text"
		if hello.tls {
			what = fmt.Sprintf("TLS for %q", hello.name)
		}
		return cfg, RejectedPlainText, fmt.Errorf("%s, which no chain takes", what)
	}
	c.terms = ch.TLS
	if ch.TLS == nil {
		c.chosen.Store(true)
		return ch.Config, "", nil
	}
	config, err := k.terminate(ch)
	if err != nil {
		k.set.opts.Logger.Warn("TLS cannot be ended: clients are turned away", "listener", ch.Config.Name, "error", err)
		return ch.Config, RejectedHandshake, err
	}
	_ = c.raw.SetDeadline(time.Now().Add(k.set.opts.HeaderTimeout))
	conn := tls.Server(c.Conn, config)
	if err := conn.HandshakeContext(k.ctx); err != nil {
		return ch.Config, RejectedHandshake, fmt.Errorf("TLS handshake: %w", err)
	}
	_ = c.raw.SetDeadline(time.Time{})
	c.info.Ended = true
	if ch.TLS.Mesh {
		c.info.Mutual, c.info.Principal = true, identity.Principal(conn.ConnectionState())
	}
	c.tls.Store(conn)
	c.Conn = conn
	c.chosen.Store(true)
	return ch.Config, "", nil
}

// opening is what a client says first.
type opening struct {
	tls  bool
	name string
}

// hello looks at a client's first bytes, and leaves them to be read again. Where
// plain text is taken, a client that is silent for long is one that waits for
// the server to speak first.
func (k *socket) hello(cfg *Config, c *conn) (opening, error) {
	patience, silent := k.set.opts.HeaderTimeout, false
	if ch := cfg.chain(opening{}); ch != nil && ch.Config.Kind == TCP {
		patience, silent = min(patience, maxSilence), true
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(patience))
	first := make([]byte, 1)
	var ne net.Error
	switch _, err := io.ReadFull(c.raw, first); {
	case err == nil:
	case silent && errors.As(err, &ne) && ne.Timeout():
		_ = c.raw.SetReadDeadline(time.Time{})
		return opening{}, nil
	default:
		return opening{}, err
	}
	read := &replay{Conn: c.raw, rest: first}
	c.Conn = read
	if first[0] != handshakeRecord {
		_ = c.raw.SetReadDeadline(time.Time{})
		return opening{}, nil
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(k.set.opts.HeaderTimeout))
	h, seen := peekHello(k.ctx, read)
	_ = c.raw.SetReadDeadline(time.Time{})
	read.rest = seen
	if h == nil {
		return opening{}, errors.New("what begins like TLS is none")
	}
	return opening{true, strings.ToLower(strings.TrimSuffix(h.ServerName, "."))}, nil
}

var errSeen = errors.New("seen")

// peekHello reads a client's hello, nil when it is none. It gives all that it
// read.
func peekHello(ctx context.Context, from *replay) (h *tls.ClientHelloInfo, seen []byte) {
	var read bytes.Buffer
	peek := tls.Server(readOnly{io.TeeReader(from, &read), from.Conn}, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			h = hello
			return nil, errSeen
		},
	})
	_ = peek.HandshakeContext(ctx) // fails always: that is the idea
	return h, read.Bytes()
}

// terminate gives the TLS that a chain's clients get.
func (k *socket) terminate(ch *Chain) (*tls.Config, error) {
	if ch.TLS.Mesh {
		return k.serverTLS(ch.Config.Kind), nil
	}
	return ch.TLS.config(time.Now())
}

// recheck is how long files are taken for unchanged.
const recheck = time.Second

// files are what was read of a ServerTLS's files, and when.
type files struct {
	mu      sync.Mutex
	checked time.Time
	stamp   [3]fileStamp
	config  *tls.Config
	err     error
}

type fileStamp struct {
	changed time.Time
	size    int64
}

func stampOf(name string) fileStamp {
	if info, err := os.Stat(name); name != "" && err == nil {
		return fileStamp{info.ModTime(), info.Size()}
	}
	return fileStamp{}
}

// config gives the terms as they stand in the files. While new files cannot be
// used, because one of a pair is written and the other not yet, the old stay.
func (t *ServerTLS) config(now time.Time) (*tls.Config, error) {
	f := &t.files
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.checked) < recheck && !f.checked.IsZero() {
		return f.config, f.err
	}
	stamp := [3]fileStamp{stampOf(t.CertFile), stampOf(t.KeyFile), stampOf(t.CAFile)}
	f.checked = now
	if f.config != nil && stamp == f.stamp {
		return f.config, nil
	}
	config, err := t.load()
	if err == nil {
		f.config, f.stamp = config, stamp
	}
	if f.err = err; f.config != nil {
		f.err = nil
	}
	return f.config, f.err
}

func (t *ServerTLS) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate and key: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: max(t.MinVersion, tls.VersionTLS12), NextProtos: t.ALPN}
	if t.Client == ClientAnonymous {
		return c, nil
	}
	text, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("clients' roots: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("clients' roots: %s holds no certificate", t.CAFile)
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	if t.Client == ClientMayShow {
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if len(t.ClientNames) > 0 {
		c.VerifyConnection = t.verifyNames
	}
	return c, nil
}

// verifyNames takes a client whose certificate bears one of the names.
func (t *ServerTLS) verifyNames(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return nil // that it may is said elsewhere
	}
	leaf := s.PeerCertificates[0]
	for _, name := range t.ClientNames {
		if leaf.VerifyHostname(name) == nil || slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == name }) {
			return nil
		}
	}
	return fmt.Errorf("the client's certificate bears none of %v", t.ClientNames)
}
