package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
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
// collector that is silent for longer than limit counts as gone.
func forward(base *url.URL, prefix string, limit time.Duration) http.Handler {
	target := base.JoinPath(prefix)
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{ResponseHeaderTimeout: limit, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 16},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": "unavailable", "error": "the collector at " + base.String() + " does not answer: " + err.Error()})
		},
	}
}

// Scalar implements serverapp.MetricsPort.
func (q scalarQuery) Scalar(ctx context.Context, expr string, at time.Time) (float64, bool, error) {
	samples, err := q.store.Instant(ctx, expr, at)
	if err != nil || len(samples) == 0 {
		return 0, false, err
	}
	return samples[0].Value, !math.IsNaN(samples[0].Value), nil
}

// remoteScalar asks a Prometheus API for one number.
type remoteScalar struct{ url string }

// Scalar implements serverapp.MetricsPort.
func (q remoteScalar) Scalar(ctx context.Context, expr string, at time.Time) (float64, bool, error) {
	query := url.Values{"query": {expr}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.url+"?"+query.Encode(), nil)
	if err != nil {
		return 0, false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, false, fmt.Errorf("query %q: %w: %w", expr, mesh.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil {
		return 0, false, fmt.Errorf("query %q: %w: %w", expr, mesh.ErrUnavailable, err)
	}
	if answer.Error != "" {
		return 0, false, fmt.Errorf("query %q: %w: %s", expr, mesh.ErrUnavailable, answer.Error)
	}
	if len(answer.Data.Result) == 0 {
		return 0, false, nil
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	value, err := strconv.ParseFloat(text, 64)
	return value, err == nil && !math.IsNaN(value), nil
}
