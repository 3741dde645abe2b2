package tap

import (
	"slices"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Whatever matters more is taken first; what was taken is told in its order.
func TestTakenEventsAreInOrder(t *testing.T) {
	p := newPool(40)
	begin := time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)
	const offered, taken = 60, 20
	for i := range offered {
		ev := &mesh.TapEvent{At: begin.Add(time.Duration(i) * time.Millisecond), Status: 200, DurationMS: 5}
		if i%4 == 3 {
			ev.Status = 503
		}
		if place, _ := p.admit(ev); place != nil {
			*place = held{ev, ev.At}
		}
	}
	events := p.take(taken)
	if len(events) != taken || !slices.IsSortedFunc(events, func(a, b *mesh.TapEvent) int { return a.At.Compare(b.At) }) {
		t.Errorf("%d events, not all in order", len(events))
	}
	failed := 0
	for _, ev := range events {
		if ev.Status == 503 {
			failed++
		}
	}
	if failed != offered/4 {
		t.Errorf("%d of the %d failed ones were taken", failed, offered/4)
	}
}
