package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/config/kubernetes/kubernetestest"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// cinema is what a cluster's users have: a Service with a pod behind it.
const cinema = `
{apiVersion: v1, kind: Namespace, metadata: {name: cinema}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-1, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1}}}
---
apiVersion: v1
kind: Service
metadata: {name: catalog, namespace: cinema}
spec: {clusterIP: 10.96.0.7, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata:
  name: catalog-v1-5d9c-x2x
  namespace: cinema
  labels: {app: catalog, version: v1, pod-template-hash: 5d9c}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: catalog-v1-5d9c, controller: true, uid: 5a0e1a52-8c15-4d8f-9a3d-0c2c0d3f1a11}]
spec: {serviceAccountName: films, nodeName: node-1, containers: [{name: app, image: catalog}]}
---
` + sliceReady

const sliceReady = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: catalog-1, namespace: cinema, labels: {kubernetes.io/service-name: catalog}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.1], nodeName: node-1, zone: eu-1, conditions: {ready: true}, targetRef: {kind: Pod, namespace: cinema, name: catalog-v1-5d9c-x2x}}]
`

const routes = `
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: catalog, namespace: cinema}
spec: {hosts: [catalog], http: [{timeout: 2s, route: [{destination: {host: catalog}}]}]}
`

const split = `
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: catalog, namespace: cinema}
spec: {service: catalog, backends: [{service: catalog, weight: 1}]}
`

// open reads the cluster as one of its users into a store of configuration.
func open(t *testing.T, c *kubernetestest.Cluster, user string) (*config.Store, *Source) {
	t.Helper()
	var store *config.Store
	source, err := New(Options{Kubeconfig: c.Kubeconfig(user), Logger: slog.New(slog.DiscardHandler), Earlier: func() map[string]config.Document {
		out := map[string]config.Document{}
		for _, o := range store.Objects() {
			out[strings.TrimPrefix(o.Source, "kubernetes:")] = config.Document{Text: o.YAML}
		}
		return out
	}})
	if err != nil {
		t.Fatal(err)
	}
	source.every = time.Second
	store, err = config.Open(config.Options{Dir: t.TempDir(), Sources: []config.Source{source}, Check: registry.Check})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = store.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		source.client.http.CloseIdleConnections()
	})
	return store, source
}

func eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	t.Fatalf("never came: %s: %v", what, err)
}

// objects lists what is in effect, in brief; every cluster has a service of its own
// elsewhere.
func objects(s *config.Store) string {
	var all []string
	for _, o := range s.Objects() {
		if o.Namespace == "cinema" {
			all = append(all, o.Kind+" "+o.Name)
		}
	}
	return strings.Join(all, ", ")
}

func holds(s *config.Store, want string) func() error {
	return func() error {
		if got := objects(s); got != want {
			return fmt.Errorf("the objects are %q, want %q", got, want)
		}
		return nil
	}
}

const (
	service1  = "ServiceEntry catalog.svc"
	endpoint1 = "WorkloadEntry catalog.catalog-v1-5d9c-x2x"
)

func TestCluster(t *testing.T) {
	c := kubernetestest.Start(t)
	c.Define("networking.istio.io", "VirtualService", "v1", "v1beta1", "v1alpha3")
	c.Apply(cinema + "---" + routes)
	t.Run("rights", func(t *testing.T) { testRights(t, c) })
	t.Run("changes", func(t *testing.T) { testChanges(t, c) })
	t.Run("manifest", func(t *testing.T) { testManifest(t, c) })
}

// What is in a real API server is the desired configuration, as it changes, and
// stays it while the API server is away.
func testChanges(t *testing.T, c *kubernetestest.Cluster) {
	store, source := open(t, c, kubernetestest.Admin)

	// The first that is given is all there is.
	<-source.Given()
	want := service1 + ", VirtualService catalog, " + endpoint1
	eventually(t, "what the cluster has", holds(store, want))
	if n := len(store.Revisions(0)); n != 2 {
		t.Errorf("%d revisions, want the empty one and one of all: %v", n, store.Revisions(0))
	}
	if p := store.Problems(); len(p) != 0 {
		t.Errorf("problems: %v", p)
	}
	s, ok := registry.Build(store.Objects()).Lookup("catalog", "cinema")
	if !ok || len(s.Endpoints) != 1 || len(s.Ports) != 1 || s.Addresses[0] != "10.96.0.7" {
		t.Fatalf("the service is %+v", s)
	}
	e := s.Endpoints[0]
	if e.Address != "10.0.0.1" || e.Port(s.Ports[0]) != 8080 || e.Workload.Name != "catalog-v1" || e.Workload.Version != "v1" || e.ServiceAccount != "films" || e.Locality.Zone != "eu-1" || e.Locality.Region != "eu" {
		t.Errorf("the endpoint is %+v", e)
	}

	// A change is one revision, told who made it; a broken one is told with its
	// place, and what was good stays.
	c.Apply(strings.Replace(routes, "2s", "3s", 1))
	key := config.Key{Kind: config.KindVirtualService, Namespace: "cinema", Name: "catalog"}
	eventually(t, "the other timeout", func() error {
		if o, err := store.Object(key); err != nil || !strings.Contains(o.YAML, "3s") {
			return fmt.Errorf("%v, %w", o, err)
		}
		return nil
	})
	if rev := store.Snapshot().Revision; rev.By != "kubernetes (kubectl)" || rev.Number != 3 || rev.Summary != "changed VirtualService cinema/catalog" {
		t.Errorf("the revision is %+v", rev)
	}
	c.Apply(strings.Replace(routes, "timeout", "timeuot", 1))
	eventually(t, "a problem", func() error {
		for _, p := range store.Problems() {
			if p.Code == config.CodeUnknownField && p.File == "kubernetes:cinema/VirtualService/catalog" && p.Line > 1 {
				return nil
			}
		}
		return fmt.Errorf("problems: %v", store.Problems())
	})
	eventually(t, "the last good form", holds(store, want))
	c.Apply(strings.Replace(routes, "2s", "4s", 1))

	// An instance that is not ready is not called.
	c.Apply(strings.Replace(sliceReady, "true", "false", 1))
	eventually(t, "no endpoint", holds(store, service1+", VirtualService catalog"))
	c.Apply(sliceReady)
	eventually(t, "the endpoint again", holds(store, want))

	// A kind that is installed later is noticed.
	c.Define("split.smi-spec.io", "TrafficSplit", "v1alpha4")
	c.Apply(split)
	want = service1 + ", TrafficSplit catalog, VirtualService catalog, " + endpoint1
	eventually(t, "the split", holds(store, want))

	// While the API server is away all stays, and it is told.
	c.Down()
	eventually(t, "that it is away", func() error {
		for _, p := range store.Problems() {
			if p.Code == config.CodeSource && strings.Contains(p.Message, "not reachable") {
				return nil
			}
		}
		return fmt.Errorf("problems: %v", store.Problems())
	})
	if err := holds(store, want)(); err != nil {
		t.Error(err)
	}
	c.Up()
	c.Delete(routes)
	eventually(t, "what changed later", holds(store, service1+", TrafficSplit catalog, "+endpoint1))
	eventually(t, "no problem any more", func() error {
		if p := store.Problems(); len(p) > 0 {
			return fmt.Errorf("problems: %v", p)
		}
		return nil
	})
}

// Who may not read is told what to grant, and the rest goes on.
func testRights(t *testing.T, c *kubernetestest.Cluster) {
	c.Apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: some}
rules:
- {apiGroups: [""], resources: [services, pods], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: some}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: some}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: stranger}]
`)
	store, source := open(t, c, kubernetestest.Stranger)
	eventually(t, "what may be read", holds(store, service1+", "+endpoint1))
	var told []string
	for _, p := range store.Problems() {
		told = append(told, p.File+" "+p.Hint)
	}
	for _, want := range []string{
		`kubernetes:Node grant it by a rule of a ClusterRole: {apiGroups: [""], resources: ["nodes"]`,
		`kubernetes:VirtualService grant it by a rule of a ClusterRole: {apiGroups: ["networking.istio.io"], resources: ["virtualservices"]`,
	} {
		if !strings.Contains(strings.Join(told, "\n"), want) {
			t.Errorf("nobody tells %s:\n%s", want, strings.Join(told, "\n"))
		}
	}
	if troubles := source.Troubles(); len(troubles) != 2 || troubles[0].Since.IsZero() {
		t.Errorf("troubles: %v", troubles)
	}

	// Granted, it is read without a restart.
	c.Apply(`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: all}, rules: [{apiGroups: ["*"], resources: ["*"], verbs: [list, watch]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: all}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: all}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: stranger}]
`)
	eventually(t, "the rest", holds(store, service1+", VirtualService catalog, "+endpoint1))
}

// The manifest is one that the API server takes, and grants what is read: each kind
// that is understood, and what services are made of.
func testManifest(t *testing.T, c *kubernetestest.Cluster) {
	manifest, err := os.ReadFile("../../../deploy/kubernetes/sidelight.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(string(manifest))
	for _, kind := range config.Kinds() {
		c.Define(config.APIGroup(kind), kind, config.APIVersions(kind)...)
	}
	_, source := open(t, c, c.Token("sidelight", "sidelight"))
	eventually(t, "everything to be read", func() error {
		for _, kind := range config.Kinds() {
			if _, found, err := newServed(source.client.get).find(t.Context(), kind); err != nil || !found {
				return fmt.Errorf("the API server serves %s: %v, %w", kind, found, err)
			}
		}
		for kind, f := range source.each {
			if c := f.now(); !c.known || c.err != nil {
				return fmt.Errorf("%s: known %v, %w", kind, c.known, c.err)
			}
		}
		return nil
	})
	if troubles := source.Troubles(); len(troubles) > 0 {
		t.Errorf("troubles: %v", troubles)
	}
}
