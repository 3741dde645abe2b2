package peers

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// One process stands for three workloads: each has its own ports, identity,
// metrics and configuration, one of them from a control plane, and they call each
// other under mutual TLS as if they had a sidecar each.
func TestOneProxyForManyWorkloads(t *testing.T) {
	authority := identitytest.New(t, "cluster.local")
	app := serveHTTP(t, http.HandlerFunc(echo))
	cp := newControlPlane(t)
	dir := t.TempDir()
	var file strings.Builder
	file.WriteString("workloads:\n")
	add := func(name, fields string) *sidecar {
		s := &sidecar{address: freeAddress(t), admin: freeAddress(t), metrics: freeAddress(t), health: freeAddress(t)}
		fmt.Fprintf(&file, "- {admin: %q, metrics: %q, health: %q, %s}\n", s.admin, s.metrics, s.health, strings.ReplaceAll(fields, "ADDRESS", s.address))
		return s
	}
	static := func(name string, h hop) *sidecar {
		bootstrap := filepath.Join(dir, name+".yaml")
		s := add(name, fmt.Sprintf("bootstrap: %s, workload-api: %q", bootstrap, "unix://"+startAgent(t, authority, name).socket))
		if err := os.WriteFile(bootstrap, []byte(h.bootstrap(name, s.address)), 0o600); err != nil {
			t.Fatal(err)
		}
		return s
	}
	server := static("server", hop{inbound: true, mutual: true, to: []string{app}})
	client := static("client", hop{mutual: true, to: []string{server.address}})
	web := add("web", "workload: web, namespace: shop, node-id: "+nodeID+", outbound: ADDRESS, label: {tier: front}, server: ["+cp.address+"]")
	cp.set(t, 1, web.address, app)
	cp.start(t)
	list := filepath.Join(dir, "workloads.yaml")
	if err := os.WriteFile(list, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	one := launch(t, proxy, "--placement", "node", "--workloads", list, "--collector", "off", "--state-dir", filepath.Join(dir, "state"))
	for _, s := range []*sidecar{server, client, web} {
		s.process = one
		eventually(t, "a workload that is served", func() error {
			_, err := fetch("http://" + s.health + "/healthz/serving")
			return err
		})
	}
	for _, s := range []*sidecar{client, web} {
		eventually(t, "an answer", func() error { // a certificate may still be on its way
			res, err := http.Post("http://"+s.address, "text/plain", io.MultiReader(strings.NewReader("four")))
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || string(body) != "four" {
				return fmt.Errorf("%s %q %w", res.Status, body, err)
			}
			return nil
		})
	}
	for _, tt := range []struct {
		s      *sidecar
		labels []string
	}{
		{server, []string{
			"reporter", "destination", "connection_security_policy", "mutual_tls", "destination_workload", "server",
			"source_principal", "spiffe://cluster.local/ns/shop/sa/client", "destination_principal", "spiffe://cluster.local/ns/shop/sa/server",
		}},
		{client, []string{"reporter", "source", "source_workload", "client", "source_principal", "spiffe://cluster.local/ns/shop/sa/client"}},
		{web, []string{"reporter", "source", "source_workload", "web", "source_principal", "unknown"}},
	} {
		labels := append([]string{mesh.LabelCode, "200"}, tt.labels...)
		eventually(t, "the request in the metrics", func() error {
			if n := tt.s.total(t, mesh.MetricRequests, labels...); n != 1 {
				return fmt.Errorf("%v requests with %v", n, labels)
			}
			return nil
		})
	}
	// The process tells about itself once.
	for s, want := range map[*sidecar]bool{server: true, client: false, web: false} {
		text, err := fetch("http://" + s.metrics + "/metrics")
		if err != nil || strings.Contains(text, "process_cpu_seconds_total") != want {
			t.Errorf("process metrics: want %v, %v", want, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "state", "web")); err != nil {
		t.Errorf("web keeps no state of its own: %v", err)
	}
	one.stop(t)
}
