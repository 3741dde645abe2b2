package traces

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// RemoteOptions say where a store of somebody else's is.
type RemoteOptions struct {
	// URL is "jaeger+http://host:16686", a Jaeger query service by its api_v3,
	// or "tempo+http://host:3200"; https likewise. A path goes before the
	// store's own.
	URL string
	// Header goes with each request: a token, a tenant.
	Header http.Header
	// Reach is how far back a search goes that does not say; default 24 h.
	Reach time.Duration
}

// Bounds of one search in a remote store.
const (
	remoteTime     = 30 * time.Second // one request
	remoteRequests = 200              // windows of time that are asked for
	remoteParallel = 8
	remoteShortest = time.Second // such stores know seconds
	remoteLate     = time.Minute // a span that fits may begin so much after its trace
)

// Remote is a Querier over a store of another kind. What the store's protocol
// can ask for is asked for; everything is then held against the spans that
// come, by the same code as for the embedded store. It goes back in time in
// windows that are as long as the store can answer whole, since such stores
// give what they find first, not what is newest.
type Remote struct {
	source source
	reach  time.Duration

	mu      sync.Mutex // of the builder
	builder *builder
	decoder *zstd.Decoder
}

var _ Querier = (*Remote)(nil)

// source is a remote store by its own protocol.
type source interface {
	// find gives traces with a span between from and to that may fit, in any
	// order. full: there may be more of them than n.
	find(ctx context.Context, q Query, from, to time.Time, n int) (found []candidate, full bool, err error)
	// get gives a trace. mesh.ErrNotFound when there is none.
	get(ctx context.Context, id traceID) (ptrace.Traces, error)
	services(ctx context.Context) ([]string, error)
	operations(ctx context.Context, service string) ([]string, error)
}

// candidate is a trace that may fit, with its spans if they came with the find.
type candidate struct {
	id    traceID
	spans *ptrace.Traces
}

// NewRemote makes a client. It asks for nothing yet. The error wraps
// mesh.ErrInvalid.
func NewRemote(opts RemoteOptions) (*Remote, error) {
	kind, address, _ := strings.Cut(opts.URL, "+")
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || kind != "jaeger" && kind != "tempo" {
		return nil, fmt.Errorf("trace store %q: %w: want jaeger+http://HOST:16686 or tempo+http://HOST:3200", opts.URL, mesh.ErrInvalid)
	}
	if base.Path == "" {
		base.Path = "/" // JoinPath keeps a path without its first slash so
	}
	c := &remoteClient{base: base, header: opts.Header, http: &http.Client{Timeout: remoteTime}}
	r := &Remote{source: &jaegerSource{c}, reach: cmp.Or(opts.Reach, 24*time.Hour)}
	if kind == "tempo" {
		r.source = &tempoSource{c}
	}
	if r.builder, err = newBuilder(nil); err != nil {
		return nil, err
	}
	if r.decoder, err = newDecoder(); err != nil {
		return nil, err
	}
	return r, nil
}

// Search implements Querier.
func (r *Remote) Search(ctx context.Context, q Query) (SearchResult, error) {
	result := SearchResult{Traces: []Summary{}, Complete: true}
	err := r.each(ctx, q, &result, func(f found) bool {
		result.Traces = append(result.Traces, f.summary)
		return true
	})
	if err != nil {
		return SearchResult{}, err
	}
	return result, nil
}

// Stream implements Querier.
func (r *Remote) Stream(ctx context.Context, q Query) iter.Seq2[Trace, error] {
	return func(yield func(Trace, error) bool) {
		stopped := false
		err := r.each(ctx, q, &SearchResult{}, func(f found) bool {
			t, err := assemble(f.summary.TraceID, f.id, f.parts)
			stopped = !yield(t, err) || err != nil
			return !stopped
		})
		if err != nil && !stopped {
			yield(Trace{}, err)
		}
	}
}

// found is a trace that fits.
type found struct {
	id      traceID
	summary Summary
	parts   parts
}

// each gives the newest traces that fit to take, in their order, until it says
// no. It notes in result how many were looked at, and whether all were.
func (r *Remote) each(ctx context.Context, q Query, result *SearchResult, take func(found) bool) error {
	if err := q.validate(); err != nil {
		return err
	}
	now := time.Now()
	from, to := q.From, q.To
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-r.reach)
	}
	to = to.Add(remoteLate)
	var (
		seen    = map[traceID]struct{}{}
		waiting []found // that fit, and may not be the newest yet
		given   int
		window  = 2 * remoteLate
		most    = max(q.Limit, defaultLimit)
	)
	// emit gives what began at or after a time: nothing newer can come any more.
	emit := func(since time.Time) (more bool) {
		slices.SortStableFunc(waiting, func(a, b found) int { return b.summary.Start.Compare(a.summary.Start) })
		for len(waiting) > 0 && !waiting[0].summary.Start.Before(since) {
			next := waiting[0]
			waiting = waiting[1:]
			if !take(next) {
				return false
			}
			if given++; given == q.Limit {
				return false
			}
		}
		return true
	}
	for asked := 0; to.After(from); asked++ {
		if asked == remoteRequests {
			result.Complete = false
			break
		}
		begin := to.Add(-window)
		if begin.Before(from) {
			begin = from
		}
		candidates, full, err := r.source.find(ctx, q, begin, to, most)
		if err != nil {
			return fmt.Errorf("search traces: %w", err)
		}
		if full && to.Sub(begin) > remoteShortest {
			window = max(to.Sub(begin)/4, remoteShortest)
			continue
		}
		if full && most < MaxLimit {
			most = min(4*most, MaxLimit)
			continue
		}
		candidates = slices.DeleteFunc(candidates, func(c candidate) bool { _, ok := seen[c.id]; return ok })
		for _, c := range candidates {
			seen[c.id] = struct{}{}
		}
		result.TotalScanned = len(seen)
		result.Complete = result.Complete && !full
		fitting, err := r.judge(ctx, &q, candidates)
		if err != nil {
			return fmt.Errorf("search traces: %w", err)
		}
		waiting = append(waiting, fitting...)
		if !emit(begin) {
			return nil
		}
		to = begin
		if !full {
			window *= 4
		}
	}
	emit(time.Time{})
	return nil
}

// judge gets what it does not have of the candidates, some at a time, and
// gives those that fit.
func (r *Remote) judge(ctx context.Context, q *Query, candidates []candidate) ([]found, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		getting  sync.WaitGroup
		mu       sync.Mutex
		fitting  []found
		firstErr error
		places   = make(chan struct{}, remoteParallel)
	)
	for _, c := range candidates {
		places <- struct{}{}
		getting.Go(func() {
			defer func() { <-places }()
			f, ok, err := r.hold(ctx, q, c)
			mu.Lock()
			defer mu.Unlock()
			if err != nil && firstErr == nil {
				firstErr = err
				cancel()
			}
			if ok {
				fitting = append(fitting, f)
			}
		})
	}
	getting.Wait()
	return fitting, firstErr
}

func (r *Remote) hold(ctx context.Context, q *Query, c candidate) (found, bool, error) {
	if c.spans == nil {
		spans, err := r.source.get(ctx, c.id)
		if errors.Is(err, mesh.ErrNotFound) {
			return found{}, false, nil // expired meanwhile
		}
		if err != nil {
			return found{}, false, err
		}
		c.spans = &spans
	}
	all, err := r.partsOf(c.id, *c.spans)
	if err != nil {
		return found{}, false, err
	}
	summary, fits, err := q.sum(c.id, false, all)
	return found{c.id, summary, all}, fits && summary.Spans > 0, err
}

// partsOf makes spans that came a part of the kind that the embedded store
// reads.
func (r *Remote) partsOf(id traceID, td ptrace.Traces) (parts, error) {
	message, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		return nil, fmt.Errorf("trace %x: %w", id, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.builder.reset()
	if err := r.builder.addOTLP(message); err != nil {
		return nil, fmt.Errorf("trace %x: %w", id, err)
	}
	b, err := decodeBlock(r.decoder, r.builder.finish())
	if err != nil {
		return nil, fmt.Errorf("trace %x: %w", id, err)
	}
	b.group()
	return func(visit func(b *block, rows []uint32)) error {
		if rows := b.rowsOf(id); rows != nil {
			visit(b, rows)
		}
		return nil
	}, nil
}

// Get implements Querier.
func (r *Remote) Get(ctx context.Context, id string) (Trace, error) {
	key, ok := parseTraceID(strings.ToLower(id))
	if !ok {
		return Trace{}, fmt.Errorf("trace %q: %w: want up to 32 hex digits", id, mesh.ErrInvalid)
	}
	td, err := r.source.get(ctx, key)
	if err != nil {
		return Trace{}, fmt.Errorf("trace %s: %w", id, err)
	}
	all, err := r.partsOf(key, td)
	if err != nil {
		return Trace{}, err
	}
	return assemble(id, key, all)
}

// Services implements Querier.
func (r *Remote) Services(ctx context.Context) ([]string, error) {
	names, err := r.source.services(ctx)
	return sortedNames(names), err
}

// Operations implements Querier.
func (r *Remote) Operations(ctx context.Context, service string) ([]string, error) {
	names, err := r.source.operations(ctx, service)
	return sortedNames(names), err
}

func sortedNames(names []string) []string {
	names = append([]string{}, names...)
	slices.Sort(names)
	return slices.Compact(names)
}

// Stats implements Querier: such stores do not say what they hold.
func (r *Remote) Stats() Stats { return Stats{} }

// remoteClient asks over HTTP.
type remoteClient struct {
	base   *url.URL
	header http.Header
	http   *http.Client
}

// get asks for a path and gives the body of a good answer, which the caller
// closes. Other answers become errors of a kind of mesh.
func (c *remoteClient) get(ctx context.Context, path string, query url.Values, accept string) (io.ReadCloser, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask trace store: %w", err)
	}
	maps.Copy(req.Header, c.header)
	req.Header.Set("Accept", accept)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask trace store at %s: %w: %w", c.base.Redacted(), mesh.ErrUnavailable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswerBytes), resp.Body}, nil
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
	kind := mesh.ErrUnavailable
	for _, k := range kinds {
		if k.status == resp.StatusCode {
			kind = k.kind
		}
	}
	return nil, fmt.Errorf("trace store at %s answers %s to %s: %q: %w", c.base.Redacted(), resp.Status, path, said, kind)
}

func hexID(id traceID) string { return hex.EncodeToString(id[:]) }
