package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/proxy/app"
)

// A bootstrap file alone makes a proxy: no control plane, no flags.
func TestRunBootstrap(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Edge"))
	}))
	defer backend.Close()
	endpoint := func(address string) string {
		host, port, _ := strings.Cut(address, ":")
		return fmt.Sprintf("{socket_address: {address: %s, port_value: %s}}", host, port)
	}
	web, admin := freePort(t), freePort(t)
	file := filepath.Join(t.TempDir(), "envoy.yaml")
	err := os.WriteFile(file, []byte(`
node: {id: edge-1, cluster: edge}
admin: {address: `+endpoint(admin)+`}
static_resources:
  listeners:
  - name: web
    address: `+endpoint(web)+`
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              request_headers_to_add: [{header: {key: x-edge, value: here}}]
              routes: [{match: {prefix: /}, route: {cluster: app}}]
          http_filters:
          - {name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: app
    type: STATIC
    load_assignment: {cluster_name: app, endpoints: [{lb_endpoints: [{endpoint: {address: `+endpoint(backend.Listener.Addr().String())+`}}]}]}
`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := app.Command("test")
	cmd.SetArgs([]string{"run", "--bootstrap", file, "--metrics", "off", "--health", "off", "--collector", "off", "--drain-time", "100ms"})
	cmd.SetErr(io.Discard)
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	}()
	var body string
	eventually(t, "the proxy serves", func() bool {
		res, err := http.Get("http://" + web)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		body = text(res)
		return res.StatusCode == 200
	})
	if body != "here" {
		t.Errorf("the app got X-Edge %q", body)
	}
	if dump := text(get(t, "http://"+admin+"/config_dump")); !strings.Contains(dump, "edge-1") || !strings.Contains(dump, "web") {
		t.Errorf("config dump: %s", dump)
	}
}

func TestBootstrapFlags(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("static_resources: {listeners: [{name: a, stat_prefix: b, freebind: true}]}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"--bootstrap /nonexistent/file", "--bootstrap: open"},
		{"--bootstrap " + bad, "static_resources.listeners[0].freebind: not supported by build test"},
		{"run --bootstrap " + bad, "static_resources.listeners[0].freebind: not supported by build test"},
		{"--bootstrap " + bad + " --server a:1", "--server: has no meaning with --bootstrap"},
	} {
		cmd := app.Command("test")
		cmd.SetArgs(strings.Fields(tt.args))
		cmd.SetErr(io.Discard)
		if err := cmd.ExecuteContext(context.Background()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.args, err, tt.want)
		}
	}
}
