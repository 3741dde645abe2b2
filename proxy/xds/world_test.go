package xds

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// The same life as over the incremental protocol, go-control-plane being asked
// by state of the world.
func TestStateOfTheWorld(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	liveByWorld(t, cp, Options{Servers: []string{cp.address}, StateOfTheWorld: true})
}

// And once more, being asked by REST.
func TestPull(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	liveByWorld(t, cp, Options{Servers: []string{cp.serveREST(t)}, Pull: time.Second})
}

// serveREST serves the same by REST, at an address of its own.
func (cp *controlPlane) serveREST(t *testing.T) string {
	t.Helper()
	gateway := &serverv3.HTTPGateway{Server: serverv3.NewServer(t.Context(), cp.cache, cp.callbacks())}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, code, err := gateway.ServeHTTP(r)
		if err != nil {
			http.Error(w, err.Error(), code)
			return
		}
		if body == nil {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func liveByWorld(t *testing.T, cp *controlPlane, opts Options) {
	cp.set(t, "1", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	s := startSidecar(t, opts)
	s.runtime.wantShape(t, catalogShape)
	cp.set(t, "2", listener("outbound", "main"), routes("main", "catalog", "reviews"),
		edsCluster("catalog"), endpoints("catalog", 8080, 8081), edsCluster("reviews"), endpoints("reviews", 9090))
	s.runtime.wantShape(t, "L:outbound R:main>catalog R:main>reviews C:catalog@127.0.0.1:8080@127.0.0.1:8081 C:reviews@127.0.0.1:9090")
	cp.set(t, "3", listener("outbound", "main"), routes("main", "reviews"), edsCluster("reviews"), endpoints("reviews", 9090))
	s.runtime.wantShape(t, "L:outbound R:main>reviews C:reviews@127.0.0.1:9090")

	// What is refused keeps the old, and each response that has it is refused.
	cp.set(t, "4", listener("outbound", "main"), routes("main", "reviews"), edsCluster("reviews"), endpoints("reviews", 9090), badCluster("bad"))
	eventually(t, "a refusal", func() bool { return statusByName(s.Status())["cluster bad"].Error != "" })
	time.Sleep(100 * time.Millisecond) // for more refusals, if there were a loop
	if n := refusals(t, cp); n > 3 {
		t.Errorf("%d refusals of one response: a loop", n)
	}
	cp.set(t, "5", listener("outbound", "main"), routes("main", "reviews"), edsCluster("reviews"), endpoints("reviews", 9091), badCluster("bad"))
	s.runtime.wantShape(t, "L:outbound R:main>reviews C:reviews@127.0.0.1:9091")
	if got := statusByName(s.Status())["cluster bad"]; got.Error == "" || got.Version != "" {
		t.Errorf("the refused cluster after another response: %+v", got)
	}
	cp.set(t, "6", listener("outbound", "main"), routes("main", "reviews"), edsCluster("reviews"), endpoints("reviews", 9092))
	s.runtime.wantShape(t, "L:outbound R:main>reviews C:reviews@127.0.0.1:9092")
	eventually(t, "nothing refused", func() bool {
		for _, r := range s.Status().Resources {
			if r.Error != "" {
				return false
			}
		}
		return s.Status().Revision == 6
	})
}

// refusals counts the requests by state of the world that refuse.
func refusals(t *testing.T, cp *controlPlane) int {
	t.Helper()
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.worldRefusals
}

// Resources may come inside of others that name them.
func TestUnwrap(t *testing.T) {
	inner, err := anypb.New(edsCluster("catalog"))
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := anypb.New(&discoveryv3.Resource{Name: "catalog", Resource: inner})
	if err != nil {
		t.Fatal(err)
	}
	for what, packed := range map[string]*anypb.Any{"bare": inner, "wrapped": wrapped} {
		if name, content := unwrap(packed); name != "catalog" || content.GetTypeUrl() != inner.GetTypeUrl() {
			t.Errorf("%s: %q %s", what, name, content.GetTypeUrl())
		}
	}
	if name, _ := unwrap(&anypb.Any{TypeUrl: "type.googleapis.com/none", Value: []byte{1}}); name != "" {
		t.Errorf("an unknown type has the name %q", name)
	}
}
