package live

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/auth"
)

// The limits of the live socket.
const (
	MaxSockets       = 512
	MaxTopics        = 64
	MaxSubscriptions = 16 // a socket
	MaxMessageBytes  = 64 << 10
	MaxIDBytes       = 64

	tickEvery = time.Second
	pingEvery = 20 * time.Second
	stallMax  = 30 * time.Second  // without progress, then the socket is closed
	keepFor   = 120 * time.Second // deltas, for those who come back
	stopGrace = 500 * time.Millisecond
)

// Protocol is the WebSocket subprotocol.
const Protocol = "sidelight.v1"

// StateChannel reads a subscription's params and gives the view they ask for.
// Equal keys mean the same view. Errors are the client's.
type StateChannel func(params json.RawMessage) (key string, compute func(at time.Time) (State, error), err error)

// EventChannel reads a subscription's params and opens its stream.
type EventChannel func(user auth.User, params json.RawMessage) (Stream, error)

// Options are the channels, by name.
type Options struct {
	States map[string]StateChannel
	Events map[string]EventChannel
	// Permit says whether a user may have a socket; nil: everybody.
	Permit func(auth.User) error
	// Explain gives the body of an error frame: code, message and hint.
	Explain func(error) any
	Logger  *slog.Logger
}

// Stats is what the hub has now, and what was lost since it was made.
type Stats struct {
	Sockets, Topics int
	LostFrames      uint64 // state frames that slow clients did not get
	Stalled         uint64 // sockets closed because their client did not read
}

// Hub holds the sockets and the topics.
type Hub struct {
	opts  Options
	ws    websocket.Upgrader
	epoch string

	stopping chan struct{}
	serving  sync.WaitGroup
	lost     atomic.Uint64
	stalled  atomic.Uint64

	mu      sync.Mutex
	stopped bool
	sockets map[*socket]struct{}
	topics  map[string]*topic
	made    uint64 // topics so far
}

// New makes a hub. It computes nothing before Run.
func New(opts Options) *Hub {
	return &Hub{
		opts: opts,
		ws: websocket.Upgrader{
			Subprotocols: []string{Protocol}, EnableCompression: true,
			HandshakeTimeout: 2 * time.Second,
			ReadBufferSize:   4 << 10, WriteBufferSize: 16 << 10, WriteBufferPool: &sync.Pool{},
			// server/api has checked Host and Origin for every request alike.
			CheckOrigin: func(*http.Request) bool { return true },
		},
		epoch:    rand.Text()[:10],
		stopping: make(chan struct{}),
		sockets:  map[*socket]struct{}{}, topics: map[string]*topic{},
	}
}

// Run computes the views that are looked at, until ctx ends. It then closes
// all sockets and waits for them.
func (h *Hub) Run(ctx context.Context) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			h.tick(now)
		case <-ctx.Done():
			h.stop()
			return
		}
	}
}

// Serve upgrades a request to a live socket and serves it to its end. The
// error, if any, is to be answered: the request has not been taken over then.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, user auth.User) error {
	if !websocket.IsWebSocketUpgrade(r) {
		return fmt.Errorf("open live socket: a plain request, not a WebSocket handshake: %w", mesh.ErrInvalid)
	}
	h.mu.Lock()
	switch {
	case h.stopped:
		h.mu.Unlock()
		return fmt.Errorf("open live socket: server is stopping: %w", mesh.ErrUnavailable)
	case len(h.sockets) >= MaxSockets:
		h.mu.Unlock()
		return fmt.Errorf("open live socket: %d are open already: %w", MaxSockets, mesh.ErrExhausted)
	}
	s := newSocket(h, user)
	h.sockets[s] = struct{}{} // from here on Recheck sees it
	h.serving.Add(1)
	h.mu.Unlock()
	defer h.serving.Done()
	defer func() {
		h.mu.Lock()
		delete(h.sockets, s)
		h.mu.Unlock()
	}()
	if err := h.permit(user); err != nil {
		return err
	}
	ws, err := h.ws.Upgrade(w, r, nil)
	if err != nil {
		h.opts.Logger.Debug("live handshake refused", "remote", r.RemoteAddr, "error", err)
		return nil // gorilla has answered
	}
	s.serve(ws)
	return nil
}

func (h *Hub) permit(user auth.User) error {
	if h.opts.Permit == nil {
		return nil
	}
	return h.opts.Permit(user)
}

// Recheck ends the sockets and streams whose users may no longer have them. Call
// it when rights have changed.
func (h *Hub) Recheck() {
	h.mu.Lock()
	open := slices.Collect(maps.Keys(h.sockets))
	h.mu.Unlock()
	for _, s := range open {
		if err := h.permit(s.user); err != nil {
			h.opts.Logger.Info("live socket closed, the access rules changed", "user", s.user.Name)
			s.revoke()
			continue
		}
		s.recheck()
	}
}

// Stats gives the figures.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Stats{
		Sockets: len(h.sockets), Topics: len(h.topics),
		LostFrames: h.lost.Load(), Stalled: h.stalled.Load(),
	}
}

// subscribe finds or makes the view that params ask for, and follows it.
func (h *Hub) subscribe(channel string, open StateChannel, params json.RawMessage, from *resumePoint, wake func()) (*stateSub, error) {
	key, compute, err := open(params)
	if err != nil {
		return nil, err
	}
	key = channel + "?" + key
	h.mu.Lock()
	t := h.topics[key]
	if t == nil {
		if err := h.room(); err != nil {
			h.mu.Unlock()
			return nil, err
		}
		h.made++
		t = &topic{
			key: key, epoch: h.epoch + "-" + strconv.FormatUint(h.made, 36), compute: compute,
			keep: keepFor, subs: map[*stateSub]struct{}{}, idle: time.Now(),
		}
		h.topics[key] = t
	}
	sub := &stateSub{topic: t, wake: wake, losses: &h.lost}
	t.attach(sub) // before anybody may take it for unused
	h.mu.Unlock()
	if err := t.refresh(time.Now(), tickEvery); err != nil {
		sub.close()
		return nil, err
	}
	t.resume(sub, from)
	return sub, nil
}

// room makes place for one more topic: of those that nobody looks at, the one
// idle for longest goes.
func (h *Hub) room() error {
	if len(h.topics) < MaxTopics {
		return nil
	}
	var oldest *topic
	for _, t := range h.topics {
		if !t.watched() && (oldest == nil || t.idleSince().Before(oldest.idleSince())) {
			oldest = t
		}
	}
	if oldest == nil {
		return fmt.Errorf("subscribe: %d different views are open already: %w", MaxTopics, mesh.ErrExhausted)
	}
	delete(h.topics, oldest.key)
	return nil
}

func (h *Hub) tick(now time.Time) {
	h.mu.Lock()
	all := make([]*topic, 0, len(h.topics))
	for key, t := range h.topics {
		if t.over(now) {
			delete(h.topics, key)
			continue
		}
		all = append(all, t)
	}
	h.mu.Unlock()
	for _, t := range all {
		if !t.watched() {
			continue
		}
		if err := t.advance(now); err != nil {
			h.opts.Logger.Warn("view cannot be computed", "view", t.key, "error", err)
		}
	}
}

func (h *Hub) stop() {
	h.mu.Lock()
	h.stopped = true
	h.mu.Unlock()
	close(h.stopping) // each socket says goodbye
	done := make(chan struct{})
	go func() {
		h.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-time.After(stopGrace):
	}
	h.mu.Lock()
	for s := range h.sockets {
		s.cut() // those who do not read cannot hear it
	}
	h.mu.Unlock()
	<-done
}
