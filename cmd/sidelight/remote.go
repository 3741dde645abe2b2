package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/target"
	serverapp "github.com/sidelight-mesh/sidelight/server/app"
)

func collectorURL(address string) (*url.URL, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, usageError{fmt.Errorf("--collector %s: want a URL like http://127.0.0.1:8432", address)}
	}
	if base.Path == "" {
		base.Path = "/" // JoinPath keeps a path without its first slash so
	}
	return base, nil
}

// storeTime is how long a collector may take to begin its answer: a little
// more than its store gives a query, so that the store's own error comes first.
const storeTime = 35 * time.Second

// forward hands the requests of a stored API to the collector that has the
// store. Paths arrive relative to the API, as for an embedded store. A
// collector that is silent for longer than transport has patience counts as gone.
func forward(base *url.URL, prefix string, transport http.RoundTripper) http.Handler {
	target := base.JoinPath(prefix)
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": "unavailable", "error": "the store at " + base.String() + " does not answer: " + err.Error()})
		},
	}
}

// remoteTargets asks a collector how its scraping goes.
func remoteTargets(address string, transport http.RoundTripper) func(context.Context) ([]serverapp.TargetStatus, error) {
	return func(ctx context.Context) ([]serverapp.TargetStatus, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return nil, fmt.Errorf("ask collector for its targets: %w", err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return nil, fmt.Errorf("ask collector for its targets: %w", err)
		}
		defer resp.Body.Close()
		var health []target.Health
		if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(&health); err != nil {
			return nil, fmt.Errorf("ask collector for its targets: %s: %w", resp.Status, err)
		}
		return targetStatus(health), nil
	}
}
