package forward

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// MessageObserver is an Observer that counts the messages of gRPC streams while
// they live: a stream may last for days. It is told of those since the last call,
// every few seconds as answers pass, and at the end before Done. The Exchange is
// not complete before that, but who talks to whom is settled.
type MessageObserver interface {
	Messages(x *Exchange, requests, responses int64)
}

// messageReport is how often a stream that lives tells its messages: Istio's
// interval.
const messageReport = 5 * time.Second

// grpcMessages counts the messages of a gRPC body as its bytes pass, in pieces
// of any size. The count may be read by others meanwhile.
type grpcMessages struct {
	n    atomic.Int64
	head [5]byte // compressed or not, and the length
	have int     // bytes of head
	rest uint32  // bytes of the message that are still to come
}

func (m *grpcMessages) pass(p []byte) {
	for len(p) > 0 {
		if m.rest > 0 {
			k := min(uint64(m.rest), uint64(len(p)))
			m.rest -= uint32(k)
			p = p[k:]
			continue
		}
		k := copy(m.head[m.have:], p)
		m.have += k
		p = p[k:]
		if m.have == len(m.head) {
			m.n.Add(1)
			m.have, m.rest = 0, binary.BigEndian.Uint32(m.head[1:])
		}
	}
}

// messages are both directions of one gRPC stream, and what was told of them.
type messages struct {
	sent, answered         grpcMessages // by the client, by the service
	toldSent, toldAnswered int64
	toldAt                 time.Time
}

// passed counts a piece of the answer, and tells when it is time.
func (s *stream) passed(p []byte) {
	if s.messages == nil {
		return
	}
	s.messages.answered.pass(p)
	if now := time.Now(); now.Sub(s.messages.toldAt) >= messageReport {
		s.messages.toldAt = now
		s.tellMessages()
	}
}

// tellMessages tells the observers what was not told yet.
func (s *stream) tellMessages() {
	m := s.messages
	if m == nil {
		return
	}
	sent, answered := m.sent.n.Load(), m.answered.n.Load()
	for _, o := range s.e.messageObservers {
		o.Messages(&s.x, sent-m.toldSent, answered-m.toldAnswered)
	}
	m.toldSent, m.toldAnswered = sent, answered
}
