package cluster

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tiers makes endpoints at levels 0, 1, …: of each so many healthy ones of so
// many.
func tiers(healthy ...[2]int) []Endpoint {
	var out []Endpoint
	for p, n := range healthy {
		for i := range n[1] {
			e := Endpoint{Address: strconv.Itoa(p) + "-" + strconv.Itoa(i) + ":1", Priority: uint32(p)}
			if i >= n[0] {
				e.Health = Unhealthy
			}
			out = append(out, e)
		}
	}
	return out
}

// The loads are those of Envoy's documentation ("priority levels", "panic
// threshold").
func TestLoadsOfPriorities(t *testing.T) {
	for _, c := range []struct {
		name    string
		panic   uint32
		healthy [][2]int
		want    []uint32
		panics  bool
	}{
		{"all well", 50, [][2]int{{100, 100}, {100, 100}}, []uint32{100, 0}, false},
		{"72 percent carry everything", 50, [][2]int{{72, 100}, {72, 100}}, []uint32{100, 0}, false},
		{"71 percent do not", 50, [][2]int{{71, 100}, {71, 100}}, []uint32{99, 1}, false},
		{"half", 50, [][2]int{{50, 100}, {50, 100}}, []uint32{70, 30}, false},
		{"a quarter", 50, [][2]int{{25, 100}, {100, 100}}, []uint32{35, 65}, false},
		{"nobody at the first", 50, [][2]int{{0, 100}, {100, 100}}, []uint32{0, 100}, false},
		{"three levels", 0, [][2]int{{25, 100}, {25, 100}, {10, 100}}, []uint32{43, 41, 16}, false},
		{"three levels, the first nearly enough", 0, [][2]int{{25, 100}, {25, 100}, {25, 100}}, []uint32{35, 35, 30}, false},
		{"too few, in panic", 50, [][2]int{{5, 100}, {65, 100}}, []uint32{8, 92}, true},
		{"all in panic: by size", 50, [][2]int{{5, 100}, {5, 300}}, []uint32{25, 75}, true},
		{"nobody, and no panic", 0, [][2]int{{0, 10}, {0, 10}}, []uint32{100, 0}, false},
		{"one level", 50, [][2]int{{1, 10}}, []uint32{100}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			hs := NewHosts(&Config{PanicPercent: c.panic, Policy: Random}, tiers(c.healthy...), nil)
			var got []uint32
			for _, l := range hs.levels {
				got = append(got, l.load)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("loads (-want +got):\n%s", diff)
			}
			if hs.Panics() != c.panics {
				t.Errorf("panics: %v", hs.Panics())
			}
		})
	}
}

// Drawing follows the loads under every policy, and a hash stays where it is.
func TestDrawsFollowPriorities(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, policy := range []Policy{RoundRobin, LeastRequest, Random, RingHash, Maglev} {
		hs := NewHosts(&Config{Policy: policy, TableSize: 1009}, tiers([2]int{2, 4}, [2]int{4, 4}), nil)
		counts := map[uint32]int{}
		for range 10_000 {
			random := rng.Uint64()
			h := hs.Pick(random)
			counts[h.Endpoint().Priority]++
			if policy.Hashed() && hs.Pick(random) != h {
				t.Fatalf("%s: one hash, two hosts", policy)
			}
			if h.Endpoint().Health != Healthy {
				t.Fatalf("%s: drew %s", policy, h.Endpoint().Address)
			}
		}
		if counts[0] < 6700 || counts[0] > 7300 {
			t.Errorf("%s: %v, want 70 to 30", policy, counts)
		}
	}
}

// An endpoint that outlier detection takes out moves load to the next level, and
// back when it returns; a retry that must avoid the only one goes on to it.
func TestEjectionMovesLoad(t *testing.T) {
	c := &Config{Policy: Random}
	hs := NewHosts(c, tiers([2]int{1, 1}, [2]int{2, 2}), nil)
	first := hs.All()[0]
	if hs.Usable() != 1 || hs.Pick(7) != first {
		t.Fatalf("%d usable", hs.Usable())
	}
	first.health.ejected.Store(true)
	hs = hs.Renew(c)
	if hs.Usable() != 2 || hs.Pick(7).Endpoint().Priority != 1 {
		t.Errorf("after the ejection %d usable", hs.Usable())
	}
	first.health.ejected.Store(false)
	if hs = hs.Renew(c); hs.Pick(7) != first {
		t.Errorf("after its return")
	}
	empty := NewHosts(c, nil, nil)
	if empty.Pick(7) != nil || empty.Usable() != 0 || empty.Panics() {
		t.Error("no endpoints, and one was drawn")
	}
}
