package route

import (
	"fmt"
	"math"
	"sync"
	"time"
)

// RateLimit lets so many requests through: a bucket of tokens, one a request,
// that fills evenly over time. Routes that share a RateLimit share its bucket.
// The bucket is this sidecar's own: other instances have theirs.
type RateLimit struct {
	Max   uint32        // tokens that the bucket holds, and begins with
	Fill  uint32        // tokens each Every
	Every time.Duration // at least 50 ms

	Status    int  // of the answer beyond it; 0 = 429
	Exhausted bool // gRPC clients get RESOURCE_EXHAUSTED, not UNAVAILABLE
	Headers   bool // tell clients by X-RateLimit-Limit, -Remaining and -Reset

	bucket *bucket
}

// Allowance is what a rate limit says of one request.
type Allowance struct {
	OK    bool
	Left  uint32        // whole tokens after this request
	Reset time.Duration // until the bucket is full again
}

type bucket struct {
	mu     sync.Mutex
	tokens float64
	at     time.Time
}

func (l *RateLimit) compile() error {
	switch {
	case l == nil:
		return nil
	case l.Max == 0, l.Fill == 0, l.Every < 50*time.Millisecond:
		return fmt.Errorf("rate limit: %d tokens, %d more each %s", l.Max, l.Fill, l.Every)
	case l.Status != 0 && (l.Status < 400 || l.Status > 599):
		return fmt.Errorf("rate limit: status %d", l.Status)
	}
	if l.bucket == nil {
		l.bucket = &bucket{tokens: float64(l.Max)}
	}
	return nil
}

// Take takes a token, if there is one at now.
func (l *RateLimit) Take(now time.Time) Allowance {
	rate := float64(l.Fill) / l.Every.Seconds()
	most := float64(l.Max)
	b := l.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed := now.Sub(b.at); passed > 0 {
		if !b.at.IsZero() {
			b.tokens = math.Min(most, b.tokens+passed.Seconds()*rate)
		}
		b.at = now
	}
	a := Allowance{OK: b.tokens >= 1}
	if a.OK {
		b.tokens--
	}
	a.Left = uint32(b.tokens)
	a.Reset = time.Duration((most - b.tokens) / rate * float64(time.Second))
	return a
}

// same reports whether two limits may share a bucket.
func (l *RateLimit) same(o *RateLimit) bool {
	return l != nil && o != nil && l.Max == o.Max && l.Fill == o.Fill && l.Every == o.Every
}

// Inherit takes over the buckets of the table that this one replaces: a change
// elsewhere must not fill them. It must be called before the table is in use.
func (t *Table) Inherit(before *Table) {
	if before == nil || before == t {
		return
	}
	type key struct{ host, route string }
	known := map[key]*RateLimit{}
	for i := range before.config.VirtualHosts {
		vh := &before.config.VirtualHosts[i]
		for j := range vh.Routes {
			if l := vh.Routes[j].RateLimit; l != nil {
				known[key{vh.Name, vh.Routes[j].Name}] = l
			}
		}
	}
	if len(known) == 0 {
		return
	}
	for i := range t.config.VirtualHosts {
		vh := &t.config.VirtualHosts[i]
		for j := range vh.Routes {
			if l, old := vh.Routes[j].RateLimit, known[key{vh.Name, vh.Routes[j].Name}]; l != old && l.same(old) {
				l.bucket = old.bucket
			}
		}
	}
}
