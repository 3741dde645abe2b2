package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// patience bounds what has to come at some time, on a machine however slow.
const patience = time.Minute

func eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	t.Fatalf("never came: %s: %v", what, err)
}

// freeAddress gives an address below the ports that the kernel gives out for
// outgoing connections, so that it is still free when its process binds it.
func freeAddress(t *testing.T) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for range 9000 {
		ports.next++
		address := fmt.Sprintf("127.0.0.1:%d", 10000+(os.Getpid()*37+ports.next)%9000)
		if ln, err := net.Listen("tcp", address); err == nil {
			_ = ln.Close()
			return address
		}
	}
	t.Fatal("no free port on 127.0.0.1 from 10000 to 19000")
	return ""
}

var ports struct {
	sync.Mutex
	next int
}

// process is a running program.
type process struct {
	*exec.Cmd
	name   string
	exited chan struct{}
	err    error
	output *output
}

// output keeps what a process wrote.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// launch starts a program that ends with the test at the latest. What it wrote
// is shown when the test fails.
func launch(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(path, args...), name: filepath.Base(path), exited: make(chan struct{}), output: &output{}}
	p.Stdout, p.Stderr = p.output, p.output
	p.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "SIDELIGHT_") })
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	go func() {
		p.err = p.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s %s:\n%s", p.name, strings.Join(args, " "), last(p.output.String(), 4000))
		}
	})
	return p
}

func last(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// stop asks the process to end, and waits until it did.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.Process.Signal(syscall.SIGTERM)
	p.wait(t)
	if p.err != nil {
		t.Errorf("%s ended with %v", p.name, p.err)
	}
}

func (p *process) wait(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.name)
	}
}

// sidecar is a sidecar process.
type sidecar struct {
	*process
	address, admin, metrics, health string
}

// startSidecar runs sidelight-proxy, with free ports where args do not name them,
// until it serves.
func startSidecar(t *testing.T, args ...string) *sidecar {
	t.Helper()
	s := &sidecar{admin: freeAddress(t), metrics: freeAddress(t), health: freeAddress(t)}
	args = append([]string{"--admin", s.admin, "--metrics", s.metrics, "--health", s.health, "--collector", "off", "--drain-time", "20s"}, args...)
	s.process = launch(t, proxy, args...)
	eventually(t, "a sidecar that serves", func() error {
		select {
		case <-s.exited:
			t.Fatalf("the sidecar ended: %v\n%s", s.err, s.output)
		default:
		}
		_, err := fetch("http://" + s.health + "/healthz/serving")
		return err
	})
	return s
}

// hop is what one sidecar of a chain does: everything that comes in goes to one
// cluster.
type hop struct {
	inbound bool // it stands before the app
	http2   bool // towards the endpoints
	to      []string
	retry   string // an Envoy retry policy, as YAML in one line
	cluster string // further fields of the cluster
	options string // further HTTP options of the cluster
	mutual  bool   // mutual TLS on the side where the other sidecar is
}

// startHop runs a sidecar by a bootstrap file.
func startHop(t *testing.T, name string, h hop, args ...string) *sidecar {
	t.Helper()
	address := freeAddress(t)
	file := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(file, []byte(h.bootstrap(name, address)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startSidecar(t, append([]string{"--bootstrap", file}, args...)...)
	s.address = address
	return s
}

func (h hop) bootstrap(name, address string) string {
	host, port, _ := net.SplitHostPort(address)
	direction, cluster := "OUTBOUND", "outbound|80||app.shop.svc.cluster.local"
	if h.inbound {
		direction, cluster = "INBOUND", "inbound|80||"
	}
	var endpoints strings.Builder
	for _, to := range h.to {
		host, port, _ := net.SplitHostPort(to)
		fmt.Fprintf(&endpoints, "        - {endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}\n", host, port)
	}
	options, retry := "explicit_http_config: {http_protocol_options: {}}", ""
	if h.http2 {
		options = "explicit_http_config: {http2_protocol_options: {}}"
	}
	if h.options != "" {
		options = h.options + "\n        " + options
	}
	chainTLS := ""
	switch {
	case h.mutual && h.inbound:
		chainTLS = "      transport_socket: {name: tls, typed_config: {" + tlsType("Downstream") + ", require_client_certificate: true, common_tls_context: {" + meshTLS + "}}}\n"
	case h.mutual:
		h.cluster += "    transport_socket: {name: tls, typed_config: {" + tlsType("Upstream") + ", common_tls_context: {alpn_protocols: [istio], " + meshTLS + "}}}\n"
	}
	if h.retry != "" {
		retry = ", retry_policy: " + h.retry
	}
	return fmt.Sprintf(`node: {id: %[1]s-1, cluster: %[1]s, metadata: {NAMESPACE: shop, WORKLOAD_NAME: %[1]s, LABELS: {app: %[1]s}}}
static_resources:
  listeners:
  - name: %[1]s
    traffic_direction: %[2]s
    address: {socket_address: {address: %[3]s, port_value: %[4]s}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: %[1]s
          upgrade_configs: [{upgrade_type: websocket}]
          route_config:
            name: all
            virtual_hosts:
            - {name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: "%[5]s", timeout: 0s%[6]s}}]}
          http_filters:
          - {name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
%[10]s  clusters:
  - name: "%[5]s"
    type: STATIC
    connect_timeout: 5s
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        %[7]s
    load_assignment:
      cluster_name: "%[5]s"
      endpoints:
      - lb_endpoints:
%[8]s%[9]s`, name, direction, host, port, cluster, retry, options, endpoints.String(), h.cluster, chainTLS)
}

// meshTLS is a sidecar's own certificate and the mesh's roots.
const meshTLS = `tls_certificate_sds_secret_configs: [{name: default}], validation_context_sds_secret_config: {name: ROOTCA}`

func tlsType(side string) string {
	return `"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.` + side + `TlsContext`
}

// retryElsewhere is a retry policy whose retries go to endpoints that did not fail.
func retryElsewhere(on string) string {
	return `{retry_on: "` + on + `", num_retries: 3, host_selection_retry_max_attempts: 5,
              retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts, typed_config: {
                "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate}}]}`
}

// chain runs a client's sidecar before a server's, before the app.
func chain(t *testing.T, app string, http2 bool) (client, server *sidecar) {
	t.Helper()
	server = startHop(t, "server", hop{inbound: true, http2: http2, to: []string{app}})
	client = startHop(t, "client", hop{http2: http2, to: []string{server.address}})
	return client, server
}

func fetch(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return string(body), err
}

// total adds the values of a counter's series whose labels hold what is given:
// name, value, name, value.
func (s *sidecar) total(t *testing.T, metric string, labels ...string) float64 {
	t.Helper()
	text, err := fetch("http://" + s.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, m := range families[metric].GetMetric() {
		if has(m, labels) {
			sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func has(m *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool {
			return l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}) {
			return false
		}
	}
	return true
}

// serveHTTP runs an app, over HTTP/1.1 and HTTP/2 with prior knowledge.
func serveHTTP(t *testing.T, h http.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, Protocols: new(http.Protocols), ReadHeaderTimeout: patience}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go func() {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("app: %v", err)
		}
	}()
	t.Cleanup(func() { _ = server.Close() })
	return ln.Addr().String()
}
