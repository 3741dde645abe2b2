package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"

	"github.com/sidelight-mesh/sidelight/collector/spool"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// Forward copies what is stored to another store by remote write 1.0:
// Prometheus, Thanos, Mimir, VictoriaMetrics. It never holds back scrapes:
// what the other store does not take at once waits in memory, then on disk,
// oldest first out when that is full. What waits on disk outlives the process.
// Put it in the way with Tee, and Run it.
type Forward struct {
	name   string // the URL without its password
	api    *remote.API
	queue  *spool.Queue
	logger *slog.Logger
	client *http.Client
	last   *lastStatus

	mu    sync.Mutex
	stats ForwardStats
}

// ForwardOptions say where to. Zero fields take the default that stands
// beside them.
type ForwardOptions struct {
	URL      string // required: "http://prometheus:9090/api/v1/write"
	Dir      string // required: for what waits; made if need be
	MaxBytes int64  // on disk: 512 MiB
	Logger   *slog.Logger
}

// ForwardStats counts samples, a native histogram as one.
type ForwardStats struct {
	Sent         uint64
	Refused      uint64 // by the other store: it will not take them at a later time either
	Dropped      uint64 // the buffer was full
	WaitingBytes int64
	Since        time.Time // when the other store stopped taking anything; zero when it does
	Error        string    // why
}

const (
	forwardTimeout = 10 * time.Second
	retryLeast     = 500 * time.Millisecond
	retryMost      = 5 * time.Second
)

// NewForward opens the buffer. Nothing is sent yet.
func NewForward(o ForwardOptions) (*Forward, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("remote write %q: %w: want a URL like http://127.0.0.1:9090/api/v1/write", o.URL, mesh.ErrInvalid)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	f := &Forward{name: u.Redacted(), logger: o.Logger}
	f.last = &lastStatus{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute}}
	f.client = &http.Client{Timeout: forwardTimeout, Transport: f.last}
	base := *u
	base.Path, base.RawPath = "", ""
	// Retrying is done here, so that what waits can go to disk meanwhile.
	f.api, err = remote.NewAPI(base.String(), remote.WithAPIPath(u.Path), remote.WithAPIHTTPClient(f.client),
		remote.WithAPINoRetryOnRateLimit(), remote.WithAPIBackoff(remote.BackoffConfig{Min: retryLeast, Max: retryLeast, MaxRetries: 1}))
	if err != nil {
		return nil, fmt.Errorf("remote write %s: %w", f.name, err)
	}
	if f.queue, err = spool.Open(spool.Options{Dir: o.Dir, MaxBytes: o.MaxBytes}); err != nil {
		return nil, fmt.Errorf("remote write %s: %w", f.name, err)
	}
	return f, nil
}

// Stats gives the figures.
func (f *Forward) Stats() ForwardStats {
	f.mu.Lock()
	s := f.stats
	f.mu.Unlock()
	s.Dropped, _, s.WaitingBytes = f.queue.Figures()
	return s
}

// Run sends until ctx ends, then puts what waits in memory to disk.
func (f *Forward) Run(ctx context.Context) error {
	defer f.client.CloseIdleConnections()
	wait := retryLeast
	for {
		c, ok := f.queue.Next(ctx)
		if !ok {
			break
		}
		err := f.send(ctx, c)
		if ctx.Err() != nil && err != nil {
			break
		}
		if !f.note(c, err) {
			f.queue.Done(c)
			wait = retryLeast
			continue
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, retryMost)
	}
	if err := f.queue.Flush(); err != nil {
		return fmt.Errorf("remote write %s: keep what waits: %w", f.name, err)
	}
	return nil
}

// refusedError says that the other store will never take something.
type refusedError struct{ error }

func (f *Forward) send(ctx context.Context, c spool.Chunk) error {
	ctx, cancel := context.WithTimeout(ctx, 2*forwardTimeout)
	defer cancel()
	f.last.code = 0
	_, err := f.api.Write(ctx, remote.WriteV1MessageType, encoded(c.Data))
	// What is at fault in the request will be so the next time, too.
	if code := f.last.code; err != nil && code/100 == 4 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout {
		return refusedError{err}
	}
	return err
}

// lastStatus remembers how the last request was answered, which the client
// tells in words only. There is one request at a time.
type lastStatus struct {
	*http.Transport
	code int
}

// RoundTrip implements http.RoundTripper.
func (l *lastStatus) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.Transport.RoundTrip(r)
	if err == nil {
		l.code = resp.StatusCode
	}
	return resp, err
}

// note takes what became of a chunk, and reports whether to try again.
func (f *Forward) note(c spool.Chunk, err error) (again bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var refused refusedError
	switch {
	case err == nil:
		f.stats.Sent += uint64(c.N)
	case errors.As(err, &refused):
		f.stats.Refused += uint64(c.N)
		f.logger.Warn("remote store refuses samples", "url", f.name, "samples", c.N, "err", err)
	default:
		if f.stats.Since.IsZero() {
			f.stats.Since = time.Now()
			f.logger.Warn("remote store does not take samples, they wait", "url", f.name, "err", err)
		}
		f.stats.Error = err.Error()
		return true
	}
	if !f.stats.Since.IsZero() {
		f.logger.Info("remote store takes samples again", "url", f.name, "away_s", int(time.Since(f.stats.Since).Seconds()))
	}
	f.stats.Since, f.stats.Error = time.Time{}, ""
	return false
}

// encoded is a write request that is bytes already. Requests that follow each
// other are one: their fields repeat.
type encoded []byte

// Size implements what the client asks of messages.
func (e encoded) Size() int { return len(e) }

// MarshalToSizedBuffer implements what the client asks of messages.
func (e encoded) MarshalToSizedBuffer(into []byte) (int, error) { return copy(into, e), nil }
