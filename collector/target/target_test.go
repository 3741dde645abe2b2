package target

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	asJSON = `[{"targets": ["10.0.0.1:15020", "10.0.0.2:15020"],
		"labels": {"workload": "web", "namespace": "cinema", "cluster": "east", "app": "web", "version": "v1", "node": "web-1",
			"team": "front", "__metrics_path__": "/stats/prometheus", "__scheme__": "https", "__param_usedonly": "", "__meta_x": "y"}},
		{"targets": ["[::1]:9090"]}]`
	asYAML = `
- targets: ["10.0.0.1:15020", 10.0.0.2:15020]
  labels:
    workload: web
    namespace: cinema
    cluster: east
    app: web
    version: v1
    node: web-1
    team: front
    __metrics_path__: /stats/prometheus
    __scheme__: https
    __param_usedonly: ""
    __meta_x: "y"
- targets: ["[::1]:9090"]
`
)

func parsed() []Target {
	one := Target{
		Address: "10.0.0.1:15020", Path: "/stats/prometheus", Scheme: "https", Node: "web-1",
		Workload: mesh.Workload{Cluster: "east", Namespace: "cinema", Name: "web", App: "web", Version: "v1"},
		Labels: map[string]string{
			"workload": "web", "namespace": "cinema", "cluster": "east", "app": "web", "version": "v1", "node": "web-1",
			"team": "front", "__param_usedonly": "",
		},
		Meta: map[string]string{"__meta_x": "y"},
	}
	two := one
	two.Address = "10.0.0.2:15020"
	return []Target{one, two, {Address: "[::1]:9090", Labels: map[string]string{}}}
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		parse func(io.Reader) ([]Target, error)
		text  string
		want  []Target
	}{
		"JSON":            {ParseJSON, asJSON, parsed()},
		"YAML":            {ParseYAML, asYAML, parsed()},
		"JSON as YAML":    {ParseYAML, strings.ReplaceAll(asJSON, "\t", " "), parsed()},
		"no groups":       {ParseJSON, "[]", []Target{}},
		"null":            {ParseJSON, "null", []Target{}},
		"empty YAML":      {ParseYAML, "", []Target{}},
		"only a comment":  {ParseYAML, "# none yet\n", []Target{}},
		"group without":   {ParseJSON, `[{"labels": {"a": "b"}}]`, []Target{}},
		"trailing spaces": {ParseJSON, "[] \n", []Target{}},
	} {
		got, err := c.parse(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                               "EOF",
		`{"targets": []}`:                "cannot unmarshal",
		`[{"target": ["a:1"]}]`:          `unknown field "target"`,
		`[{"targets": ["a:1"]}] more`:    "follows",
		`[{"targets": ["a"]}]`:           "want host:port",
		`[{"targets": ["a:1/metrics"]}]`: "want host:port",
		`[{"targets": ["http://a:1"]}]`:  "want host:port",
		`[{"targets": [":1"]}]`:          "want host:port",
		`[{"targets": ["a:1"], "labels": {"not-a-name": "x"}}]`:       "label name",
		`[{"targets": ["a:1"], "labels": {"__scheme__": "gopher"}}]`:  "neither http nor https",
		`[{"targets": ["a:1"], "labels": {"__metrics_path__": "m"}}]`: "does not start with /",
		`[{"targets": ["a:1"], "labels": {"n": 1}}]`:                  "cannot unmarshal",
	} {
		_, err := ParseJSON(strings.NewReader(text))
		if !errors.Is(err, mesh.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
	}
	if _, err := ParseYAML(strings.NewReader("- targets: [a:1]\n  label: {}\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("unknown YAML field: %v, want its line", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(asJSON)
	f.Add(asYAML)
	f.Add("- &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(io.Reader) ([]Target, error){ParseJSON, ParseYAML} {
			targets, err := parse(strings.NewReader(text))
			if err != nil && !errors.Is(err, mesh.ErrInvalid) {
				t.Errorf("error of no kind: %v", err)
			}
			for _, target := range targets {
				if err := target.Validate(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// follow runs a source and gives what it tells.
func follow(t *testing.T, s Source) <-chan []Target {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	told := make(chan []Target, 100)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, func(targets []Target) { told <- targets }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return told
}

// wait gives the addresses that are told next.
func wait(t *testing.T, told <-chan []Target) string {
	t.Helper()
	select {
	case targets := <-told:
		var addresses []string
		for _, target := range targets {
			addresses = append(addresses, target.Address)
		}
		return strings.Join(addresses, " ")
	case <-time.After(10 * time.Second):
		t.Fatal("nothing told")
		return ""
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestFile follows files through all that happens to them.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		// As careful writers do: whole, then renamed.
		temp := filepath.Join(dir, name+".tmp")
		if err := os.WriteFile(temp, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temp, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	put("a.json", `[{"targets": ["a:1"]}]`)
	put("ignored.txt", `[{"targets": ["ignored:1"]}]`)
	var logs strings.Builder
	f, err := NewFile(slog.New(slog.NewTextHandler(&logs, nil)), filepath.Join(dir, "*.json"), filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	told := follow(t, f)
	steps := []struct {
		name string
		do   func()
		want string
	}{
		{"at first", func() {}, "a:1"},
		{"new file", func() { put("b.yaml", "- targets: [b:1, b:2]") }, "a:1 b:1 b:2"},
		{"changed file", func() { put("a.json", `[{"targets": ["a:2"]}]`) }, "a:2 b:1 b:2"},
		{"file gone", func() { os.Remove(filepath.Join(dir, "b.yaml")) }, "a:2"},
	}
	for _, s := range steps {
		s.do()
		if got := wait(t, told); got != s.want {
			t.Errorf("%s: %q, want %q", s.name, got, s.want)
		}
	}
	// Broken: nothing is told, and Problems says so.
	put("a.json", `[{"targets": ["a:3"`)
	until(t, "a problem", func() bool { return len(f.Problems()) == 1 })
	if p := f.Problems()[0]; p.Source != filepath.Join(dir, "a.json") || !strings.Contains(p.Message, "unexpected EOF") || p.Since.IsZero() {
		t.Errorf("problem %+v", p)
	}
	put("c.json", `[{"targets": ["c:1"]}]`)
	if got := wait(t, told); got != "a:2 c:1" {
		t.Errorf("beside a broken file: %q", got)
	}
	put("a.json", `[{"targets": ["a:4"]}]`)
	if got := wait(t, told); got != "a:4 c:1" {
		t.Errorf("mended: %q", got)
	}
	until(t, "no problem", func() bool { return len(f.Problems()) == 0 })
	// Huge: refused whole.
	put("c.json", "["+strings.Repeat(" ", maxFile)+"]")
	until(t, "a problem", func() bool { return len(f.Problems()) == 1 })
	if p := f.Problems()[0]; !strings.Contains(p.Message, "longer than 4 MiB") {
		t.Errorf("problem %+v", p)
	}
	os.Remove(filepath.Join(dir, "c.json"))
	if got := wait(t, told); got != "a:4" || len(f.Problems()) != 0 {
		t.Errorf("broken file gone: %q, %+v", got, f.Problems())
	}
}

// A pattern may match nothing; a file that is named must be there.
func TestFileThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "named.json")
	f, err := NewFile(slog.New(slog.DiscardHandler), name, filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	told := follow(t, f)
	if got := wait(t, told); got != "" {
		t.Errorf("targets %q", got)
	}
	if p := f.Problems(); len(p) != 1 || p[0].Source != name || !strings.Contains(p[0].Message, "not exist") {
		t.Errorf("problems %+v", p)
	}
	if err := os.WriteFile(name, []byte(`[{"targets": ["a:1"]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, told); got != "a:1" || len(f.Problems()) != 0 {
		t.Errorf("once it is there: %q, %+v", got, f.Problems())
	}
	os.Remove(name)
	if got := wait(t, told); got != "" || len(f.Problems()) != 1 {
		t.Errorf("gone again: %q, %+v", got, f.Problems())
	}
}

func TestNewFile(t *testing.T) {
	for _, pattern := range []string{"[", "targets.txt", "targets"} {
		if _, err := NewFile(nil, pattern); !errors.Is(err, mesh.ErrInvalid) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	f, err := NewFile(nil, filepath.Join(t.TempDir(), "none", "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if got := wait(t, follow(t, f)); got != "" {
		t.Errorf("no folder: %q", got)
	}
}

func TestHTTP(t *testing.T) {
	var answer atomic.Value
	answer.Store(func(w http.ResponseWriter) { _, _ = io.WriteString(w, `[{"targets": ["a:1"]}]`) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer x" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer.Load().(func(http.ResponseWriter))(w)
	}))
	defer server.Close()
	h, err := NewHTTP(HTTPOptions{
		URL: strings.Replace(server.URL, "//", "//user:secret@", 1), Every: 10 * time.Millisecond,
		Headers: http.Header{"authorization": {"Bearer x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	told := follow(t, h)
	if got := wait(t, told); got != "a:1" {
		t.Errorf("at first: %q", got)
	}
	bad := map[string]func(http.ResponseWriter){
		"500 Internal":      func(w http.ResponseWriter) { w.WriteHeader(500) },
		"invalid character": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") },
		"longer than":       func(w http.ResponseWriter) { _, _ = io.WriteString(w, "["+strings.Repeat(" ", maxFile)+"]") },
		"want host:port":    func(w http.ResponseWriter) { _, _ = io.WriteString(w, `[{"targets": ["a"]}]`) },
		"EOF":               func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	}
	for want, f := range bad {
		answer.Store(f)
		until(t, want, func() bool {
			p := h.Problems()
			return len(p) == 1 && strings.Contains(p[0].Message, want)
		})
		if p := h.Problems()[0]; strings.Contains(p.Message+p.Source, "secret") {
			t.Errorf("%s: the password shows: %+v", want, p)
		}
	}
	answer.Store(func(w http.ResponseWriter) { _, _ = io.WriteString(w, `[{"targets": ["b:1"]}]`) })
	if got := wait(t, told); got != "b:1" {
		t.Errorf("after trouble: %q", got)
	}
	until(t, "no problem", func() bool { return len(h.Problems()) == 0 })
	select {
	case again := <-told:
		t.Errorf("told again without a change: %v", again)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestNewHTTP(t *testing.T) {
	for _, u := range []string{"", "localhost:80", "ftp://a/b", "http://", "http://%zz"} {
		if _, err := NewHTTP(HTTPOptions{URL: u}); !errors.Is(err, mesh.ErrInvalid) {
			t.Errorf("%q: %v", u, err)
		}
	}
}

func TestInProcess(t *testing.T) {
	if got := wait(t, follow(t, Static{{Address: "a:1"}})); got != "a:1" {
		t.Errorf("static: %q", got)
	}
	f := Func(func(ctx context.Context, update func([]Target)) error {
		update([]Target{{Address: "f:1"}})
		<-ctx.Done()
		return nil
	})
	if got := wait(t, follow(t, f)); got != "f:1" {
		t.Errorf("func: %q", got)
	}
}

func TestURL(t *testing.T) {
	for want, target := range map[string]Target{
		"http://a:1/metrics": {Address: "a:1"},
		"https://a:1/x":      {Address: "a:1", Scheme: "https", Path: "/x"},
	} {
		if got := target.URL(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
