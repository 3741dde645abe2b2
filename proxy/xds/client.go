package xds

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

// Runtime runs what it is given.
type Runtime interface {
	// Apply swaps to the snapshot as a whole, or keeps what it runs and says
	// why. When it returns nil, requests that come from now on are served by
	// the snapshot. It is never called twice at a time.
	Apply(*forward.Snapshot) error
}

// Taps are the tap sessions of this sidecar, as the agent stream drives them.
type Taps interface {
	// Start begins a session or, when it runs already, renews its time to live.
	Start(*meshv1.TapStart) error
	// Stop ends a session; its last batch still comes out of Batches.
	Stop(session string)
	// StopAll ends every session: nobody is there to listen.
	StopAll()
	// Batches gives what there is to send. It is read only while the stream is
	// up; whoever fills it counts what does not fit.
	Batches() <-chan *meshv1.TapBatch
	// Lost takes note of a batch that was read and could not be sent.
	Lost(*meshv1.TapBatch)
}

// Options configure a Client. Node.ID, Servers and Runtime are required.
type Options struct {
	Node           mesh.Node
	ServiceAccount string
	Locality       string // "region/zone/sub-zone"; "" = not known
	Ports          Ports

	Servers []string    // "host:port", tried in turn
	TLS     *tls.Config // nil = plain text
	Dial    func(ctx context.Context, address string) (net.Conn, error)

	Runtime        Runtime
	Taps           Taps                    // nil = none
	ActiveRequests func() uint64           // for heartbeats; nil = 0
	Ejections      <-chan *meshv1.Ejection // to be told to the control plane; nil = none
	// Identity gives the certificate that is used, nil for none; it changes when
	// IdentityChanged has a token. Both nil: the sidecar has no identity.
	Identity        func() *mesh.Identity
	IdentityChanged <-chan struct{}

	// Life gives how far the sidecar and its application have come; it changes when
	// LifeChanged has a token. Both nil: nothing is told.
	Life        func() mesh.Life
	LifeChanged <-chan struct{}

	// StateOfTheWorld asks by the protocol whose responses name all resources, for
	// control planes that have no incremental one.
	StateOfTheWorld bool
	// Pull asks by REST, so often, instead of being told; 0 = be told.
	Pull time.Duration

	StateDir  string        // where the last good configuration is kept; "" = nowhere
	WarmLimit time.Duration // how long a change may wait for what it needs; 0 = 5 s
	Fault     Fault

	Logger     *slog.Logger          // nil = silent
	Registerer prometheus.Registerer // nil = metrics are counted and not shown
}

func (o *Options) validate() error {
	switch {
	case o.Node.ID == "":
		return errors.New("no node ID")
	case len(o.Servers) == 0:
		return errors.New("no server address")
	case o.Runtime == nil:
		return errors.New("no runtime")
	case o.Pull != 0 && (o.Pull < time.Second || o.Pull > time.Hour):
		return fmt.Errorf("asking every %s: want 1s to 1h", o.Pull)
	}
	for _, address := range o.Servers {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("server address %q: want host:port", address)
		}
	}
	return nil
}

// Client keeps the sidecar configured, and the control plane informed. Make it
// with New, then Run it.
type Client struct {
	opts       Options
	log        *slog.Logger
	node       *corev3.Node
	link       *link
	translator *translator
	store      *store
	account    *account
	disk       *disk
	metrics    *metrics

	heartbeatEvery time.Duration
	farewell       chan chan struct{} // who waits until the last word is told

	connected atomic.Bool
	streams   atomic.Uint64 // ADS streams opened so far
	stalled   atomic.Bool   // see Fault.StallAfterFirst

	mu     sync.Mutex
	server serverState
}

// serverState is what is known about the ADS stream, for people.
type serverState struct {
	address   string
	since     time.Time // of connected or not
	lastError string
}

// New checks the options. Nothing is opened before Run.
func New(opts Options) (*Client, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("configuration client: %w: %w", mesh.ErrInvalid, err)
	}
	opts.Node.PullS = opts.Pull.Seconds()
	node, err := xdsNode(opts.Node, opts.ServiceAccount, opts.Locality, opts.Ports)
	if err != nil {
		return nil, fmt.Errorf("configuration client: %w", err)
	}
	counts, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	creds := insecure.NewCredentials()
	if opts.TLS != nil {
		creds = credentials.NewTLS(opts.TLS)
	}
	opts.WarmLimit = cmp.Or(opts.WarmLimit, 5*time.Second)
	translator := newTranslator(opts.Node.Build)
	opts.Fault.forget(translator.fields)
	return &Client{
		opts:       opts,
		log:        opts.Logger,
		node:       node,
		link:       newLink(opts.Servers, creds, opts.Dial),
		translator: translator,
		store:      newStore(),
		account:    newAccount(),
		disk:       newDisk(opts.StateDir, opts.Node.ID),
		metrics:    counts,
		server:     serverState{address: opts.Servers[0]},

		heartbeatEvery: heartbeatEvery,
		farewell:       make(chan chan struct{}),
	}, nil
}

// Run applies the configuration kept on disk, then follows the control plane
// until ctx ends. It always gives nil: a control plane that is away is no
// reason to stop.
func (c *Client) Run(ctx context.Context) error {
	c.restore()
	var running sync.WaitGroup
	running.Go(func() { c.runApplier(ctx) })
	running.Go(func() { c.runADS(ctx) })
	running.Go(func() { c.runAgent(ctx) })
	<-ctx.Done()
	c.link.close()
	running.Wait()
	c.link.close() // a stream may have opened it again in between
	return nil
}

// restore brings back the last good configuration, if it is there and whole.
func (c *Client) restore() {
	updates, savedAt, err := c.disk.load(c.translator)
	switch {
	case errors.Is(err, mesh.ErrNotFound):
		return
	case err != nil:
		c.log.Error("last good configuration is ignored", "file", c.disk.path, "error", err)
		return
	}
	c.store.restore(updates)
	c.log.Info("starting from the last good configuration", "file", c.disk.path, "saved_at", savedAt)
}
