package api

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAdmin(t *testing.T) {
	var state Readiness
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "things_total"}))
	admin := Admin(reg, func() Readiness { return state }, func() any { return []string{"nodes"} })
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	for path, want := range map[string]string{
		"/healthz": "ok\n", "/readyz": "ready\n", "/metrics": "things_total 0", "/debug/pprof/": "goroutine", "/debug/pprof/cmdline": "api",
	} {
		if code, body := get(path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	state.Degraded = []string{"no trace store"}
	if code, body := get("/readyz"); code != 200 || !strings.Contains(body, "- no trace store") {
		t.Errorf("degraded: %d %s", code, body)
	}
	state.Missing = []string{"the server is starting"}
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "- the server is starting") {
		t.Errorf("not ready: %d %s", code, body)
	}
	if code, body := get("/api/v1/graph"); code != 404 || !strings.Contains(body, "/readyz") {
		t.Errorf("elsewhere: %d %s", code, body)
	}
}
