package frontend

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

const page = `<!doctype html><base href="./" /><div id="root"></div>`

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func site1(t *testing.T) fstest.MapFS {
	return fstest.MapFS{
		"index.html":         {Data: []byte(page)},
		".keep":              {},
		"theme.js":           {Data: []byte("theme")},
		"assets/app-1a2b.js": {Data: []byte("whole")},
		"assets/app-1a2b.js.gz": {
			Data: packed(t, "whole"),
		},
	}
}

func get(t *testing.T, h http.Handler, target string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPageBaseFollowsDepth(t *testing.T) {
	h := handlerFor(site1(t))
	for target, want := range map[string]string{
		"/":                       `<base href="./"`,
		"/graph":                  `<base href="./"`,
		"/graph?sel=a/b":          `<base href="./"`,
		"/nodes/web-1":            `<base href="../"`,
		"/nodes/":                 `<base href="../"`,
		"/traces/a/b":             `<base href="../../"`,
		"/index.html":             `<base href="./"`,
		"/nodes/web-1.cinema?x=y": `<base href="../"`,
	} {
		res := get(t, h, target, "Accept", "text/html")
		if got := body(t, res); res.StatusCode != http.StatusOK || !strings.Contains(got, want) {
			t.Errorf("GET %s = %d %q, want %q in it", target, res.StatusCode, got, want)
		}
		if got := res.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("GET %s: Cache-Control = %q, want no-store", target, got)
		}
		if got := res.Header.Get("Content-Security-Policy"); !strings.Contains(got, "script-src 'self';") {
			t.Errorf("GET %s: Content-Security-Policy = %q, want scripts from here only", target, got)
		}
	}
}

func TestUnderSubPath(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/mesh/", http.StripPrefix("/mesh", handlerFor(site1(t))))
	res := get(t, mux, "/mesh/assets/app-1a2b.js")
	if got := body(t, res); got != "whole" {
		t.Errorf("asset under a sub-path = %q, want %q", got, "whole")
	}
	if got := body(t, get(t, mux, "/mesh/nodes/a", "Accept", "text/html")); !strings.Contains(got, `href="../"`) {
		t.Errorf("page under a sub-path = %q, want a base one up", got)
	}
}

func TestAssets(t *testing.T) {
	h := handlerFor(site1(t))
	for name, tc := range map[string]struct {
		target, accept         string
		status                 int
		cache, encoding, ctype string
	}{
		"packed where taken":        {"/assets/app-1a2b.js", "gzip, br", 200, "immutable", "gzip", "javascript"},
		"whole where not":           {"/assets/app-1a2b.js", "", 200, "immutable", "", "javascript"},
		"whole where refused":       {"/assets/app-1a2b.js", "gzip;q=0", 200, "immutable", "", "javascript"},
		"not hashed, so asked anew": {"/theme.js", "gzip", 200, "no-cache", "", "javascript"},
		"missing asset is no page":  {"/assets/gone-1.js", "", 404, "", "", ""},
		"packed twin is no address": {"/assets/app-1a2b.js.gz", "", 404, "", "", ""},
		"keep file is no address":   {"/.keep", "", 404, "", "", ""},
		"cleaned path stays inside": {"/../index.html", "", 200, "no-store", "", "html"},
	} {
		t.Run(name, func(t *testing.T) {
			res := get(t, h, tc.target, "Accept-Encoding", tc.accept)
			if res.StatusCode != tc.status {
				t.Fatalf("GET %s = %d, want %d", tc.target, res.StatusCode, tc.status)
			}
			if got := res.Header.Get("Cache-Control"); !strings.Contains(got, tc.cache) {
				t.Errorf("Cache-Control = %q, want %q in it", got, tc.cache)
			}
			if got := res.Header.Get("Content-Encoding"); got != tc.encoding {
				t.Errorf("Content-Encoding = %q, want %q", got, tc.encoding)
			}
			if got := res.Header.Get("Content-Type"); !strings.Contains(got, tc.ctype) {
				t.Errorf("Content-Type = %q, want %q in it", got, tc.ctype)
			}
		})
	}
}

func TestNotBuilt(t *testing.T) {
	res := get(t, handlerFor(fstest.MapFS{".keep": {}}), "/graph")
	if got := body(t, res); res.StatusCode != http.StatusOK || !strings.Contains(got, "npm run build") {
		t.Errorf("page of an empty build = %d %q, want how to build it", res.StatusCode, got)
	}
}

func TestOtherMethods(t *testing.T) {
	w := httptest.NewRecorder()
	handlerFor(site1(t)).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/graph", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST = %d, Allow %q, want 405 with GET, HEAD", w.Code, w.Header().Get("Allow"))
	}
}
