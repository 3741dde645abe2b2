package e2e

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// checkServing wants the mesh to answer visitors: through the ingress's
// sidecar, the front end and the catalog.
func checkServing(t *testing.T, m *meshUnderTest, method, path string, want int) {
	t.Helper()
	outbound := m.sidecar(t, "ingress-1.front").flag("--outbound")
	for i := range 20 {
		begun := time.Now()
		status, err := through(outbound, method, "web.front.svc.cluster.local", path)
		if err != nil || status != want {
			t.Fatalf("request %d, %s %s: %d after %s, %v; want %d", i+1, method, path, status, time.Since(begun), err, want)
		}
	}
}

// checkSynced wants every node but those named to run what it should.
func checkSynced(t *testing.T, m *meshUnderTest, except ...string) {
	t.Helper()
	eventually(t, 15*time.Second, "all nodes synced", func() error {
		var v nodesView
		if err := m.try("/api/v1/nodes", &v); err != nil {
			return err
		}
		if v.Summary.Nodes != sidecars {
			return fmt.Errorf("%d nodes, want %d", v.Summary.Nodes, sidecars)
		}
		for _, n := range v.Nodes {
			if n.State != "synced" && !slices.Contains(except, n.ID) {
				return fmt.Errorf("%s is %s: %s", n.ID, n.State, n.Reason)
			}
		}
		return nil
	})
}

// checkAbusedSockets lets clients of the live socket send nonsense or read
// nothing, beside one that must not notice.
func checkAbusedSockets(t *testing.T, m *meshUnderTest) {
	good := m.live(t)
	subscribe(t, good, "g", "graph", map[string]any{"window_s": 10})
	readUntil(t, good, 5*time.Second, "the first snapshot", func(f frame) bool { return f.Type == "snapshot" })

	// Clients that subscribe to all there is and never read.
	for range 5 {
		conn := m.live(t)
		if tcp, ok := conn.NetConn().(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4096)
		}
		subscribe(t, conn, "g", "graph", map[string]any{"window_s": 30})
		subscribe(t, conn, "n", "nodes", nil)
		subscribe(t, conn, "t", "tap", map[string]any{"filter": "", "limit_per_s": 1000, "headers": true})
	}
	t.Run("nonsense is refused in words", func(t *testing.T) {
		conn := m.live(t)
		for _, c := range []struct{ send, code string }{
			{`{"op":"subscribe","id":"x","channel":"weather"}`, "invalid"},
			{`{"op":"dance","id":"x"}`, "invalid"},
			{`{"op":"subscribe","id":"x","channel":"graph","params":{"group":"colour"}}`, "invalid"},
			{`{"op":"subscribe","id":"x","channel":"graph","params":{"window_s":"long"}}`, "invalid"},
			{`{"op":"subscribe","id":"x","channel":"tap","params":{"filter":"status >>> 5"}}`, "invalid"},
			{`[1,2,3]`, "invalid"},
			{`not json`, "invalid"},
		} {
			if err := conn.WriteMessage(websocket.TextMessage, []byte(c.send)); err != nil {
				t.Fatalf("%s: %v", c.send, err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			var f frame
			if err := conn.ReadJSON(&f); err != nil {
				// A client that does not speak JSON at all may be hung up on.
				if websocket.IsCloseError(err, websocket.CloseInvalidFramePayloadData, websocket.ClosePolicyViolation, websocket.CloseUnsupportedData) {
					t.Logf("%s: closed with %v", c.send, err)
					conn = m.live(t)
					continue
				}
				t.Fatalf("%s: no answer: %v", c.send, err)
			}
			if f.Type != "error" || f.Error.Code != c.code || f.Error.Message == "" {
				t.Errorf("%s: answered %+v, want an error of kind %s", c.send, f, c.code)
			}
		}
	})
	t.Run("oversize and binary frames end their socket only", func(t *testing.T) {
		for _, c := range []struct {
			kind int
			size int
		}{{websocket.TextMessage, 1 << 20}, {websocket.BinaryMessage, 512}} {
			conn := m.live(t)
			noise := make([]byte, c.size)
			_, _ = rand.Read(noise)
			_ = conn.WriteMessage(c.kind, noise) // the server may hang up meanwhile
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			for {
				_, message, err := conn.ReadMessage()
				if err == nil && strings.Contains(string(message), `"error"`) {
					break
				}
				if err != nil {
					if errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("%d bytes of noise: neither an error nor the end", c.size)
					}
					break
				}
			}
		}
	})
	// The good client has had a frame every second and goes on to.
	for range 4 {
		readUntil(t, good, 2500*time.Millisecond, "a frame each second", func(f frame) bool { return f.Type == "delta" || f.Type == "snapshot" })
	}
}

// checkGarbage sends what no protocol allows to every port that any process of
// the demo listens on. All must go on, and know what they knew.
func checkGarbage(t *testing.T, m *meshUnderTest) {
	before := m.processes()
	noise := make([]byte, 8192)
	_, _ = rand.Read(noise)
	payloads := [][]byte{
		noise,
		[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 200)), // a TLS hello, cut off
		[]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + string(noise[:512])),                     // HTTP/2 with frames of noise
		[]byte("GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 1<<17) + "\r\n\r\n"),
		[]byte("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
		[]byte("POST /transfers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"),
		[]byte("\x00\r\n\r\n"),
		nil, // connects and hangs up
	}
	ports := 0
	for _, p := range before {
		addresses, err := p.listening()
		if err != nil {
			t.Fatal(err)
		}
		ports += len(addresses)
		for _, address := range addresses {
			for _, payload := range payloads {
				if err := throw(address, payload); err != nil {
					t.Fatalf("%s of %v: %v", address, p.args, err)
				}
			}
		}
	}
	t.Logf("garbage sent to %d ports of %d processes", ports, len(before))
	if want := 5 + 12*5; ports < want {
		t.Errorf("only %d ports found, want at least %d", ports, want)
	}
	if after := m.processes(); len(after) != len(before) {
		t.Errorf("%d processes run, there were %d before:\n%s", len(after), len(before), names(after))
	}
	for _, p := range before {
		if address := p.flag("--metrics"); address != "" {
			checkCounted(t, p.flag("--node-id"), address)
		}
	}
	checkServing(t, m, "GET", "/", http.StatusOK)
	checkSynced(t, m)
	eventually(t, 20*time.Second, "nothing is stale", func() error {
		var v graphView
		if err := m.try("/api/v1/graph?window=10s", &v); err != nil {
			return err
		}
		if len(v.Stale) > 0 {
			return fmt.Errorf("stale: %+v", v.Stale)
		}
		if e := v.edge("ingress", "web"); e == nil || e.RPS < 10 {
			return fmt.Errorf("ingress → web is %+v", e)
		}
		return nil
	})
	checkNoPanics(t, m)
}

// checkCounted wants a sidecar to have counted what it could not read.
func checkCounted(t *testing.T, node, address string) {
	t.Helper()
	resp, err := web.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	const name = "sidelight_downstream_unreadable_requests_total"
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil || n == 0 {
				t.Errorf("%s: %s is %s after garbage", node, name, strings.TrimSpace(value))
			}
			return
		}
	}
	t.Errorf("%s has no metric %s", node, name)
}

// throw sends a payload and reads what comes back, for a moment.
func throw(address string, payload []byte) error {
	conn, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(50 * time.Millisecond))
	_, _ = conn.Write(payload) // being hung up on is one of the right answers
	_, _ = conn.Read(make([]byte, 4096))
	return nil
}

// checkNoPanics reads what all processes printed.
func checkNoPanics(t *testing.T, m *meshUnderTest) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(m.folder(t), "logs", "*.log"))
	if err != nil || len(files) < 2*sidecars {
		t.Fatalf("%d logs, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(string(content), "panic"); i >= 0 {
			t.Errorf("%s: %s", filepath.Base(file), content[i:min(len(content), i+1000)])
		}
	}
}

// checkBrokenConfig offers configuration that is wrong in each of the usual
// ways: by the API, by the command line and in the watched folder. Each is
// refused with its place, and all nodes keep what they run.
func checkBrokenConfig(t *testing.T, m *meshUnderTest) {
	var before, after nodesView
	m.get(t, "/api/v1/nodes", &before)
	virtualService := func(line string) string {
		return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: broken\n  namespace: catalog\nspec:\n  hosts: [posters]\n  http:\n  - route:\n    - destination:\n        host: posters\n" + line + "\n"
	}
	for _, c := range []struct {
		name, yaml string
		want       []string
	}{
		{"unknown field", virtualService("    retires:\n      attempts: 3"), []string{":12:", "retires", "retries"}},
		{"wrong type", virtualService("    timeout: [1, 2]"), []string{":12:", "timeout"}},
		{"broken YAML", virtualService("    timeout: @2s"), []string{":12:", "not valid YAML"}},
		{"unknown kind", "apiVersion: networking.istio.io/v1\nkind: VirtualServise\nmetadata: {name: x, namespace: y}\nspec: {}\n", []string{"VirtualServise", "VirtualService"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "broken.yaml")
			if err := os.WriteFile(file, []byte(c.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			got := m.cli(t, "config", "apply", "-f", file)
			if got.code != 1 {
				t.Errorf("config apply: exit code %d, want 1", got.code)
			}
			wantAll(t, "config apply", got.stderr, append(c.want, "nothing was applied")...)

			watched := filepath.Join(m.folder(t), "config", "zz-broken.yaml")
			if err := os.WriteFile(watched, []byte(c.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			var found string
			eventually(t, 10*time.Second, "the problem of the watched folder", func() error {
				var problems json.RawMessage
				if err := m.try("/api/v1/config/problems", &problems); err != nil {
					return err
				}
				if found = string(problems); !strings.Contains(found, "zz-broken.yaml") {
					return fmt.Errorf("problems: %s", found)
				}
				return nil
			})
			if err := os.Remove(watched); err != nil {
				t.Fatal(err)
			}
			eventually(t, 10*time.Second, "no problem any more", func() error {
				var answer struct{ Problems []any }
				if err := m.try("/api/v1/config/problems", &answer); err != nil {
					return err
				}
				if len(answer.Problems) > 0 {
					return fmt.Errorf("%d problems", len(answer.Problems))
				}
				return nil
			})
		})
	}
	m.get(t, "/api/v1/nodes", &after)
	if before.Desired.Number != after.Desired.Number {
		t.Errorf("revision %d became %d", before.Desired.Number, after.Desired.Number)
	}
	checkSynced(t, m)
	checkServing(t, m, "GET", "/", http.StatusOK)
}

func wantAll(t *testing.T, what, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s does not say %q:\n%s", what, w, text)
		}
	}
}
