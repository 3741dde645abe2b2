package api

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/auth"
)

func serveWith(t *testing.T, p *parts, rules string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "access.yaml")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	access, err := auth.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, url := serve(t, p, func(o *Options) { o.Access = access })
	return url
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
