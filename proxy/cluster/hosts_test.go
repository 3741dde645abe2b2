package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func endpoints(weights ...uint32) []Endpoint {
	var list []Endpoint
	for i, w := range weights {
		list = append(list, Endpoint{Address: fmt.Sprintf("10.0.0.%d:80", i), Weight: w})
	}
	return list
}

func draws(hs *Hosts, n int) map[string]int {
	rng := rand.New(rand.NewPCG(3, 4))
	counts := map[string]int{}
	for range n {
		counts[hs.Pick(rng.Uint64()).Endpoint().Address]++
	}
	return counts
}

func TestPickShares(t *testing.T) {
	const n = 12_000
	for _, tt := range []struct {
		name      string
		policy    Policy
		weights   []uint32
		want      []int
		tolerance int
	}{
		{"round robin", RoundRobin, []uint32{0, 0, 0}, []int{4000, 4000, 4000}, 0},
		{"round robin by weight", RoundRobin, []uint32{1, 2, 3}, []int{2000, 4000, 6000}, 1},
		{"random", Random, []uint32{1, 1, 1}, []int{4000, 4000, 4000}, 300},
		{"random by weight", Random, []uint32{1, 5}, []int{2000, 10000}, 300},
		{"least request, all idle", LeastRequest, []uint32{1, 1, 1}, []int{4000, 4000, 4000}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			counts := draws(NewHosts(&Config{Policy: tt.policy}, endpoints(tt.weights...), nil), n)
			for i, want := range tt.want {
				got := counts[fmt.Sprintf("10.0.0.%d:80", i)]
				if got < want-tt.tolerance || got > want+tt.tolerance {
					t.Errorf("host %d got %d of %d draws, want %d±%d", i, got, n, want, tt.tolerance)
				}
			}
		})
	}
}

func TestWeightedRoundRobinIsSmooth(t *testing.T) {
	hs := NewHosts(&Config{Policy: RoundRobin}, endpoints(3, 1), nil)
	since := 0
	for range 4000 {
		if since++; hs.Pick(0) == hs.All()[1] {
			if since < 3 || since > 5 {
				t.Fatalf("the light host's turn came after %d draws, want 4, more or less", since)
			}
			since = 0
		}
	}
	if since > 5 {
		t.Errorf("the light host had no turn for %d draws", since)
	}
}

func TestLeastRequestPrefersIdle(t *testing.T) {
	hs := NewHosts(&Config{Policy: LeastRequest}, endpoints(1, 1), nil)
	busy := hs.All()[0]
	for range 5 {
		busy.Acquire()
	}
	if n := draws(hs, 100)[busy.Endpoint().Address]; n != 0 {
		t.Errorf("the busy host of two was drawn %d times", n)
	}
}

func TestOnlyUsableHostsAreDrawn(t *testing.T) {
	list := endpoints(1, 1, 1)
	list[0].Health, list[1].Health = Unhealthy, Draining
	hs := NewHosts(&Config{Policy: Random}, list, nil)
	if counts := draws(hs, 50); counts["10.0.0.2:80"] != 50 {
		t.Errorf("got %v", counts)
	}
	list[2].Health = Unhealthy
	if h := NewHosts(&Config{Policy: RoundRobin}, list, nil).Pick(1); h != nil {
		t.Errorf("drew %s though none is usable", h.Endpoint().Address)
	}
	if h := NewHosts(&Config{Policy: RoundRobin}, nil, nil).Pick(1); h != nil {
		t.Error("drew from an empty list")
	}
}

func TestPickOtherAvoidsTried(t *testing.T) {
	hs := NewHosts(&Config{Policy: Random}, endpoints(1, 1), nil)
	rng := rand.New(rand.NewPCG(1, 1))
	tried := []*Host{hs.All()[0]}
	same := 0
	for range 1000 {
		if hs.PickOther(rng.Uint64(), tried, 5, rng.Uint64) == tried[0] {
			same++
		}
	}
	if same > 60 { // (1/2)^6 of 1000, with room
		t.Errorf("drew the tried host %d times of 1000", same)
	}
	if only := NewHosts(&Config{Policy: Random}, endpoints(1), nil); only.PickOther(rng.Uint64(), only.All(), 5, rng.Uint64) == nil {
		t.Error("the only host was refused; a known bad one is better than none")
	}
}

func TestHostsKeepTheirCounters(t *testing.T) {
	before := NewHosts(&Config{Policy: RoundRobin}, endpoints(1, 1), nil)
	before.All()[1].Acquire()
	list := endpoints(1, 4)[1:]
	after := NewHosts(&Config{Policy: RoundRobin}, list, before)
	if len(after.All()) != 1 || after.All()[0] != before.All()[1] {
		t.Fatal("the host that stayed is another one")
	}
	if h := after.All()[0]; h.Active() != 1 || h.Endpoint().Weight != 4 {
		t.Errorf("active %d, weight %d, want 1 and 4", h.Active(), h.Endpoint().Weight)
	}
}

func TestOpenedIsTakenOnce(t *testing.T) {
	h := NewHosts(&Config{Policy: RoundRobin}, endpoints(1), nil).All()[0]
	h.Opened()
	h.Opened()
	if a, b := h.TakeOpened(), h.TakeOpened(); a != 2 || b != 0 {
		t.Errorf("took %d then %d, want 2 then 0", a, b)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, p := range []Policy{RoundRobin, LeastRequest, Random} {
		b.Run(p.String(), func(b *testing.B) {
			hs := NewHosts(&Config{Policy: p}, endpoints(1, 1, 1, 1), nil)
			for b.Loop() {
				hs.Pick(rand.Uint64())
			}
		})
	}
}

// A dead host has nothing under way, so a draw by load would take it for ever.
func TestPickOtherOfLeastRequest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	hs := NewHosts(&Config{Policy: LeastRequest}, endpoints(1, 1), nil)
	dead, alive := hs.All()[0], hs.All()[1]
	alive.Acquire()
	for range 100 {
		if h := hs.PickOther(rng.Uint64(), []*Host{dead}, 5, rng.Uint64); h != alive {
			t.Fatal("the dead host again")
		}
	}
	if h := hs.PickOther(rng.Uint64(), []*Host{dead, alive}, 5, rng.Uint64); h == nil {
		t.Error("nobody, though two could be tried again")
	}
}
