package tap

import (
	"net/textproto"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

const (
	ticksPerSecond = int(time.Second / tick)
	// maxField bounds what clients and services wrote into a field of an event.
	maxField = 256
	// reportEvery is how often totals are sent when there are no events.
	reportEvery = time.Second
)

// session is one filter that runs. matched = delivered + sampled out + dropped
// + what is in the pool, at any time.
type session struct {
	id      string
	filter  *expr.Expr
	headers bool
	redact  []string // header fields, besides those that always are

	mu    sync.Mutex
	ends  time.Time
	limit int // events per second
	pool  *pool
	gone  bool // ended: takes no more events

	allowance float64             // events that may be sent, refilled each tick
	sent      [ticksPerSecond]int // per tick of the last second
	now       int                 // index into sent

	total, reported tally
	reportedAt      time.Time
}

// tally is what became of matched events that were not delivered.
type tally struct{ matched, sampledOut, dropped int }

func newSession(req *meshv1.TapStart, filter *expr.Expr, limit int, ends time.Time) *session {
	return &session{
		id: req.GetSession(), filter: filter, headers: req.GetHeaders(), redact: req.GetRedactHeaders(), limit: limit, ends: ends,
		pool: newPool(limit), allowance: float64(limit),
	}
}

// renew sets when the session ends; a zero time ends it at the next tick.
func (s *session) renew(ends time.Time, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = ends
	if limit > 0 {
		s.limit = limit
		s.pool.limit = poolSize(limit)
	}
}

func (s *session) over(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.After(s.ends)
}

// offer counts the event if it matches, and holds on to it if it has a chance
// to be delivered.
func (s *session) offer(ev *mesh.TapEvent, headers forward.HeaderView, now time.Time) {
	if !expr.MatchTap(s.filter, ev, func(response bool, name string) []mesh.Header { return s.header(headers, response, name) }) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.total.matched++
	place, evicted := s.pool.admit(ev)
	s.total.sampledOut += evicted
	if place != nil {
		*place = held{event: s.disclose(ev, headers), since: now}
	}
}

// header gives the values of a header field as the session may see them.
func (s *session) header(view forward.HeaderView, response bool, name string) []mesh.Header {
	from := view.Request
	if response {
		from = view.Response
	}
	var values []mesh.Header
	for _, value := range from[textproto.CanonicalMIMEHeaderKey(name)] {
		values = append(values, mesh.RedactHeader(name, value, s.redact))
	}
	return values
}

// disclose copies the event as the session may see it.
func (s *session) disclose(ev *mesh.TapEvent, headers forward.HeaderView) *mesh.TapEvent {
	out := *ev
	out.Path = mesh.RedactTarget(ev.Path)
	// What clients and services wrote may be long, or no text at all.
	for _, field := range []*string{&out.Method, &out.Authority, &out.GRPCStatus, &out.Details} {
		*field = mesh.Shorten(*field, maxField)
	}
	if s.headers {
		out.RequestHeaders = mesh.RedactHeaders(headers.Request, s.redact)
		out.ResponseHeaders = mesh.RedactHeaders(headers.Response, s.redact)
	}
	return &out
}

// emit gives the batches of this tick, and what was counted since the last.
// The final ones empty the pool.
func (s *session) emit(now time.Time, final bool) ([]*meshv1.TapBatch, tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = s.gone || final
	events := s.pool.take(s.allow())
	s.sent[s.now] = len(events)
	s.allowance -= float64(len(events))
	s.total.sampledOut += s.pool.tidy(now, len(events) > 0, final)

	delta := tally{matched: s.total.matched - s.reported.matched, sampledOut: s.total.sampledOut - s.reported.sampledOut}
	if len(events) == 0 && !final && (s.total == s.reported || now.Sub(s.reportedAt) < reportEvery) {
		return nil, tally{}
	}
	s.reported, s.reportedAt = s.total, now
	var batches []*meshv1.TapBatch
	for first := true; first || len(events) > 0; first = false {
		n := min(len(events), maxBatch)
		b := &meshv1.TapBatch{
			Session: s.id,
			Matched: uint64(s.total.matched), SampledOut: uint64(s.total.sampledOut), Dropped: uint64(s.total.dropped),
		}
		for _, ev := range events[:n] {
			b.Events = append(b.Events, meshv1.FromTapEvent(*ev))
		}
		batches, events = append(batches, b), events[n:]
	}
	return batches, delta
}

// allow tells how many events this tick may send: a share of the limit, with
// what quiet ticks left over, and never more than the limit in any second.
func (s *session) allow() int {
	s.now = (s.now + 1) % ticksPerSecond
	s.sent[s.now] = 0
	room := s.limit
	for _, n := range s.sent {
		room -= n
	}
	room = max(0, room)
	share := float64(s.limit) / float64(ticksPerSecond)
	s.allowance = min(float64(s.limit), s.allowance+share)
	if s.allowance > float64(room) {
		// Ticks without room are not quiet: saved up, they would make the next
		// burst, and the viewer would see one jump a second.
		s.allowance = max(float64(room), share, 1)
	}
	return min(int(s.allowance), room)
}

func (s *session) drop(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.dropped += n
}

// abandon ends the session without a last word: what it still holds is lost. It
// gives what was not reported yet.
func (s *session) abandon() tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	return tally{
		matched:    s.total.matched - s.reported.matched,
		sampledOut: s.total.sampledOut - s.reported.sampledOut,
		dropped:    s.pool.size,
	}
}
