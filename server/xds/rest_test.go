package xds

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// restClient asks by REST, over a socket, as Envoy does: it names what it accepted.
type restClient struct {
	t        testing.TB
	base     string
	node     *corev3.Node
	accept   string // the header
	versions map[string]string
}

func (p *plane) asker(t testing.TB, node *corev3.Node) *restClient {
	t.Helper()
	s := httptest.NewServer(p.server.REST(nil))
	t.Cleanup(s.Close)
	return &restClient{t: t, base: s.URL, node: node, versions: map[string]string{}}
}

// post gives the answer to a question, nil for 304.
func (a *restClient) post(short, refusal string, names ...string) *discoveryv3.DiscoveryResponse {
	a.t.Helper()
	req := &discoveryv3.DiscoveryRequest{
		VersionInfo: a.versions[short+" "+strings.Join(names, " ")], Node: a.node, ResourceNames: names, TypeUrl: mesh.TypeURL(short),
	}
	if refusal != "" {
		req.ErrorDetail = &rpcstatus.Status{Message: refusal}
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(req)
	if err != nil {
		a.t.Fatal(err)
	}
	code, kind, body := a.raw("/v3/discovery:"+short+"s", string(text))
	if code == http.StatusNotModified {
		return nil
	}
	if code != http.StatusOK {
		a.t.Fatalf("%ss: %d %s", short, code, body)
	}
	resp := &discoveryv3.DiscoveryResponse{}
	decode := protojson.Unmarshal
	if kind == protobufType {
		decode = proto.Unmarshal
	}
	if err := decode(body, resp); err != nil {
		a.t.Fatal(err)
	}
	return resp
}

func (a *restClient) raw(path, body string) (code int, kind string, answer []byte) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", a.accept)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), answer
}

// takes asks, wants so many resources, and accepts them.
func (a *restClient) takes(short string, want int, names ...string) *discoveryv3.DiscoveryResponse {
	a.t.Helper()
	r := a.post(short, "", names...)
	if r == nil || len(r.GetResources()) != want {
		a.t.Fatalf("%ss: %d resources in %v, want %d", short, len(r.GetResources()), r, want)
	}
	a.versions[short+" "+strings.Join(names, " ")] = r.GetVersionInfo()
	return r
}

// nothing wants nothing to be new.
func (a *restClient) nothing(short string, names ...string) {
	a.t.Helper()
	if r := a.post(short, "", names...); r != nil {
		a.t.Fatalf("%ss: %d resources at version %s, want 304", short, len(r.GetResources()), r.GetVersionInfo())
	}
}

func TestREST(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	a := p.asker(t, testNode(t, "envoy", "cinema", nil))
	r := a.takes(mesh.TypeCluster, 1)
	c := &clusterv3.Cluster{}
	if err := r.GetResources()[0].UnmarshalTo(c); err != nil || c.GetName() != cluster(catalog) {
		t.Errorf("got cluster %q, %v", c.GetName(), err)
	}
	p.tracker.wait(t, "connected envoy")
	p.tracker.wait(t, "sent envoy 1 cluster "+cluster(catalog))
	if n := p.tracker.count("acked envoy 1"); n != 0 {
		t.Errorf("acknowledged %d times before the next question", n)
	}
	a.nothing(mesh.TypeCluster) // which says that it has it
	p.tracker.wait(t, "acked envoy 1")
	a.takes(mesh.TypeEndpoint, 1, cluster(catalog))
	a.takes(mesh.TypeListener, 1)
	a.takes(mesh.TypeRoute, 1, outboundRoute)
	a.nothing(mesh.TypeEndpoint, cluster(catalog))
	a.nothing(mesh.TypeListener)
	a.nothing(mesh.TypeRoute, outboundRoute)

	// Make before break: routes wait until the clusters that they name are acknowledged.
	p.apply(t, service(reviews, "10.0.0.2")+routeTo("catalog", catalog, reviews))
	a.nothing(mesh.TypeRoute, outboundRoute)
	a.takes(mesh.TypeCluster, 2)
	a.nothing(mesh.TypeRoute, outboundRoute)
	a.nothing(mesh.TypeCluster)
	a.takes(mesh.TypeRoute, 1, outboundRoute)
	a.nothing(mesh.TypeRoute, outboundRoute)
	a.takes(mesh.TypeEndpoint, 1, cluster(reviews)) // a question of its own, as Envoy has it
	a.takes(mesh.TypeEndpoint, 2, cluster(catalog), cluster(reviews))

	// And what goes is taken away after what names it.
	p.apply(t, routeTo("catalog", catalog, catalog))
	if _, err := p.store.Delete(t.Context(), p.store.Objects()[1].Key(), "test"); err != nil {
		t.Fatal(err)
	}
	a.nothing(mesh.TypeCluster)
	a.takes(mesh.TypeRoute, 1, outboundRoute)
	a.nothing(mesh.TypeCluster)
	a.nothing(mesh.TypeRoute, outboundRoute)
	a.takes(mesh.TypeCluster, 1)
	a.nothing(mesh.TypeCluster)

	// One endpoint moves.
	p.apply(t, service(catalog, "10.0.0.9"))
	a.takes(mesh.TypeEndpoint, 1, cluster(catalog))
	a.nothing(mesh.TypeEndpoint, cluster(catalog))
	a.nothing(mesh.TypeCluster)
}

// A refusal is answered with nothing until the content is another.
func TestRESTRefused(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	a := p.asker(t, testNode(t, "web", "cinema", nil))
	a.accept = protobufType + ", application/json"
	a.takes(mesh.TypeCluster, 1)
	a.nothing(mesh.TypeCluster)
	p.apply(t, service(reviews, "10.0.0.2"))
	if r := a.post(mesh.TypeCluster, ""); len(r.GetResources()) != 2 {
		t.Fatalf("got %v, want both clusters", r)
	}
	message := "cluster " + cluster(reviews) + ": no"
	if r := a.post(mesh.TypeCluster, message); r != nil {
		t.Fatalf("a refusal is answered by %v", r)
	}
	p.tracker.wait(t, "nacked web 2 "+message)
	for range 5 {
		a.nothing(mesh.TypeCluster)
	}
	p.apply(t, service(posters, "10.0.0.3"))
	a.takes(mesh.TypeCluster, 3)
	a.nothing(mesh.TypeCluster)
	p.tracker.wait(t, "acked web 3")
	if n := p.tracker.count("nacked web 2 " + message); n != 1 {
		t.Errorf("refused %d times, want once", n)
	}
}

// Envoy never says by REST that it refused something, nor why: it goes on to ask
// for what follows the version before.
func TestRESTRefusedSilently(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	a := p.asker(t, testNode(t, "envoy", "cinema", nil))
	var last *discoveryv3.DiscoveryResponse
	for range silently {
		last = a.post(mesh.TypeCluster, "")
	}
	refused := fmt.Sprintf(`nacked envoy 1 was given version %s 3 times and asks on for what follows "": its own log says why`, last.GetVersionInfo())
	if n := p.tracker.count(refused); n != 0 {
		t.Fatal("the answer may have been lost until now")
	}
	a.post(mesh.TypeCluster, "")
	p.tracker.wait(t, refused)
	a.takes(mesh.TypeCluster, 1) // it goes on to be given, at the asker's pace
	a.nothing(mesh.TypeCluster)
	p.tracker.wait(t, "acked envoy 1")
	if sent := p.tracker.count("sent envoy 1 cluster " + cluster(catalog)); sent != 2 {
		t.Errorf("sent %d times to the tracker, want once, and once more before it was taken", sent)
	}
}

// A node that a server sees for the first time keeps what it holds of the same
// content; one that began anew gets everything.
func TestRESTOverRestarts(t *testing.T) {
	objects := service(catalog, "10.0.0.1") + service(reviews, "10.0.0.2")
	first := startPlane(t, objects)
	a := first.asker(t, testNode(t, "web", "cinema", nil))
	a.takes(mesh.TypeCluster, 2)
	a.nothing(mesh.TypeCluster)

	second := startPlane(t, objects)
	b := second.asker(t, a.node)
	b.versions = a.versions
	b.nothing(mesh.TypeCluster)
	second.tracker.wait(t, "holds web cluster "+cluster(reviews))
	b.versions = map[string]string{}
	b.takes(mesh.TypeCluster, 2)
	b.nothing(mesh.TypeCluster)
	b.versions[mesh.TypeCluster+" "] = "of-another-server"
	b.takes(mesh.TypeCluster, 2)

	// With other ports it is another run of the node.
	b.node = testNode(t, "web", "cinema", map[string]any{"SIDELIGHT_OUTBOUND": "127.0.0.1:15002"})
	b.takes(mesh.TypeListener, 1)
	if n := second.tracker.count("connected web"); n != 2 {
		t.Errorf("connected %d times, want 2", n)
	}
}

// Who does not ask any more is gone; what is not asked any more is forgotten.
func TestRESTSilence(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	a := p.asker(t, testNode(t, "web", "cinema", map[string]any{"SIDELIGHT_PULL": "20s"}))
	now := time.Now()
	p.server.opts.Now = func() time.Time { return now }
	a.takes(mesh.TypeEndpoint, 1, cluster(catalog))
	now = now.Add(59 * time.Second)
	p.server.hangUp(now)
	a.takes(mesh.TypeCluster, 1)
	now = now.Add(2 * time.Second)
	p.server.hangUp(now)
	p.server.mu.Lock()
	left := len(p.server.pollers["web"].questions)
	p.server.mu.Unlock()
	if left != 1 || p.tracker.count("disconnected web") != 0 {
		t.Errorf("%d questions are kept, want the one that is asked; %q", left, p.tracker.events)
	}
	now = now.Add(59 * time.Second)
	p.server.hangUp(now)
	p.tracker.wait(t, "disconnected web")
	a.nothing(mesh.TypeCluster)
	p.tracker.wait(t, "holds web cluster "+cluster(catalog))
}

// A node that turns from asking to a stream is one node, and no duplicate.
func TestRESTToStream(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	node := testNode(t, "web", "cinema", nil)
	a := p.asker(t, node)
	a.takes(mesh.TypeCluster, 1)
	p.dial(t, node).start()
	p.tracker.wait(t, "disconnected web")
	if n := p.tracker.count("connected web"); n != 2 {
		t.Errorf("connected %d times, want 2", n)
	}
}

// TestRESTErrors holds what is refused to its answer.
func TestRESTErrors(t *testing.T) {
	p := startPlane(t, service(catalog, "10.0.0.1"))
	p.server.opts.MaxStreams = 1
	a := p.asker(t, nil)
	node := `"node": {"id": "web", "metadata": {"NAMESPACE": "cinema", "SERVICE_ACCOUNT": "web"}}`
	for _, tt := range []struct {
		name, path, body string
		code             int
		says             string
	}{
		{"not JSON", "clusters", "clusters, please", 400, "DiscoveryRequest"},
		{"no node", "clusters", "{}", 400, "node"},
		{"a node without an ID", "clusters", `{"node": {}}`, 400, "node.id"},
		{"a pace", "clusters", `{"node": {"id": "web", "metadata": {"SIDELIGHT_PULL": "1ms"}}}`, 400, "SIDELIGHT_PULL"},
		{"another type", "clusters", `{"type_url": "` + mesh.TypeURL(mesh.TypeListener) + `", ` + node + `}`, 400, "type_url"},
		{"unknown fields of a newer Envoy", "clusters", `{"shiny": 1, ` + node + `}`, 200, "version_info"},
		{"too many nodes", "clusters", strings.Replace("{"+node+"}", `"web"`, `"web-2"`, 1), 429, "streams"},
		{"a type that is not served", "secrets", "{" + node + "}", 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, _, body := a.raw("/v3/discovery:"+tt.path, tt.body)
			if code != tt.code || !strings.Contains(string(body), tt.says) {
				t.Errorf("got %d %s, want %d and %q", code, body, tt.code, tt.says)
			}
		})
	}
	if res, err := http.Get(a.base + "/v3/discovery:clusters"); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v, %v", res, err)
	} else {
		_ = res.Body.Close()
	}

	for account, want := range map[string]int{"": 401, "payments": 403, "web": 200} {
		s := httptest.NewServer(p.server.REST(func(*http.Request) (string, string, bool) { return "cinema", account, account != "" }))
		a := &restClient{t: t, base: s.URL}
		if code, _, body := a.raw("/v3/discovery:clusters", "{"+node+"}"); code != want {
			t.Errorf("as %q: %d %s, want %d", account, code, body, want)
		}
		s.Close()
	}
}

// Questions for many nodes and names at once are each answered for themselves.
func TestRESTMany(t *testing.T) {
	var objects strings.Builder
	for i := range 40 {
		objects.WriteString(service(fmt.Sprintf("s%d.cinema.svc.cluster.local", i), fmt.Sprint("10.0.0.", i)))
	}
	p := startPlane(t, objects.String())
	done := make(chan struct{})
	for i := range 8 {
		a := p.asker(t, testNode(t, fmt.Sprint("envoy-", i), "cinema", nil))
		go func() {
			defer func() { done <- struct{}{} }()
			a.takes(mesh.TypeCluster, 40)
			for s := range 40 {
				name := cluster(fmt.Sprintf("s%d.cinema.svc.cluster.local", s))
				a.takes(mesh.TypeEndpoint, 1, name)
				a.nothing(mesh.TypeEndpoint, name)
			}
			a.nothing(mesh.TypeCluster)
		}()
	}
	for range 8 {
		<-done
	}
	var want, got []string
	for i := range 8 {
		want = append(want, fmt.Sprint("envoy-", i))
	}
	p.server.mu.Lock()
	for id := range p.server.pollers {
		got = append(got, id)
	}
	p.server.mu.Unlock()
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}
