package xds

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

const catalogShape = "L:outbound R:main>catalog C:catalog@127.0.0.1:8080"

func TestFollowsTheControlPlane(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	s := startSidecar(t, Options{Servers: []string{cp.address}})
	s.runtime.wantShape(t, catalogShape)
	if n := s.runtime.count(); n != 1 {
		t.Errorf("the first configuration took %d swaps, want one", n)
	}

	// A new endpoint alone.
	cp.set(t, "2", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080, 8081))
	s.runtime.wantShape(t, catalogShape+"@127.0.0.1:8081")
	eventually(t, "revision 2", func() bool { return s.Status().Revision == 2 })

	// A new cluster, which its route must not outrun.
	cp.set(t, "3", listener("outbound", "main"), routes("main", "catalog", "reviews"),
		edsCluster("catalog"), endpoints("catalog", 8080), edsCluster("reviews"), endpoints("reviews", 9090))
	s.runtime.wantShape(t, "L:outbound R:main>catalog R:main>reviews C:catalog@127.0.0.1:8080 C:reviews@127.0.0.1:9090")
	for _, snapshot := range s.runtime.all() {
		text := shape(snapshot)
		if strings.Contains(text, "R:main>reviews") && !strings.Contains(text, "C:reviews@127.0.0.1:9090") {
			t.Errorf("a snapshot routes to a cluster that is not there: %s", text)
		}
	}

	// Removal of the first.
	cp.set(t, "4", listener("outbound", "main"), routes("main", "reviews"), edsCluster("reviews"), endpoints("reviews", 9090))
	s.runtime.wantShape(t, "L:outbound R:main>reviews C:reviews@127.0.0.1:9090")
	for _, snapshot := range s.runtime.all() {
		text := shape(snapshot)
		if strings.Contains(text, "R:main>catalog") && !strings.Contains(text, "C:catalog@") {
			t.Errorf("a snapshot routes to a cluster that is gone: %s", text)
		}
	}
	if nacks := cp.nacks(); nacks != nil {
		t.Errorf("refused: %q", nacks)
	}
	eventually(t, "nothing left of the first cluster", func() bool {
		for name := range statusByName(s.Status()) {
			if strings.Contains(name, "catalog") {
				return false
			}
		}
		return true
	})
}

func TestReconnectResendsNothing(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	resources := func(cp *controlPlane, version string) {
		cp.set(t, version, listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	}
	resources(cp, "1")
	s := startSidecar(t, Options{Servers: []string{cp.address}})
	s.runtime.wantShape(t, catalogShape)
	swaps := s.runtime.count()

	cp.grpc.Stop()
	eventually(t, "disconnected", func() bool { return !s.Status().Connected })
	if got := shape(s.runtime.last()); got != catalogShape {
		t.Errorf("without control plane the sidecar runs %q", got)
	}
	again := startControlPlane(t, cp.address)
	resources(again, "1")
	eventually(t, "connected again", func() bool { return s.Status().Connected })
	eventually(t, "all types asked for", func() bool {
		again.mu.Lock()
		defer again.mu.Unlock()
		asked := map[string]bool{}
		for _, r := range again.requests {
			if len(r.GetInitialResourceVersions()) > 0 {
				asked[r.GetTypeUrl()] = true
			}
		}
		return len(asked) == 4
	})
	if n := again.sent(); n != 0 {
		t.Errorf("the control plane sent %d resources again", n)
	}
	if n := s.runtime.count(); n != swaps {
		t.Errorf("the runtime was swapped %d times for nothing", n-swaps)
	}
	// What changes now still comes.
	again.set(t, "2", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8088))
	s.runtime.wantShape(t, "L:outbound R:main>catalog C:catalog@127.0.0.1:8088")
}

func TestRefusedConfigurationKeepsTheOld(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	s := startSidecar(t, Options{Servers: []string{cp.address}})
	s.runtime.wantShape(t, catalogShape)

	// One bad cluster refuses its response, the good one in it included.
	cp.set(t, "2", listener("outbound", "main"), routes("main", "catalog"),
		edsCluster("catalog"), endpoints("catalog", 8080), badCluster("bad"), edsCluster("reviews"), endpoints("reviews", 9090))
	eventually(t, "a refusal", func() bool { return len(cp.nacks()) > 0 })
	want := []string{"cluster bad: lb_policy: CLUSTER_PROVIDED is for clusters of type ORIGINAL_DST"}
	time.Sleep(50 * time.Millisecond) // for more of them, if there were a loop
	if diff := cmp.Diff(want, cp.nacks()); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	if got := shape(s.runtime.last()); got != catalogShape {
		t.Errorf("after the refusal the sidecar runs %q", got)
	}
	byName := statusByName(s.Status())
	if got := byName["cluster bad"]; got.Version != "" || got.ErrorVersion == "" || got.Error != "lb_policy: CLUSTER_PROVIDED is for clusters of type ORIGINAL_DST" {
		t.Errorf("status of the refused cluster is %+v", got)
	}
	if got := byName["cluster reviews"].Error; got != "came in one response with cluster bad, which was refused" {
		t.Errorf("status of the good cluster beside is %q", got)
	}
	if got := s.Status().Revision; got != 1 {
		t.Errorf("revision %d is said to run, want 1", got)
	}

	// The server believes that "reviews" arrived, and sends only what is new.
	cp.set(t, "3", listener("outbound", "main"), routes("main", "catalog"),
		edsCluster("catalog"), endpoints("catalog", 8080), edsCluster("bad"), endpoints("bad", 7070), edsCluster("reviews"), endpoints("reviews", 9090))
	s.runtime.wantShape(t, "L:outbound R:main>catalog C:bad@127.0.0.1:7070 C:catalog@127.0.0.1:8080 C:reviews@127.0.0.1:9090")
	eventually(t, "revision 3 without errors", func() bool {
		status := s.Status()
		for _, r := range status.Resources {
			if r.Error != "" {
				return false
			}
		}
		return status.Revision == 3
	})
	if n := len(cp.nacks()); n != 1 {
		t.Errorf("%d refusals were sent, want 1", n)
	}
}

func TestRefusedRouteNamesItsPath(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", listener("outbound", "main"), badRoutes("main"), edsCluster("catalog"), endpoints("catalog", 8080))
	startSidecar(t, Options{Servers: []string{cp.address}})
	want := []string{"route main: virtual_hosts[0].routes[0].route.hash_policy[0].filter_state: not supported by build 1.2.3"}
	eventually(t, "a refusal", func() bool { return len(cp.nacks()) > 0 })
	if diff := cmp.Diff(want, cp.nacks()); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}

func TestWaitsForWhatBelongsTogether(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"))
	s := startSidecar(t, Options{Servers: []string{cp.address}, WarmLimit: time.Minute})
	eventually(t, "waiting for the endpoints", func() bool {
		return cmp.Equal(s.Status().WaitingFor, []string{"endpoint catalog"})
	})
	if s.Configured() || s.runtime.count() > 0 {
		t.Fatal("a cluster without endpoints was put to work")
	}
	cp.set(t, "2", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	s.runtime.wantShape(t, catalogShape)
	if n := s.runtime.count(); n != 1 {
		t.Errorf("it took %d swaps, want one", n)
	}
}

func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", listener("outbound", "main"), routes("main", "catalog", "nowhere"), edsCluster("catalog"))
	s := startSidecar(t, Options{Servers: []string{cp.address}, WarmLimit: 100 * time.Millisecond})
	s.runtime.wantShape(t, "L:outbound R:main>catalog R:main>nowhere C:catalog")
	// What was waited for in vain does not hold up the next change.
	begin := time.Now()
	cp.set(t, "2", listener("outbound", "main"), routes("main", "nowhere"), edsCluster("catalog"))
	s.runtime.wantShape(t, "L:outbound R:main>nowhere C:catalog")
	if took := time.Since(begin); took > 90*time.Millisecond {
		t.Logf("the second change took %s", took)
	}
}

// TestHalfAChangeIsNotApplied: the control plane goes away between two parts.
func TestHalfAChangeIsNotApplied(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	s := startSidecar(t, Options{Servers: []string{cp.address}, WarmLimit: 1500 * time.Millisecond})
	s.runtime.wantShape(t, catalogShape)
	// The old endpoints stay on offer: their removal would be a change of its own,
	// and may come first.
	cp.set(t, "2", listener("outbound", "main"), routes("main", "reviews"), edsCluster("reviews"), endpoints("catalog", 8080))
	eventually(t, "waiting for endpoints", func() bool { return slices.Contains(s.Status().WaitingFor, "endpoint reviews") })
	cp.grpc.Stop()
	time.Sleep(1700 * time.Millisecond) // past the limit, which must not apply without a control plane
	if got := shape(s.runtime.last()); got != catalogShape {
		t.Errorf("without control plane half a change was applied: %s", got)
	}
	again := startControlPlane(t, cp.address)
	again.set(t, "2", listener("outbound", "main"), routes("main", "reviews"), edsCluster("reviews"), endpoints("reviews", 9090))
	s.runtime.wantShape(t, "L:outbound R:main>reviews C:reviews@127.0.0.1:9090")
}

func TestStartsFromDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cp := startControlPlane(t, "")
	cp.set(t, "7", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	first := startSidecar(t, Options{Servers: []string{cp.address}, StateDir: dir})
	first.runtime.wantShape(t, catalogShape)
	first.stop()
	cp.grpc.Stop()

	s := startSidecar(t, Options{Servers: []string{cp.address}, StateDir: dir})
	s.runtime.wantShape(t, catalogShape)
	status := s.Status()
	if !status.FromDisk || !status.Configured || status.Revision != 7 {
		t.Errorf("status says from_disk %v, configured %v, revision %d", status.FromDisk, status.Configured, status.Revision)
	}
	again := startControlPlane(t, cp.address)
	again.set(t, "7", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	eventually(t, "the control plane is heard", func() bool { return !s.Status().FromDisk })
	if n := again.sent(); n != 0 {
		t.Errorf("the control plane sent %d resources that were on disk", n)
	}
}

func TestApplyErrorIsReportedAndRetried(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", edsCluster("catalog"), endpoints("catalog", 8080))
	runtime := &fakeRuntime{refuse: errors.New("listen 127.0.0.1:15001: address in use")}
	s := startSidecar(t, Options{Servers: []string{cp.address}, Runtime: runtime})
	eventually(t, "the error", func() bool {
		return strings.Contains(statusByName(s.Status())["cluster catalog"].Error, "address in use")
	})
	runtime.setRefuse(nil)
	eventually(t, "the retry", func() bool { return s.Configured() })
	if got := statusByName(s.Status())["cluster catalog"].Error; got != "" {
		t.Errorf("after the retry the error still is %q", got)
	}
}

func TestTriesEveryServer(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	s := startSidecar(t, Options{Servers: []string{"127.0.0.1:1", cp.address}})
	s.runtime.wantShape(t, catalogShape)
	if got := s.Status(); got.Server != cp.address || !got.Connected {
		t.Errorf("status says %q, connected %v", got.Server, got.Connected)
	}
	cp.agents.next(t, "hello", func(m *meshv1.AgentMessage) bool { return m.GetHello() != nil })
}

func TestFaultStall(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	// A route to nowhere does not keep the first set from being the first set.
	first := "L:outbound R:main>catalog R:main>nowhere C:catalog@127.0.0.1:8080"
	cp.set(t, "1", listener("outbound", "main"), routes("main", "catalog", "nowhere"), edsCluster("catalog"), endpoints("catalog", 8080))
	s := startSidecar(t, Options{Servers: []string{cp.address}, Fault: Fault{StallAfterFirst: true}, WarmLimit: 100 * time.Millisecond})
	s.runtime.wantShape(t, first)
	eventually(t, "the stall", func() bool { return s.Status().FaultActive })
	acks := func() int { cp.mu.Lock(); defer cp.mu.Unlock(); return len(cp.requests) }
	before := acks()
	cp.set(t, "2", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8081))
	eventually(t, "the second version under way", func() bool { return cp.sent() > 4 })
	time.Sleep(50 * time.Millisecond)
	if got := shape(s.runtime.last()); got != first {
		t.Errorf("a stalled sidecar applied %q", got)
	}
	if n := acks(); n != before {
		t.Errorf("a stalled sidecar sent %d requests", n-before)
	}
	if !s.Status().Connected {
		t.Error("a stalled sidecar should stay connected")
	}
}

func TestFaultRefuse(t *testing.T) {
	t.Parallel()
	cp := startControlPlane(t, "")
	cp.set(t, "1", edsCluster("catalog"), endpoints("catalog", 8080))
	s := startSidecar(t, Options{Servers: []string{cp.address}, Fault: Fault{RefuseName: regexp.MustCompile(`\|v3\|`)}})
	s.runtime.wantShape(t, "C:catalog@127.0.0.1:8080")
	cp.set(t, "2", edsCluster("catalog"), endpoints("catalog", 8080), edsCluster("outbound|80|v3|catalog"))
	eventually(t, "a refusal", func() bool { return len(cp.nacks()) == 1 })
	if got, want := cp.nacks()[0], "cluster outbound|80|v3|catalog: connect_timeout: is over this sidecar's limit of 1s"; got != want {
		t.Errorf("refusal is %q, want %q", got, want)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	node := mesh.Node{ID: "n"}
	tests := []struct {
		name string
		opts Options
		want string
	}{
		{"node", Options{Servers: []string{"a:1"}, Runtime: &fakeRuntime{}}, "no node ID"},
		{"server", Options{Node: node, Runtime: &fakeRuntime{}}, "no server address"},
		{"runtime", Options{Node: node, Servers: []string{"a:1"}}, "no runtime"},
		{"port", Options{Node: node, Servers: []string{"a"}, Runtime: &fakeRuntime{}}, `server address "a": want host:port`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.opts)
			if !errors.Is(err, mesh.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New: %v, want %q", err, tt.want)
			}
		})
	}
}

func statusByName(s Status) map[string]ResourceStatus {
	out := make(map[string]ResourceStatus)
	for _, r := range s.Resources {
		out[r.Type+" "+r.Name] = r
	}
	return out
}
