package cluster

import (
	"testing"
	"time"
)

func TestLeastRequestByWeight(t *testing.T) {
	hs := NewHosts(&Config{Policy: LeastRequest}, endpoints(1, 3), nil)
	counts := draws(hs, 4000)
	if n := counts["10.0.0.1:80"]; n < 2990 || n > 3010 {
		t.Errorf("idle, the heavy host got %d of 4000, want 3000", n)
	}
	for range 5 {
		hs.All()[1].Acquire() // 3/(5+1) against 1
	}
	draws(hs, 100)
	counts = draws(hs, 3000)
	if n := counts["10.0.0.1:80"]; n < 990 || n > 1010 {
		t.Errorf("busy, the heavy host got %d of 3000, want 1000", n)
	}
}

// A host that comes gets its share little by little; those that were there
// before are not held back by it.
func TestSlowStart(t *testing.T) {
	for _, p := range []Policy{RoundRobin, LeastRequest} {
		c := &Config{Policy: p, SlowStart: &SlowStart{Window: 100 * time.Second, MinPercent: 10}}
		now := noon
		hs := NewHosts(c, endpoints(1), nil)
		hs.Warm(c.SlowStart, now)
		now = now.Add(time.Hour)
		if hs.Warm(c.SlowStart, now) {
			t.Error("still cold after an hour")
		}
		hs = NewHosts(c, endpoints(1, 1), hs)
		for _, step := range []struct {
			after time.Duration
			want  int // of 1000
		}{{0, 91}, {50 * time.Second, 333}, {49 * time.Second, 497}, {time.Second, 500}} {
			now = now.Add(step.after)
			hs.Warm(c.SlowStart, now)
			draws(hs, 100) // turns that were given out before end
			if n := draws(hs, 1000)["10.0.0.1:80"]; n < step.want-15 || n > step.want+15 {
				t.Errorf("%s: after %s the new host got %d of 1000, want %d", p, now.Sub(noon.Add(time.Hour)), n, step.want)
			}
		}
		if hs.Warm(c.SlowStart, now) {
			t.Error("still cold after the window")
		}
	}
}

func TestSlowStartAggression(t *testing.T) {
	s := &SlowStart{Window: 100 * time.Second, Aggression: 2}
	hs := NewHosts(&Config{SlowStart: s}, endpoints(1), nil)
	hs.Warm(s, noon)
	hs.Warm(s, noon.Add(25*time.Second)) // √0.25
	if got := share(hs.All()[0]); got < 0.49 || got > 0.51 {
		t.Errorf("share %f, want a half", got)
	}
}

func BenchmarkPickByWeight(b *testing.B) {
	for _, p := range []Policy{RoundRobin, LeastRequest} {
		b.Run(p.String(), func(b *testing.B) {
			hs := NewHosts(&Config{Policy: p}, endpoints(1, 2, 3, 4), nil)
			b.ReportAllocs()
			for b.Loop() {
				hs.Pick(1)
			}
		})
	}
}
