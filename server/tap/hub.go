package tap

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// Limits of sessions. They bound what tapping may cost the mesh.
const (
	MaxSessions    = 32  // distinct sessions at a time
	MaxPerUser     = 8   // viewers of one user at a time
	MaxViewers     = 256 // viewers of all users at a time
	MaxEventsPerS  = 1000
	MaxFilterBytes = 4096
	MaxTTL         = time.Hour

	DefaultEventsPerS = 100
	DefaultTTL        = 10 * time.Minute

	flushEvery  = 100 * time.Millisecond
	reportEvery = time.Second
)

// Agents are the connected sidecars, as server/xds knows them. The callbacks
// are set once, before the first sidecar connects, and are called without
// locks held; those of one sidecar are called in order.
type Agents interface {
	// Send queues a message for one sidecar; false when it is not connected or
	// does not read.
	Send(nodeID string, m *meshv1.ServerMessage) bool
	OnHello(func(mesh.Node))
	OnGone(func(nodeID string))
	OnTap(func(nodeID string, b *meshv1.TapBatch))
}

// Request asks for a session.
type Request struct {
	User string // who looks, for the audit log and the limit per user
	// Namespaces are those whose sidecars may be asked; nil: all. The filter of
	// the session says so, too.
	Namespaces []string
	Filter     string // expression over the fields of mesh/expr's tap schema; "" matches all
	LimitPerS  int    // events a second over the whole mesh; 0 = DefaultEventsPerS
	Headers    bool   // with header fields, redacted by the sidecar
	TTL        time.Duration

	matcher *expr.Expr // of Filter
}

// Stats are totals since the hub was made, and what is open now.
type Stats struct {
	Sessions, Viewers int
	Events            uint64 // taken from sidecars into sessions
	Dropped           uint64 // lost at the sidecars, here, or before a slow viewer; not what was sampled out
}

// Hub holds the sessions. It is safe for concurrent use.
type Hub struct {
	agents Agents
	redact []string
	schema *expr.Schema
	log    *slog.Logger
	open   atomic.Int64 // sessions

	mu        sync.Mutex
	running   bool
	sidecars  map[string]int // live streams by node ID; two for a moment when one replaces another
	sessions  map[string]*session
	viewers   map[string]int // by user
	starts    uint64         // sidecar starts so far, makes tokens distinct
	pastEvent uint64         // of sessions that ended
	pastLost  uint64
	past      []Record // the newest last, at most recordsMax
}

// Options configure a Hub. Agents is required.
type Options struct {
	Agents Agents
	// Redact names header fields whose values nobody sees, besides those that
	// mesh.SecretHeader tells.
	Redact []string
	Logger *slog.Logger // nil: silent
}

// New makes a hub and registers it with the sidecars' streams.
func New(opts Options) *Hub {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	agents := opts.Agents
	redact := make([]string, len(opts.Redact))
	for i, name := range opts.Redact {
		redact[i] = strings.ToLower(strings.TrimSpace(name))
	}
	h := &Hub{
		agents: agents, redact: redact, schema: expr.TapSchema(), log: opts.Logger,
		sidecars: map[string]int{}, sessions: map[string]*session{}, viewers: map[string]int{},
	}
	h.schema.Secret = func(name string) bool { return mesh.SecretHeader(name) || slices.Contains(redact, name) }
	agents.OnHello(func(n mesh.Node) { h.hello(n.ID) })
	agents.OnGone(h.gone)
	agents.OnTap(h.batch)
	return h
}

// Run passes events on and ends what is due, until ctx ends. It then ends all
// sessions with reason "server stopping".
func (h *Hub) Run(ctx context.Context) {
	h.mu.Lock()
	h.running = true
	h.mu.Unlock()
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			h.flush(now)
		case <-ctx.Done():
			h.stop()
			return
		}
	}
}

// Open starts a viewer: on a running session that asks the same of the
// sidecars, or on a new one. The caller must Close it. Errors wrap
// mesh.ErrInvalid (with *expr.SyntaxError for a filter), mesh.ErrExhausted or
// mesh.ErrUnavailable.
func (h *Hub) Open(req Request) (*Viewer, error) {
	if err := req.normalize(h.schema); err != nil {
		return nil, err
	}
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.running {
		return nil, fmt.Errorf("open tap session: server is stopping: %w", mesh.ErrUnavailable)
	}
	if h.viewers[req.User] >= MaxPerUser {
		return nil, fmt.Errorf("open tap session: %s has %d open already: %w", req.User, MaxPerUser, mesh.ErrExhausted)
	}
	total := 0
	for _, n := range h.viewers {
		total += n
	}
	if total >= MaxViewers {
		return nil, fmt.Errorf("open tap session: %d viewers are open already: %w", MaxViewers, mesh.ErrExhausted)
	}
	s := h.sharedSession(req, now)
	if s == nil {
		if len(h.sessions) >= MaxSessions {
			return nil, fmt.Errorf("open tap session: %d sessions are open already: %w", MaxSessions, mesh.ErrExhausted)
		}
		s = h.startSession(req, now)
	}
	h.viewers[req.User]++
	v := s.join(h, req, now)
	h.log.Info("tap session opened", "session", s.id, "user", req.User, "filter", req.Filter,
		"limit_per_s", req.LimitPerS, "headers", req.Headers, "ttl_s", req.TTL.Seconds(), "sidecars", len(h.sidecars))
	return v, nil
}

// Stats gives the totals.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := Stats{Sessions: len(h.sessions), Events: h.pastEvent, Dropped: h.pastLost}
	for _, n := range h.viewers {
		st.Viewers += n
	}
	for _, s := range h.sessions {
		events, lost := s.totals()
		st.Events += events
		st.Dropped += lost
	}
	return st
}

func (r *Request) normalize(schema *expr.Schema) error {
	if len(r.Filter) > MaxFilterBytes {
		return fmt.Errorf("tap filter is %d bytes long, at most %d are taken: %w", len(r.Filter), MaxFilterBytes, mesh.ErrInvalid)
	}
	r.Filter = strings.TrimSpace(r.Filter)
	matcher, err := expr.Parse(r.Filter, schema)
	if err == nil && r.Namespaces != nil {
		r.Filter = within(r.Filter, r.Namespaces)
		matcher, err = expr.Parse(r.Filter, schema)
	}
	if err != nil {
		return fmt.Errorf("tap filter: %w: %w", err, mesh.ErrInvalid)
	}
	r.matcher = matcher
	if r.LimitPerS == 0 {
		r.LimitPerS = DefaultEventsPerS
	}
	if r.LimitPerS < 0 || r.LimitPerS > MaxEventsPerS {
		return fmt.Errorf("limit_per_s is %d, must be 1 to %d: %w", r.LimitPerS, MaxEventsPerS, mesh.ErrInvalid)
	}
	if r.TTL == 0 {
		r.TTL = DefaultTTL
	}
	if r.TTL < time.Second || r.TTL > MaxTTL {
		return fmt.Errorf("ttl_s is %g, must be 1 to %g: %w", r.TTL.Seconds(), MaxTTL.Seconds(), mesh.ErrInvalid)
	}
	return nil
}

// within narrows a filter to what the sidecars of some namespaces see.
func within(filter string, namespaces []string) string {
	own := make([]string, len(namespaces))
	for i, ns := range namespaces {
		own[i] = fmt.Sprintf("seen_by ^= %q", ns+"/")
	}
	narrow := strings.Join(own, " or ")
	if filter == "" {
		return narrow
	}
	return "(" + narrow + ") and (" + filter + ")"
}

// sharedSession finds a session that already asks the sidecars for the same
// and whose life at the sidecars covers the request.
func (h *Hub) sharedSession(req Request, now time.Time) *session {
	for _, s := range h.sessions {
		if s.filter == req.Filter && s.limit == req.LimitPerS && s.headers == req.Headers && !now.Add(req.TTL).After(s.dies) {
			return s
		}
	}
	return nil
}

func (h *Hub) startSession(req Request, now time.Time) *session {
	s := newSession(newID(), req, h.redact, now)
	h.sessions[s.id] = s
	h.open.Add(1)
	for id := range h.sidecars {
		h.start(s, id, now)
	}
	return s
}

func newID() string { return rand.Text()[:12] }

// start asks one sidecar to take part in s. Each start has a token of its own,
// so that totals of a sidecar's earlier stream are never mixed with this one's.
func (h *Hub) start(s *session, nodeID string, now time.Time) {
	h.starts++
	token, granted := s.id+"."+strconv.FormatUint(h.starts, 10), share(s.limit, len(h.sidecars))
	s.addFeed(nodeID, token, granted)
	if !h.sendStart(s, nodeID, token, granted, now) { // it is going, or does not read: viewers must not count on it
		s.dropFeed(nodeID)
	}
}

// sendStart starts a session at a sidecar or, with a token that runs there,
// changes what it may send.
func (h *Hub) sendStart(s *session, nodeID, token string, granted uint32, now time.Time) bool {
	return h.agents.Send(nodeID, &meshv1.ServerMessage{Message: &meshv1.ServerMessage_TapStart{TapStart: &meshv1.TapStart{
		Session: token, Filter: s.filter, Headers: s.headers, MaxPerSecond: granted, RedactHeaders: h.redact,
		TtlSeconds: uint32(max(0, s.dies.Sub(now))/time.Second) + 1,
	}}})
}

func (h *Hub) hello(nodeID string) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sidecars[nodeID]++
	for _, s := range h.sessions {
		h.start(s, nodeID, now)
	}
}

func (h *Hub) gone(nodeID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sidecars[nodeID]--; h.sidecars[nodeID] > 0 {
		return // an older stream of a sidecar that is connected again
	}
	delete(h.sidecars, nodeID)
	for _, s := range h.sessions {
		s.dropFeed(nodeID)
	}
}

func (h *Hub) batch(nodeID string, b *meshv1.TapBatch) {
	id, _, _ := strings.Cut(b.GetSession(), ".")
	h.mu.Lock()
	s := h.sessions[id]
	h.mu.Unlock()
	if s != nil {
		s.take(nodeID, b, time.Now())
	}
}

func (h *Hub) flush(now time.Time) {
	h.mu.Lock()
	open := make([]*session, 0, len(h.sessions))
	for _, s := range h.sessions {
		open = append(open, s)
	}
	h.mu.Unlock()
	for _, s := range open {
		for _, v := range s.flush(now) {
			v.end(ReasonTTL)
		}
		for _, g := range s.rebalance(now) {
			h.sendStart(s, g.node, g.token, g.perSecond, now)
		}
	}
}

// Wanted tells whether any session is open. It is cheap.
func (h *Hub) Wanted() bool { return h.open.Load() > 0 }

// Observe takes an event that a proxy reported by itself, as Envoys do by
// their access log. Its paths are not redacted yet.
func (h *Hub) Observe(ev *mesh.TapEvent) {
	if !h.Wanted() {
		return
	}
	h.mu.Lock()
	open := slices.Collect(maps.Values(h.sessions))
	h.mu.Unlock()
	for _, s := range open {
		s.observe(ev)
	}
}

func (h *Hub) stop() {
	h.mu.Lock()
	h.running = false
	var viewers []*Viewer
	for _, s := range h.sessions {
		viewers = append(viewers, s.everyone()...)
	}
	h.mu.Unlock()
	for _, v := range viewers {
		v.end(ReasonStopping)
	}
}

// left takes a viewer off its session, and ends the session with its last one.
func (h *Hub) left(v *Viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.viewers[v.user]--; h.viewers[v.user] <= 0 {
		delete(h.viewers, v.user)
	}
	if v.session.leave(v) > 0 {
		return
	}
	delete(h.sessions, v.session.id)
	h.open.Add(-1)
	events, lost := v.session.totals()
	h.pastEvent += events
	h.pastLost += lost
	for nodeID, token := range v.session.tokens() {
		h.agents.Send(nodeID, &meshv1.ServerMessage{Message: &meshv1.ServerMessage_TapStop{TapStop: &meshv1.TapStop{Session: token}}})
	}
}
