package peers

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// startEdge runs a gateway that ends TLS for app.shop, by a bootstrap file.
func startEdge(t *testing.T, app string) (*sidecar, *x509.CertPool) {
	t.Helper()
	cert := identitytest.NewFiles(t, "app.shop")
	address := freeAddress(t)
	text := strings.Replace(hop{to: []string{app}}.bootstrap("edge", address), "    filter_chains:\n    - filters:",
		`    listener_filters: [{name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}]
    filter_chains:
    - filter_chain_match: {server_names: [app.shop], transport_protocol: tls}
      transport_socket: {name: tls, typed_config: {`+tlsType("Downstream")+`, common_tls_context: {alpn_protocols: [h2, http/1.1],
        tls_certificates: [{certificate_chain: {filename: `+cert.Certificate+`}, private_key: {filename: `+cert.Key+`}}]}}}
      filters:`, 1)
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startSidecar(t, "--bootstrap", file)
	s.address = address
	return s, cert.Roots
}

// A WebSocket client reaches its service through a gateway that ends TLS, which
// speaks HTTP/2 to others at the same port.
func TestWebSocketThroughTLSGateway(t *testing.T) {
	edge, roots := startEdge(t, serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !websocket.IsWebSocketUpgrade(r) {
			echo(w, r)
			return
		}
		upgrader := websocket.Upgrader{}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, m, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, m) != nil {
				return
			}
		}
	})))
	config := &tls.Config{RootCAs: roots, ServerName: "app.shop"}
	dialer := websocket.Dialer{TLSClientConfig: config, HandshakeTimeout: patience}
	c, res, err := dialer.Dial("wss://"+edge.address+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("status %d", res.StatusCode)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for _, size := range []int{1, 70_000, 3 << 20} {
		sent := bytes.Repeat([]byte("a"), size)
		if err := c.WriteMessage(websocket.BinaryMessage, sent); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if _, got, err := c.ReadMessage(); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
		}
	}
	transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	plain, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + edge.address + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = plain.Body.Close()
	if plain.ProtoMajor != 2 || plain.StatusCode != http.StatusOK {
		t.Errorf("beside it: %s %s", plain.Proto, plain.Status)
	}
	c.Close()
	eventually(t, "the connection's end in the gateway's metrics", func() error {
		if n := edge.total(t, mesh.MetricRequests, mesh.LabelCode, "101"); n != 1 {
			return fmt.Errorf("%v upgrades", n)
		}
		return nil
	})
}

// curl asks for a tunnel: it gets one where the route says so, and elsewhere a
// refusal that says why.
func TestCurlConnects(t *testing.T) {
	app := serveHTTP(t, http.HandlerFunc(echo))
	client, _ := chain(t, app, false)
	closed := tool(t, "curl", "-s", "-i", "-X", "CONNECT", "--request-target", "app.shop:80", "--max-time", "20", "http://"+client.address)
	if !strings.Contains(closed, "403 Forbidden") || !strings.Contains(closed, "CONNECT is not allowed here") || !strings.Contains(closed, "upgrade_failed") {
		t.Errorf("without configuration:\n%s", closed)
	}
	h := hop{to: []string{app}}
	address := freeAddress(t)
	file := filepath.Join(t.TempDir(), "tunnel.yaml")
	text := strings.Replace(h.bootstrap("tunnel", address), "routes: [", `routes: [{match: {connect_matcher: {}}, route: {cluster: "outbound|80||app.shop.svc.cluster.local", upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}}, `, 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	open := startSidecar(t, "--bootstrap", file)
	for _, body := range []string{"four", strings.Repeat("x", 100_000)} {
		data := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(data, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := tool(t, "curl", "-sS", "--max-time", "20", "--proxytunnel", "--proxy", "http://"+address, "--data-binary", "@"+data, "http://app.shop:80/"); out != body {
			t.Errorf("through the tunnel: %.100s", out)
		}
	}
	eventually(t, "the tunnels in the metrics", func() error {
		if n := open.total(t, mesh.MetricRequests, mesh.LabelCode, "200"); n != 2 {
			return fmt.Errorf("%v requests", n)
		}
		return nil
	})
}
