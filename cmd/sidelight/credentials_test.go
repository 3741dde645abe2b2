package main

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh/identity/identitytest"
)

// gate is a proxy before the API that asks for a client certificate and for two
// header fields.
func gate(t *testing.T) (address, caFile string, client identitytest.Files) {
	t.Helper()
	client = identitytest.NewFiles(t, "operator")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer s3cret":
			w.WriteHeader(http.StatusUnauthorized)
		case r.Header.Get("X-Team") != "sre":
			http.Redirect(w, r, "https://sign-in.example.com/?for=mesh", http.StatusFound)
		case websocket.IsWebSocketUpgrade(r):
			upgrader := websocket.Upgrader{Subprotocols: []string{"sidelight.v1"}}
			conn, err := upgrader.Upgrade(w, r, nil)
			if err == nil {
				_ = conn.Close()
			}
		default:
			_, _ = w.Write([]byte(`{"tokens": []}`))
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: client.Roots}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, identitytest.File(t, server.Certificate()), client
}

func TestCredentials(t *testing.T) {
	address, ca, client := gate(t)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fields := file("fields", "Authorization: Bearer s3cret\n\nX-Team: sre\n")
	token := file("token", "s3cret\n")
	certificate := []string{"--ca-file", ca, "--cert-file", client.Certificate, "--key-file", client.Key}
	with := func(more ...string) []string { return append(append([]string{}, certificate...), more...) }

	for _, tt := range []struct {
		name string
		args []string
		env  string // SIDELIGHT_HEADER
		code int
		says string // in what is printed
	}{
		{"fields of a file", with("--header", "@"+fields), "", 0, ""},
		{"fields by flag", with("--header", "Authorization: Bearer s3cret", "--header", "x-team:sre"), "", 0, ""},
		{"token of a file", with("--token-file", token, "--header", "X-Team: sre"), "", 0, ""},
		{"fields of the environment", certificate, "Authorization: Bearer s3cret\nX-Team: sre", 0, ""},
		{"file by the environment", certificate, "@" + fields, 0, ""},
		{"no token", certificate, "", 1, "401 Unauthorized: a proxy before the API asks who you are; give it what it asks for with --header or --token-file"},
		{"sent to sign in", with("--token-file", token), "", 1, "302 Found: a proxy before the API sends you to a page to sign in"},
		{"no client certificate", []string{"--ca-file", ca, "--header", "@" + fields}, "", 4, "see --cert-file and --key-file"},
		{"plain text to a TLS port", []string{"--address", strings.Replace(address, "https", "http", 1)}, "", 1, "it speaks TLS there; write https:// in --address"},
		{"unknown authority", certificate[2:], "", 4, "name its authority with --ca-file"},
		{"not a field", with("--header", "s3cret"), "", 2, "--header, line 1: want 'Name: value'"},
		{"not a field in a file", with("--header", "@"+token), "", 2, "/token, line 1: want 'Name: value'"},
		{"host", with("--header", "Host: other"), "", 2, "the host is the one of --address"},
		{"no such file", with("--header", "@"+dir+"/none"), "", 2, "no such file"},
		{"empty token", with("--token-file", file("empty", "\n")), "", 2, "want one token, on one line"},
		{"no authorities in the file", []string{"--ca-file", token}, "", 2, "no PEM certificate in it"},
		{"certificate without a key", certificate[:4], "", 2, "--cert-file and --key-file go together"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.env != "" {
				t.Setenv("SIDELIGHT_HEADER", tt.env)
			}
			var out bytes.Buffer
			args := append([]string{"token", "list", "--address", address}, tt.args...)
			if code := execute(t.Context(), args, &out, &out); code != tt.code || !strings.Contains(out.String(), tt.says) {
				t.Errorf("exit code %d, %s\nwant %d, %q", code, out.String(), tt.code, tt.says)
			}
			if tt.code != 0 && strings.Contains(out.String(), "s3cret") {
				t.Errorf("the secret is printed: %s", out.String())
			}
		})
	}
}

// The live socket goes the same way.
func TestCredentialsOfTheLiveSocket(t *testing.T) {
	address, ca, own := gate(t)
	c := client{address: address, timeout: 10 * time.Second}
	c.caFile, c.certFile, c.keyFile = ca, own.Certificate, own.Key
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.live(t.Context()); err == nil || !strings.Contains(err.Error(), "--token-file") {
		t.Errorf("without a token: %v", err)
	}
	c.headers = []string{"Authorization: Bearer s3cret\nX-Team: sre"}
	if err := c.open(); err != nil {
		t.Fatal(err)
	}
	conn, err := c.live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestAddressOfAnotherScheme(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+r.URL.Path, http.StatusPermanentRedirect)
	}))
	defer moved.Close()
	for address, want := range map[string]string{
		strings.Replace(plain.URL, "http", "https", 1): "write http:// in --address",
		moved.URL: "write that in --address",
	} {
		var out bytes.Buffer
		if code := execute(t.Context(), []string{"token", "list", "--address", address}, &out, &out); code == 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit code %d, %s\nwant %q", address, code, out.String(), want)
		}
	}
}
