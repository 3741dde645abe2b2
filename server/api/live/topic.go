package live

import (
	"sync"
	"time"
)

// keptBytes bounds what the kept deltas of one topic may hold, besides their
// age: a huge view is resumed by a snapshot instead.
const keptBytes = 4 << 20

// topic is one view, computed once a tick for all its subscribers.
type topic struct {
	key     string
	epoch   string
	compute func(at time.Time) (State, error)
	keep    time.Duration

	// advancing is held over a computation, so that mu need not be.
	advancing sync.Mutex

	mu    sync.Mutex
	seq   uint64
	at    time.Time // of the computation
	state State
	whole *frame   // snapshot of seq, made when asked for
	kept  []*frame // deltas, oldest first, contiguous up to seq
	bytes int      // of kept
	subs  map[*stateSub]struct{}
	idle  time.Time // since when it has no subscriber
}

// advance computes the view at a moment and hands on what changed.
func (t *topic) advance(at time.Time) error {
	t.advancing.Lock()
	defer t.advancing.Unlock()
	return t.step(at)
}

// refresh advances when the newest state is older than a tick: always at
// first, and when nobody looked for a while.
func (t *topic) refresh(at time.Time, tick time.Duration) error {
	t.advancing.Lock()
	defer t.advancing.Unlock()
	t.mu.Lock()
	young := t.seq > 0 && at.Sub(t.at) <= tick
	t.mu.Unlock()
	if young {
		return nil
	}
	return t.step(at)
}

func (t *topic) step(at time.Time) error {
	next, err := t.compute(at)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if next.At.IsZero() {
		next.At = at
	}
	prev := t.state
	first := t.seq == 0
	t.state, t.at, t.whole = next, at, nil
	t.seq++
	if first {
		return nil
	}
	if next.Whole {
		f := t.snapshot()
		for s := range t.subs {
			s.replace(f)
		}
		return nil
	}
	f := &frame{kind: "delta", seq: t.seq, at: next.At, made: at, data: next.delta(&prev, t.deltaRoom())}
	t.remember(f)
	for s := range t.subs {
		s.push(f)
	}
	return nil
}

// deltaRoom is about what a delta takes: a little more than the one before.
func (t *topic) deltaRoom() int {
	if len(t.kept) == 0 {
		return 0
	}
	n := len(t.kept[len(t.kept)-1].data)
	return n + n/8
}

func (t *topic) remember(f *frame) {
	t.kept = append(t.kept, f)
	t.bytes += len(f.data)
	n := 0
	for n < len(t.kept) && (t.bytes > keptBytes || f.made.Sub(t.kept[n].made) > t.keep) {
		t.bytes -= len(t.kept[n].data)
		n++
	}
	t.kept = append([]*frame(nil), t.kept[n:]...)
}

// snapshot gives the newest state as a frame. t.mu is held.
func (t *topic) snapshot() *frame {
	if t.whole == nil {
		t.whole = &frame{
			kind: "snapshot", epoch: t.epoch, seq: t.seq, at: t.state.At,
			data: t.state.snapshot(t.epoch, t.seq),
		}
	}
	return t.whole
}

// attach adds a subscriber, who gets a snapshot unless resume finds better.
func (t *topic) attach(s *stateSub) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.fresh = true
	t.subs[s] = struct{}{}
}

// resume gives s what it lacks since a point, instead of a snapshot, when that
// point is known and not too old.
func (t *topic) resume(s *stateSub, from *resumePoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from == nil || from.Epoch != t.epoch || from.Seq > t.seq || t.state.Whole {
		return
	}
	missing := int(t.seq - from.Seq)
	if missing > len(t.kept) {
		return
	}
	s.fresh = false
	s.waiting = append(s.waiting, t.kept[len(t.kept)-missing:]...)
}

func (t *topic) unsubscribe(s *stateSub, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.subs, s)
	t.idle = at
}

func (t *topic) watched() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.subs) > 0
}

// over tells whether nobody has looked for so long that nobody can resume.
func (t *topic) over(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.subs) == 0 && now.Sub(t.idle) > t.keep
}

func (t *topic) idleSince() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.idle
}
