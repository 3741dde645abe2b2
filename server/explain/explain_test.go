package explain_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/explain"
	"github.com/sidelight-mesh/sidelight/server/registry"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

var update = flag.Bool("update", false, "write the outputs of testdata/*.txtar anew")

// TestGolden explains requests by the configuration of each scenario, as a
// sidecar of cinema would be given it: config.yaml and requests in, an account
// of each out.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			in := map[string][]byte{}
			var kept []txtar.File
			for _, f := range archive.Files {
				if f.Name != "accounts" {
					in[f.Name] = f.Data
					kept = append(kept, f)
				}
			}
			world := open(t, in["config.yaml"], in["nodes"])
			var out bytes.Buffer
			for line := range strings.Lines(string(in["requests"])) {
				write(t, &out, world, strings.TrimSpace(line))
			}
			archive.Files = append(kept, txtar.File{Name: "accounts", Data: out.Bytes()})
			got := txtar.Format(archive)
			if *update {
				if err := os.WriteFile(name, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("run with -update if this is meant (-want +got):\n%s", diff)
			}
		})
	}
}

// open gives the world of a sidecar of cinema/web. Nodes are those that are
// connected, each a line of JSON.
func open(t *testing.T, objects, nodes []byte) *explain.World {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), objects, 0o644); err != nil {
		t.Fatal(err)
	}
	store, err := config.Open(config.Options{Dir: dir, Check: registry.Check})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range store.Problems() {
		if p.Severity == config.SeverityError {
			t.Fatal(p)
		}
	}
	server, err := xds.New(xds.Options{Store: store, Tracker: skew.New(skew.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	for node := range strings.Lines(string(nodes)) {
		w := httptest.NewRecorder()
		server.REST(nil).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v3/discovery:clusters", strings.NewReader(`{"node": `+node+`}`)))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %s", node, w.Body)
		}
	}
	preview := server.Preview(store.Snapshot())
	resources, _ := preview.Node("web-1", mesh.Workload{Namespace: "cinema", Name: "web"})
	w := &explain.World{Revision: 1, Object: func(name string) *config.Object {
		for _, o := range store.Objects() {
			if o.Key().String() == name {
				return o
			}
		}
		return nil
	}}
	w.Resource = func(typ, name string) (explain.Resource, bool) {
		for _, r := range resources {
			if r.Type == typ && r.Name == name {
				return explain.Resource{Name: r.Name, Any: r.Any, Objects: r.Objects, Revision: r.Revision}, true
			}
		}
		return explain.Resource{}, false
	}
	for _, r := range resources {
		if r.Type == mesh.TypeListener {
			w.Listeners = append(w.Listeners, explain.Resource{Name: r.Name, Any: r.Any})
		}
	}
	w.Callee = func(address, workload string) *explain.Callee {
		id := server.NodeAt(address, workload)
		if id == "" {
			return nil
		}
		there := &explain.World{Object: w.Object}
		for _, r := range preview.Listeners(id) {
			there.Listeners = append(there.Listeners, explain.Resource{Name: r.Name, Any: r.Any, Objects: r.Objects})
		}
		return &explain.Callee{Node: id, World: there}
	}
	return w
}

// write explains "METHOD URL [header:value …] [@PRINCIPAL]".
func write(t *testing.T, out *bytes.Buffer, w *explain.World, line string) {
	t.Helper()
	words := strings.Fields(line)
	headers := map[string][]string{}
	principal := ""
	for _, h := range words[2:] {
		if who, ok := strings.CutPrefix(h, "@"); ok {
			principal = who
			continue
		}
		name, value, _ := strings.Cut(h, ":")
		headers[name] = append(headers[name], value)
	}
	r, err := explain.NewRequest(words[0], words[1], headers)
	if err != nil {
		t.Fatal(err)
	}
	r.Principal = principal
	a, err := w.Explain(r)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	fmt.Fprintf(out, "%s\n  %s\n", line, a.Outcome)
	for _, s := range a.Steps {
		fmt.Fprintf(out, "  %s: %s%s\n", s.Kind, s.Title, at(s.Place))
		for _, k := range s.Skipped {
			fmt.Fprintf(out, "    not %s: %s%s\n", k.Name, k.Why, at(k.Place))
		}
		for _, f := range s.Facts {
			if f.Default {
				fmt.Fprintf(out, "    %s: %s (default)\n", f.Name, f.Value)
			} else {
				fmt.Fprintf(out, "    %s: %s%s\n", f.Name, f.Value, at(f.Place))
			}
		}
	}
}

func at(p explain.Place) string {
	if p.Object == "" {
		return ""
	}
	return fmt.Sprintf(" [%s:%d]", p.Object, p.Line)
}

func TestNewRequest(t *testing.T) {
	for _, tt := range []struct{ method, url, want string }{
		{"GET", "http://a", "GET http a / "},
		{"POST", "https://a:8/b%2Fc?d=e#f", "POST https a:8 /b%2Fc d=e"},
		{"get", "http://a", "method"},
		{"GET", "a/b", "URL"},
		{"GET", "ftp://a", "URL"},
		{"GET", "http://a\x7f", "URL"},
	} {
		r, err := explain.NewRequest(tt.method, tt.url, nil)
		got := ""
		if err == nil {
			got = strings.Join([]string{r.Method, r.Scheme, r.Host, r.Path, r.Query}, " ")
		} else if strings.Contains(err.Error(), tt.want) {
			got = tt.want
		}
		if got != tt.want {
			t.Errorf("%s %s = %q, %v, want %q", tt.method, tt.url, got, err, tt.want)
		}
	}
	if r, err := explain.NewRequest("GET", "http://a", map[string][]string{"Host": {"b"}, "X-A": {"c"}}); err != nil || r.Host != "b" || r.Header["x-a"][0] != "c" {
		t.Errorf("headers: %+v, %v", r, err)
	}
}
