package frontend

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// policy allows what the build needs and nothing else: its own scripts and
// worker, no inline script, no frame around it. Inline style attributes are
// how React positions things on the graph.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-src 'self'; manifest-src 'self'; " +
	"base-uri 'self'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the interface for requests whose path is relative to the
// mount point (use http.StripPrefix under a sub-path). Paths that name no file
// and have no extension get the page itself, whose <base> is set to the depth
// asked for: one build works at the root and under any sub-path. Without a
// build it answers with a plain page that says how to make one.
func Handler() http.Handler {
	built, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(fmt.Sprintf("BUG: embedded dist: %v", err)) // a constant, valid path
	}
	return handlerFor(built)
}

// Built reports whether a build is embedded.
func Built() bool {
	_, err := fs.Stat(dist, "dist/index.html")
	return err == nil
}

func handlerFor(built fs.FS) http.Handler {
	page, err := fs.ReadFile(built, "index.html")
	if err != nil {
		return http.HandlerFunc(notBuilt)
	}
	return &site{files: built, page: page}
}

type site struct {
	files fs.FS
	page  []byte
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	if name == "" || name == "index.html" || path.Ext(name) == "" {
		s.servePage(w, r)
		return
	}
	s.serveFile(w, r, name)
}

// servePage answers with the page; its address may be any view's.
func (s *site) servePage(w http.ResponseWriter, r *http.Request) {
	header(w, "no-store")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	page := bytes.Replace(s.page, []byte(`<base href="./"`), []byte(`<base href="`+up(r.URL.Path)+`"`), 1)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page))
}

// up gives the way from a path back to the mount point: "/nodes/a" -> "../".
func up(requested string) string {
	depth := strings.Count(strings.TrimPrefix(requested, "/"), "/")
	if depth == 0 {
		return "./"
	}
	return strings.Repeat("../", depth)
}

func (s *site) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	if strings.HasSuffix(name, ".gz") || strings.HasPrefix(path.Base(name), ".") {
		http.NotFound(w, r) // packed twins and dist/.keep are no addresses
		return
	}
	body, err := fs.ReadFile(s.files, name)
	if errors.Is(err, fs.ErrNotExist) {
		// A view whose last segment has a dot: /nodes/web-1.cinema
		if !strings.HasPrefix(name, "assets/") && strings.Contains(r.Header.Get("Accept"), "text/html") {
			s.servePage(w, r)
			return
		}
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, "read embedded file", http.StatusInternalServerError)
		return
	}
	cache := "no-cache"
	if strings.HasPrefix(name, "assets/") { // the name carries the content's hash
		cache = "public, max-age=31536000, immutable"
	}
	header(w, cache)
	if packed, err := fs.ReadFile(s.files, name+".gz"); err == nil && accepts(r, "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Add("Vary", "Accept-Encoding")
		body = packed
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
}

// accepts reports whether the request takes the content coding, which it does
// unless it gives it the weight 0.
func accepts(r *http.Request, coding string) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		weight = strings.ReplaceAll(weight, " ", "")
		return weight != "q=0" && weight != "q=0.0" && weight != "q=0.00" && weight != "q=0.000"
	}
	return false
}

func header(w http.ResponseWriter, cache string) {
	h := w.Header()
	h.Set("Cache-Control", cache)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
}

func notBuilt(w http.ResponseWriter, _ *http.Request) {
	header(w, "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprint(w, `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sidelight</title>
<h1>Sidelight runs, its web interface was not built into it</h1>
<p>Build it with <code>npm ci &amp;&amp; npm run build</code>, then build the binary again.
The API is there: <a href="api/v1/status">api/v1/status</a>.</p></html>
`)
}
