package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const apartConfig = splitConfig + `---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec:
  mtls: {mode: STRICT}
`

// TestApart runs server, collector and sidecars as on machines of their own, at an
// address that others reach: everything between them goes over mutual TLS, by
// certificates that end while the test runs, and nothing else listens there.
func TestApart(t *testing.T) {
	t.Parallel()
	ip := reachable(t)
	h := &halves{dir: t.TempDir()}
	at := func(ip string) string { return net.JoinHostPort(ip, strconv.Itoa(freePort(t))) }
	for _, address := range []*string{&h.server, &h.admin, &h.grpc, &h.outbound, &h.to} {
		*address = at("127.0.0.1")
	}
	for _, address := range []*string{&h.otlpGRPC, &h.otlpHTTP, &h.stores, &h.outboundMetrics, &h.inbound, &h.inboundMetrics} {
		*address = at(ip)
	}
	secure := at(ip)
	h.url = "http://" + h.server
	if err := os.Mkdir(filepath.Join(h.dir, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, inboundPort, _ := net.SplitHostPort(h.inbound)
	config := strings.NewReplacer("address: 127.0.0.1", "address: "+ip+"\n  serviceAccount: posters",
		"labels: {app: posters, service", "labels: {app: posters, security.istio.io/tlsMode: istio, service").Replace(fmt.Sprintf(apartConfig, inboundPort))
	if err := os.WriteFile(filepath.Join(h.dir, "config", "shop.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	const lifetime = 12 * time.Second
	processes := []*exec.Cmd{h.start(t, "server", "sidelight", "server", "--config-dir", "config", "--state-dir", "state",
		"--api", h.server, "--admin", h.admin, "--grpc", h.grpc, "--grpc-tls", secure,
		"--cert-lifetime", lifetime.String(), "--collector", "https://"+h.stores)}
	eventually(t, 20*time.Second, "the server answers", func() error { return h.try("/api/v1/status", new(struct{})) })
	token := func(namespace, account string) string {
		name := filepath.Join(h.dir, account+".token")
		text := h.cli(t, "token", "create", "--namespace", namespace, "--service-account", account).must(t)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	processes = append(processes, h.start(t, "collector", "sidelight", "collector", "--data-dir", "data", "--scrape-interval", "1s",
		"--server", "tls://"+secure, "--join-token-file", token("sidelight-system", "collector"),
		"--http", h.stores, "--http-tls", "mutual", "--otlp-grpc", h.otlpGRPC, "--otlp-http", h.otlpHTTP, "--otlp-tls", "mutual"))
	h.start(t, "app", "sidelight", "demo", "service", "--role", "posters", "--listen", h.to)
	sidecar := func(workload string, args ...string) *exec.Cmd {
		return h.start(t, "sidecar-"+workload, "sidelight-proxy", append([]string{
			"--node-id", workload + "-1.shop", "--workload", workload, "--namespace", "shop", "--service-account", workload,
			"--admin", "off", "--health", "off", "--state-dir", "state-" + workload,
		}, args...)...)
	}
	apart := func(workload string, args ...string) {
		processes = append(processes, sidecar(workload, append(args, "--server", "tls://"+secure,
			"--join-token-file", token("shop", workload), "--collector", "https://"+h.otlpGRPC, "--metrics-tls")...))
	}
	apart("posters", "--outbound", "off", "--inbound", h.inbound+"="+h.to+"/http/8080", "--metrics", h.inboundMetrics)
	apart("shopper", "--outbound", h.outbound, "--metrics", h.outboundMetrics)
	sidecar("late", "--outbound", "off", "--metrics", "off", "--collector", "off", "--server", h.grpc,
		"--cert-file", "none.pem", "--key-file", "none.pem", "--roots-file", "none.pem")

	works := func() error {
		if err := h.visit(); err != nil {
			return err
		}
		var v graphView
		if err := h.try("/api/v1/graph?window=5s", &v); err != nil {
			return err
		}
		if e := v.edge("shopper", "posters"); e == nil || e.RPS <= 0 || e.Client == nil || e.Server == nil || len(v.Stale) > 0 {
			return fmt.Errorf("shopper → posters is %+v, stale %+v", e, v.Stale)
		}
		since := time.Now().Add(-10 * time.Second).UTC().Format(time.RFC3339)
		var found traceSearch
		if err := h.try("/api/v1/traces"+query("source", "shop/shopper", "target", "shop/posters", "from", since), &found); err != nil {
			return err
		}
		if len(found.Traces) == 0 {
			return errors.New("no trace of the last 10 s")
		}
		var status struct{ Targets []struct{ Up bool } }
		if err := h.try("/api/v1/status", &status); err != nil {
			return err
		}
		if len(status.Targets) != 2 || !status.Targets[0].Up || !status.Targets[1].Up {
			return fmt.Errorf("targets are %+v", status.Targets)
		}
		return nil
	}
	eventually(t, 60*time.Second, "edges, spans and scrapes come", works)
	came := time.Now()
	first := onlyTLS(t, ip, processes)
	eventually(t, 20*time.Second, "the sidecar without files says so", func() error {
		out := h.cli(t, "nodes", "late-1.shop").must(t)
		if !strings.Contains(out, "none yet") || !strings.Contains(out, "none.pem: no such file") || !strings.Contains(out, "whoever writes these files") {
			return errors.New(out)
		}
		return nil
	})
	// Each certificate of the beginning has ended by then.
	time.Sleep(time.Until(came.Add(lifetime)))
	eventually(t, 20*time.Second, "it goes on by new certificates", works)
	for address, serial := range onlyTLS(t, ip, processes) {
		if serial == first[address] {
			t.Errorf("%s still shows its first certificate", address)
		}
	}
}

// reachable gives an address of this machine that others reach.
func reachable(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

// onlyTLS finds all that the processes listen on beyond loopback. It must be TLS;
// which certificate each shows is given by its serial number.
func onlyTLS(t *testing.T, ip string, processes []*exec.Cmd) map[string]string {
	t.Helper()
	serials := map[string]string{}
	for _, p := range processes {
		for _, address := range listening(t, p.Process.Pid) {
			host, _, _ := net.SplitHostPort(address)
			if net.ParseIP(host).IsLoopback() {
				continue
			}
			if host != ip {
				t.Errorf("%s listens on %s", filepath.Base(p.Path), address)
			}
			for _, request := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"} {
				if answer := plain(t, address, request); answer != "" && !strings.Contains(answer, "HTTP request to an HTTPS server") && answer[0] != 0x15 { // a TLS alert
					t.Errorf("%s answers %q to plain text at %s", filepath.Base(p.Path), answer, address)
				}
			}
			serials[address] = ""
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, &tls.Config{
				InsecureSkipVerify: true,
				VerifyConnection: func(state tls.ConnectionState) error { // before a refusal for want of ours
					if c := state.PeerCertificates[0]; len(c.URIs) == 1 {
						serials[address] = c.SerialNumber.Text(16)
					}
					return nil
				},
			})
			if err == nil {
				_ = conn.Close()
			}
			if serials[address] == "" {
				t.Errorf("%s shows no identity at %s: %v", filepath.Base(p.Path), address, err)
			}
		}
	}
	if len(serials) != 7 {
		t.Errorf("open beyond loopback: %v, want 7", serials)
	}
	return serials
}

// plain sends something and gives the beginning of what comes back.
func plain(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, request)
	answer := make([]byte, 256)
	n, _ := io.ReadFull(conn, answer)
	return string(answer[:n])
}

// listening gives the addresses that a process listens on.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Skip("this system does not tell what a process listens on")
	}
	sockets := map[string]bool{}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil {
			sockets[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	var out []string
	for _, table := range []string{"tcp", "tcp6"} {
		file, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			const listen = "0A"
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != listen || !sockets[fields[9]] {
				continue
			}
			address, port, _ := strings.Cut(fields[1], ":")
			raw, err := hex.DecodeString(address)
			number, portErr := strconv.ParseUint(port, 16, 16)
			if err := errors.Join(err, portErr); err != nil {
				t.Fatal(err)
			}
			for word := range slices.Chunk(raw, 4) {
				slices.Reverse(word) // each is in the machine's order
			}
			out = append(out, net.JoinHostPort(net.IP(raw).String(), strconv.FormatUint(number, 10)))
		}
		_ = file.Close()
	}
	return out
}
