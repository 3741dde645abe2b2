package xds

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// editor makes random edits of a configuration, as people and deployments do.
type editor struct {
	*rand.Rand
	texts   map[string]string // by key
	objects map[string]*config.Object
	store   *config.Store
}

func newEditor(t *testing.T, seed uint64) *editor {
	store, err := config.Open(config.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return &editor{Rand: rand.New(rand.NewPCG(seed, 35)), texts: map[string]string{}, objects: map[string]*config.Object{}, store: store}
}

func (e *editor) pick(from ...string) string { return from[e.IntN(len(from))] }

// edit adds, changes or removes one object.
func (e *editor) edit(t *testing.T, revision uint64) {
	t.Helper()
	ns, name := e.pick("cinema", "press", "istio-system"), e.pick("a", "b", "c", "d")
	kind := e.pick("ServiceEntry", "ServiceEntry", "ServiceEntry", "WorkloadEntry", "WorkloadEntry", "VirtualService", "DestinationRule", "HTTPRoute", "TrafficSplit", "TrafficTarget", "HTTPRouteGroup", "AuthorizationPolicy", "PeerAuthentication", "Gateway", "Sidecar")
	key := kind + " " + ns + "/" + name
	if e.objects[key] != nil && e.IntN(5) == 0 {
		delete(e.objects, key)
		return
	}
	group, spec := "networking.istio.io/v1", ""
	host := func() string {
		return e.pick("a", "b", "c", "d") + "." + e.pick("cinema", "press") + ".svc.cluster.local"
	}
	switch kind {
	case "ServiceEntry":
		// Mostly the endpoints change; now and then what else there is.
		rare := e.pick("", "", "", "", "", "", "", ", exportTo: [.]", ", resolution: DNS", ", location: MESH_EXTERNAL, resolution: STATIC")
		if !strings.Contains(rare, "resolution") {
			rare += ", resolution: STATIC"
		}
		ports := e.pick("{number: 80, name: http}", "{number: 80, name: http}", "{number: 80, name: http}, {number: 9000, name: tcp}")
		where := fmt.Sprintf("endpoints: [{address: 10.0.0.%d, serviceAccount: sa%d, labels: {app: %s, version: v%d, security.istio.io/tlsMode: %s}, locality: %s}]",
			e.IntN(9), e.IntN(2), name, e.IntN(3), e.pick("istio", "istio", "none"), e.pick("''", "us/a", "eu"))
		if e.IntN(3) == 0 {
			where = "workloadSelector: {labels: {app: " + name + "}}"
		}
		shared := e.pick("", "", "", ", shared.example", ", '*.example'")
		if strings.Contains(shared, "*") {
			where, rare = "location: MESH_EXTERNAL", ", resolution: NONE"
		}
		spec = fmt.Sprintf("{hosts: [%s.%s.svc.cluster.local%s], ports: [%s], %s%s}", name, ns, shared, ports, where, rare)
	case "WorkloadEntry":
		spec = fmt.Sprintf("{address: 10.0.1.%d, labels: {app: %s, version: v%d}}", e.IntN(9), e.pick("a", "b", "c", "d"), e.IntN(3))
	case "VirtualService":
		spec = fmt.Sprintf("{hosts: [%s], %shttp: [{match: [{sourceLabels: {app: a}}], route: [{destination: {host: a}}]}, {timeout: %ds, route: [{destination: {host: %s, subset: v1}}]}]}", host(), e.pick("", "", "gateways: [edge], "), 1+e.IntN(3), host())
	case "DestinationRule":
		spec = fmt.Sprintf("{host: %s, trafficPolicy: {loadBalancer: %s, outlierDetection: {interval: 1s}}, subsets: [{name: v1, labels: {version: v1}}]}", host(),
			e.pick("{simple: RANDOM}", "{simple: ROUND_ROBIN}", "{simple: LEAST_REQUEST}", "{consistentHash: {httpHeaderName: x-user}}", "{localityLbSetting: {enabled: false}}"))
	case "HTTPRoute":
		group = "gateway.networking.k8s.io/v1"
		spec = fmt.Sprintf("{parentRefs: [{group: '', kind: Service, name: %s}], rules: [{backendRefs: [{name: %s, port: 80}]}]}", name, e.pick("a", "b"))
	case "TrafficSplit":
		group = "split.smi-spec.io/v1alpha4"
		spec = fmt.Sprintf("{service: %s, backends: [{service: %s, weight: 1}, {service: d, weight: %d}]%s}", host(), e.pick("a", "b", "c"), e.IntN(3),
			e.pick("", ", matches: [{kind: HTTPRouteGroup, name: a}]"))
	case "TrafficTarget":
		group = "access.smi-spec.io/v1alpha3"
		spec = fmt.Sprintf("{destination: {kind: ServiceAccount, name: %s}, sources: [{kind: ServiceAccount, name: sa%d}], rules: [{kind: HTTPRouteGroup, name: %s}]}", e.pick("default", "sa0"), e.IntN(2), e.pick("a", "b"))
	case "HTTPRouteGroup":
		group = "specs.smi-spec.io/v1alpha4"
		spec = fmt.Sprintf("{matches: [{pathRegex: /a%d}]}", e.IntN(3))
	case "AuthorizationPolicy":
		group = "security.istio.io/v1"
		spec = fmt.Sprintf("{selector: {matchLabels: {app: %s}}, action: %s, rules: [{}]}", e.pick("a", "b"), e.pick("ALLOW", "DENY"))
	case "PeerAuthentication":
		group = "security.istio.io/v1"
		spec = fmt.Sprintf("{mtls: {mode: %s}}", e.pick("STRICT", "PERMISSIVE"))
	case "Sidecar":
		spec = fmt.Sprintf("{egress: [{hosts: ['%s/*']}], outboundTrafficPolicy: {mode: %s}}", e.pick("*", ".", "press"), e.pick("REGISTRY_ONLY", "ALLOW_ANY"))
	case "Gateway":
		spec = fmt.Sprintf("{selector: {app: edge}, servers: [{port: {number: 80%d, name: http, protocol: HTTP}, hosts: ['*']}]}", e.IntN(3))
		name = "edge"
		key = kind + " " + ns + "/" + name
	}
	text := fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec: %s\n", group, kind, name, ns, spec)
	made, err := e.store.Decode([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if old := e.objects[key]; old != nil && old.Hash == made[0].Hash {
		if e.IntN(2) == 0 {
			return
		}
		made[0].Line, made[0].Revision = 7, old.Revision // it moved within its file
	} else {
		made[0].Revision = revision
	}
	e.objects[key] = made[0]
}

func (e *editor) snapshot(revision uint64) config.Snapshot {
	s := config.Snapshot{Revision: mesh.Revision{Number: revision}}
	for _, o := range e.objects {
		s.Objects = append(s.Objects, o)
	}
	slices.SortFunc(s.Objects, func(a, b *config.Object) int { return a.Key().Compare(b.Key()) })
	return s
}

// content is what a node runs, without revisions, which a compiler that sees
// one state alone cannot know.
func content(v *view) map[string]string {
	out := map[string]string{}
	for t := range typeCount {
		v.each(t, func(r *Resource) bool {
			out[r.Type+" "+r.Name] = r.Version + " " + strings.Join(r.Objects, ", ")
			return true
		})
	}
	return out
}

// TestIncremental holds what is compiled step by step against what is compiled
// of each state by itself, for nodes of all kinds, over random edits.
func TestIncremental(t *testing.T) {
	nodes := map[string]string{
		"sidecar": `{"NAMESPACE": "cinema", "WORKLOAD_NAME": "a", "LABELS": {"app": "a"}, "SIDELIGHT_OUTBOUND": "127.0.0.1:15001",
			"SIDELIGHT_INBOUND": [{"address": "10.0.0.1:80", "app": "127.0.0.1:8080", "service_port": 80}],
			"SIDELIGHT_TCP_OUTBOUND": [{"address": "127.0.0.1:9000", "host": "b", "port": 9000}]}`,
		"plain":    `{"NAMESPACE": "press", "WORKLOAD_NAME": "b", "LABELS": {"app": "b"}, "SIDELIGHT_OUTBOUND": "127.0.0.1:15001", "SIDELIGHT_INBOUND": [{"address": "10.0.1.2:80", "app": "127.0.0.1:8080", "service_port": 80}]}`,
		"captured": `{"NAMESPACE": "press", "WORKLOAD_NAME": "c", "INTERCEPTION_MODE": "REDIRECT", "SIDELIGHT_CAPTURE_OUTBOUND": ["127.0.0.1:15001"], "SIDELIGHT_CAPTURE_INBOUND": ["0.0.0.0:15006"]}`,
		"gateway":  `{"NAMESPACE": "cinema", "WORKLOAD_NAME": "edge", "LABELS": {"app": "edge"}, "SIDELIGHT_KIND": "gateway"}`,
		"grpc":     `{"NAMESPACE": "cinema", "WORKLOAD_NAME": "client", "GENERATOR": "grpc"}`,
	}
	for seed := range uint64(4) {
		e := newEditor(t, seed)
		source := &fixedStore{}
		s, err := New(Options{Store: source, Tracker: newRecorder()})
		if err != nil {
			t.Fatal(err)
		}
		source.fn(e.snapshot(1))
		proxies := map[string]*proxy{}
		for id, metadata := range nodes {
			p, err := readProxy(readNode(t, []byte(fmt.Sprintf(`{"id": %q, "metadata": %s, "locality": {"region": %q}}`, id, metadata, map[string]string{"sidecar": "us", "grpc": "eu"}[id]))))
			if err != nil {
				t.Fatal(err)
			}
			proxies[id] = p
			s.mu.Lock()
			s.connect(p, s.opts.Now())
			s.mu.Unlock()
		}
		kept, made := 0, 0
		for revision := uint64(2); revision < 120; revision++ {
			for range 1 + e.IntN(2) {
				e.edit(t, revision)
			}
			before := map[string]*set{}
			for id, n := range s.nodes {
				before[id] = n.own
			}
			snapshot := e.snapshot(revision)
			source.fn(snapshot)
			whole := newWorld(snapshot, "", Security{})
			for id, p := range proxies {
				want := newView(revision, whole.share(whole.sharing(p), nil), whole.node(p), nil)
				if diff := cmp.Diff(content(want), content(s.nodes[id].view)); diff != "" {
					t.Fatalf("seed %d, revision %d, %s: compiled by itself (-) and step by step (+):\n%s", seed, revision, id, diff)
				}
				listed := map[string]string{}
				for _, r := range slices.Concat(s.nodes[id].view.desired...) {
					listed[r.Type+" "+r.Name] = r.Version + " " + strings.Join(r.Objects, ", ")
					if r.Revision == 0 || r.Revision > revision {
						t.Fatalf("seed %d: %s %s is of revision %d at revision %d", seed, r.Type, r.Name, r.Revision, revision)
					}
				}
				if diff := cmp.Diff(content(want), listed); diff != "" {
					t.Fatalf("seed %d, revision %d, %s: the tracker's list (+):\n%s", seed, revision, id, diff)
				}
				if s.nodes[id].own == before[id] {
					kept++
				} else {
					made++
				}
			}
		}
		if kept < 50 || made < 50 {
			t.Errorf("seed %d: %d times a node's own resources were kept, %d times made: the edits are off", seed, kept, made)
		}
	}
}

// Of a service whose endpoint changed, its endpoints alone are made again.
func TestChangeTouchesOnlyItsOwn(t *testing.T) {
	e := newEditor(t, 1)
	apply := func(address string, revision uint64) config.Snapshot {
		text := service("a.cinema.svc.cluster.local", address) + service("b.cinema.svc.cluster.local", "10.0.0.9")
		made, err := e.store.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range made {
			o.Revision = 1
			if strings.HasPrefix(o.Name, "a") {
				o.Revision = revision
			}
		}
		return config.Snapshot{Revision: mesh.Revision{Number: revision}, Objects: made}
	}
	first := newWorld(apply("10.0.0.1", 1), "", Security{})
	by := sharing{namespace: "cinema"}
	before := first.share(by, nil)
	second := first.next(apply("10.0.0.2", 2))
	after := second.share(by, before)
	for _, ty := range []int{clusterType, listenerType, routeType} {
		if after[ty] != before[ty] {
			t.Errorf("%ss are not what they were", typeName(ty))
		}
	}
	changed := 0
	for r := range after[endpointType].each {
		if r != before[endpointType].get(r.Name) {
			if changed++; r.Revision != 2 {
				t.Errorf("%s is of revision %d", r.Name, r.Revision)
			}
		}
	}
	if changed != 1 {
		t.Errorf("%d assignments are new, want 1", changed)
	}
}
