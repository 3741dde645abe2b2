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
	draining atomic.Bool
}

// appProbe bounds the wait for the app to accept a connection.
const appProbe = time.Second

func (h *health) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz/ready", h.ready)
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

// notReady says what is missing, or "".
func (h *health) notReady(ctx context.Context) string {
	if h.draining.Load() {
		return "draining"
	}
	if h.runtime.Current() == nil {
		return "no configuration yet"
	}
	for _, in := range h.inbound {
		d := net.Dialer{Timeout: appProbe}
		c, err := d.DialContext(ctx, "tcp", in.App)
		if err != nil {
			return fmt.Sprintf("the app does not accept connections at %s", in.App)
		}
		_ = c.Close()
	}
	return ""
}
