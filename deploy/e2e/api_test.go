package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// api is a server's HTTP API, and the command line that asks it.
type api struct{ url string }

var web = &http.Client{Timeout: 10 * time.Second}

// try asks for JSON.
func (a api) try(path string, into any) error {
	resp, err := web.Get(a.url + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", path, resp.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

func (a api) get(t *testing.T, path string, into any) {
	t.Helper()
	if err := a.try(path, into); err != nil {
		t.Fatal(err)
	}
}

// answer is what a command printed, and its exit code.
type answer struct {
	stdout, stderr string
	code           int
}

// cli runs one command of the command line against this server.
func (a api) cli(t *testing.T, args ...string) answer {
	t.Helper()
	return command(t, append(args, "--address", a.url)...)
}

// command runs sidelight until it ends, but not for longer than 20 seconds.
func command(t *testing.T, args ...string) answer {
	t.Helper()
	return commandFor(t, 20*time.Second, args...)
}

func commandFor(t *testing.T, patience time.Duration, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, sidelight(), args...)
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("sidelight %s did not end; it said:\n%s%s", strings.Join(args, " "), &stdout, &stderr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	got := answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if strings.Contains(got.stderr, "panic:") || strings.Contains(got.stderr, "goroutine ") {
		t.Fatalf("sidelight %s panicked:\n%s", strings.Join(args, " "), got.stderr)
	}
	return got
}

// must fails the test unless the command ended well, and gives what it printed.
func (got answer) must(t *testing.T) string {
	t.Helper()
	if got.code != 0 {
		t.Fatalf("exit code %d:\n%s%s", got.code, got.stdout, got.stderr)
	}
	return got.stdout
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return v
}

// frame is one message of the live socket.
type frame struct {
	ID    string          `json:"id"`
	Type  string          `json:"type"`
	Seq   uint64          `json:"seq"`
	Data  json.RawMessage `json:"data"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// live opens the live socket.
func (a api) live(t *testing.T) *websocket.Conn {
	t.Helper()
	dialer := websocket.Dialer{HandshakeTimeout: 5 * time.Second, Subprotocols: []string{"sidelight.v1"}, EnableCompression: true}
	conn, resp, err := dialer.Dial(strings.Replace(a.url, "http", "ws", 1)+"/api/v1/live", nil)
	if err != nil {
		t.Fatalf("open the live socket: %v", err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func subscribe(t *testing.T, conn *websocket.Conn, id, channel string, params any) {
	t.Helper()
	if err := conn.WriteJSON(map[string]any{"op": "subscribe", "id": id, "channel": channel, "params": params}); err != nil {
		t.Fatal(err)
	}
}

// readUntil reads frames until one satisfies, which must be within patience.
func readUntil(t *testing.T, conn *websocket.Conn, patience time.Duration, what string, satisfies func(frame) bool) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		var f frame
		if err := conn.ReadJSON(&f); err != nil {
			t.Fatalf("within %s on the live socket: %s: %v", patience, what, err)
		}
		if f.Type == "error" {
			t.Fatalf("%s: the server says %s: %s", what, f.Error.Code, f.Error.Message)
		}
		if satisfies(f) {
			return
		}
	}
}

// eventually asks until there is no error, but not for longer than patience.
func eventually(t *testing.T, patience time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %v", patience, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// through sends a request into a sidecar's outbound listener, as the
// application beside it would.
func through(outbound, method, host, path string, headers ...string) (status int, err error) {
	req, err := http.NewRequest(method, "http://"+outbound+path, nil)
	if err != nil {
		return 0, err
	}
	req.Host = host
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := web.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return "?" + v.Encode()
}
