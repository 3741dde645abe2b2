package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// where tells which address each of n keys goes to.
func where(c *Config, list []Endpoint, n int) []string {
	hs := NewHosts(c, list, nil)
	out := make([]string, n)
	for i := range out {
		out[i] = hs.Pick(Hash(fmt.Sprint("user-", i))).Endpoint().Address
	}
	return out
}

// A key stays where it is when hosts come and go, but for about 1/n of them.
func TestHashedPolicies(t *testing.T) {
	const keys = 10_000
	for _, policy := range []Policy{RingHash, Maglev} {
		t.Run(policy.String(), func(t *testing.T) {
			c := &Config{Policy: policy}
			five := where(c, endpoints(1, 1, 1, 1, 1), keys)
			shuffled := endpoints(1, 1, 1, 1, 1)
			rand.New(rand.NewPCG(1, 2)).Shuffle(5, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			for i, address := range where(c, shuffled, keys) {
				if address != five[i] {
					t.Fatalf("key %d goes by the order of the endpoints", i)
				}
			}
			moved, strays := 0, 0
			for i, address := range where(c, endpoints(1, 1, 1, 1), keys) {
				if address != five[i] {
					if moved++; five[i] != "10.0.0.4:80" {
						strays++
					}
				}
			}
			// On the ring the others' places grow from 205 to 256 each.
			limit := map[Policy]int{RingHash: keys / 10, Maglev: keys / 50}[policy]
			if moved < keys/5-500 || strays > limit {
				t.Errorf("%d of %d keys moved when one of five hosts left, %d of them from hosts that stayed", moved, keys, strays)
			}
			counts := map[string]int{}
			for _, address := range five {
				counts[address]++
			}
			for address, n := range counts {
				if n < 1500 || n > 2500 {
					t.Errorf("%s has %d of %d keys", address, n, keys)
				}
			}
		})
	}
}

func TestHashedPoliciesHeedWeights(t *testing.T) {
	for _, policy := range []Policy{RingHash, Maglev} {
		counts := draws(NewHosts(&Config{Policy: policy}, endpoints(1, 3), nil), 40_000)
		if n := counts["10.0.0.0:80"]; n < 9_000 || n > 11_000 {
			t.Errorf("%s: the lighter of 1:3 got %d of 40000", policy, n)
		}
	}
}

func TestRingSizes(t *testing.T) {
	for _, tt := range []struct {
		hosts, weight int
		low, high     uint64
		want          int
	}{
		{1, 1, 0, 0, 0}, // one host needs no ring, and Pick uses none
		{3, 1, 0, 0, 1026},
		{4, 1, 16, 0, 16},
		{2000, 1, 0, 0, 2000},
		{8, 1, 1 << 20, 64, 64},
	} {
		weights := make([]uint32, tt.hosts)
		for i := range weights {
			weights[i] = uint32(tt.weight)
		}
		hs := NewHosts(&Config{Policy: RingHash, RingMin: tt.low, RingMax: tt.high}, endpoints(weights...), nil)
		if tt.want > 0 && len(hs.levels[0].points) != tt.want {
			t.Errorf("%d hosts, sizes %d to %d: %d points, want %d", tt.hosts, tt.low, tt.high, len(hs.levels[0].points), tt.want)
		}
		if hs.Pick(7) == nil {
			t.Errorf("%d hosts: none is drawn", tt.hosts)
		}
	}
}

func BenchmarkPickPolicies(b *testing.B) {
	weights := make([]uint32, 50)
	for _, policy := range []Policy{RoundRobin, LeastRequest, Random, RingHash, Maglev} {
		hs := NewHosts(&Config{Policy: policy}, endpoints(weights...), nil)
		b.Run(policy.String(), func(b *testing.B) {
			b.ReportAllocs()
			for i := uint64(0); b.Loop(); i++ {
				hs.Pick(i * 0x9e3779b97f4a7c15)
			}
		})
	}
}
