package forward

import (
	"context"
	"sync"
)

// ending is why a request is given up before it has an answer, beside its client:
// it ends the try that is under way, and there will be no other. It stands in the
// place of a context around those of the tries, which most requests never need.
type ending struct {
	mu     sync.Mutex
	why    error                   // nil: not given up
	cancel context.CancelCauseFunc // of the newest try
	ended  chan struct{}           // nil: nobody waits
}

// end gives the request up. Of several reasons the first counts.
func (e *ending) end(why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.why != nil {
		return
	}
	e.why = why
	if e.cancel != nil {
		e.cancel(why)
	}
	if e.ended != nil {
		close(e.ended)
	}
}

// covers ends a try that begins, too, when it is time or has been.
func (e *ending) covers(cancel context.CancelCauseFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.cancel = cancel; e.why != nil {
		cancel(e.why)
	}
}

// reason is why the request was given up, nil when it was not.
func (e *ending) reason() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.why
}

// done is closed when the request is given up.
func (e *ending) done() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended == nil {
		e.ended = make(chan struct{})
		if e.why != nil {
			close(e.ended)
		}
	}
	return e.ended
}
