package tcpconn

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

const (
	// mostBatched is how much waits to be sent before a writer has to wait, too.
	mostBatched = 64 << 10
	// lastWords is how long Close waits for what was written.
	lastWords = 250 * time.Millisecond
)

// Batch gathers what is written to a connection, and sends it together when
// those who had more to write have done so. HTTP/2 writes an answer's head, its
// data and its trailers one by one, of each stream: sent one by one, each costs a
// call and, at the far end, a wake-up.
//
// So a write has no error of its own: the next one has.
type Batch struct {
	net.Conn

	mu      sync.Mutex
	moved   sync.Cond // room, or the end of sending
	pending *batch    // not nil only while somebody sends
	sending bool
	err     error
}

type batch struct{ bytes []byte }

var batches = sync.Pool{New: func() any { return new(batch) }}

// NewBatch gathers writes to c.
func NewBatch(c net.Conn) *Batch {
	b := &Batch{Conn: c}
	b.moved.L = &b.mu
	return b
}

// Write takes all of p, when there is room.
func (b *Batch) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.err == nil && b.pending != nil && len(b.pending.bytes)+len(p) > mostBatched {
		b.moved.Wait()
	}
	if b.err != nil {
		return 0, b.err
	}
	if b.pending == nil {
		b.pending = batches.Get().(*batch)
	}
	b.pending.bytes = append(b.pending.bytes, p...)
	if !b.sending {
		b.sending = true
		go b.send()
	}
	return len(p), nil
}

// send sends until nothing is pending.
func (b *Batch) send() {
	runtime.Gosched() // who has more to write goes first
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.pending != nil && b.err == nil {
		p := b.pending
		b.pending = nil
		b.moved.Broadcast()
		b.mu.Unlock()
		_, err := b.Conn.Write(p.bytes)
		if cap(p.bytes) <= 2*mostBatched {
			p.bytes = p.bytes[:0]
			batches.Put(p)
		}
		b.mu.Lock()
		b.failed(err)
	}
	b.sending = false
	b.moved.Broadcast()
}

// failed notes an error. The far end may be there still, having taken nothing for
// too long: nobody would notice but by reading.
func (b *Batch) failed(err error) {
	if err == nil || b.err != nil {
		return
	}
	b.err = err
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		_ = b.Conn.Close()
	}
}

// Close sends what was written, if the far end takes it soon, and closes the
// connection.
func (b *Batch) Close() error {
	b.mu.Lock()
	if b.sending {
		force := time.AfterFunc(lastWords, func() { _ = b.Conn.Close() })
		for b.sending {
			b.moved.Wait()
		}
		force.Stop()
	}
	if b.err == nil {
		b.err = net.ErrClosed
	}
	b.mu.Unlock()
	return b.Conn.Close()
}
