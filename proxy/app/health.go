package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// health answers probes. Ready means: configuration is applied, the sidecar is
// not draining, and the app behind it accepts connections.
type health struct {
	runtime  *Runtime
	inbound  []xds.Inbound
	probes   []Probe
	draining atomic.Bool
}

// appProbe bounds the wait for the app to accept a connection.
const appProbe = time.Second

func (h *health) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz/ready", h.ready)
	mux.HandleFunc("GET /healthz/serving", h.serving)
	for _, p := range h.probes {
		mux.HandleFunc("GET "+p.path(), h.serveProbe(p))
	}
	mux.HandleFunc("GET /healthz/live", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "live")
	})
	return mux
}

func (h *health) ready(w http.ResponseWriter, r *http.Request) {
	if reason := h.notReady(r.Context()); reason != "" {
		http.Error(w, reason, http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}

// serving answers for the sidecar alone: an app that starts after its sidecar
// waits for it.
func (h *health) serving(w http.ResponseWriter, _ *http.Request) {
	if reason := h.notServing(); reason != "" {
		http.Error(w, reason, http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "serving")
}

// notServing says what keeps the sidecar from forwarding, or "".
func (h *health) notServing() string {
	switch {
	case h.draining.Load():
		return "draining"
	case h.runtime.Current() == nil:
		return "no configuration yet"
	}
	return ""
}

// notReady says what is missing, or "".
func (h *health) notReady(ctx context.Context) string {
	if reason := h.notServing(); reason != "" {
		return reason
	}
	return appDown(ctx, h.inbound)
}

// appDown says where the app does not accept connections, or "".
func appDown(ctx context.Context, inbound []xds.Inbound) string {
	for _, in := range inbound {
		d := net.Dialer{Timeout: appProbe}
		c, err := d.DialContext(ctx, "tcp", in.App)
		if err != nil {
			return fmt.Sprintf("the app does not accept connections at %s", in.App)
		}
		_ = c.Close()
	}
	return ""
}
