package xds

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

var update = flag.Bool("update", false, "write the outputs of testdata/*.txtar anew")

// TestGolden compiles the configuration of each scenario for its node and
// compares with what stands beside it: config.yaml and node.yaml in; problems,
// and the resources of each type in YAML, out.
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
				if f.Name == "config.yaml" || f.Name == "node.yaml" {
					in[f.Name] = f.Data
					kept = append(kept, f)
				}
			}
			archive.Files = append(kept, compileScenario(t, in["config.yaml"], in["node.yaml"])...)
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

func compileScenario(t *testing.T, objects, nodeYAML []byte) []txtar.File {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), objects, 0o644); err != nil {
		t.Fatal(err)
	}
	store, err := config.Open(config.Options{Dir: dir, Check: registry.Check})
	if err != nil {
		t.Fatal(err)
	}
	var problems bytes.Buffer
	for _, p := range store.Problems() {
		fmt.Fprintln(&problems, p)
	}
	p, err := readProxy(readNode(t, nodeYAML))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(store.Snapshot(), "demo", Security{})
	v := newView(1, w.share(w.sharing(p), nil), w.node(p), nil)
	out := []txtar.File{{Name: "problems", Data: problems.Bytes()}}
	for ty := range typeCount {
		out = append(out, txtar.File{Name: typeName(ty) + ".yaml", Data: printResources(t, v, ty)})
	}
	return out
}

func readNode(t *testing.T, text []byte) *corev3.Node {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	n := &corev3.Node{}
	if err := protojson.Unmarshal(asJSON, n); err != nil {
		t.Fatal(err)
	}
	return n
}

// printResources writes resources in the order of their names, and holds each
// against the constraints that Envoy's API states.
func printResources(t *testing.T, v *view, ty int) []byte {
	t.Helper()
	var all []*Resource
	v.each(ty, func(r *Resource) bool {
		all = append(all, r)
		return true
	})
	slices.SortFunc(all, func(a, b *Resource) int { return strings.Compare(a.Name, b.Name) })
	var out bytes.Buffer
	for _, r := range all {
		m, err := r.Any.UnmarshalNew()
		if err != nil {
			t.Fatalf("%s %s: %v", r.Type, r.Name, err)
		}
		if err := m.(interface{ ValidateAll() error }).ValidateAll(); err != nil {
			t.Errorf("%s %s would be refused: %v", r.Type, r.Name, err)
		}
		fmt.Fprintf(&out, "--- # from %s\n%s", fromText(r), printYAML(t, m))
	}
	return out.Bytes()
}

func printYAML(t *testing.T, m proto.Message) []byte {
	t.Helper()
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func fromText(r *Resource) string {
	if len(r.Objects) == 0 {
		return "the node alone"
	}
	return strings.Join(r.Objects, ", ")
}

// A node that listens for no outbound requests never asks for routes, so none
// must be desired of it.
func TestNoRoutesWithoutOutbound(t *testing.T) {
	store, err := config.Open(config.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(store.Snapshot(), "demo", Security{})
	shared := w.share(sharing{namespace: "cinema"}, nil)
	for outbound, want := range map[string]int{"": 0, "127.0.0.1:15001": 1} {
		own := w.node(&proxy{outbound: outbound})
		v := newView(1, shared, own, nil)
		again := newView(2, shared, own, v)
		routes := 0
		for _, r := range slices.Concat(v.desired...) {
			if r.Type == typeName(routeType) {
				routes++
			}
		}
		if routes != want || (v.get(routeType, outboundRoute) != nil) != (want == 1) {
			t.Errorf("outbound %q: %d routes desired, want %d", outbound, routes, want)
		}
		if len(v.desired) > 0 && &again.desired[0] != &v.desired[0] {
			t.Errorf("outbound %q: a view that did not change has a new list", outbound)
		}
	}
}

// A sidecar that listens on every address has the services of its workload.
func TestInboundServicesByWorkload(t *testing.T) {
	store, err := config.Open(config.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	const objects = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: catalog, namespace: cinema}
spec:
  hosts: [catalog.cinema.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}, {number: 9000, name: tcp}]
  endpoints: [{address: 10.0.0.1, labels: {app: catalog}}]
`
	if _, err := store.Apply(t.Context(), []byte(objects), "test"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(store.Snapshot(), "demo", Security{})
	for _, tt := range []struct {
		workload, address string
		port              uint32
		want              string
	}{
		{"other", "10.0.0.1:9000", 1, "ServiceEntry cinema/catalog"},
		{"catalog", "0.0.0.0:15006", 80, "ServiceEntry cinema/catalog"},
		{"catalog", "0.0.0.0:15006", 81, ""},
		{"other", "0.0.0.0:15006", 80, ""},
	} {
		p := &proxy{}
		p.node.Workload.Namespace, p.node.Workload.Name = "cinema", tt.workload
		metadata, from := w.inboundServices(p, inboundPort{address: tt.address, servicePort: tt.port})
		if got := strings.Join(from, " "); got != tt.want || (metadata != nil) != (tt.want != "") {
			t.Errorf("%+v: from %q, metadata %v", tt, got, metadata)
		}
	}
}
