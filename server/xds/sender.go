package xds

import (
	"sync"
	"sync/atomic"
)

// sender sends on a stream, by a goroutine that is there for as long as something
// is to be sent: thousands of streams have nothing to say nearly all the time, and
// then cost one goroutine each, which reads.
type sender struct{ *sending }

type sending struct {
	state atomic.Int32
	send  func() error // what there is; an error means that the stream is broken
	mu    sync.Mutex   // held by who sends
}

// The states of a sender.
const (
	mute    = iota // nothing may be sent: not yet, or not any more
	idle           // there is no goroutine
	busy           // there is one
	pressed        // there is one, and it is to look again
)

// begin lets it send.
func (s sender) begin(send func() error) {
	s.send = send
	s.state.Store(idle)
}

// ring has it look what there is to send.
func (s sender) ring() {
	for {
		switch was := s.state.Load(); {
		case was == mute || was == pressed:
			return
		case was == busy && s.state.CompareAndSwap(busy, pressed):
			return
		case was == idle && s.state.CompareAndSwap(idle, busy):
			go s.run()
			return
		}
	}
}

func (s sender) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.state.Load() != mute {
		if s.send() != nil || s.state.CompareAndSwap(busy, idle) {
			return
		}
		s.state.CompareAndSwap(pressed, busy)
	}
}

// end waits for what is being sent. Nothing is sent after it.
func (s sender) end() {
	s.state.Store(mute)
	s.mu.Lock()
	defer s.mu.Unlock()
}
