package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func set(names ...string) map[string]bool {
	out := make(map[string]bool)
	for _, n := range names {
		out[n] = true
	}
	return out
}

func describe(req *discoveryv3.DeltaDiscoveryRequest) string {
	if req == nil {
		return "nothing"
	}
	var held []string
	for name, version := range req.GetInitialResourceVersions() {
		held = append(held, name+"@"+version)
	}
	slices.Sort(held)
	return fmt.Sprintf("+%s -%s has %s", strings.Join(req.GetResourceNamesSubscribe(), ","),
		strings.Join(req.GetResourceNamesUnsubscribe(), ","), strings.Join(held, ","))
}

func TestSubscriptions(t *testing.T) {
	held := map[string]string{"a": "1", "b": "2"}
	type step struct {
		wanted map[string]bool
		want   string
	}
	tests := []struct {
		name  string
		kind  string
		steps []step
	}{
		{"wildcard tells all it has, once", mesh.TypeCluster, []step{
			{set("*"), "+* - has a@1,b@2"},
			{set("*"), "nothing"},
		}},
		{"names tell what they have", mesh.TypeEndpoint, []step{
			{set(), "nothing"}, // an empty first request would be a wildcard
			{set("c", "a"), "+a,c - has a@1"},
			{set("a", "c"), "nothing"},
			{set("a", "b"), "+b -c has "},
			{set(), "+ -a,b has "},
			{set("a"), "+a - has "},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			subs := newSubscriptions()
			for i, s := range tt.steps {
				if got := describe(subs.request(tt.kind, s.wanted, held)); got != s.want {
					t.Errorf("step %d asks %q, want %q", i, got, s.want)
				}
			}
		})
	}
}

func TestRevisionIsWhatIsWhole(t *testing.T) {
	tests := []struct {
		name    string
		seen    []uint64
		spoiled map[string]uint64
		want    uint64
	}{
		{"all good", []uint64{9, 12}, nil, 12},
		{"routes of 12 refused", []uint64{9, 10, 12}, map[string]uint64{mesh.TypeRoute: 12}, 10},
		{"and 13 came for clusters", []uint64{11, 12, 13}, map[string]uint64{mesh.TypeRoute: 12}, 11},
		{"two types refused", []uint64{11, 12, 13}, map[string]uint64{mesh.TypeRoute: 13, mesh.TypeCluster: 12}, 11},
		{"nothing whole", []uint64{1}, map[string]uint64{mesh.TypeCluster: 1}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &candidate{seen: tt.seen, types: make(map[string]accepted)}
			for kind, revision := range tt.spoiled {
				c.types[kind] = accepted{spoiled: revision}
			}
			if got := c.revision(); got != tt.want {
				t.Errorf("revision = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestWithheldComesWithTheNext: good parts of refused responses are not lost.
func TestWithheldComesWithTheNext(t *testing.T) {
	at := time.Now()
	s := newStore()
	s.newStream()
	r := func(name, version string) *resource {
		tr, err := newTranslator("1").translate(mesh.TypeCluster, name, version, 1, wrap(edsCluster(name)))
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	kind := mesh.TypeCluster
	s.accept(update{kind: kind, revision: 1, set: []*resource{r("a", "1"), r("gone", "1")}}, at)
	s.refuse(update{kind: kind, revision: 2, set: []*resource{r("b", "1"), r("c", "1")}, removed: []string{"gone"}},
		map[string]refusal{"bad": {version: "1"}, "b": {version: "1"}, "c": {version: "1"}}, at)
	if diff := cmp.Diff(map[string]string{"a": "1", "gone": "1"}, s.versions(kind)); diff != "" {
		t.Fatalf("after the refusal (-want +got):\n%s", diff)
	}
	s.accept(update{kind: kind, revision: 3, set: []*resource{r("c", "2")}}, at)
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "1", "c": "2"}, s.versions(kind)); diff != "" {
		t.Errorf("after the next (-want +got):\n%s", diff)
	}
	if got := s.candidate().revision(); got != 1 {
		t.Errorf("revision is %d while one cluster of 2 is refused, want 1", got)
	}
	s.accept(update{kind: kind, revision: 4, set: []*resource{r("bad", "2")}}, at)
	if got := s.candidate().revision(); got != 4 || len(s.refusals()) != 0 {
		t.Errorf("revision is %d with %v refused, want 4 and none", got, s.refusals())
	}

	// A new stream sends all that differs: nothing is left over.
	s.refuse(update{kind: kind, revision: 5, set: []*resource{r("late", "1")}}, map[string]refusal{"bad": {version: "3"}, "late": {version: "1"}}, at)
	s.newStream()
	s.accept(update{kind: kind, revision: 5}, at)
	if _, kept := s.versions(kind)["late"]; kept || len(s.refusals()) != 0 {
		t.Errorf("after a new stream: held %v, refused %v", s.versions(kind), s.refusals())
	}
}

// What a cluster names stays while the cluster does: its endpoints' end may be
// told first.
func TestEndpointsStayAsLongAsTheirCluster(t *testing.T) {
	s := newStore()
	accept := func(kind, removed string, set ...*resource) {
		u := update{kind: kind, revision: 1, set: set}
		if removed != "" {
			u.removed = []string{removed}
		}
		s.accept(u, time.Now())
	}
	translated := func(kind string, message proto.Message) *resource {
		r, err := newTranslator("1").translate(kind, "catalog", "1", 1, wrap(message))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	accept(mesh.TypeCluster, "", translated(mesh.TypeCluster, edsCluster("catalog")))
	accept(mesh.TypeEndpoint, "catalog") // there are none yet, says the server
	if c := s.candidate(); !c.types[mesh.TypeEndpoint].absent["catalog"] {
		t.Error("endpoints that the server does not have are waited for")
	}
	accept(mesh.TypeEndpoint, "", translated(mesh.TypeEndpoint, endpoints("catalog", 8080)))
	accept(mesh.TypeEndpoint, "catalog")
	if s.held(mesh.TypeEndpoint, "catalog") == nil {
		t.Error("a cluster that still stands has lost its endpoints")
	}
	accept(mesh.TypeCluster, "catalog")
	if s.held(mesh.TypeEndpoint, "catalog") != nil {
		t.Error("endpoints outlive their cluster")
	}
}

func TestSameContentIsNotANewResource(t *testing.T) {
	s := newStore()
	tr := newTranslator("1")
	for range 2 {
		r, err := tr.translate(mesh.TypeCluster, "a", "1", 1, wrap(edsCluster("a")))
		if err != nil {
			t.Fatal(err)
		}
		before := s.candidate()
		s.accept(update{kind: mesh.TypeCluster, revision: 1, set: []*resource{r}}, time.Now())
		if len(before.types[mesh.TypeCluster].resources) == 1 && !s.candidate().same(before) {
			t.Error("a resource that was sent again counts as changed")
		}
	}
}

func TestGate(t *testing.T) {
	begin := time.Now()
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	endpoint, cluster := need{mesh.TypeEndpoint, "a"}, need{mesh.TypeCluster, "b"}
	g := newGate(5 * time.Second)
	steps := []struct {
		at    int
		needs []need
		want  time.Duration
	}{
		{0, nil, 0},
		{0, []need{endpoint}, 5 * time.Second},
		{1000, []need{endpoint, cluster}, 4 * time.Second},
		{3000, []need{cluster}, -time.Second}, // a cluster is waited for a second only
		{3500, []need{endpoint, cluster}, 5 * time.Second},
		{9000, []need{endpoint, cluster}, -500 * time.Millisecond}, // in vain, so no more
		{60000, []need{endpoint, cluster}, -51500 * time.Millisecond},
		{60000, nil, 0},
		{60000, []need{endpoint}, 5 * time.Second}, // it was there in between
	}
	for i, s := range steps {
		got := g.wait(s.needs, at(s.at))
		if (s.want > 0 && got != s.want) || (s.want <= 0 && got > 0) {
			t.Errorf("step %d waits %v, want %v", i, got, s.want)
		}
	}
	g.restart()
	if got := g.wait([]need{endpoint}, at(90000)); got != 5*time.Second {
		t.Errorf("after a restart it waits %v", got)
	}
}

func TestRetryDelay(t *testing.T) {
	for n := 1; n < 100; n++ {
		for range 50 {
			if d := retryDelay(n); d < minBackoff || d > maxBackoff || (n == 1 && d > 2*minBackoff) {
				t.Fatalf("try %d waits %v", n, d)
			}
		}
	}
}
