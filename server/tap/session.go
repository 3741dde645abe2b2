package tap

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// intakeMax bounds what may arrive between two flushes; more is counted as
// DroppedServer.
const intakeMax = 4096

// session is one filter on all sidecars, shared by the viewers that asked for
// the same.
type session struct {
	id      string
	filter  string
	matcher *expr.Expr // of filter, for what arrives without a sidecar's decision
	limit   int
	headers bool
	redact  []string  // header fields, besides those that always are
	dies    time.Time // when the sidecars end it by themselves

	mu      sync.Mutex
	feeds   map[string]*feed
	viewers map[*Viewer]struct{}
	seq     uint64
	intake  []*Event

	// The ledger's sums over all sidecars. matched counts what is accounted
	// for below plus what is still under way.
	matched, sampled, lostSidecar, lostServer, lostViewer uint64
	arrived                                               uint64

	allowance  float64 // events that the limit has left, refilled by time
	refilled   time.Time
	rebalanced time.Time
}

// feed is one sidecar's part in a session, as far as it has reported.
type feed struct {
	token                              string
	matched, sampled, dropped, arrived uint64

	granted uint32 // events a second that it may send
	before  uint64 // matched, when grants were last shared out
}

func newSession(id string, req Request, redact []string, now time.Time) *session {
	return &session{
		id: id, filter: req.Filter, matcher: req.matcher, limit: req.LimitPerS, headers: req.Headers, redact: redact,
		// A backstop only, for sidecars that never hear TapStop. Viewers have
		// their own, earlier ends.
		dies:  now.Add(MaxTTL + time.Minute),
		feeds: map[string]*feed{}, viewers: map[*Viewer]struct{}{},
		allowance: float64(req.LimitPerS), refilled: now, rebalanced: now,
	}
}

func (s *session) addFeed(nodeID, token string, granted uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeFeed(nodeID)
	s.feeds[nodeID] = &feed{token: token, granted: granted}
}

func (s *session) dropFeed(nodeID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeFeed(nodeID)
}

// closeFeed writes off what a sidecar matched and can no longer deliver.
func (s *session) closeFeed(nodeID string) {
	f := s.feeds[nodeID]
	if f == nil {
		return
	}
	if known := f.arrived + f.sampled + f.dropped; f.matched > known {
		s.lostSidecar += f.matched - known
	}
	delete(s.feeds, nodeID)
}

func (s *session) tokens() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	tokens := make(map[string]string, len(s.feeds))
	for id, f := range s.feeds {
		tokens[id] = f.token
	}
	return tokens
}

// take adds a sidecar's batch. It never waits for a viewer.
func (s *session) take(nodeID string, b *meshv1.TapBatch, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.feeds[nodeID]
	if f == nil || f.token != b.GetSession() {
		return // of an earlier stream; its events were written off with it
	}
	arrived := uint64(len(b.GetEvents()))
	// A sidecar counts events before it sends them. A total that says less than
	// what has come, or less than before, is not believed.
	known := f.arrived + arrived + max(f.sampled, b.GetSampledOut()) + max(f.dropped, b.GetDropped())
	s.matched += grow(&f.matched, max(b.GetMatched(), known))
	s.sampled += grow(&f.sampled, b.GetSampledOut())
	s.lostSidecar += grow(&f.dropped, b.GetDropped())
	f.arrived += arrived

	for _, e := range b.GetEvents() {
		ev := &Event{TapEvent: e.Mesh()}
		ev.Node = nodeID
		// An older sidecar does not know what else to hide.
		ev.RequestHeaders, ev.ResponseHeaders = s.redacted(ev.RequestHeaders), s.redacted(ev.ResponseHeaders)
		s.add(ev)
	}
}

// observe takes an event of a proxy that does not decide by itself whether it
// matches. ev belongs to the session if it does.
func (s *session) observe(ev *mesh.TapEvent) {
	own := &Event{TapEvent: *ev} // other sessions have theirs
	own.RequestHeaders, own.ResponseHeaders = s.redacted(ev.RequestHeaders), s.redacted(ev.ResponseHeaders)
	if !expr.MatchTap(s.matcher, &own.TapEvent, own.Header) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.matched++
	s.add(own)
}

// redacted leaves the values of what this server hides out of header fields.
func (s *session) redacted(headers []mesh.Header) []mesh.Header {
	if len(s.redact) == 0 {
		return headers
	}
	own := slices.Clone(headers)
	for i, h := range own {
		if !h.Redacted && slices.Contains(s.redact, h.Name) {
			own[i] = mesh.Header{Name: h.Name, Redacted: true, Bytes: len(h.Value)}
		}
	}
	return own
}

func (s *session) add(ev *Event) {
	if len(s.intake) >= intakeMax {
		s.lostServer++
		return
	}
	if !s.headers {
		ev.RequestHeaders, ev.ResponseHeaders = nil, nil
	}
	s.intake = append(s.intake, ev)
}

// chosen takes what the limit lets through of what arrived since the last
// flush: failures first, then each of the others with the same chance, in the
// order in which they came.
func (s *session) chosen(now time.Time) []*Event {
	s.refill(now)
	events := s.intake
	s.intake = nil
	if n := int(s.allowance); len(events) > n {
		s.sampled += uint64(len(events) - n)
		events = sample(events, n)
	}
	s.allowance -= float64(len(events))
	for _, ev := range events {
		s.seq++
		ev.Seq = s.seq
	}
	s.arrived += uint64(len(events))
	return events
}

// sample keeps n of the events.
func sample(events []*Event, n int) []*Event {
	order := rand.Perm(len(events))
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(usual(events[a]), usual(events[b]))
	})
	order = order[:n]
	slices.Sort(order)
	kept := make([]*Event, n)
	for i, at := range order {
		kept[i] = events[at]
	}
	return kept
}

func usual(ev *Event) int {
	if expr.TapFailed(&ev.TapEvent) {
		return 0
	}
	return 1
}

func (s *session) refill(now time.Time) {
	limit := float64(s.limit)
	s.allowance = min(limit, s.allowance+now.Sub(s.refilled).Seconds()*limit)
	s.refilled = now
}

// flush hands what arrived to the viewers and gives those whose time is over.
func (s *session) flush(now time.Time) (ended []*Viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.chosen(now)
	for v := range s.viewers {
		v.put(events, now)
		if !now.Before(v.ends) {
			ended = append(ended, v)
		}
	}
	return ended
}

// settled is the part of matched that is accounted for.
func (s *session) settled() uint64 {
	return s.matched - s.underWay()
}

// underWay is what sidecars matched and neither sent nor counted as lost yet,
// and what has not been flushed.
func (s *session) underWay() uint64 {
	n := uint64(len(s.intake))
	for _, f := range s.feeds {
		if known := f.arrived + f.sampled + f.dropped; f.matched > known {
			n += f.matched - known
		}
	}
	return n
}

func (s *session) join(h *Hub, req Request, now time.Time) *Viewer {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &Viewer{
		hub: h, id: newID(), session: s, user: req.User, opened: now, ends: now.Add(req.TTL),
		ready: make(chan struct{}, 1), done: make(chan struct{}),
		// What is under way will still reach this viewer, so that it counts.
		base: mesh.TapLedger{
			Matched: s.settled(), SampledOut: s.sampled,
			DroppedSidecar: s.lostSidecar, DroppedServer: s.lostServer,
		},
	}
	v.wake()
	s.viewers[v] = struct{}{}
	return v
}

func (s *session) leave(v *Viewer) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.viewers, v)
	return len(s.viewers)
}

func (s *session) everyone() []*Viewer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Viewer, 0, len(s.viewers))
	for v := range maps.Keys(s.viewers) {
		all = append(all, v)
	}
	return all
}

func (s *session) totals() (events, lost uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrived, s.lostSidecar + s.lostServer + s.lostViewer
}

// grow raises a running total to next and gives by how much; a total that
// falls is kept.
func grow(total *uint64, next uint64) uint64 {
	if next <= *total {
		return 0
	}
	d := next - *total
	*total = next
	return d
}
