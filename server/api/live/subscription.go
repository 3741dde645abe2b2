package live

import (
	"encoding/json"
	"sync/atomic"
	"time"
)

// waitingMax is how many deltas may wait for one client before they are
// conflated to a snapshot.
const waitingMax = 8

// subscription is one channel on one socket. send writes what waits and
// reports whether it may have more; only the socket's writer calls it.
type subscription interface {
	send(out *wire, id string) (over bool, err error)
	close()
}

// stateSub follows a topic. Its fields are guarded by topic.mu.
type stateSub struct {
	topic   *topic
	wake    func()
	waiting []*frame
	fresh   bool // a snapshot is due, instead of what waits
	lost    uint64
	losses  *atomic.Uint64 // of all sockets
}

// push takes a delta. It never waits.
func (s *stateSub) push(f *frame) {
	switch {
	case s.fresh && s.lost == 0: // the first snapshot is still to come, and holds it
	case s.fresh:
		s.lose(1)
	case len(s.waiting) >= waitingMax:
		s.lose(uint64(len(s.waiting)) + 1)
		s.waiting, s.fresh = nil, true
	default:
		s.waiting = append(s.waiting, f)
	}
	s.wake()
}

// replace takes a whole state; the one before is of no use any more.
func (s *stateSub) replace(f *frame) {
	if !s.fresh {
		s.lose(uint64(len(s.waiting)))
		s.waiting = append(s.waiting[:0:0], f)
	}
	s.wake()
}

func (s *stateSub) lose(n uint64) {
	s.lost += n
	s.losses.Add(n)
}

func (s *stateSub) send(out *wire, id string) (bool, error) {
	for {
		f, lost := s.next()
		if f == nil {
			return false, nil
		}
		if lost > 0 {
			if err := out.json(gapFrame{id, "gap", lost}); err != nil {
				return false, err
			}
		}
		if err := f.send(out, id); err != nil {
			return false, err
		}
	}
}

func (s *stateSub) next() (f *frame, lost uint64) {
	s.topic.mu.Lock()
	defer s.topic.mu.Unlock()
	switch {
	case s.fresh:
		f, s.fresh, s.waiting = s.topic.snapshot(), false, nil
	case len(s.waiting) > 0:
		f, s.waiting = s.waiting[0], s.waiting[1:]
	default:
		return nil, 0
	}
	lost, s.lost = s.lost, 0
	return f, lost
}

func (s *stateSub) close() { s.topic.unsubscribe(s, time.Now()) }

// Stream is the source of an event channel. It queues for its one reader and
// counts what it had to drop.
type Stream interface {
	// Ready receives when Take has something.
	Ready() <-chan struct{}
	// Done is closed when the stream has ended; Reason then says why.
	Done() <-chan struct{}
	Reason() string
	// Take gives what waits, as JSON, to be sent as one frame.
	Take() (json.RawMessage, error)
	// Recheck ends the stream if who opened it may no longer see it.
	Recheck()
	Close()
}

// eventSub follows a stream.
type eventSub struct {
	stream Stream
	ready  atomic.Bool
	seq    uint64
	closed chan struct{}
}

// follow tells the socket's writer when the stream has something, until the
// stream or the subscription ends.
func (s *eventSub) follow(wake func()) {
	for {
		select {
		case <-s.stream.Ready():
			s.ready.Store(true)
			wake()
		case <-s.stream.Done():
			wake()
			return
		case <-s.closed:
			return
		}
	}
}

func (s *eventSub) send(out *wire, id string) (bool, error) {
	over := false
	select {
	case <-s.stream.Done():
		over = true // what waits goes out first
	default:
	}
	if !s.ready.Swap(false) && !over {
		return false, nil
	}
	s.seq++
	data, err := s.stream.Take()
	if err == nil {
		f := frame{kind: "event", seq: s.seq, at: time.Now().UTC(), data: data}
		err = out.text(f.encode(id))
	}
	if err != nil {
		return over, err
	}
	if over {
		return true, out.json(endFrame{id, "end", s.stream.Reason()})
	}
	return false, nil
}

func (s *eventSub) close() {
	close(s.closed)
	s.stream.Close()
}
