package grafana

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ours serves a proxy as the API does, and gives it back with its address.
func ours(t *testing.T, o Options) (*Proxy, string) {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(p)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		s.Close()
		p.forward.Transport.(*http.Transport).CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
	})
	return p, s.URL
}

func theirs(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func get(t *testing.T, url string, header http.Header) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

// Nobody can say who he is to Grafana but by the way that was set.
func TestWhoTheVisitorIs(t *testing.T) {
	var got http.Header
	var path, host string
	url := theirs(t, func(_ http.ResponseWriter, r *http.Request) { got, path, host = r.Header, r.URL.RequestURI(), r.Host })
	liar := http.Header{
		"X-Webauth-User": {"admin"}, "X-Webauth-Role": {"Admin"}, "X-Webauth-Email": {"a@b"}, "Authorization": {"Bearer ours"},
		"X-Forwarded-For": {"9.9.9.9"}, "X-Ds-Authorization": {"Basic x"}, "X-Grafana-User": {"admin"}, "X-Access-Token": {"x"},
		"Keep-Alive": {"timeout=9"}, "Te": {"trailers"}, "X-Sidelight-User": {"ann"}, "X-Jwt-Assertion": {"x"}, "Connection": {"X-Webauth-Role"},
		"Cookie": {"grafana_session=abc; sidelight_session=secret"}, "X-Grafana-Org-Id": {"1"}, "X-Visitor": {"ann"},
	}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"login is Grafana's": {Options{}, ""},
		"one user":           {Options{User: "viewer"}, "viewer"},
		"by a header":        {Options{UserHeader: "X-Visitor"}, "ann"},
	} {
		c.o.URL = url + "/grafana"
		_, at := ours(t, c.o)
		get(t, at+"/grafana/d/a%2Fb?x=1", liar)
		if got.Get("X-Webauth-User") != c.want || got.Get("X-Webauth-Email") != "" || got.Get("Authorization") != "" || got.Get("X-Jwt-Assertion") != "" {
			t.Errorf("%s: %v, want user %q", name, got, c.want)
		}
		for _, name := range []string{"X-Ds-Authorization", "X-Grafana-User", "X-Access-Token", "Keep-Alive"} {
			if got.Get(name) != "" {
				t.Errorf("%s: %s is passed on", name, got.Get(name))
			}
		}
		if role := got.Get("X-Webauth-Role"); role != map[bool]string{true: "Viewer"}[c.want != ""] {
			t.Errorf("%s: role %q", name, role)
		}
		if got.Get("Cookie") != "grafana_session=abc" || got.Get("X-Grafana-Org-Id") != "1" || strings.Contains(got.Get("X-Forwarded-For"), "9.9.9.9") {
			t.Errorf("%s: %v", name, got)
		}
		if path != "/grafana/d/a%2Fb?x=1" || !strings.HasPrefix(at, "http://"+host) {
			t.Errorf("%s: asked for %s at %s", name, path, host)
		}
	}
}

// What Grafana answers stays on our origin, below our path.
func TestAnswers(t *testing.T) {
	base := theirs(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "grafana_session", Value: "s", Path: "/", Domain: "grafana.example", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		w.Header().Set("Content-Security-Policy", "script-src 'self'")
		if to := r.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		}
	})
	_, at := ours(t, Options{URL: base + "/grafana"})
	_, stripped := ours(t, Options{URL: base})
	for _, c := range []struct{ at, to, want string }{
		{at, "/grafana/login", "/grafana/login"},
		{at, base + "/grafana/login?a=b", "/grafana/login?a=b"},
		{at, "https://sso.example/auth", "https://sso.example/auth"},
		{at, "login", "login"},
		{stripped, "/login", "/grafana/login"},
		{stripped, "/grafana/login", "/grafana/login"},
	} {
		resp := get(t, c.at+"/grafana/?to="+url.QueryEscape(c.to), nil)
		if got := resp.Header.Get("Location"); got != c.want {
			t.Errorf("%s: sent to %s, want %s", c.to, got, c.want)
		}
		if got := resp.Header.Get("Set-Cookie"); got != "grafana_session=s; Path=/grafana/; HttpOnly; SameSite=Lax" {
			t.Errorf("cookie %q", got)
		}
		if got := resp.Header.Values("Content-Security-Policy"); len(got) != 2 || got[1] != "frame-ancestors 'self'" {
			t.Errorf("policies %q", got)
		}
	}
}

// Grafana Live is a socket, and it must pass.
func TestSocket(t *testing.T) {
	upgrader := websocket.Upgrader{}
	url := theirs(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		kind, message, _ := ws.ReadMessage()
		_ = ws.WriteMessage(kind, append([]byte(r.Header.Get("X-Webauth-User")+" said "), message...))
	})
	_, at := ours(t, Options{URL: url + "/grafana", User: "ann"})
	// The origin is checked by Grafana against the host, both are ours.
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(at, "http")+"/grafana/api/live/ws", http.Header{"Origin": {at}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	_ = ws.WriteMessage(websocket.TextMessage, []byte("hi"))
	if _, got, err := ws.ReadMessage(); err != nil || string(got) != "ann said hi" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	_, at := ours(t, Options{URL: "http://127.0.0.1:1/grafana"})
	resp := get(t, at+"/grafana/d-solo/x", nil)
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), "--grafana-url") ||
		!strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors 'self'") {
		t.Errorf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
}

// A crowd beyond the limit is told so at once.
func TestLimit(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	url := theirs(t, func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-release })
	p, at := ours(t, Options{URL: url})
	for range maxRunning - 1 {
		p.running <- struct{}{}
	}
	done := make(chan struct{})
	go func() { defer close(done); get(t, at+"/grafana/", nil) }()
	<-entered
	if resp := get(t, at+"/grafana/", nil); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d", resp.StatusCode)
	}
	close(release)
	<-done
}

// grafanaLike answers the three checks as Grafana does, but for what a case changes.
func grafanaLike(change map[string]http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		path, ok := strings.CutPrefix(r.URL.Path, "/grafana")
		if !ok { // serve_from_sub_path
			http.Redirect(w, r, "/grafana"+r.URL.Path, http.StatusFound)
			return
		}
		for prefix, h := range change {
			if strings.HasPrefix(path, prefix) {
				h(w, r)
				return
			}
		}
		switch {
		case path == "/api/health":
			fmt.Fprint(w, `{"database":"ok","version":"12.2.0","commit":"x"}`)
		case strings.HasPrefix(path, "/d-solo/"):
			fmt.Fprint(w, `<!DOCTYPE html><html><head><base href="/grafana/" /></head></html>`)
		case path == "/api/dashboards/uid/sidelight-mesh":
			fmt.Fprint(w, `{"dashboard":{}}`)
		default:
			http.NotFound(w, r)
		}
	}
}

// Each way to fail is its own state, with the setting that helps.
func TestStatus(t *testing.T) {
	answer := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		}
	}
	for name, c := range map[string]struct {
		change   map[string]http.HandlerFunc
		path     string
		want     State
		settings string
	}{
		"all well":           {nil, "/grafana", Ready, ""},
		"address lacks path": {nil, "", SubPath, "serve_from_sub_path"},
		"no Grafana":         {map[string]http.HandlerFunc{"/api/health": answer(200)}, "/grafana", Unreachable, ""},
		"login page":         {map[string]http.HandlerFunc{"/d-solo": answer(302, "Location", "/grafana/login")}, "/grafana", Login, "X-WEBAUTH-USER"},
		"login refused":      {map[string]http.HandlerFunc{"/d-solo": answer(401)}, "/grafana", Login, "X-WEBAUTH-USER"},
		"frames denied":      {map[string]http.HandlerFunc{"/d-solo": answer(200, "X-Frame-Options", "deny")}, "/grafana", FrameRefused, "allow_embedding = true"},
		"frames by policy":   {map[string]http.HandlerFunc{"/d-solo": answer(200, "Content-Security-Policy", "script-src 'self'; frame-ancestors 'none'")}, "/grafana", FrameRefused, "allow_embedding = true"},
		"frames of itself":   {map[string]http.HandlerFunc{"/d-solo": answer(200, "Content-Security-Policy", "frame-ancestors 'self'")}, "/grafana", Ready, ""},
		"another root":       {map[string]http.HandlerFunc{"/d-solo": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<base href="/" />`) }}, "/grafana", SubPath, "root_url"},
		"sent elsewhere":     {map[string]http.HandlerFunc{"/d-solo": answer(301, "Location", "http://localhost:3000/d-solo/x")}, "/grafana", SubPath, "root_url"},
		"page fails":         {map[string]http.HandlerFunc{"/d-solo": answer(500)}, "/grafana", Unreachable, ""},
		"no dashboards":      {map[string]http.HandlerFunc{"/api/dashboards": answer(404)}, "/grafana", NoDashboards, ""},
		"dashboards hidden":  {map[string]http.HandlerFunc{"/api/dashboards": answer(403)}, "/grafana", Login, "X-WEBAUTH-USER"},
		"nobody at all":      {nil, "gone", Unreachable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			url := theirs(t, grafanaLike(c.change)) + c.path
			if c.path == "gone" {
				url = "http://127.0.0.1:1"
			}
			p, _ := ours(t, Options{URL: url, User: "ann"})
			s := p.check(t.Context())
			if s.State != c.want || !strings.Contains(s.Settings, c.settings) || (s.Reason == "") != (c.want == Ready) {
				t.Errorf("%+v, want %s with %q", s, c.want, c.settings)
			}
		})
	}
}

// Where Grafana's own login decides, the check asks with the visitor's session, and
// with nothing of ours.
func TestStatusOfASession(t *testing.T) {
	visit := func(answer http.HandlerFunc, o Options, cookie string) Status {
		o.URL = theirs(t, grafanaLike(map[string]http.HandlerFunc{"/d-solo": answer})) + "/grafana"
		p, _ := ours(t, o)
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Cookie", cookie)
		p.Status(r)
		return p.check(t.Context())
	}
	login := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") != "grafana_session=abc" {
			http.Redirect(w, r, "/grafana/login", http.StatusFound)
			return
		}
		fmt.Fprint(w, `<base href="/grafana/" />`)
	}
	if s := visit(login, Options{}, "grafana_session=abc; sidelight_session=secret"); s.State != Ready {
		t.Errorf("with a session: %+v", s)
	}
	if s := visit(login, Options{}, "sidelight_session=secret"); s.State != Login {
		t.Errorf("without one: %+v", s)
	}
	if s := visit(login, Options{User: "ann"}, "grafana_session=abc"); s.State != Login {
		t.Errorf("who is named has no other's session: %+v", s)
	}
	rotate := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/grafana/user/auth-tokens/rotate?redirectTo=x", http.StatusFound)
	}
	if s := visit(rotate, Options{}, "grafana_session=old"); s.State != Ready {
		t.Errorf("with a session to be renewed: %+v", s)
	}
}

// The first answer is at once, whatever Grafana does, and the checks follow.
func TestStatusNeverWaits(t *testing.T) {
	hang := make(chan struct{})
	url := theirs(t, func(w http.ResponseWriter, r *http.Request) {
		<-hang
		grafanaLike(nil)(w, r)
	})
	p, _ := ours(t, Options{URL: url + "/grafana"})
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	if s := p.Status(r); s.State != Checking {
		t.Errorf("%+v", s)
	}
	close(hang)
	for deadline := time.Now().Add(20 * time.Second); p.Status(r).State != Ready; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", p.Status(r))
		}
	}
	if s := (*Proxy)(nil).Status(r); s.State != Off || !strings.Contains(s.Reason, "--grafana-url") {
		t.Errorf("%+v", s)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []Options{
		{URL: "127.0.0.1:3000"},
		{URL: "ftp://x"},
		{URL: "http://a:secret@x"},
		{URL: "http://x?y=1"},
		{URL: "http://x", User: "a", UserHeader: "b"},
		{URL: "http://x", User: "a\nb"},
	} {
		_, err := New(o)
		if !errors.Is(err, mesh.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
