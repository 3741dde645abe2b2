package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh/identity"
)

// Engines are what accepted traffic is handed to.
type Engines struct {
	// HTTP answers one request.
	HTTP func(*Config, http.ResponseWriter, *http.Request)
	// TCP owns a connection until it returns. It must return soon after the
	// context ends.
	TCP func(context.Context, *Config, net.Conn)
	// Refused is told of a request that could not be read, and of the status
	// that its sender got. It may be nil.
	Refused func(cfg *Config, client net.Addr, status int)
	// Rejected is told of a connection that was closed before it said anything,
	// because it did not fit the listener's TLS mode. It may be nil.
	Rejected func(cfg *Config, client net.Addr, why string)
}

// Options bound what clients can make the sidecar hold.
type Options struct {
	Engines        Engines
	Identity       *identity.Source // for listeners with TLS; nil: they refuse every handshake
	MaxConnections int              // over all listeners; 0 = 8192
	HeaderTimeout  time.Duration    // for a request's head; 0 = 10 s
	IdleTimeout    time.Duration    // of a kept-alive client connection; 0 = 1 h
	Logger         *slog.Logger
}

// maxHeaderBytes is Envoy's default limit for a request's head. net/http
// grants 4 KiB above what it is told.
const maxHeaderBytes = 60<<10 - 4<<10

// Counts are what happened at the sockets since the start.
type Counts struct {
	Accepted uint64
	Active   int64
	Refused  uint64 // over the limit, or no configuration for the socket
	Broken   uint64 // requests that could not be read
	Insecure uint64 // closed because they did not fit the listener's TLS mode
}

// Set is a sidecar's listening sockets.
type Set struct {
	opts Options

	mu      sync.Mutex
	sockets map[string]*socket // by configured address
	closed  bool
	wg      sync.WaitGroup
	virtual atomic.Pointer[virtuals]

	accepted, refused, broken, insecure atomic.Uint64
	active                              atomic.Int64
}

// NewSet gives a set without sockets.
func NewSet(o Options) *Set {
	if o.MaxConnections == 0 {
		o.MaxConnections = 8192
	}
	if o.HeaderTimeout == 0 {
		o.HeaderTimeout = 10 * time.Second
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Set{opts: o, sockets: make(map[string]*socket)}
}

// Reserve binds an address before there is a configuration for it, and gives
// the address with its real port. Until Apply names that address, connections
// are closed at once, as if nobody listened.
func (s *Set) Reserve(address string) (string, error) { return s.reserve(address, false) }

// ReserveTransparent reserves an address with a socket for TPROXY.
func (s *Set) ReserveTransparent(address string) (string, error) { return s.reserve(address, true) }

func (s *Set) reserve(address string, foreign bool) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sock, err := s.bind(address, foreign)
	if err != nil {
		return "", err
	}
	sock.reserved = true
	s.sockets[sock.address()] = sock
	s.start(sock)
	return sock.address(), nil
}

// Change is a new list of listeners whose addresses are bound and whose
// connections are not taken yet. It ends with Commit or Abandon.
type Change struct {
	set     *Set
	want    map[string]*Config // with a socket, by address
	virtual virtuals
	bound   map[string]*socket
}

// Prepare does everything of a change that can fail. Changes must not overlap.
func (s *Set) Prepare(configs []Config) (*Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the sidecar is draining")
	}
	want, virtual := make(map[string]*Config, len(configs)), virtuals{}
	for i := range configs {
		c := &configs[i]
		if err := c.Validate(); err != nil {
			return nil, err
		}
		other := want[c.Address]
		if c.Virtual {
			key := virtualKey{c.Direction, netip.MustParseAddrPort(c.Address)}
			other, virtual[key] = virtual[key], c
		} else {
			want[c.Address] = c
		}
		if other != nil {
			return nil, fmt.Errorf("listener %s: address %s is taken by listener %s", c.Name, c.Address, other.Name)
		}
	}
	bound, err := s.bindMissing(want)
	if err != nil {
		return nil, err
	}
	return &Change{set: s, want: want, virtual: virtual, bound: bound}, nil
}

// Abandon gives the addresses back.
func (c *Change) Abandon() {
	for _, sock := range c.bound {
		_ = sock.ln.Close()
	}
}

// Commit makes the set serve exactly the new listeners. Connections of a
// listener that is gone are drained for a moment.
func (c *Change) Commit() {
	s := c.set
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Abandon()
		return
	}
	s.virtual.Store(&c.virtual)
	for address, sock := range s.sockets {
		switch cfg := c.want[address]; {
		case cfg != nil:
			sock.config.Store(cfg)
		case sock.reserved:
			sock.config.Store(nil)
		default:
			delete(s.sockets, address)
			s.drop(sock)
		}
	}
	for address, sock := range c.bound {
		sock.config.Store(c.want[address])
		s.sockets[address] = sock
		s.start(sock)
	}
	for _, sock := range s.sockets {
		sock.cutPlain()
	}
}

// Apply prepares and commits.
func (s *Set) Apply(configs []Config) error {
	c, err := s.Prepare(configs)
	if err != nil {
		return err
	}
	c.Commit()
	return nil
}

// bindMissing binds what is wanted and not there yet: all or nothing.
func (s *Set) bindMissing(want map[string]*Config) (map[string]*socket, error) {
	bound := make(map[string]*socket)
	for address, c := range want {
		if s.sockets[address] != nil {
			continue
		}
		sock, err := s.bind(address, c.Transparent)
		if err != nil {
			for _, b := range bound {
				_ = b.ln.Close()
			}
			return nil, fmt.Errorf("listener %s: %w", c.Name, err)
		}
		bound[address] = sock
	}
	return bound, nil
}

func (s *Set) bind(address string, foreign bool) (*socket, error) {
	var lc net.ListenConfig
	if foreign {
		lc.Control = transparent
	}
	ln, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, Explain(address, err)
	}
	return newSocket(s, ln), nil
}

// Explain says why an address could not be bound, and what to do about it
// where that is known.
func Explain(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s: the port is in use; stop who holds it or choose another: %w", address, err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return fmt.Errorf("listen on %s: not permitted; ports below 1024 and TPROXY need privileges: %w", address, err)
	}
	return fmt.Errorf("listen on %s: %w", address, err)
}

func (s *Set) start(sock *socket) {
	s.wg.Go(sock.accept)
	s.wg.Go(sock.serve)
}

// dropGrace is how long connections of a removed listener may go on.
const dropGrace = 5 * time.Second

func (s *Set) drop(sock *socket) {
	s.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dropGrace)
		defer cancel()
		sock.drain(ctx)
	})
}

// Drain stops accepting, asks clients to go (Connection: close, GOAWAY), waits
// for what is under way until ctx ends, and then cuts the rest. It gives the
// number of connections cut. What the app receives is drained first, and what it
// sends after: to finish its requests it may have to call others.
func (s *Set) Drain(ctx context.Context) int {
	s.mu.Lock()
	s.closed = true
	var inbound, others []*socket
	for _, sock := range s.sockets {
		if cfg := sock.config.Load(); cfg != nil && cfg.Direction == Inbound {
			inbound = append(inbound, sock)
		} else {
			others = append(others, sock)
		}
	}
	s.sockets = make(map[string]*socket)
	s.mu.Unlock()
	cut := drainAll(ctx, inbound) + drainAll(ctx, others)
	s.wg.Wait()
	return cut
}

func drainAll(ctx context.Context, sockets []*socket) int {
	var cut atomic.Int64
	var draining sync.WaitGroup
	for _, sock := range sockets {
		draining.Go(func() { cut.Add(int64(sock.drain(ctx))) })
	}
	draining.Wait()
	return int(cut.Load())
}

// Addresses gives the addresses that are bound, and the listener that each
// serves ("" when none is configured yet).
func (s *Set) Addresses() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make(map[string]string, len(s.sockets))
	for address, sock := range s.sockets {
		list[address] = ""
		if c := sock.config.Load(); c != nil {
			list[address] = c.Name
		}
	}
	return list
}

// Configs gives the listeners that are served, virtual ones too, by address.
func (s *Set) Configs() []*Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*Config
	for _, sock := range s.sockets {
		if c := sock.config.Load(); c != nil {
			list = append(list, c)
		}
	}
	if v := s.virtual.Load(); v != nil {
		list = slices.AppendSeq(list, maps.Values(*v))
	}
	slices.SortFunc(list, func(a, b *Config) int { return strings.Compare(a.Address+a.Name, b.Address+b.Name) })
	return list
}

// Counts gives what happened so far.
func (s *Set) Counts() Counts {
	return Counts{
		Accepted: s.accepted.Load(), Active: s.active.Load(),
		Refused: s.refused.Load(), Broken: s.broken.Load(), Insecure: s.insecure.Load(),
	}
}
