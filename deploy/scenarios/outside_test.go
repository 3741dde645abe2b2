package scenarios

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// What is outside is reached under TLS though the app speaks plain HTTP; a host
// that no object names is refused, and says why.
func playEgress(t *testing.T, w *world) {
	bank := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " as ", r.TLS.ServerName, ", from ", r.Header.Get("X-Envoy-Peer-Metadata-Id"))
	}))
	defer bank.Close()
	ca := identitytest.File(t, bank.Certificate())
	_, port, _ := net.SplitHostPort(bank.Listener.Addr().String())
	w.applyText(t, fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank}
spec:
  hosts: [api.bank.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: %s}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: bank}
spec:
  host: api.bank.example
  trafficPolicy: {tls: {mode: SIMPLE, sni: example.com, caCertificates: %s}}
`, port, ca))
	var paid, lost answer
	events := w.tap(t, 2, func() {
		paid = w.call(t, "api.bank.example", "/")
		lost = w.call(t, "nobody.example", "/")
	})
	if paid.status != 200 || paid.body != "api.bank.example as example.com, from" {
		t.Errorf("the bank said %d %q", paid.status, paid.body)
	}
	if e := of(events, paid.trace); e.TLS != "tls" || e.AnsweredBy != "upstream" {
		t.Errorf("tap: %+v", e)
	}
	if e := of(events, lost.trace); lost.status != 502 || !strings.Contains(lost.body, "ServiceEntry") || e.AnsweredBy != "proxy" {
		t.Errorf("a host that nobody has: %d %q, %+v", lost.status, lost.body, e)
	}
	eventually(t, "both in the metrics", 15*time.Second, func() (bool, string) {
		paid := w.metric(t, `istio_requests_total{reporter="source",destination_service="api.bank.example",response_code="200"}`)
		lost := w.metric(t, `istio_requests_total{reporter="source",destination_service_name="BlackHoleCluster",response_code="502"}`)
		return paid == 1 && lost == 1, fmt.Sprint(paid, lost)
	})
}

// A Sidecar decides what becomes of hosts that no object names, and which
// services are seen at all; the answer, the tap and the metrics name it.
func playRegistryOnly(t *testing.T, w *world) {
	outside := newInstance(t, webService("9", "outside"))
	sidecar := func(mode, hosts string) string {
		return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: caller}
spec:
  workloadSelector: {labels: {app: caller}}
  egress: [{hosts: [%q]}]
  outboundTrafficPolicy: {mode: %s}
`, hosts, mode)
	}
	w.applyText(t, sidecar("ALLOW_ANY", "./*"))
	if a := w.call(t, outside.address(), "/"); a.status != 200 || !strings.Contains(a.body, "outside") {
		t.Errorf("a host that nobody has, with ALLOW_ANY: %d %q", a.status, a.body)
	}
	w.applyText(t, sidecar("REGISTRY_ONLY", "./myweb-service.default.svc.cluster.local"))
	var out, hidden, seen answer
	events := w.tap(t, 3, func() {
		out = w.call(t, outside.address(), "/")
		hidden = w.call(t, "retry-service", "/?failRate=0")
		seen = w.call(t, "myweb-service", "/")
	})
	if seen.status != 200 {
		t.Errorf("what the Sidecar imports: %d %q", seen.status, seen.body)
	}
	for name, a := range map[string]answer{"outside": out, "a service that is not imported": hidden} {
		e := of(events, a.trace)
		if a.status != 502 || e.AnsweredBy != "proxy" || e.Object != "Sidecar default/caller" || e.Route != "block_all" {
			t.Errorf("%s, with REGISTRY_ONLY: %d %q, %+v", name, a.status, a.body, e)
		}
	}
	eventually(t, "both in the metrics", 15*time.Second, func() (bool, string) {
		passed := w.metric(t, `istio_requests_total{reporter="source",destination_service_name="PassthroughCluster",response_code="200"}`)
		blocked := w.metric(t, `sidelight_responses_total{response_source="proxy",response_code="502",config_object="Sidecar default/caller"}`)
		return passed == 1 && blocked == 2, fmt.Sprint(passed, blocked)
	})
	eventually(t, "the graph names what is held back", 30*time.Second, func() (bool, string) {
		w.call(t, outside.address(), "/")
		e, ok := w.edge(t, "caller", "BlackHoleCluster")
		return ok && e.AnsweredBy.Proxy > 0 && e.AnsweredBy.Upstream == 0, fmt.Sprintf("%+v", e)
	})
}

// One ServiceEntry and one route for all hosts below a name; each request goes to
// the host that it says. An address needs no lookup, and is a name like any.
func playWildcard(t *testing.T, w *world) {
	first, second := newInstance(t, webService("9", "first")), newInstance(t, webService("9", "second"))
	_, port, _ := net.SplitHostPort(first.address())
	_, other, _ := net.SplitHostPort(second.address())
	w.applyText(t, fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: anybody}
spec:
  hosts: ["*.0.0.1"]
  location: MESH_EXTERNAL
  resolution: NONE
  ports: [{number: %s, name: http, protocol: HTTP}, {number: %s, name: http-too, protocol: HTTP}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: anybody}
spec:
  hosts: ["*.0.0.1"]
  http:
  - match: [{uri: {prefix: /closed}}]
    directResponse: {status: 410}
  - route: [{destination: {host: "*.0.0.1"}}]
    retries: {attempts: 0}
`, port, other))
	for _, tt := range []struct {
		host, path string
		status     int
		body       string
	}{
		{"127.0.0.1:" + port, "/", 200, "first"},
		{"127.0.0.1:" + other, "/", 200, "second"},
		{"127.0.0.1:" + other, "/closed", 410, ""},
	} {
		if a := w.call(t, tt.host, tt.path); a.status != tt.status || !strings.Contains(a.body, tt.body) {
			t.Errorf("%s%s: %d %q", tt.host, tt.path, a.status, a.body)
		}
	}
	eventually(t, "the pattern in the metrics", 15*time.Second, func() (bool, string) {
		n := w.metric(t, `istio_requests_total{reporter="source",destination_service="*.0.0.1",response_code="200"}`)
		return n == 2, fmt.Sprint(n)
	})
}

// Strangers come in at the edge, by host; what they say by the proxies' own
// headers does not count, and where they come from does.
func playGateway(t *testing.T, w *world) {
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	w.applyText(t, fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: %s, name: http, protocol: HTTP}, hosts: ["*.cinema.example"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop.cinema.example]
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /admin}}]
    directResponse: {status: 403}
  - route: [{destination: {host: retry-service}}]
    retries: {attempts: 0}
`, port))
	ask := func(host, path string, header ...string) answer {
		return w.sendTo(t, address, "GET", host, path, header...)
	}
	if a := ask("shop.cinema.example", "/?failRate=0"); a.status != 200 {
		t.Errorf("from outside: %d %q", a.status, a.body)
	}
	if a := ask("shop.cinema.example", "/admin"); a.status != 403 {
		t.Errorf("admin from outside: %d", a.status)
	}
	if a := ask("nobody.cinema.example", "/"); a.status != 404 {
		t.Errorf("a host that nobody has: %d", a.status)
	}
	before := total(w.retry)
	if a := ask("shop.cinema.example", "/?failRate=100&mode=busy", "X-Envoy-Retry-On", "5xx", "X-Envoy-Max-Retries", "9"); a.status != 503 || total(w.retry)-before != 1 {
		t.Errorf("a stranger's retries: %d after %d tries", a.status, total(w.retry)-before)
	}
	if a := w.call(t, "shop.cinema.example", "/"); a.status != 502 {
		t.Errorf("inside of the mesh the host is not known: %d", a.status)
	}
	eventually(t, "the edge as a source", 15*time.Second, func() (bool, string) {
		n := w.metric(t, `istio_requests_total{reporter="source",source_workload="edge",destination_workload="retry-service",response_code="200"}`)
		return n == 1, fmt.Sprint(n)
	})
}

// One port at the edge: TLS that ends there, with and without a client
// certificate, and TLS that passes by its name; another for bytes. Whoever is
// turned away is counted for the Gateway.
func playGatewayTLS(t *testing.T, w *world) {
	cert := identitytest.NewFiles(t, "shop.example", "till.example")
	raw := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "raw ", r.TLS.ServerName)
	}))
	defer raw.Close()
	_, rawPort, _ := net.SplitHostPort(raw.Listener.Addr().String())
	secure, bytes := freeAddress(t), freeAddress(t)
	_, port, _ := net.SplitHostPort(secure)
	_, bytesPort, _ := net.SplitHostPort(bytes)
	w.applyText(t, fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: tls}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: %[1]s, name: shop, protocol: HTTPS}
    hosts: [shop.example]
    tls: {mode: SIMPLE, serverCertificate: %[3]s, privateKey: %[4]s}
  - port: {number: %[1]s, name: till, protocol: HTTPS}
    hosts: [till.example]
    tls: {mode: MUTUAL, serverCertificate: %[3]s, privateKey: %[4]s, caCertificates: %[3]s}
  - port: {number: %[1]s, name: raw, protocol: TLS}
    hosts: [raw.example]
    tls: {mode: PASSTHROUGH}
  - port: {number: %[2]s, name: bytes, protocol: TCP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: raw}
spec:
  hosts: [raw.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 443, name: tls, targetPort: %[5]s}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tls}
spec:
  hosts: [shop.example, till.example, raw.example]
  gateways: [tls]
  http:
  - route: [{destination: {host: retry-service}}]
  tls:
  - match: [{sniHosts: [raw.example]}]
    route: [{destination: {host: raw.example, port: {number: 443}}}]
  tcp:
  - match: [{port: %[2]s}]
    route: [{destination: {host: retry-service, port: {number: 80}}}]
`, port, bytesPort, cert.Certificate, cert.Key, rawPort))
	ask := func(host string, config *tls.Config) (string, error) {
		config.ServerName = host
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", secure)
		}}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get("https://" + host + "/?failRate=0")
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return fmt.Sprint(res.StatusCode, " ", string(body)), err
	}
	for _, tt := range []struct {
		name, host string
		config     *tls.Config
		want       string // "" = turned away
	}{
		{"ended", "shop.example", &tls.Config{RootCAs: cert.Roots}, "200"},
		{"with a certificate", "till.example", &tls.Config{RootCAs: cert.Roots, Certificates: []tls.Certificate{cert.Pair}}, "200"},
		{"without", "till.example", &tls.Config{RootCAs: cert.Roots}, ""},
		{"passed on", "raw.example", &tls.Config{InsecureSkipVerify: true}, "200 raw raw.example"},
		{"nobody's", "elsewhere.example", &tls.Config{InsecureSkipVerify: true}, ""},
	} {
		if got, err := ask(tt.host, tt.config); (err == nil) != (tt.want != "") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, %v", tt.name, got, err)
		}
	}
	if a := w.sendTo(t, bytes, "GET", "retry-service", "/?failRate=0"); a.status != 200 {
		t.Errorf("through the port for bytes: %d %q", a.status, a.body)
	}
	eventually(t, "what came, and who was turned away", 30*time.Second, func() (bool, string) {
		came := w.metric(t, `istio_requests_total{reporter="source",source_workload="edge",destination_service_name="retry-service",response_code="200"}`)
		passed := w.metric(t, `istio_tcp_connections_opened_total{reporter="source",source_workload="edge",destination_service="raw.example"}`)
		turned := w.metric(t, `sidelight_responses_total{response_source="proxy",config_object="Gateway default/tls"}`)
		return came >= 2 && passed == 1 && turned == 1, fmt.Sprint(came, passed, turned)
	})
}

// What leaves the mesh leaves by the gateway, which speaks TLS to the outside:
// two hops, each seen.
func playEgressGateway(t *testing.T, w *world) {
	bank := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " as ", r.TLS.ServerName)
	}))
	defer bank.Close()
	ca := identitytest.File(t, bank.Certificate())
	_, bankPort, _ := net.SplitHostPort(bank.Listener.Addr().String())
	_, port, _ := net.SplitHostPort(freeAddress(t))
	w.applyText(t, fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: savings}
spec:
  hosts: [savings.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: %[2]s}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: savings}
spec:
  host: savings.example
  trafficPolicy: {tls: {mode: SIMPLE, sni: example.com, caCertificates: %[3]s}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: way-out}
spec:
  hosts: [way-out.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: %[1]s, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1, labels: {app: edge, service.istio.io/workload-name: edge}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: way-out}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: %[1]s, name: http, protocol: HTTP}, hosts: [savings.example]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: savings}
spec:
  hosts: [savings.example]
  gateways: [mesh, way-out]
  http:
  - match: [{gateways: [mesh]}]
    route: [{destination: {host: way-out, port: {number: %[1]s}}}]
  - match: [{gateways: [way-out]}]
    route: [{destination: {host: savings.example, port: {number: 80}}}]
`, port, bankPort, ca))
	if a := w.call(t, "savings.example", "/"); a.status != 200 || a.body != "savings.example as example.com" {
		t.Errorf("the bank said %d %q", a.status, a.body)
	}
	eventually(t, "both hops in the metrics", 30*time.Second, func() (bool, string) {
		first := w.metric(t, `istio_requests_total{reporter="source",source_workload="caller",destination_workload="edge",response_code="200"}`)
		second := w.metric(t, `istio_requests_total{reporter="source",source_workload="edge",destination_service="savings.example",response_code="200"}`)
		return first == 1 && second == 1, fmt.Sprint(first, second)
	})
}
