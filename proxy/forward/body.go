package forward

import (
	"errors"
	"io"
	"sync"
)

// requestBody is a request's body that several tries can read: it keeps what
// was read, up to a limit, and gives it again. Beyond the limit it keeps
// nothing and the request cannot be tried again.
//
// A try that was given up may still be reading in the transport. Its bytes are
// not lost: whatever a read takes from the client is put into the buffer
// before anyone gets it.
type requestBody struct {
	src   io.ReadCloser
	limit int

	mu       sync.Mutex
	idle     sync.Cond // no read from src under way
	reading  bool
	buf      []byte // of [0, total) while replayable
	total    int64
	overflow bool // buf is gone
	keep     bool // still buffering, for other tries
	hold     bool // buffering to the end, for copies
	err      error
	waiting  []func() // called once, when the client has sent all
	messages *grpcMessages
}

var errBodyGone = errors.New("request body can not be sent again")

// errSuperseded ends the reading of a try that was given up.
var errSuperseded = errors.New("superseded by another try")

func newRequestBody(src io.ReadCloser, limit int) *requestBody {
	b := &requestBody{src: src, limit: limit, keep: limit > 0}
	b.idle.L = &b.mu
	return b
}

// whenSent calls f once the client has sent everything: now if it has. F must
// not block.
func (b *requestBody) whenSent(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.err, io.EOF) {
		f()
		return
	}
	b.waiting = append(b.waiting, f)
}

// attempt gives a reader from the body's beginning.
func (b *requestBody) attempt() *attemptBody { return &attemptBody{b: b} }

// replayable reports whether another try could send the whole body.
func (b *requestBody) replayable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.overflow && (b.keep || b.total == 0)
}

// commit ends buffering: the answer is on its way, there will be no other try.
func (b *requestBody) commit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keep = false
}

// received is the number of bytes that the client has sent.
func (b *requestBody) received() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// sent reports whether the client has sent everything.
func (b *requestBody) sent() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Is(b.err, io.EOF)
}

// failure tells how reading from the client failed, nil when it did not.
func (b *requestBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// attemptBody is the body as one try reads it.
type attemptBody struct {
	b      *requestBody
	at     int64
	closed bool // under b.mu
}

// Read gives buffered bytes first, then the client's.
func (a *attemptBody) Read(p []byte) (int, error) {
	b := a.b
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case a.closed:
			return 0, errSuperseded
		case a.at < b.total && b.overflow:
			return 0, errBodyGone
		case a.at < b.total:
			n := copy(p, b.buf[a.at:])
			a.at += int64(n)
			return n, nil
		case b.err != nil:
			return 0, b.err
		case len(p) == 0:
			return 0, nil
		case b.reading:
			b.idle.Wait()
		default:
			return a.fetch(p)
		}
	}
}

// fetch reads from the client, without the lock, and keeps what came. It is
// called and returns with the lock held.
func (a *attemptBody) fetch(p []byte) (int, error) {
	b := a.b
	b.reading = true
	b.mu.Unlock()
	n, err := b.src.Read(p)
	b.mu.Lock()
	if b.messages != nil {
		b.messages.pass(p[:n])
	}
	b.reading = false
	b.idle.Broadcast()
	switch {
	case b.overflow:
	case a.closed, (b.keep || b.hold) && b.total+int64(n) <= int64(b.limit):
		// What a given-up try still took belongs to the one after it, even
		// above the limit.
		b.buf = append(b.buf, p[:n]...)
	case n > 0:
		b.overflow, b.buf = true, nil
	}
	b.total += int64(n)
	a.at += int64(n)
	if err != nil {
		b.err = err
		if errors.Is(err, io.EOF) {
			for _, f := range b.waiting {
				f()
			}
		}
		b.waiting = nil
	}
	if a.closed {
		return 0, errSuperseded
	}
	return n, err
}

// Close gives this try's reading up. The client's body stays open for others:
// net/http closes it when the handler returns.
func (a *attemptBody) Close() error {
	a.b.mu.Lock()
	a.closed = true
	a.b.mu.Unlock()
	return nil
}
