package forward

import (
	"net/http"
	"sync"
	"time"
)

// lateAfter is how long net/http may keep what it has of an answer of known
// length, for more to go with it; it is twice that at most.
const lateAfter = time.Millisecond

// lates are the answers of known length whose next piece has not come yet. What
// net/http holds back of one that keeps the client waiting, be it the head alone,
// is sent. One timer serves all: it runs only while somebody waits, since a timer
// for each answer would cost every one of them for the few that are late.
type lates struct {
	mu    sync.Mutex
	first *late
	ticks uint64
	armed bool
}

// late is one answer between two pieces.
type late struct {
	w          http.ResponseWriter
	since      uint64 // tick
	prev, next *late
	listed     bool
	sending    chan struct{} // closed when what was held back has gone out; nil: it has not been late
}

// wait begins waiting for a piece. Until came is called the writer is not the
// caller's.
func (l *lates) wait(a *late) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a.since, a.listed, a.next = l.ticks, true, l.first
	if l.first != nil {
		l.first.prev = a
	}
	l.first = a
	if !l.armed {
		l.armed = true
		time.AfterFunc(lateAfter, l.tick)
	}
}

// came ends it.
func (l *lates) came(a *late) {
	l.mu.Lock()
	l.unlist(a)
	sending := a.sending
	a.sending = nil
	l.mu.Unlock()
	if sending != nil {
		<-sending
	}
}

// unlist takes an answer out, once. The lock is held.
func (l *lates) unlist(a *late) {
	if !a.listed {
		return
	}
	if a.prev != nil {
		a.prev.next = a.next
	} else {
		l.first = a.next
	}
	if a.next != nil {
		a.next.prev = a.prev
	}
	a.prev, a.next, a.listed = nil, nil, false
}

func (l *lates) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for a := l.first; a != nil; {
		next := a.next
		if a.since < l.ticks { // for a whole tick
			l.unlist(a)
			a.sending = make(chan struct{})
			go a.send(a.sending) // a slow client holds nobody else up
		}
		a = next
	}
	l.ticks++
	if l.armed = l.first != nil; l.armed {
		time.AfterFunc(lateAfter, l.tick)
	}
}

func (a *late) send(done chan struct{}) {
	defer close(done)
	_ = http.NewResponseController(a.w).Flush() // errors show up at the next write
}
