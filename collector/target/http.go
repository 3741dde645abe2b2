package target

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// HTTP asks an endpoint for targets in Prometheus' HTTP discovery format, again
// and again. While it does not answer, or not with a list of targets, those
// that it told last stay, and Problems says why.
type HTTP struct {
	poll   // of the URL without its password
	url    string
	client *http.Client
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
	h := &HTTP{
		url: o.URL,
		client: &http.Client{
			Timeout:   max(o.Every, 2*time.Second),
			Transport: withHeaders{o.Transport, o.Headers},
		},
	}
	h.poll = poll{of: u.Redacted(), every: o.Every, ask: h.fetch, logger: o.Logger}
	return h, nil
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

// Run implements Source.
func (h *HTTP) Run(ctx context.Context, update func([]Target)) error {
	defer h.client.CloseIdleConnections()
	return h.poll.Run(ctx, update)
}

func (h *HTTP) fetch(ctx context.Context) ([]Target, error) {
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
		return nil, fmt.Errorf("ask %s for targets: HTTP status %s", h.of, resp.Status)
	}
	targets, err := parseBounded(resp.Body, ParseJSON)
	if err != nil {
		return nil, fmt.Errorf("targets from %s: %w", h.of, err)
	}
	return targets, nil
}
