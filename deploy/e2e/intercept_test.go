package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pods are hosts of the test's own, as network namespaces on one bridge: the
// control plane, a client and a server with sidecars, and a stranger without.
const (
	control  = "10.77.0.1"
	client   = "10.77.0.2"
	serving  = "10.77.0.3"
	serving6 = "fd77::3"
	stranger = "10.77.0.4"
	virtual  = "10.99.0.9" // stands for the service "echo" and is nobody's
)

// sidecarUser is whom the rules leave alone.
const sidecarUser = 1337

// interception is a mesh whose traffic real rules of the kernel bring to the
// sidecars: no program in it knows of any.
type interception struct {
	id  string
	dir string
}

func (m *interception) ns(name string) string { return "sl" + m.id + name }

func newInterception(t *testing.T) *interception {
	t.Helper()
	for _, program := range []string{"nft", "ip"} {
		if _, err := exec.LookPath(program); err != nil || os.Getuid() != 0 {
			t.Skipf("needs root and %s: network namespaces with rules of their own", program)
		}
	}
	var b [2]byte
	_, _ = rand.Read(b[:])
	m := &interception{id: hex.EncodeToString(b[:]), dir: t.TempDir()}
	// The sidecars run as another user, who must reach the binary.
	for _, dir := range []string{filepath.Dir(m.dir), m.dir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(filepath.Join(binaries, "sidelight-proxy"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.proxy(), content, 0o755); err != nil {
		t.Fatal(err)
	}
	m.network(t)
	return m
}

func (m *interception) proxy() string { return filepath.Join(m.dir, "sidelight-proxy") }

func (m *interception) network(t *testing.T) {
	t.Helper()
	for _, name := range []string{"ctl", "cli", "srv", "out"} {
		system(t, "ip", "netns", "add", m.ns(name))
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", m.ns(name)).Run() })
		m.ip(t, name, "link set lo up")
	}
	m.ip(t, "ctl", "link add br0 type bridge")
	m.ip(t, "ctl", "link set br0 up")
	m.ip(t, "ctl", "addr add "+control+"/24 dev br0")
	for i, name := range []string{"cli", "srv", "out"} {
		m.ip(t, "ctl", fmt.Sprintf("link add v%d type veth peer name eth0 netns %s", i, m.ns(name)))
		m.ip(t, "ctl", fmt.Sprintf("link set v%d master br0 up", i))
		m.ip(t, name, fmt.Sprintf("addr add 10.77.0.%d/24 dev eth0", i+2))
		m.ip(t, name, fmt.Sprintf("-6 addr add fd77::%d/64 dev eth0 nodad", i+2))
		m.ip(t, name, "link set eth0 up")
		m.ip(t, name, "route add default via "+control)
	}
}

// ip runs a command of iproute2 in a namespace.
func (m *interception) ip(t *testing.T, ns, args string) {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"-n", m.ns(ns)}, strings.Fields(args)...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip -n %s %s: %v: %s", ns, args, err, out)
	}
}

func system(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// in calls f on a thread that is in a namespace: sockets and children that it
// makes are there, too.
func (m *interception) in(ns string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		fd, err := unix.Open("/run/netns/"+m.ns(ns), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			_ = unix.Close(fd)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func (m *interception) dial(ns, address string) (net.Conn, error) {
	var c net.Conn
	err := m.in(ns, func() error {
		var err error
		d := net.Dialer{Timeout: 5 * time.Second}
		c, err = d.Dial("tcp", address)
		return err
	})
	return c, err
}

// get asks from a namespace, under a host of its own choice, and gives the
// answer's body with the header that the mesh's route adds.
func (m *interception) get(ns, address, url string) (body, route string, err error) {
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return m.dial(ns, address)
	}}
	req, err := http.NewRequest(http.MethodGet, "http://"+url, nil)
	if err != nil {
		return "", "", err
	}
	res, err := (&http.Client{Transport: tr, Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return fmt.Sprintf("%d %s", res.StatusCode, b), res.Header.Get("x-route"), err
}

// line sends nothing and reads a line, from a TCP service that speaks first.
func (m *interception) line(ns, address string) (string, error) {
	c, err := m.dial(ns, address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	text, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(text), err
}

// serveHTTP answers in a namespace with a name and who seems to ask.
func (m *interception) serveHTTP(t *testing.T, ns, address, name string) {
	t.Helper()
	var ln net.Listener
	if err := m.in(ns, func() (err error) {
		ln, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) })}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
}

func (m *interception) serveLine(t *testing.T, ns, address, text string) {
	t.Helper()
	var ln net.Listener
	if err := m.in(ns, func() (err error) {
		ln, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, text)
			_ = c.Close()
		}
	}()
}

// start runs a program in a namespace until the test ends.
func (m *interception) start(t *testing.T, ns string, user uint32, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = environment()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if user != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: user, Gid: user},
			AmbientCaps: []uintptr{unix.CAP_NET_ADMIN}, // for transparent sockets
		}
	}
	if err := m.in(ns, cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s in %s:\n%s", filepath.Base(args[0]), ns, log.String())
		}
	})
}

func (m *interception) init(t *testing.T, ns string, args ...string) {
	t.Helper()
	if err := m.in(ns, func() error {
		out, err := exec.Command(m.proxy(), append([]string{"init"}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("init %v: %w: %s", args, err, out)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func (m *interception) sidecar(t *testing.T, ns, mode, workload string, args ...string) {
	t.Helper()
	m.start(t, ns, sidecarUser, append([]string{
		m.proxy(), "--node-id", workload + "-1", "--workload", workload, "--server", control + ":15010",
		"--collector", "off", "--intercept", mode,
	}, args...)...)
	eventually(t, 30*time.Second, "the sidecar of "+workload+" is ready", func() error {
		body, _, err := m.get(ns, "127.0.0.1:15021", "127.0.0.1:15021/healthz/ready")
		if err == nil && !strings.HasPrefix(body, "200") {
			err = errors.New(body)
		}
		return err
	})
}

const interceptedServices = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 8080, name: http}]
  endpoints: [{address: 10.77.0.3, labels: {app: server, service.istio.io/workload-name: server}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - headers: {response: {set: {x-route: through the mesh}}}
    route: [{destination: {host: web, port: {number: 8080}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: echo}
spec:
  hosts: [echo.default.svc.cluster.local]
  addresses: [10.99.0.9]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9000, name: tcp}]
  endpoints: [{address: 10.77.0.3, labels: {app: server, service.istio.io/workload-name: server}}]
`

// Real rules of real kernels bring traffic to real sidecars, in namespaces of
// the test's own: IPv4 and IPv6, services by name and by address, what nobody
// claims, what is excluded, twice installed, and taken away.
func TestInterception(t *testing.T) {
	for _, mode := range []string{"redirect", "tproxy"} {
		t.Run(mode, func(t *testing.T) {
			m := newInterception(t)
			if err := os.Mkdir(filepath.Join(m.dir, "config"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(m.dir, "config", "services.yaml"), []byte(interceptedServices), 0o644); err != nil {
				t.Fatal(err)
			}
			m.start(t, "ctl", 0, sidelight(), "run", "--config-dir", filepath.Join(m.dir, "config"),
				"--data-dir", filepath.Join(m.dir, "data"), "--grpc", control+":15010")
			m.serveHTTP(t, "srv", ":8080", "web")
			m.serveLine(t, "srv", ":9000", "echo")
			m.serveLine(t, "srv", ":9999", "undeclared")
			m.serveHTTP(t, "out", ":8080", "stranger")
			m.serveLine(t, "out", ":7777", "outside")

			m.init(t, "cli", "--mode", mode)
			m.init(t, "srv", "--mode", mode, "--exclude-inbound-port", "15020,15021,8081")
			m.init(t, "srv", "--mode", mode, "--exclude-inbound-port", "15020,15021,8081") // again: no difference
			m.serveHTTP(t, "srv", ":8081", "excluded")
			m.sidecar(t, "srv", mode, "server", "--metrics", ":15020",
				"--inbound", "0.0.0.0:8080=127.0.0.1:8080/http", "--inbound", "0.0.0.0:9000=127.0.0.1:9000/tcp")
			m.sidecar(t, "cli", mode, "client", "--metrics", ":15020")

			m.checkHTTP(t)
			m.checkTCP(t)
			m.checkMetrics(t)

			m.init(t, "cli", "--mode", mode, "--clean")
			m.init(t, "srv", "--mode", mode, "--clean")
			m.init(t, "srv", "--mode", mode, "--clean") // nothing left: no error
			if body, route, err := m.get("cli", serving+":8080", "web.default.svc.cluster.local:8080"); err != nil || body != "200 web" || route != "" {
				t.Errorf("after --clean: %q by route %q, %v", body, route, err)
			}
			if rules := system(t, "ip", "netns", "exec", m.ns("srv"), "nft", "list", "ruleset"); strings.Contains(rules, "sidelight") {
				t.Errorf("rules are left:\n%s", rules)
			}
			if rules := system(t, "ip", "-n", m.ns("srv"), "rule"); strings.Contains(rules, "133") {
				t.Errorf("routing rules are left:\n%s", rules)
			}
		})
	}
}

func (m *interception) checkHTTP(t *testing.T) {
	t.Helper()
	tests := []struct{ name, from, address, host, body, route string }{
		{"a service", "cli", serving + ":8080", "web.default.svc.cluster.local:8080", "200 web", "through the mesh"},
		{"by IPv6", "cli", "[" + serving6 + "]:8080", "web:8080", "200 web", "through the mesh"},
		{"whatever address it dials", "cli", virtual + ":8080", "web:8080", "200 web", "through the mesh"},
		{"a host that nobody has", "cli", stranger + ":8080", "who.example:8080", "200 stranger", ""},
		{"a caller without a sidecar", "out", serving + ":8080", "web:8080", "200 web", ""},
		{"the same by IPv6", "out", "[" + serving6 + "]:8080", "web:8080", "200 web", ""},
		{"an excluded port", "out", serving + ":8081", "x", "200 excluded", ""},
	}
	for _, tt := range tests {
		body, route, err := m.get(tt.from, tt.address, tt.host)
		if err != nil || body != tt.body || route != tt.route {
			t.Errorf("%s: %q by route %q, %v; want %q by %q", tt.name, body, route, err, tt.body, tt.route)
		}
	}
}

func (m *interception) checkTCP(t *testing.T) {
	t.Helper()
	tests := []struct{ name, from, address, want string }{
		{"the service's own address", "cli", virtual + ":9000", "echo"},
		{"passed through", "cli", stranger + ":7777", "outside"},
		{"a port that was not declared", "out", serving + ":9999", "undeclared"},
	}
	for _, tt := range tests {
		if got, err := m.line(tt.from, tt.address); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
	if c, err := m.dial("out", serving+":15006"); err == nil {
		// The entrance itself, dialled by somebody, leads nowhere: it must not call itself.
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 {
			t.Errorf("the entrance answers: %d bytes, %v", n, err)
		}
		_ = c.Close()
	}
}

// checkMetrics: both sidecars saw what passed, and who it was for.
func (m *interception) checkMetrics(t *testing.T) {
	t.Helper()
	for ns, wants := range map[string][]string{
		"cli": {
			`istio_requests_total{`, `destination_service="web.default.svc.cluster.local"`, `destination_workload="server"`,
			`destination_service_name="PassthroughCluster"`, `destination_service="echo.default.svc.cluster.local"`,
		},
		"srv": {`reporter="destination"`, `source_workload="client"`, `source_workload="unknown"`, `destination_service_name="InboundPassthroughCluster"`},
	} {
		eventually(t, 10*time.Second, "the metrics in "+ns, func() error {
			body, _, err := m.get(ns, "127.0.0.1:15020", "127.0.0.1:15020/metrics")
			if err != nil {
				return err
			}
			for _, want := range wants {
				if !strings.Contains(body, want) {
					return fmt.Errorf("metrics of %s lack %s", ns, want)
				}
			}
			return nil
		})
	}
}
