package tap

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Why a viewer ended.
const (
	ReasonTTL      = "ttl"
	ReasonStopping = "server stopping"
	ReasonClosed   = "closed"      // by the viewer itself
	ReasonStopped  = "stopped by " // whom Hub.Stop names
	ReasonRevoked  = "the access rules changed"
)

// queueMax bounds what waits for one viewer; more is counted as DroppedSocket.
const queueMax = 4096

// Viewer is one reader of a session. Wait for Ready or Done, then Take.
type Viewer struct {
	hub     *Hub
	id      string
	session *session
	user    string
	opened  time.Time
	ends    time.Time
	ready   chan struct{}
	done    chan struct{}
	once    sync.Once

	// Guarded by session.mu.
	queue     []*Event
	base      mesh.TapLedger // the session's sums when this viewer came
	delivered uint64
	dropped   uint64
	woken     time.Time
	reason    string
}

// Event is a tapped event on its way to the viewers of a session.
type Event struct {
	mesh.TapEvent
	once    sync.Once
	encoded []byte
	err     error
}

// JSON gives the event as the API writes it, encoded once for all its viewers.
func (e *Event) JSON() ([]byte, error) {
	e.once.Do(func() { e.encoded, e.err = json.Marshal(&e.TapEvent) })
	return e.encoded, e.err
}

// Batch is what a viewer gets at a time. Events are shared with other viewers:
// read only.
type Batch struct {
	Events   []*Event
	Ledger   mesh.TapLedger // since this viewer came
	Sidecars int            // that take part
}

// JSON gives the batch as the API writes it.
func (b Batch) JSON() (json.RawMessage, error) {
	ledger, err := json.Marshal(b.Ledger)
	if err != nil {
		return nil, fmt.Errorf("encode tap ledger: %w", err)
	}
	size := len(ledger) + 64
	for _, ev := range b.Events {
		one, err := ev.JSON()
		if err != nil {
			return nil, fmt.Errorf("encode tap event: %w", err)
		}
		size += len(one) + 1
	}
	text := append(make([]byte, 0, size), `{"events":[`...)
	for i, ev := range b.Events {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, ev.encoded...)
	}
	text = append(append(text, `],"ledger":`...), ledger...)
	return fmt.Appendf(text, `,"sidecars":%d}`, b.Sidecars), nil
}

// Ready receives when there are events, and at least once a second so that the
// ledger keeps moving.
func (v *Viewer) Ready() <-chan struct{} { return v.ready }

// Done is closed when the viewer has ended; Reason then says why. What waits
// can still be taken.
func (v *Viewer) Done() <-chan struct{} { return v.done }

// Reason says why the viewer ended, or "".
func (v *Viewer) Reason() string {
	v.session.mu.Lock()
	defer v.session.mu.Unlock()
	return v.reason
}

// Take gives what waits and counts it as delivered.
func (v *Viewer) Take() Batch {
	s := v.session
	s.mu.Lock()
	defer s.mu.Unlock()
	events := v.queue
	v.queue = nil
	v.delivered += uint64(len(events))
	return Batch{Events: events, Ledger: v.ledger(), Sidecars: len(s.feeds)}
}

// Close ends the viewer. It is idempotent.
func (v *Viewer) Close() { v.end(ReasonClosed) }

// Revoke ends the viewer because it may no longer see what it was opened for.
func (v *Viewer) Revoke() { v.end(ReasonRevoked) }

func (v *Viewer) end(reason string) {
	v.once.Do(func() {
		v.hub.left(v)
		v.session.mu.Lock()
		v.reason = reason
		ledger := v.ledger()
		v.session.mu.Unlock()
		v.hub.remember(v, time.Now())
		v.hub.log.Info("tap session closed", "session", v.session.id, "user", v.user, "filter", v.session.filter,
			"reason", reason, "duration_s", time.Since(v.opened).Seconds(), "matched", ledger.Matched,
			"delivered", ledger.Delivered, "lost", ledger.Lost())
		close(v.done)
	})
}

func (v *Viewer) put(events []*Event, now time.Time) {
	room := queueMax - len(v.queue)
	if over := len(events) - room; over > 0 {
		v.dropped += uint64(over)
		v.session.lostViewer += uint64(over)
		events = events[:room]
	}
	v.queue = append(v.queue, events...)
	if len(v.queue) > 0 || now.Sub(v.woken) >= reportEvery {
		v.woken = now
		v.wake()
	}
}

func (v *Viewer) wake() {
	select {
	case v.ready <- struct{}{}:
	default:
	}
}

func (v *Viewer) ledger() mesh.TapLedger {
	s := v.session
	return mesh.TapLedger{
		Matched:        s.matched - v.base.Matched,
		Delivered:      v.delivered,
		SampledOut:     s.sampled - v.base.SampledOut,
		DroppedSidecar: s.lostSidecar - v.base.DroppedSidecar,
		DroppedServer:  s.lostServer - v.base.DroppedServer,
		DroppedSocket:  v.dropped,
	}
}
