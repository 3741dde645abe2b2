package cluster

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// clocked is a detector, its hosts and the time, as one cluster has them.
type clocked struct {
	*Detector
	config *Config
	hosts  *Hosts
	now    time.Time
}

func newClocked(n int, o Outlier) *clocked {
	weights := make([]uint32, n)
	c := &clocked{config: &Config{Outlier: &o}, Detector: NewDetector(o, noon), now: noon}
	c.hosts = NewHosts(c.config, endpoints(weights...), nil)
	return c
}

func (c *clocked) report(host int, statuses ...int) {
	for _, s := range statuses {
		if c.Report(c.hosts, c.hosts.All()[host], s, c.now) {
			c.hosts = c.hosts.Renew(c.config)
		}
	}
}

// pass lets time go by, with a sweep whenever one is due.
func (c *clocked) pass(d time.Duration) {
	end := c.now.Add(d)
	for {
		due, ok := c.NextSweep(c.hosts, c.now)
		if !ok || due.After(end) {
			break
		}
		c.now = due
		if len(c.Sweep(c.hosts, due)) > 0 {
			c.hosts = c.hosts.Renew(c.config)
		}
	}
	c.now = end
}

func TestEjectionByConsecutiveErrors(t *testing.T) {
	all := func(o Outlier) Outlier { o.MaxEjectionPercent = 100; return o }
	for _, tt := range []struct {
		name     string
		outlier  Outlier
		statuses []int
		want     bool
	}{
		{"second in a row", all(Outlier{Consecutive5xx: 2}), []int{500, 503}, true},
		{"only one", all(Outlier{Consecutive5xx: 2}), []int{500}, false},
		{"a success between", all(Outlier{Consecutive5xx: 2}), []int{500, 200, 500}, false},
		{"a client error between is a success", all(Outlier{Consecutive5xx: 2}), []int{500, 404, 500}, false},
		{"gateway errors", all(Outlier{ConsecutiveGateway: 2}), []int{502, 504}, true},
		{"500 is no gateway error", all(Outlier{ConsecutiveGateway: 2}), []int{503, 500, 503}, false},
		{"gateway errors are 5xx", all(Outlier{Consecutive5xx: 2, ConsecutiveGateway: 9}), []int{503, 503}, true},
		{"neither is on", all(Outlier{}), []int{500, 500, 500, 500, 500, 500}, false},
		{"the share is too small", Outlier{Consecutive5xx: 1, MaxEjectionPercent: 10}, []int{500}, false},
		{"the share is just enough", Outlier{Consecutive5xx: 1, MaxEjectionPercent: 34}, []int{500}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClocked(3, tt.outlier)
			c.report(0, tt.statuses...)
			if got := c.hosts.All()[0].Ejected(); got != tt.want {
				t.Errorf("ejected %v, want %v", got, tt.want)
			}
			if got := c.hosts.Usable() == 2; got != tt.want {
				t.Errorf("%d usable", c.hosts.Usable())
			}
		})
	}
}

// The circuit breaker that users bring: two errors, a look each 10 s, a minute
// out, all may be out.
func TestBreakerClosesAfterAMinute(t *testing.T) {
	c := newClocked(3, Outlier{Consecutive5xx: 2, Interval: 10 * time.Second, BaseEjection: time.Minute, MaxEjectionPercent: 100})
	c.pass(7 * time.Second)
	for host := range 3 {
		c.report(host, 503, 503)
	}
	if c.hosts.Pick(1) != nil || c.hosts.Ejected() != 3 || c.Ejections() != 3 {
		t.Fatalf("%d of 3 ejected, %d counted, one is still drawn", c.hosts.Ejected(), c.Ejections())
	}
	c.pass(60 * time.Second) // 67 s: the sweep at 60 s came 53 s after the ejection
	if got := c.hosts.Ejected(); got != 3 {
		t.Errorf("%d ejected after a minute, want 3 until the next sweep", got)
	}
	c.pass(3 * time.Second) // the sweep at 70 s
	if got := c.hosts.Ejected(); got != 0 || c.hosts.Pick(1) == nil {
		t.Errorf("%d ejected after the sweep, want none", got)
	}
	// A second time takes twice as long.
	c.report(0, 503, 503)
	c.pass(119 * time.Second)
	if !c.hosts.All()[0].Ejected() {
		t.Error("back before two minutes, the second time")
	}
	c.pass(11 * time.Second)
	if c.hosts.All()[0].Ejected() {
		t.Error("still out after two minutes and a sweep")
	}
	// Each interval without an ejection forgives one; then there is no more to do.
	c.pass(30 * time.Second)
	if due, ok := c.NextSweep(c.hosts, c.now); ok {
		t.Errorf("a sweep is due at %v, and nothing is on record", due)
	}
	c.report(0, 503, 503)
	c.pass(70 * time.Second)
	if c.hosts.All()[0].Ejected() {
		t.Error("forgiven, and still out after one minute")
	}
}

func TestEjectionTimeIsBounded(t *testing.T) {
	c := newClocked(1, Outlier{Consecutive5xx: 1, Interval: time.Second, BaseEjection: 10 * time.Second, MaxEjection: 25 * time.Second, MaxEjectionPercent: 100})
	for range 6 {
		c.report(0, 500)
		c.pass(26 * time.Second)
		if c.hosts.Ejected() != 0 {
			t.Fatal("out for longer than the most")
		}
	}
}

func TestPanic(t *testing.T) {
	o := Outlier{Consecutive5xx: 1, MaxEjectionPercent: 100}
	c := newClocked(4, o)
	c.config.PanicPercent = 50
	c.report(0, 500)
	c.report(1, 500)
	if c.hosts.Panics() || c.hosts.Usable() != 2 {
		t.Errorf("half are healthy: panics %v, %d usable", c.hosts.Panics(), c.hosts.Usable())
	}
	c.report(2, 500)
	if !c.hosts.Panics() || c.hosts.Usable() != 4 {
		t.Errorf("a quarter is healthy: panics %v, %d usable", c.hosts.Panics(), c.hosts.Usable())
	}
}

// An ejection outlives a change of the endpoint list, and ends with its rules.
func TestEjectionAndEndpointChanges(t *testing.T) {
	c := newClocked(3, Outlier{Consecutive5xx: 1, MaxEjectionPercent: 100})
	c.report(0, 500)
	c.hosts = NewHosts(c.config, endpoints(1, 1, 1, 1), c.hosts)
	if c.hosts.Ejected() != 1 || c.hosts.Usable() != 3 {
		t.Errorf("%d ejected, %d usable after a change", c.hosts.Ejected(), c.hosts.Usable())
	}
	c.Forget(c.hosts)
	if c.hosts = c.hosts.Renew(c.config); c.hosts.Usable() != 4 {
		t.Errorf("%d usable after the rules went", c.hosts.Usable())
	}
}

func BenchmarkReportSuccess(b *testing.B) {
	c := newClocked(3, Outlier{Consecutive5xx: 5, MaxEjectionPercent: 100})
	h := c.hosts.All()[0]
	b.ReportAllocs()
	for b.Loop() {
		c.Report(c.hosts, h, 200, c.now)
	}
}

// Each time in a row an endpoint is out for longer, and who took it out knows until when.
func TestUntil(t *testing.T) {
	c := newClocked(2, Outlier{Consecutive5xx: 1, Interval: time.Second, BaseEjection: 10 * time.Second, MaxEjectionPercent: 100})
	host := c.hosts.All()[0]
	if !c.Until(host).IsZero() {
		t.Errorf("until %s before it was taken out", c.Until(host))
	}
	for times := 1; times <= 2; times++ {
		c.report(0, 503)
		if got, want := c.Until(host), c.now.Add(time.Duration(times)*10*time.Second); !got.Equal(want) {
			t.Errorf("ejection %d: until %s, want %s", times, got, want)
		}
		c.pass(time.Duration(times) * 10 * time.Second)
		if host = c.hosts.All()[0]; host.Ejected() || !c.Until(host).IsZero() {
			t.Fatalf("ejection %d: still out", times)
		}
	}
}
