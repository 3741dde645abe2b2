package tap

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

const (
	tick         = 100 * time.Millisecond
	maxSessions  = 32
	maxPerSecond = 1000
	defaultTTL   = 10 * time.Minute
	maxTTL       = 2 * time.Hour
	queued       = 64  // batches that wait for the stream
	maxBatch     = 256 // events in one
)

// Options configure Sessions. The zero value is usable.
type Options struct {
	Logger     *slog.Logger          // nil = silent
	Registerer prometheus.Registerer // nil = metrics are counted and not shown
}

// Sessions are the tap sessions that run at this sidecar. It is a
// forward.Observer. Make it with New, then Run it.
type Sessions struct {
	log     *slog.Logger
	metrics *metrics
	schema  *expr.Schema

	running atomic.Pointer[[]*session] // nil when there is none

	mu    sync.Mutex // held to change running
	byID  map[string]*session
	woken chan struct{}

	batches chan *meshv1.TapBatch
}

// New makes an empty set of sessions.
func New(opts Options) (*Sessions, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	counts, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, err
	}
	return &Sessions{
		log:     opts.Logger,
		metrics: counts,
		schema:  expr.TapSchema(),
		byID:    make(map[string]*session),
		woken:   make(chan struct{}, 1),
		batches: make(chan *meshv1.TapBatch, queued),
	}, nil
}

// Active reports whether any session runs.
func (s *Sessions) Active() bool { return s.running.Load() != nil }

// Done offers an ended exchange to every session.
func (s *Sessions) Done(x *forward.Exchange) {
	running := s.running.Load()
	if running == nil {
		return
	}
	ev := newEvent(x)
	now := time.Now()
	for _, session := range *running {
		session.offer(&ev, x.Headers, now)
	}
}

// Start begins a session, or renews the time to live and the limit of one that
// runs.
func (s *Sessions) Start(req *meshv1.TapStart) error {
	filter, err := expr.Parse(req.GetFilter(), s.schema)
	if err != nil {
		return fmt.Errorf("tap session %s: filter: %w: %w", req.GetSession(), mesh.ErrInvalid, err)
	}
	ttl := time.Duration(req.GetTtlSeconds()) * time.Second
	if ttl <= 0 {
		ttl = defaultTTL
	}
	ends := time.Now().Add(min(ttl, maxTTL))
	limit := int(min(req.GetMaxPerSecond(), maxPerSecond))
	if limit == 0 {
		limit = maxPerSecond
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch before := s.byID[req.GetSession()]; {
	case req.GetSession() == "":
		return fmt.Errorf("tap session: no ID: %w", mesh.ErrInvalid)
	case before != nil && (before.filter.String() != filter.String() || before.headers != req.GetHeaders() || !slices.Equal(before.redact, req.GetRedactHeaders())):
		return fmt.Errorf("tap session %s: runs with another filter: %w", req.GetSession(), mesh.ErrConflict)
	case before != nil:
		before.renew(ends, limit)
		return nil
	case len(s.byID) >= maxSessions:
		return fmt.Errorf("tap session %s: %d run already: %w", req.GetSession(), maxSessions, mesh.ErrExhausted)
	}
	s.byID[req.GetSession()] = newSession(req, filter, limit, ends)
	s.publish()
	s.log.Info("tap session started", "session", req.GetSession(), "filter", req.GetFilter(), "max_per_second", limit, "until", ends)
	return nil
}

// Stop ends a session; its last batch follows within a tick.
func (s *Sessions) Stop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if session := s.byID[id]; session != nil {
		session.renew(time.Time{}, 0)
	}
}

// StopAll ends all sessions at once, because nobody is there to hear of them.
func (s *Sessions) StopAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byID) == 0 {
		return
	}
	for id, session := range s.byID {
		lost := session.abandon()
		s.metrics.add("matched", lost.matched)
		s.metrics.add("sampled_out", lost.sampledOut)
		s.metrics.add("dropped", lost.dropped)
		delete(s.byID, id)
	}
	s.publish()
	for {
		select {
		case b := <-s.batches: // meant for the stream that is gone
			s.metrics.add("dropped", len(b.GetEvents()))
		default:
			s.log.Info("tap sessions ended with the stream")
			return
		}
	}
}

// Batches gives what there is to send. While nobody reads it, events are
// dropped and counted.
func (s *Sessions) Batches() <-chan *meshv1.TapBatch { return s.batches }

// Lost takes note of a batch that was read from Batches and could not be sent.
func (s *Sessions) Lost(b *meshv1.TapBatch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics.add("dropped", len(b.GetEvents()))
	if session := s.byID[b.GetSession()]; session != nil {
		session.drop(len(b.GetEvents()))
	}
}

// Run emits batches until ctx ends.
func (s *Sessions) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.woken:
		}
		ticker := time.NewTicker(tick)
		for s.Active() {
			select {
			case <-ctx.Done():
				ticker.Stop()
				return nil
			case now := <-ticker.C:
				s.flush(now)
			}
		}
		ticker.Stop()
	}
}

// flush lets every session emit what its limit allows, and removes those whose
// time is over.
func (s *Sessions) flush(now time.Time) {
	running := s.running.Load()
	if running == nil {
		return
	}
	for _, session := range *running {
		ended := session.over(now)
		if ended {
			s.remove(session)
		}
		batches, tally := session.emit(now, ended)
		s.metrics.add("matched", tally.matched)
		s.metrics.add("sampled_out", tally.sampledOut)
		for _, b := range batches {
			s.send(session, b)
		}
	}
}

func (s *Sessions) send(session *session, b *meshv1.TapBatch) {
	select {
	case s.batches <- b:
		s.metrics.add("delivered", len(b.GetEvents()))
	default:
		session.drop(len(b.GetEvents()))
		s.metrics.add("dropped", len(b.GetEvents()))
	}
}

func (s *Sessions) remove(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[session.id] == session {
		delete(s.byID, session.id)
		s.publish()
		s.log.Info("tap session ended", "session", session.id)
	}
}

// publish makes byID what Done sees; s.mu is held.
func (s *Sessions) publish() {
	s.metrics.sessions.Set(float64(len(s.byID)))
	if len(s.byID) == 0 {
		s.running.Store(nil)
		return
	}
	list := make([]*session, 0, len(s.byID))
	for _, session := range s.byID {
		list = append(list, session)
	}
	s.running.Store(&list)
	select {
	case s.woken <- struct{}{}:
	default:
	}
}
