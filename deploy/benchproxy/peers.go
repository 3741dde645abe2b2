package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"
)

// peer is a proxy under test, with the addresses at which it takes each
// protocol; "" where it does not.
type peer struct {
	name             string
	proc             *process
	http, grpc, line string // line: TCP
}

// mesh is everything that the load passes.
type mesh struct {
	backend, backendH2 string
	direct             peer
	sidelight          peer
	reverse            peer
	haproxy            peer
	nginx              peer

	api, grpc, metrics string
	config             string // the watched folder
}

func (b *bench) setUp(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	a, err := addresses(16)
	if err != nil {
		return err
	}
	take := func() string {
		first := a[0]
		a = a[1:]
		return first
	}
	m := &mesh{backend: take(), backendH2: take(), config: filepath.Join(b.dir, "config")}
	b.mesh = m
	backend, err := b.start("backend", self, "backend", m.backend, m.backendH2)
	if err != nil {
		return err
	}
	if err := backend.listens(ctx, m.backend); err != nil {
		return err
	}
	m.direct = peer{name: "no proxy", http: m.backend, grpc: m.backendH2, line: m.backend}

	m.reverse = peer{name: "Go ReverseProxy, tuned", http: take()}
	m.reverse.grpc = m.reverse.http
	if m.reverse.proc, err = b.start(m.reverse.name, self, "reverseproxy", m.reverse.http, m.backend+","+m.backendH2); err != nil {
		return err
	}
	if err := m.reverse.proc.listens(ctx, m.reverse.http); err != nil {
		return err
	}
	m.haproxy = peer{name: "HAProxy", http: take(), grpc: take(), line: take()}
	if err := b.startHAProxy(ctx); err != nil {
		return err
	}
	m.nginx = peer{name: "nginx", http: take(), grpc: take()}
	if err := b.startNginx(ctx); err != nil {
		return err
	}
	m.sidelight = peer{name: "Sidelight", http: take(), line: take()}
	m.sidelight.grpc = m.sidelight.http
	m.api, m.grpc, m.metrics = take(), take(), take()
	return b.startSidelight(ctx, take())
}

func (b *bench) write(name, text string, data any) (string, error) {
	t, err := template.New(name).Parse(text)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return "", err
	}
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, out.Bytes(), 0o644)
}

func (b *bench) startHAProxy(ctx context.Context) error {
	path, err := b.write("haproxy.cfg", `global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend plain
  bind {{.Haproxy.HTTP}}
  default_backend plain
backend plain
  server one {{.Backend}}
frontend grpc
  bind {{.Haproxy.GRPC}} proto h2
  default_backend grpc
backend grpc
  server one {{.BackendH2}} proto h2
listen line
  mode tcp
  bind {{.Haproxy.Line}}
  server one {{.Backend}}
`, b.mesh.fill(b.mesh.haproxy))
	if err != nil {
		return err
	}
	p := &b.mesh.haproxy
	if p.proc, err = b.start(p.name, "haproxy", "-db", "-f", path); err != nil {
		return err
	}
	return p.proc.listens(ctx, p.http)
}

func (b *bench) startNginx(ctx context.Context) error {
	path, err := b.write("nginx.conf", `daemon off;
master_process off;
worker_processes 1;
pid {{.Dir}}/nginx.pid;
error_log {{.Dir}}/nginx.log;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path {{.Dir}}/body;
  proxy_temp_path {{.Dir}}/proxy;
  fastcgi_temp_path {{.Dir}}/fastcgi;
  uwsgi_temp_path {{.Dir}}/uwsgi;
  scgi_temp_path {{.Dir}}/scgi;
  keepalive_requests 100000000;
  upstream plain { server {{.Backend}}; keepalive 256; keepalive_requests 100000000; }
  upstream grpc { server {{.BackendH2}}; keepalive 64; keepalive_requests 100000000; }
  server {
    listen {{.Peer.HTTP}};
    location / { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://plain; }
  }
  server {
    listen {{.Peer.GRPC}} http2;
    http2_max_requests 100000000;
    location / { grpc_pass grpc://grpc; }
  }
}
`, b.mesh.fillIn(b.mesh.nginx, b.dir))
	if err != nil {
		return err
	}
	p := &b.mesh.nginx
	if p.proc, err = b.start(p.name, "nginx", "-e", filepath.Join(b.dir, "nginx.log"), "-c", path); err != nil {
		return err
	}
	return p.proc.listens(ctx, p.http)
}

// places are what the configurations of peers are filled with.
type places struct {
	Backend, BackendH2, Dir string
	Peer, Haproxy           struct{ HTTP, GRPC, Line string }
}

func (m *mesh) fillIn(p peer, dir string) places {
	v := places{Backend: m.backend, BackendH2: m.backendH2, Dir: dir}
	v.Peer.HTTP, v.Peer.GRPC, v.Peer.Line = p.http, p.grpc, p.line
	v.Haproxy = v.Peer
	return v
}

func (m *mesh) fill(p peer) places { return m.fillIn(p, "") }

// startSidelight runs the control plane and the sidecar as users have them.
func (b *bench) startSidelight(ctx context.Context, otlp string) error {
	m := b.mesh
	if err := os.MkdirAll(m.config, 0o755); err != nil {
		return err
	}
	if err := m.apply("services.yaml", service("plain", "HTTP", 80, m.backend)+service("rpc", "GRPC", 81, m.backendH2)+service("line", "TCP", 82, m.backend)); err != nil {
		return err
	}
	spare, err := addresses(3)
	if err != nil {
		return err
	}
	// A control plane is on another machine: here it gets what nobody else wants.
	server, err := b.start("sidelight run", "nice", "-n", "19", filepath.Join(b.bin, "sidelight"), "run",
		"--config-dir", m.config, "--data-dir", filepath.Join(b.dir, "data"), "--log-level", "error",
		"--api", m.api, "--admin", spare[0], "--grpc", m.grpc, "--otlp-grpc", otlp, "--otlp-http", spare[1])
	if err != nil {
		return err
	}
	if err := server.listens(ctx, m.api); err != nil {
		return err
	}
	p := &m.sidelight
	if p.proc, err = b.start(p.name, filepath.Join(b.bin, "sidelight-proxy"),
		"--node-id", "bench-1", "--workload", "bench", "--namespace", "bench", "--server", m.grpc, "--collector", otlp,
		"--outbound", p.http, "--tcp-outbound", p.line+"=line:82", "--admin", "off", "--metrics", m.metrics, "--health", spare[2],
		"--sampling", "0.01", "--log-level", "error"); err != nil {
		return err
	}
	return b.answers(ctx, p.http, "plain")
}

// answers waits until the sidecar forwards to a service.
func (b *bench) answers(ctx context.Context, address, host string) error {
	var last string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return err
		}
		req.Host = host
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			last = err.Error()
			continue
		}
		_ = res.Body.Close()
		if last = res.Status; res.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("the sidecar does not answer for %s: %s\n%s", host, last, b.mesh.sidelight.proc.log.String())
}

func service(name, protocol string, port int, endpoints ...string) string {
	var s strings.Builder
	fmt.Fprintf(&s, `---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %[1]s, namespace: bench}
spec:
  hosts: [%[1]s.bench.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: %[2]d, name: it, protocol: %[3]s}]
  endpoints:
`, name, port, protocol)
	for _, e := range endpoints {
		host, port, _ := strings.Cut(e, ":")
		fmt.Fprintf(&s, "  - {address: %s, ports: {it: %s}}\n", host, port)
	}
	return s.String()
}

// apply puts a file into the watched folder.
func (m *mesh) apply(name, text string) error {
	path := filepath.Join(m.config, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// converged waits until the sidecar runs a revision above one, and gives it.
func (m *mesh) converged(ctx context.Context, above uint64) (uint64, error) {
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		desired, applied, err := m.revisions(ctx)
		if err != nil {
			return 0, err
		}
		if applied > above && applied == desired {
			return applied, nil
		}
	}
	return 0, fmt.Errorf("the sidecar did not get the change within a minute")
}

func (m *mesh) revisions(ctx context.Context) (desired, applied uint64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.api+"/api/v1/nodes", nil)
	if err != nil {
		return 0, 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, 0, err
	}
	var v struct {
		Desired struct {
			Number uint64 `json:"number"`
		} `json:"desired"`
		Nodes []struct {
			Revision uint64 `json:"revision"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(content, &v); err != nil || len(v.Nodes) == 0 {
		return 0, 0, fmt.Errorf("nodes: %w: %.200s", err, content)
	}
	return v.Desired.Number, v.Nodes[0].Revision, nil
}
