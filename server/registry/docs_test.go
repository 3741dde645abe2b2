package registry_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// around completes what a page shows of an object: what it is a part of, by how
// it begins.
var around = []struct{ begins, kind, spec string }{
	{"apiVersion:", "", ""},
	{"kind:", "", ""},
	{"  http:", "VirtualService", "  hosts: [docs.example]\n"},
	{"  tls:", "VirtualService", "  hosts: [raw.example]\n"},
	{"  trafficPolicy:", "DestinationRule", "  host: docs.example\n"},
	{"  servers:", "Gateway", "  selector: {istio: ingressgateway}\n"},
}

// elsewhere are examples of other files, which other tests read.
var elsewhere = []string{"readinessProbe:", "workloads:", "    routes:"}

// Every object that a page of the guide tells to write is one that would be taken.
func TestExamplesOfDocs(t *testing.T) {
	store, err := config.Open(config.Options{Dir: t.TempDir(), Check: registry.Check})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"traffic.md", "sidecar.md", "identity.md"} {
		examples := yamlOf(t, page)
		if len(examples) == 0 {
			t.Errorf("%s has no examples", page)
		}
		for line, text := range examples {
			if text, ok := whole(text); ok {
				if text == "" {
					continue
				}
				for _, p := range store.Validate([]byte(text)) {
					if p.Severity == config.SeverityError {
						t.Errorf("docs/%s:%d: %s", page, line, p)
					}
				}
				continue
			}
			t.Errorf("docs/%s:%d: of which object is this a part?\n%s", page, line, text)
		}
	}
}

// whole makes objects of an example's documents; "" for one of another file.
func whole(example string) (string, bool) {
	var out []string
	for i, document := range strings.Split(example, "---\n") {
		made := ""
		for _, a := range around {
			if !strings.HasPrefix(document, a.begins) {
				continue
			}
			if made = document; a.begins == "kind:" {
				made = fmt.Sprintf("apiVersion: networking.istio.io/v1\nmetadata: {name: docs-%d}\n%s", i, document)
			} else if a.kind != "" {
				made = fmt.Sprintf("apiVersion: networking.istio.io/v1\nkind: %s\nmetadata: {name: docs-%d}\nspec:\n%s%s", a.kind, i, a.spec, document)
			}
		}
		for _, begins := range elsewhere {
			if strings.HasPrefix(document, begins) {
				return "", true
			}
		}
		if made == "" {
			return example, false
		}
		out = append(out, made)
	}
	return strings.Join(out, "---\n"), true
}

// yamlOf gives the YAML examples of a page by the line at which they begin.
func yamlOf(t *testing.T, page string) map[int]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]string{}
	begin := 0
	for i, line := range strings.SplitAfter(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "```yaml"):
			begin = i + 2
			out[begin] = ""
		case strings.HasPrefix(line, "```"):
			begin = 0
		case begin > 0:
			out[begin] += line
		}
	}
	return out
}
