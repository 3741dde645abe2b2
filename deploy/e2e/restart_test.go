package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// joinedConfig closes the namespace to whoever has no certificate of the mesh.
const joinedConfig = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: posters, namespace: shop}
spec:
  hosts: [posters.shop.svc.cluster.local]
  ports: [{number: 8080, name: http, protocol: HTTP}]
  resolution: STATIC
  location: MESH_INTERNAL
  workloadSelector: {labels: {app: posters}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: posters-1, namespace: shop}
spec:
  address: 127.0.0.1
  ports: {http: %s}
  serviceAccount: posters
  labels: {app: posters, service.istio.io/workload-name: posters, security.istio.io/tlsMode: istio}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: closed, namespace: shop}
spec: {mtls: {mode: STRICT}}
`

const teapotConfig = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: posters, namespace: shop}
spec:
  hosts: [posters.shop.svc.cluster.local]
  http:
  - match: [{uri: {exact: /teapot}}]
    directResponse: {status: 418}
  - route: [{destination: {host: posters.shop.svc.cluster.local}}]
`

// TestServerRestartsUnderLoad: two joined sidecars speak mutual TLS under load while
// their server stops, starts again, is killed and starts again. No request fails, and
// at the end both run what the new server tells them.
func TestServerRestartsUnderLoad(t *testing.T) {
	t.Parallel()
	h := &halves{dir: t.TempDir()}
	grpcTLS := ""
	for _, address := range []*string{&h.server, &h.admin, &h.grpc, &grpcTLS, &h.stores, &h.outbound, &h.outboundMetrics, &h.inbound, &h.inboundMetrics, &h.to} {
		*address = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	}
	h.url = "http://" + h.server
	if err := os.Mkdir(filepath.Join(h.dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, port, _ := net.SplitHostPort(h.inbound)
	write("config/shop.yaml", fmt.Sprintf(joinedConfig, port))
	server := func() *exec.Cmd {
		cmd := h.start(t, "server", "sidelight", "server", "--config-dir", "config", "--state-dir", "state",
			"--api", h.server, "--admin", h.admin, "--grpc", h.grpc, "--grpc-tls", grpcTLS, "--collector", "http://"+h.stores)
		eventually(t, 20*time.Second, "the server answers", func() error { return h.try("/api/v1/status", new(struct{})) })
		return cmd
	}
	running := server()
	h.start(t, "app", "sidelight", "demo", "service", "--role", "posters", "--listen", h.to)
	for workload, args := range map[string][]string{
		"posters": {"--outbound", "off", "--inbound", h.inbound + "=" + h.to + "/http/8080", "--metrics", h.inboundMetrics},
		"shopper": {"--outbound", h.outbound, "--metrics", h.outboundMetrics},
	} {
		write(workload+".token", h.cli(t, "token", "create", "-n", "shop", "--service-account", workload).must(t))
		h.start(t, "sidecar-"+workload, "sidelight-proxy", append([]string{
			"--node-id", workload + "-1.shop", "--workload", workload, "--namespace", "shop", "--service-account", workload,
			"--server", "tls://" + grpcTLS, "--join-token-file", workload + ".token", "--collector", "off", "--admin", "off", "--health", "off",
			"--state-dir", "state-" + workload,
		}, args...)...)
	}
	const host = "posters.shop.svc.cluster.local"
	visit := func() error {
		status, err := through(h.outbound, "GET", host, "/v1/posters/7")
		if err == nil && status != 200 {
			err = fmt.Errorf("status %d", status)
		}
		return err
	}
	synced := func() error {
		if got := h.cli(t, "nodes", "--check"); got.code != 0 || strings.Count(got.stdout, "synced") < 2 {
			return fmt.Errorf("exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
		}
		return nil
	}
	eventually(t, 30*time.Second, "a request passes", visit)
	eventually(t, 30*time.Second, "both run their configuration", synced)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	var answered, failed atomic.Int64
	for range 4 {
		load.Go(func() {
			for ctx.Err() == nil {
				if err := visit(); err != nil {
					if failed.Add(1) < 5 {
						t.Errorf("request %d: %v", answered.Load(), err)
					}
				}
				answered.Add(1)
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := running.Process.Signal(end); err != nil {
			t.Fatal(err)
		}
		_, _ = running.Process.Wait()
		before := answered.Load()
		eventually(t, 20*time.Second, "requests pass without a server", func() error {
			if n := answered.Load() - before; n < 50 {
				return fmt.Errorf("%d did", n)
			}
			return nil
		})
		running = server()
		eventually(t, 40*time.Second, fmt.Sprintf("both are back after %s", end), synced)
	}
	write("config/teapot.yaml", teapotConfig)
	eventually(t, 20*time.Second, "the new server's configuration runs", func() error {
		status, err := through(h.outbound, "GET", host, "/teapot")
		if err == nil && status != 418 {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
	stop()
	load.Wait()
	t.Logf("%d requests, %d failed", answered.Load(), failed.Load())
	res, err := web.Get("http://" + h.inboundMetrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	metrics := string(text)
	if err != nil || !strings.Contains(metrics, `connection_security_policy="mutual_tls"`) || !strings.Contains(metrics, "spiffe://cluster.local/ns/shop/sa/shopper") {
		t.Errorf("no sign of mutual TLS: %v", err)
	}
}
