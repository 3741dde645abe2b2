package app

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// At one port nodes are told and may ask; what says nothing is let go.
func TestPortOfBothWays(t *testing.T) {
	a := start(t, nil)
	sidecar(t, a, "web-1") // over gRPC
	ask := func(scheme, address string, client *http.Client) (int, error) {
		res, err := client.Post(scheme+"://"+address+"/v3/discovery:clusters", "application/json",
			strings.NewReader(`{"node": {"id": "envoy-1", "metadata": {"NAMESPACE": "cinema"}}}`))
		if err != nil {
			return 0, err
		}
		_ = res.Body.Close()
		return res.StatusCode, nil
	}
	if status, err := ask("http", a.Addrs().XDS, http.DefaultClient); err != nil || status != 200 {
		t.Errorf("REST: %d, %v", status, err)
	}
	// Over TLS it is for those with a certificate.
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer secure.CloseIdleConnections()
	if status, err := ask("https", a.Addrs().Secure, secure); err != nil || status != 401 {
		t.Errorf("REST over TLS without a certificate: %d, %v; want 401", status, err)
	}
	var status struct{ Nodes []struct{ ID string } }
	eventually(t, "both are known", func() bool {
		return get(t, a.Addrs().API, "/api/v1/nodes", &status) == 200 && len(status.Nodes) == 2
	})
	silent, err := net.Dial("tcp", a.Addrs().XDS)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	_ = silent.SetReadDeadline(time.Now().Add(4 * begin))
	if _, err := silent.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a connection that says nothing: %v; want it closed after %s", err, begin)
	}
}
