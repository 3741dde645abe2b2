package app_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/sidelight-mesh/sidelight/proxy/app"
)

func TestProbes(t *testing.T) {
	answer := 200
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(answer)
		io.WriteString(w, r.URL.Path+" "+r.UserAgent())
	}))
	defer web.Close()
	word := health.NewServer()
	word.SetServingStatus("shop", healthv1.HealthCheckResponse_SERVING)
	server := grpc.NewServer()
	healthv1.RegisterHealthServer(server, word)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(ln)
	defer server.Stop()

	o := options(t, hello)
	o.Static, o.Servers = nil, []string{freePort(t)} // nothing configures it
	o.StateDir = t.TempDir()
	o.Probes = []app.Probe{
		{Kind: "readyz", Target: web.URL + "/ready"},
		{Kind: "livez", Target: web.URL + "/live"},
		{Container: "api", Kind: "startupz", Target: "tcp://" + ln.Addr().String()},
		{Container: "api", Kind: "livez", Target: "grpc://" + ln.Addr().String() + "/shop"},
		{Container: "gone", Kind: "livez", Target: "tcp://" + freePort(t)},
	}
	waiting, err := app.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- waiting.Run(ctx) }()
	defer func() {
		cancel()
		<-done
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	}()
	base := "http://" + waiting.Addrs().Health
	eventually(t, "up", func() bool { return status(get(t, base+"/healthz/live")) == 200 })
	for _, tt := range []struct {
		path, text string
		want       int
	}{
		{"/app-health/readyz", "sidecar: no configuration yet", 503}, // held back
		{"/healthz/serving", "no configuration yet", 503},
		{"/app-health/livez", "/live kube-probe/1", 200}, // or the app would be killed for it
		{"/app-health/api/startupz", "ok", 200},
		{"/app-health/api/livez", "ok", 200},
		{"/app-health/gone/livez", "connection refused", 503},
		{"/app-health/other/livez", "404", 404},
	} {
		res := get(t, base+tt.path, "User-Agent", "kube-probe/1")
		if got := text(res); status(res) != tt.want || !strings.Contains(got, tt.text) {
			t.Errorf("%s: %d %q, want %d %q", tt.path, status(res), got, tt.want, tt.text)
		}
	}
	word.SetServingStatus("shop", healthv1.HealthCheckResponse_NOT_SERVING)
	if res := get(t, base+"/app-health/api/livez"); status(res) != 503 || !strings.Contains(text(res), "NOT_SERVING") {
		t.Errorf("a gRPC app that does not serve: %d", status(res))
	}

	o = options(t, hello)
	o.Probes = []app.Probe{{Kind: "readyz", Target: web.URL + "/ready"}}
	a, stop := start(t, o)
	base = "http://" + a.Addrs().Health
	if res := get(t, base+"/app-health/readyz"); status(res) != 200 || !strings.HasPrefix(text(res), "/ready ") {
		t.Errorf("configured, with an app that is ready: %d", status(res))
	}
	if got := status(get(t, base+"/healthz/serving")); got != 200 {
		t.Errorf("serving: %d", got)
	}
	answer = 500
	if got := status(get(t, base+"/app-health/readyz")); got != 500 {
		t.Errorf("the app's own word got %d", got)
	}
	answer = 200
	send(t, "POST", "http://"+a.Addrs().Admin+"/drain")
	if res := get(t, base+"/app-health/readyz"); status(res) != 503 || !strings.Contains(text(res), "draining") {
		t.Errorf("draining: %d", status(res))
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestProbesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"readyz":                       "[CONTAINER/]KIND=URL",
		"ready=http://127.0.0.1:1/":    "readyz, livez, startupz",
		"a/b/livez=http://127.0.0.1:1": "readyz, livez, startupz",
		"livez=http://127.0.0.1/":      "host and port",
		"livez=udp://127.0.0.1:1":      "http, https, tcp, grpc",
	} {
		cmd := app.Command("test")
		cmd.SetArgs([]string{"--node-id", "a", "--workload", "w", "--app-probe", text})
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.ExecuteContext(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	o := options(t, hello)
	o.Probes = []app.Probe{{Kind: "livez", Target: "tcp://127.0.0.1:1"}, {Kind: "livez", Target: "tcp://127.0.0.1:2"}}
	if _, err := app.New(o); err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("the same probe twice: %v", err)
	}
}

func TestWait(t *testing.T) {
	wait := func(address, limit string) error {
		cmd := app.Command("test")
		cmd.SetArgs([]string{"wait", "--health", address, "--timeout", limit})
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		return cmd.ExecuteContext(context.Background())
	}
	if err := wait(freePort(t), "50ms"); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("without a sidecar: %v", err)
	}
	a, _ := start(t, options(t, hello))
	if err := wait(a.Addrs().Health, "30s"); err != nil {
		t.Error(err)
	}
	// A sidecar that is up and has nothing to serve yet, and then has.
	ready := make(chan struct{})
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-ready:
		default:
			http.Error(w, "no configuration yet", http.StatusServiceUnavailable)
		}
	}))
	defer late.Close()
	address := late.Listener.Addr().String()
	if err := wait(address, "300ms"); err == nil || !strings.Contains(err.Error(), "no configuration yet") {
		t.Errorf("without configuration: %v", err)
	}
	time.AfterFunc(200*time.Millisecond, func() { close(ready) })
	if err := wait(address, "30s"); err != nil {
		t.Error(err)
	}
}
