package target

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// HTTP asks an endpoint for targets in Prometheus' HTTP discovery format, again
// and again. While it does not answer, or not with a list of targets, those
// that it told last stay, and Problems says why.
type HTTP struct {
	url    string
	name   string // the URL without its password
	every  time.Duration
	client *http.Client
	logger *slog.Logger

	mu      sync.Mutex
	problem *Problem
}

// HTTPOptions say what to ask. Zero fields take the default that stands beside
// them.
type HTTPOptions struct {
	URL     string        // required
	Every   time.Duration // 2 s; an answer may take as long, and at least 2 s
	Headers http.Header   // to send along: authorization
	Logger  *slog.Logger

	Transport http.RoundTripper // http.DefaultTransport's settings
}

// NewHTTP makes the source. It asks nothing yet.
func NewHTTP(o HTTPOptions) (*HTTP, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("target discovery %q: %w: want an http or https URL", o.URL, mesh.ErrInvalid)
	}
	if o.Every <= 0 {
		o.Every = 2 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 1}
	}
	return &HTTP{
		url:   o.URL,
		name:  u.Redacted(),
		every: o.Every,
		client: &http.Client{
			Timeout:   max(o.Every, 2*time.Second),
			Transport: withHeaders{o.Transport, o.Headers},
		},
		logger: o.Logger,
	}, nil
}

// withHeaders adds the same headers to each request.
type withHeaders struct {
	http.RoundTripper
	headers http.Header
}

func (h withHeaders) RoundTrip(r *http.Request) (*http.Response, error) {
	if len(h.headers) > 0 {
		r = r.Clone(r.Context())
		for name, values := range h.headers {
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return h.RoundTripper.RoundTrip(r)
}

// CloseIdleConnections lets http.Client reach the transport's.
func (h withHeaders) CloseIdleConnections() {
	if c, ok := h.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Problems implements Reporter.
func (h *HTTP) Problems() []Problem {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.problem == nil {
		return nil
	}
	return []Problem{*h.problem}
}

// Run implements Source.
func (h *HTTP) Run(ctx context.Context, update func([]Target)) error {
	defer h.client.CloseIdleConnections()
	ticker := time.NewTicker(h.every)
	defer ticker.Stop()
	var (
		last  []Target
		known bool
	)
	for {
		targets, err := h.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			h.failed(err)
		default:
			h.answered()
			if !known || !slices.EqualFunc(last, targets, equal) {
				update(targets)
			}
			last, known = targets, true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (h *HTTP) ask(ctx context.Context) ([]Target, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask for targets: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for targets: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// What is left of a short body is read, so that the connection serves
		// again.
		_, _ = io.CopyN(io.Discard, resp.Body, 4096)
		return nil, fmt.Errorf("ask %s for targets: HTTP status %s", h.name, resp.Status)
	}
	targets, err := parseBounded(resp.Body, ParseJSON)
	if err != nil {
		return nil, fmt.Errorf("targets from %s: %w", h.name, err)
	}
	return targets, nil
}

func (h *HTTP) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.problem == nil {
		h.problem = &Problem{Source: h.name, Since: time.Now()}
		h.logger.Warn("target discovery fails, its last targets stay", "url", h.name, "err", err)
	}
	h.problem.Message = err.Error()
}

func (h *HTTP) answered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.problem != nil {
		h.logger.Info("target discovery answers again", "url", h.name)
	}
	h.problem = nil
}
