package traces

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Handler serves the query port over HTTP for a Client in another process:
// /search, /stream, /trace/ID, /services, /operations?service=, /stats.
func Handler(q Querier) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, r *http.Request) {
		query, err := decodeQuery(r.URL.Query())
		if err != nil {
			answer(w, nil, err)
			return
		}
		result, err := q.Search(r.Context(), query)
		answer(w, result, err)
	})
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		query, err := decodeQuery(r.URL.Query())
		if err != nil {
			answer(w, nil, err)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		lines := json.NewEncoder(w)
		for t, err := range q.Stream(r.Context(), query) {
			line := streamLine{Trace: &t}
			if err != nil {
				wire, _ := wireOf(err)
				line = streamLine{Error: &wire}
			}
			if lines.Encode(line) != nil {
				return // the client went away
			}
		}
		_ = lines.Encode(streamLine{End: true})
	})
	mux.HandleFunc("GET /trace/{id}", func(w http.ResponseWriter, r *http.Request) {
		trace, err := q.Get(r.Context(), r.PathValue("id"))
		answer(w, trace, err)
	})
	mux.HandleFunc("GET /services", func(w http.ResponseWriter, r *http.Request) {
		names, err := q.Services(r.Context())
		answer(w, names, err)
	})
	mux.HandleFunc("GET /operations", func(w http.ResponseWriter, r *http.Request) {
		names, err := q.Operations(r.Context(), r.URL.Query().Get("service"))
		answer(w, names, err)
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { answer(w, q.Stats(), nil) })
	return mux
}

// streamLine is one line of /stream: a trace, or what ended the stream. A
// stream without its End was cut off.
type streamLine struct {
	Trace *Trace     `json:"trace,omitempty"`
	Error *wireError `json:"error,omitempty"`
	End   bool       `json:"end,omitempty"`
}

// wireError carries the kind of an error over HTTP.
type wireError struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// kinds pairs each error kind with its wire name and status.
var kinds = []struct {
	kind   error
	name   string
	status int
}{
	{mesh.ErrNotFound, "not_found", http.StatusNotFound},
	{mesh.ErrInvalid, "invalid", http.StatusBadRequest},
	{mesh.ErrExhausted, "exhausted", http.StatusTooManyRequests},
	{mesh.ErrUnavailable, "unavailable", http.StatusServiceUnavailable},
}

func wireOf(err error) (wireError, int) {
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return wireError{k.name, err.Error()}, k.status
		}
	}
	return wireError{"internal", err.Error()}, http.StatusInternalServerError
}

func (e wireError) err(from string) error {
	for _, k := range kinds {
		if e.Kind == k.name {
			return remoteError{e.Message, k.kind}
		}
	}
	return fmt.Errorf("trace store at %s: %s", from, e.Message)
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		wire, status := wireOf(err)
		w.WriteHeader(status)
		v = wire
	}
	// A client that went away is the only thing that can fail here.
	_ = json.NewEncoder(w).Encode(v)
}

// Client is a Querier over the HTTP of a Handler in another process.
type Client struct {
	base *url.URL
	http *http.Client
}

var _ Querier = (*Client)(nil)

// NewClient gives a client of the Handler at base. Transport may be nil.
func NewClient(base string, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("trace store address %q: %w: want a URL", base, mesh.ErrInvalid)
	}
	return &Client{base: u, http: &http.Client{Timeout: 30 * time.Second, Transport: transport}}, nil
}

// maxAnswerBytes bounds what a remote store can make this process hold.
const maxAnswerBytes = 256 << 20

func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	answer, err := c.open(ctx, path, query)
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := json.NewDecoder(io.LimitReader(answer, maxAnswerBytes)).Decode(into); err != nil {
		return c.broken(err)
	}
	return nil
}

// open asks and gives the answer's body, which the caller closes.
func (c *Client) open(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask trace store: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.broken(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var wire wireError
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswerBytes)).Decode(&wire); err != nil {
		return nil, c.broken(errors.New(resp.Status))
	}
	return nil, wire.err(c.base.String())
}

func (c *Client) broken(err error) error {
	return fmt.Errorf("ask trace store at %s: %w: %w", c.base, mesh.ErrUnavailable, err)
}

// remoteError keeps the other side's words and kind.
type remoteError struct {
	message string
	kind    error
}

func (e remoteError) Error() string { return e.message }
func (e remoteError) Unwrap() error { return e.kind }

// Search implements Querier.
func (c *Client) Search(ctx context.Context, q Query) (SearchResult, error) {
	var result SearchResult
	err := c.get(ctx, "search", encodeQuery(q), &result)
	return result, err
}

// Stream implements Querier.
func (c *Client) Stream(ctx context.Context, q Query) iter.Seq2[Trace, error] {
	return func(yield func(Trace, error) bool) {
		lines, err := c.open(ctx, "stream", encodeQuery(q))
		if err != nil {
			yield(Trace{}, err)
			return
		}
		defer lines.Close()
		decoder := json.NewDecoder(lines)
		for {
			var line streamLine
			if err := decoder.Decode(&line); err != nil {
				yield(Trace{}, c.broken(err))
				return
			}
			switch {
			case line.End:
				return
			case line.Error != nil:
				yield(Trace{}, line.Error.err(c.base.String()))
				return
			case line.Trace != nil && !yield(*line.Trace, nil):
				return
			}
		}
	}
}

// Get implements Querier.
func (c *Client) Get(ctx context.Context, id string) (Trace, error) {
	var trace Trace
	err := c.get(ctx, "trace/"+url.PathEscape(id), nil, &trace)
	return trace, err
}

// Services implements Querier.
func (c *Client) Services(ctx context.Context) ([]string, error) {
	var names []string
	err := c.get(ctx, "services", nil, &names)
	return names, err
}

// Operations implements Querier.
func (c *Client) Operations(ctx context.Context, service string) ([]string, error) {
	var names []string
	err := c.get(ctx, "operations", url.Values{"service": {service}}, &names)
	return names, err
}

// Stats implements Querier. A store that does not answer counts nothing.
func (c *Client) Stats() Stats {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var stats Stats
	_ = c.get(ctx, "stats", nil, &stats)
	return stats
}

func encodeQuery(q Query) url.Values {
	v := url.Values{}
	for name, field := range q.texts() {
		if *field != "" {
			v.Set(name, *field)
		}
	}
	if q.Errors {
		v.Set("errors", "true")
	}
	if q.Clean {
		v.Set("clean", "true")
	}
	for key, value := range q.Tags {
		v.Add("tag", key+"="+value)
	}
	for name, d := range map[string]time.Duration{"min": q.MinDuration, "max": q.MaxDuration} {
		if d != 0 {
			v.Set(name, d.String())
		}
	}
	for name, t := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !t.IsZero() {
			v.Set(name, t.Format(time.RFC3339Nano))
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

func decodeQuery(v url.Values) (Query, error) {
	var q Query
	for name, field := range q.texts() {
		*field = v.Get(name)
	}
	var wrong []error
	parse := func(name string, into func(string) error) {
		if s := v.Get(name); s != "" {
			if err := into(s); err != nil {
				wrong = append(wrong, fmt.Errorf("%s %q: %w: %w", name, s, mesh.ErrInvalid, err))
			}
		}
	}
	parse("errors", func(s string) (err error) { q.Errors, err = strconv.ParseBool(s); return })
	parse("clean", func(s string) (err error) { q.Clean, err = strconv.ParseBool(s); return })
	parse("limit", func(s string) (err error) { q.Limit, err = strconv.Atoi(s); return })
	parse("min", func(s string) (err error) { q.MinDuration, err = time.ParseDuration(s); return })
	parse("max", func(s string) (err error) { q.MaxDuration, err = time.ParseDuration(s); return })
	parse("from", func(s string) (err error) { q.From, err = time.Parse(time.RFC3339Nano, s); return })
	parse("to", func(s string) (err error) { q.To, err = time.Parse(time.RFC3339Nano, s); return })
	for _, tag := range v["tag"] {
		key, value, _ := strings.Cut(tag, "=")
		if q.Tags == nil {
			q.Tags = make(map[string]string)
		}
		q.Tags[key] = value
	}
	return q, errors.Join(wrong...)
}

// texts names the plain text fields of a query.
func (q *Query) texts() map[string]*string {
	return map[string]*string{
		"service": &q.Service, "operation": &q.Operation, "workload": &q.Workload,
		"source": &q.Source, "target": &q.Target, "route": &q.Route, "status": &q.Status,
	}
}
