package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sidelight-mesh/sidelight/collector/jaeger"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// server is the collector's own API, for one that runs apart from the server.
func (a *App) server() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("/prometheus/", http.StripPrefix("/prometheus", a.metrics.Handler()))
	mux.Handle("/jaeger/", http.StripPrefix("/jaeger", jaeger.Handler(a.traces)))
	mux.Handle("/store/traces/", http.StripPrefix("/store/traces", traces.Handler(a.traces)))
	mux.HandleFunc("GET /targets", a.targets)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute, // past the longest query
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// targets lists how the scraping of each target goes, for a server apart.
func (a *App) targets(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a.TargetHealth()) // the client is gone
}

// readyz says whether targets are being scraped.
func (a *App) readyz(w http.ResponseWriter, _ *http.Request) {
	select {
	case <-a.ready:
		fmt.Fprintln(w, "ok")
	default:
		http.Error(w, "starting", http.StatusServiceUnavailable)
	}
}
