package api

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Readiness is what /readyz tells, in plain sentences.
type Readiness struct {
	Missing  []string // what keeps the server from being ready
	Degraded []string // what it does without
}

// Admin serves what operators and probes need and what must not stand on the
// public listener: health, own metrics, profiles, and the nodes' state in
// istiod's form (/debug/syncz).
func Admin(gather prometheus.Gatherer, ready func() Readiness, syncz func() any) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := ready()
		switch {
		case len(r.Missing) > 0:
			plain(w, http.StatusServiceUnavailable, "not ready:\n- "+strings.Join(r.Missing, "\n- ")+"\n")
		case len(r.Degraded) > 0:
			plain(w, http.StatusOK, "ready, but:\n- "+strings.Join(r.Degraded, "\n- ")+"\n")
		default:
			plain(w, http.StatusOK, "ready\n")
		}
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(gather, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /debug/syncz", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, syncz()) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		plain(w, http.StatusNotFound, "here are /healthz, /readyz, /metrics, /debug/syncz and /debug/pprof/; the API is on the other port\n")
	})
	return mux
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
