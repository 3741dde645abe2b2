package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/auth"
	"github.com/sidelight-mesh/sidelight/server/grafana"
)

func serveWith(t *testing.T, p *parts, rules string) string {
	t.Helper()
	url, _ := serveBy(t, p, rules)
	return url
}

// serveBy also gives how to change the rules.
func serveBy(t *testing.T, p *parts, rules string, more ...func(*Options)) (url string, change func(rules string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.yaml")
	write := func(rules string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(rules)
	access, err := auth.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { access.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	_, url = serve(t, p, func(o *Options) {
		o.Access = access
		for _, f := range more {
			f(o)
		}
	})
	return url, write
}

func TestAccess(t *testing.T) {
	t.Parallel()
	url := serveWith(t, &parts{}, `
rules:
- {users: [eye], may: [view]}
- {users: [ann], may: [view, change]}
`)
	for _, tc := range []struct {
		method, path, user string
		status             int
	}{
		{"GET", "/api/v1/status", "", 403},
		{"GET", "/api/v1/status", "nobody", 403},
		{"GET", "/api/v1/status", "eye", 200},
		{"GET", "/prometheus/api/v1/query", "", 403},
		{"GET", "/prometheus/api/v1/query", "eye", 200},
		{"GET", "/jaeger/api/services", "", 403},
		{"GET", "/grafana/d/x", "", 403},
		{"GET", "/api/v1/live", "", 403},
		{"GET", "/api/v1/tap/sessions", "", 403},
		{"POST", "/api/v1/config/validate", "eye", 200},
		{"PUT", "/api/v1/config/objects", "eye", 403},
		{"PUT", "/api/v1/config/objects", "ann", 200},
		{"DELETE", "/api/v1/config/objects/VirtualService/cinema/catalog", "eye", 403},
		{"POST", "/api/v1/config/revisions/7/rollback", "eye", 403},
		{"POST", "/api/v1/config/rollout/hold", "eye", 403},
		{"POST", "/api/v1/config/rollout/resume", "eye", 403},
		{"POST", "/api/v1/identity/tokens", "eye", 403},
		{"DELETE", "/api/v1/identity/tokens/x", "eye", 403},
		{"GET", "/", "", 200}, // the UI's files say nothing of the mesh
		{"GET", "/tap", "", 200},
	} {
		resp, body := call(t, tc.method, url+tc.path, "kind: x", "X-Sidelight-User", tc.user)
		if resp.StatusCode != tc.status || tc.status == 403 && !strings.Contains(body, `"code":"forbidden"`) {
			t.Errorf("%s %s as %q: %d %s", tc.method, tc.path, tc.user, resp.StatusCode, body)
		}
	}
}

// A program shows its token with each request, a browser signs in with it and
// has a cookie from then on, on the live socket, too.
func TestSession(t *testing.T) {
	t.Parallel()
	ann, annHash := auth.NewToken()
	rules := fmt.Sprintf(`
tokens: [{name: ann, sha256: %s, groups: [sre]}]
rules:
- {groups: [sre], may: [view, change]}
`, annHash)
	url, change := serveBy(t, &parts{}, rules)
	const path = "/api/v1/session"

	resp, body := call(t, "GET", url+"/api/v1/status", "")
	if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" || !strings.Contains(body, `"code":"unauthenticated"`) {
		t.Errorf("without a token: %d %s", resp.StatusCode, body)
	}
	if resp, body := call(t, "GET", url+path, ""); resp.StatusCode != 200 || !strings.Contains(body, `{"user":"127.0.0.1","by_token":false,"may":[]}`) {
		t.Errorf("who am I, without a token: %d %s", resp.StatusCode, body)
	}
	if resp, body := call(t, "GET", url+path, "", "Authorization", "Bearer "+ann); resp.StatusCode != 200 || !strings.Contains(body, `{"user":"ann","by_token":true,"may":["view","change"]}`) {
		t.Errorf("who am I, with a token: %d %s", resp.StatusCode, body)
	}
	for body, want := range map[string]int{`{"token":"slt_00"}`: 401, `{"token":""}`: 401, `slt_00`: 400, ``: 400} {
		if resp, body := call(t, "POST", url+path, body); resp.StatusCode != want || len(resp.Cookies()) > 0 {
			t.Errorf("sign in with %q: %d %s", body, resp.StatusCode, body)
		}
	}
	if resp, _ := call(t, "POST", url+path, `{"token":"`+ann+`"}`, "Origin", "https://elsewhere.example"); resp.StatusCode != 403 {
		t.Errorf("signed in by another site's page: %d", resp.StatusCode)
	}
	resp, body = call(t, "POST", url+path, `{"token":"`+ann+`"}`)
	if resp.StatusCode != 200 || len(resp.Cookies()) != 1 {
		t.Fatalf("sign in: %d %s", resp.StatusCode, body)
	}
	cookie := resp.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Secure {
		t.Errorf("cookie %+v", cookie)
	}
	if resp, _ := call(t, "POST", url+path, `{"token":"`+ann+`"}`, "X-Forwarded-Proto", "https"); !resp.Cookies()[0].Secure {
		t.Error("a cookie that came by https may leave without it")
	}
	session := cookie.Name + "=" + cookie.Value
	if resp, body := call(t, "PUT", url+"/api/v1/config/objects", "kind: x", "Cookie", session); resp.StatusCode != 200 {
		t.Errorf("with the cookie: %d %s", resp.StatusCode, body)
	}
	conn := dialLive(t, url, http.Header{"Cookie": {session}}, nil)
	if resp, _ := call(t, "DELETE", url+path, "", "Cookie", session); resp.StatusCode != 204 || resp.Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign out: %d %+v", resp.StatusCode, resp.Cookies())
	}

	// Its user keeps the right, the token goes: what it opened is closed.
	_, other := auth.NewToken()
	change(strings.Replace(rules, annHash, other, 1))
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, websocket.ClosePolicyViolation) {
				t.Errorf("the socket of a token that is gone: %v", err)
			}
			break
		}
	}
	if resp, body := call(t, "GET", url+"/api/v1/status", "", "Cookie", session); resp.StatusCode != 401 || !strings.Contains(body, "is not known") {
		t.Errorf("a cookie of a token that is gone: %d %s", resp.StatusCode, body)
	}
}

// Looking at the mesh and at its requests are two rights; the second may be for
// some namespaces.
func TestTapAccess(t *testing.T) {
	t.Parallel()
	p := &parts{}
	url := serveWith(t, p, `
rules:
- {users: ["*"], may: [view]}
- {users: [ann], may: [tap], namespaces: [cinema]}
- {users: [eve], may: [change]}
`)
	p.hello(mesh.Node{ID: "web-1"})
	as := func(user string) *websocket.Conn {
		return dialLive(t, url, http.Header{"X-Sidelight-User": {user}}, nil)
	}
	const ask = `{"op":"subscribe","id":"t","channel":"tap","params":{"filter":"error"}}`

	bob := as("bob")
	sayLive(t, bob, ask)
	if f := readLive(t, bob); f.Type != "error" || f.Error.Code != "forbidden" || !strings.Contains(f.Error.Message, "tap is not permitted for bob") {
		t.Errorf("bob got %+v", f)
	}
	ann := as("ann")
	sayLive(t, ann, ask)
	if got := (<-p.sent).GetTapStart().GetFilter(); got != `(seen_by ^= "cinema/") and (error)` {
		t.Errorf("sidecars are asked for %s", got)
	}
	id := tapSession(t, url, "bob")
	for user, want := range map[string]int{"bob": 403, "nobody": 403} {
		if resp, body := call(t, "DELETE", url+"/api/v1/tap/sessions/"+id, "", "X-Sidelight-User", user); resp.StatusCode != want {
			t.Errorf("%s stops ann's session: %d %s", user, resp.StatusCode, body)
		}
	}
	if resp, body := call(t, "DELETE", url+"/api/v1/tap/sessions/"+id, "", "X-Sidelight-User", "eve"); resp.StatusCode != 204 {
		t.Errorf("eve, who may change, stops it: %d %s", resp.StatusCode, body)
	}
	sayLive(t, ann, strings.Replace(ask, `"id":"t"`, `"id":"u"`, 1))
	for (<-p.sent).GetTapStart() == nil {
	}
	if resp, body := call(t, "DELETE", url+"/api/v1/tap/sessions/"+tapSession(t, url, "ann"), "", "X-Sidelight-User", "ann"); resp.StatusCode != 204 {
		t.Errorf("ann stops her own: %d %s", resp.StatusCode, body)
	}
}

// A right that is taken away ends what was opened by it, and nothing else.
func TestRevoked(t *testing.T) {
	t.Parallel()
	p := &parts{}
	url, change := serveBy(t, p, `
rules:
- {users: [ann, bob, eve], may: [view]}
- {users: [ann, bob, eve], may: [tap], namespaces: [cinema]}
`)
	p.hello(mesh.Node{ID: "web-1"})
	open := func(user string) *websocket.Conn {
		ws := dialLive(t, url, http.Header{"X-Sidelight-User": {user}}, nil)
		sayLive(t, ws, `{"op":"subscribe","id":"t","channel":"tap","params":{"filter":"by = `+user+`"}}`)
		for {
			if f := readLive(t, ws); f.Type == "event" {
				return ws
			}
		}
	}
	ann, bob, eve := open("ann"), open("bob"), open("eve")
	change(`
rules:
- {users: [ann, bob], may: [view]}
- {users: [bob, eve], may: [tap], namespaces: [cinema]}
- {users: [nobody], may: [change]}
`)
	for { // ann may look on, but not tap
		f := readLive(t, ann)
		if f.Type == "end" {
			if f.Reason != "the access rules changed" {
				t.Errorf("ann's session ends with %q", f.Reason)
			}
			break
		}
	}
	sayLive(t, ann, `{"op":"subscribe","id":"n","channel":"nodes"}`)
	if f := readLive(t, ann); f.ID != "n" || f.Type != "snapshot" {
		t.Errorf("ann's socket gave %+v", f)
	}
	_ = eve.SetReadDeadline(time.Now().Add(10 * time.Second))
	var closed *websocket.CloseError
	for closed == nil { // eve may not look at all
		if _, _, err := eve.ReadMessage(); err != nil && !errors.As(err, &closed) {
			t.Fatalf("eve's socket: %v", err)
		}
	}
	if closed.Code != websocket.ClosePolicyViolation || closed.Text != "the access rules changed" {
		t.Errorf("eve's socket ends with %d %q", closed.Code, closed.Text)
	}
	if f := readLive(t, bob); f.Type != "event" { // told once a second
		t.Errorf("bob, of whose rights none changed, got %+v", f)
	}
}

// A socket of Grafana's ends with the right to look.
func TestGrafanaSocketOfSomebodyWhoMayNoMore(t *testing.T) {
	t.Parallel()
	upgrader := websocket.Upgrader{}
	theirs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // one of the checks
		}
		defer ws.Close()
		for kind, text, err := ws.ReadMessage(); err == nil; kind, text, err = ws.ReadMessage() {
			_ = ws.WriteMessage(kind, text)
		}
	}))
	t.Cleanup(theirs.Close)
	proxy, err := grafana.New(grafana.Options{URL: theirs.URL})
	if err != nil {
		t.Fatal(err)
	}
	const both, one = "rules:\n- {users: [ann, bob], may: [view]}\n", "rules:\n- {users: [bob], may: [view]}\n"
	url, change := serveBy(t, &parts{}, both, func(o *Options) { o.Grafana = proxy })
	open := func(user string) *websocket.Conn {
		ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/grafana/api/live/ws", http.Header{"X-Sidelight-User": {user}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.Close() })
		return ws
	}
	ann, bob := open("ann"), open("bob")
	echo := func(ws *websocket.Conn) error {
		_ = ws.WriteMessage(websocket.TextMessage, []byte("hi"))
		_, _, err := ws.ReadMessage()
		return err
	}
	if err := errors.Join(echo(ann), echo(bob)); err != nil {
		t.Fatal(err)
	}
	change(one)
	_ = ann.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, _, err = ann.ReadMessage()
	if netErr, ok := errors.AsType[net.Error](err); err == nil || ok && netErr.Timeout() {
		t.Errorf("ann's socket is open still: %v", err)
	}
	if err := echo(bob); err != nil {
		t.Errorf("bob's socket ended, too: %v", err)
	}
}
