package kubernetes

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	yaml3 "gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/sidelight-mesh/sidelight/server/config"
)

var update = flag.Bool("update", false, "write the outputs of testdata/*.txtar anew")

// What the API server holds, and what is made of it. Each output must be good
// configuration, but for what the case is about.
func TestTranslate(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := translate(t, archive.Files[0].Data)
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func translate(t *testing.T, objects []byte) string {
	t.Helper()
	c := cluster{services: map[string]*service{}, slices: map[string]*slice{}, pods: map[string]*pod{}, nodes: map[string]node{}}
	out := map[string]config.Document{}
	for _, o := range parse(t, objects) {
		switch key := keyOf(o); o.GetKind() {
		case "Service":
			c.services[key] = readService(o)
		case "EndpointSlice":
			c.slices[key] = readSlice(o)
		case "Pod":
			c.pods[key] = readPod(o)
		case "Node":
			c.nodes[key] = readNode(o)
		default:
			out[o.GetNamespace()+"/"+o.GetKind()+"/"+o.GetName()] = document(o)
		}
	}
	maps.Copy(out, (&translator{}).documents(c))
	store, err := config.Open(config.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(out)) {
		fmt.Fprintf(&text, "# %s", name)
		if by := out[name].By; by != "" {
			fmt.Fprintf(&text, " by %s", by)
		}
		fmt.Fprintf(&text, "\n%s", out[name].Text)
		for _, p := range store.Validate([]byte(out[name].Text)) {
			fmt.Fprintf(&text, "! %s\n", p)
		}
	}
	return text.String()
}

func parse(t *testing.T, text []byte) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	documents := yaml3.NewDecoder(bytes.NewReader(text))
	for {
		var node yaml3.Node
		err := documents.Decode(&node)
		if errors.Is(err, io.EOF) {
			return out
		}
		var one []byte
		if err == nil {
			one, err = yaml3.Marshal(&node)
		}
		o := &unstructured.Unstructured{}
		if err == nil {
			one, err = yaml.YAMLToJSON(one)
		}
		if err == nil {
			err = o.UnmarshalJSON(one)
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
}

// What did not change is not made anew, and what belongs to another service
// changes nothing.
func TestTranslateAgain(t *testing.T) {
	objects := parse(t, []byte(`
{apiVersion: v1, kind: Service, metadata: {name: a, namespace: cinema}, spec: {ports: [{port: 80, name: http}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: b, namespace: cinema}, spec: {ports: [{port: 80, name: http}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a-1, namespace: cinema, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], targetRef: {kind: Pod, namespace: cinema, name: a-x}}]
---
{apiVersion: v1, kind: Pod, metadata: {name: a-x, namespace: cinema, labels: {version: v1}}}
`))
	c := cluster{
		services: map[string]*service{"cinema/a": readService(objects[0]), "cinema/b": readService(objects[1])},
		slices:   map[string]*slice{"cinema/a-1": readSlice(objects[2])},
		pods:     map[string]*pod{"cinema/a-x": readPod(objects[3])},
	}
	var translator translator
	first := translator.documents(c)
	if len(first) != 3 {
		t.Fatalf("made %d documents, want two services and an endpoint: %v", len(first), first)
	}
	made := maps.Clone(translator.made)
	same := func(name string) bool {
		return fmt.Sprintf("%p", made[name].documents) == fmt.Sprintf("%p", translator.made[name].documents)
	}
	translator.documents(c)
	if !same("cinema/a") || !same("cinema/b") {
		t.Error("what is the same was made again")
	}
	c.pods = map[string]*pod{"cinema/a-x": {labels: map[string]string{"version": "v2"}, workload: "a"}}
	second := translator.documents(c)
	if same("cinema/a") || !same("cinema/b") {
		t.Errorf("a's pod changed: a is the same %v, b is %v; want a alone made again", same("cinema/a"), same("cinema/b"))
	}
	if entry := second["cinema/Service/a/a-x"].Text; !strings.Contains(entry, "version: v2") {
		t.Errorf("the endpoint is\n%s", entry)
	}
	// Gone before its slice says so: no longer called.
	c.pods = map[string]*pod{}
	if third := translator.documents(c); len(third) != 2 {
		t.Errorf("without the pod there are %v", third)
	}
	// Nobody may read pods: addresses alone are better than none.
	c.pods = nil
	if fourth := translator.documents(c); len(fourth) != 3 {
		t.Errorf("with pods unread there are %v", fourth)
	}
}
