package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// halves is server and collector as two processes, one sidecar that only
// calls, and one in front of an application.
type halves struct {
	api
	dir string

	// Addresses: of the server, the collector, the calling sidecar, and the
	// application with its sidecar.
	server, admin, grpc         string
	otlpGRPC, otlpHTTP, stores  string
	outbound, outboundMetrics   string
	inbound, inboundMetrics, to string
}

func (h *halves) start(t *testing.T, name, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(binaries, program), args...)
	cmd.Env = environment()
	cmd.Dir = h.dir
	log, err := os.Create(filepath.Join(h.dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	stdin, err := cmd.StdinPipe() // the application ends with its standard input
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		force := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		force.Stop()
		_ = log.Close()
		if content, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("%s:\n%s", name, content[max(0, len(content)-2000):])
		}
	})
	return cmd
}

func (h *halves) startCollector(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return h.start(t, "collector", "sidelight", append([]string{
		"collector", "--data-dir", "data", "--http", h.stores,
		"--otlp-grpc", h.otlpGRPC, "--otlp-http", h.otlpHTTP, "--scrape-interval", "1s",
		"--server", h.grpc, "--targets-url", h.url + "/api/v1/sd",
	}, args...)...)
}

func (h *halves) startServer(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := h.start(t, "server", "sidelight", append([]string{
		"server", "--config-dir", "config", "--state-dir", "state",
		"--api", h.server, "--admin", h.admin, "--grpc", h.grpc, "--grpc-tls", "127.0.0.1:0",
	}, args...)...)
	eventually(t, 20*time.Second, "the server answers", func() error { return h.try("/api/v1/status", new(struct{})) })
	return cmd
}

func (h *halves) startSidecar(t *testing.T, workload string, args ...string) {
	t.Helper()
	h.start(t, "sidecar-"+workload, "sidelight-proxy", append([]string{
		"--node-id", workload + "-1.shop", "--workload", workload, "--namespace", "shop",
		"--server", h.grpc, "--collector", h.otlpGRPC, "--admin", "off", "--health", "off", "--state-dir", "state-" + workload,
	}, args...)...)
}

const splitConfig = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: posters
  namespace: shop
spec:
  hosts: [posters.shop.svc.cluster.local]
  ports:
  - {number: 8080, name: http, protocol: HTTP}
  resolution: STATIC
  location: MESH_INTERNAL
  workloadSelector:
    labels: {app: posters}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: posters-1
  namespace: shop
spec:
  address: 127.0.0.1
  ports: {http: %s}
  labels: {app: posters, service.istio.io/workload-name: posters}
`

// TestSplit runs the two halves apart, as larger installs do: what one does
// without the other must be said, and heal.
func TestSplit(t *testing.T) {
	t.Parallel()
	h := &halves{dir: t.TempDir()}
	for _, address := range []*string{&h.server, &h.admin, &h.grpc, &h.otlpGRPC, &h.otlpHTTP, &h.stores, &h.outbound, &h.outboundMetrics, &h.inbound, &h.inboundMetrics, &h.to} {
		*address = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	}
	h.url = "http://" + h.server
	if err := os.Mkdir(filepath.Join(h.dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, inboundPort, _ := net.SplitHostPort(h.inbound)
	if err := os.WriteFile(filepath.Join(h.dir, "config", "shop.yaml"), fmt.Appendf(nil, splitConfig, inboundPort), 0o600); err != nil {
		t.Fatal(err)
	}
	h.startServer(t, "--collector", "http://"+h.stores)
	collector := h.startCollector(t)
	h.start(t, "app", "sidelight", "demo", "service", "--role", "posters", "--listen", h.to)
	h.startSidecar(t, "posters", "--outbound", "off", "--inbound", h.inbound+"="+h.to+"/http/8080", "--metrics", h.inboundMetrics)
	h.startSidecar(t, "shopper", "--outbound", h.outbound, "--metrics", h.outboundMetrics)

	edgeShows := func() error {
		if err := h.visit(); err != nil {
			return err
		}
		var v graphView
		if err := h.try("/api/v1/graph?window=5s", &v); err != nil {
			return err
		}
		if e := v.edge("shopper", "posters"); e == nil || e.RPS <= 0 || e.Client == nil || e.Server == nil {
			return fmt.Errorf("shopper → posters is %+v, stale %+v", e, v.Stale)
		}
		if len(v.Stale) > 0 {
			return fmt.Errorf("stale: %+v", v.Stale)
		}
		return nil
	}
	eventually(t, 30*time.Second, "the edge comes from the collector", edgeShows)
	eventually(t, 15*time.Second, "the server reads stored traces", func() error {
		var found traceSearch
		if err := h.try("/api/v1/traces?source=shop/shopper&target=shop/posters", &found); err != nil {
			return err
		}
		if len(found.Traces) == 0 {
			return errors.New("none")
		}
		return nil
	})
	eventually(t, 15*time.Second, "the server reads stored metrics", func() error {
		var found struct{ Data struct{ Result []any } }
		if err := h.try("/prometheus/api/v1/query"+query("query", `istio_requests_total{source_workload="shopper"}`), &found); err != nil {
			return err
		}
		if len(found.Data.Result) == 0 {
			return errors.New("none")
		}
		return nil
	})

	if err := collector.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	eventually(t, 30*time.Second, "the graph says that it is stale", func() error {
		if err := h.visit(); err != nil {
			return err
		}
		var v graphView
		if err := h.try("/api/v1/graph", &v); err != nil {
			return err
		}
		if len(v.Stale) < 2 {
			return fmt.Errorf("stale is %+v", v.Stale)
		}
		t.Logf("%.1f s after the collector's end: %+v", time.Since(killed).Seconds(), v.Stale)
		return nil
	})
	if got := h.cli(t, "nodes", "--check"); got.code != 0 {
		t.Errorf("nodes --check without a collector: exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
	}
	if got := h.cli(t, "trace", "search"); got.code != 4 {
		t.Errorf("trace search without a collector: exit code %d, want 4:\n%s", got.code, got.stderr)
	}
	if got := h.cli(t, "edges"); got.code != 0 || !strings.Contains(got.stderr, "no data from") {
		t.Errorf("edges without a collector: exit code %d, want 0 and a note:\n%s", got.code, got.stderr)
	}

	h.startCollector(t)
	eventually(t, 40*time.Second, "the edge is back with a new collector", edgeShows)
}
