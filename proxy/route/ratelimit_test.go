package route_test

import (
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func limitedTable(t *testing.T, names ...string) *route.Table {
	t.Helper()
	vh := route.VirtualHost{Name: "h", Domains: []string{"*"}}
	for _, n := range names {
		vh.Routes = append(vh.Routes, route.Route{
			Name: n, Match: route.Match{Path: route.Path{Kind: route.PathExact, Value: "/" + n}},
			Direct: &route.Direct{Status: 200}, RateLimit: &route.RateLimit{Max: 3, Fill: 2, Every: time.Second},
		})
	}
	table, err := route.New(route.Config{Name: "t", VirtualHosts: []route.VirtualHost{vh}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func limitOf(table *route.Table, name string) *route.RateLimit {
	return table.Match(&route.Request{Host: "h", Path: "/" + name}).Route.RateLimit
}

func TestRateLimit(t *testing.T) {
	l := limitOf(limitedTable(t, "a"), "a")
	now := time.Unix(1000, 0)
	take := func(after time.Duration, ok bool, left uint32, reset time.Duration) {
		t.Helper()
		now = now.Add(after)
		if a := l.Take(now); a != (route.Allowance{OK: ok, Left: left, Reset: reset}) {
			t.Errorf("%+v, want %v, %d left, full in %s", a, ok, left, reset)
		}
	}
	take(0, true, 2, 500*time.Millisecond)
	take(0, true, 1, time.Second)
	take(0, true, 0, 1500*time.Millisecond)
	take(0, false, 0, 1500*time.Millisecond)
	take(250*time.Millisecond, false, 0, 1250*time.Millisecond)
	take(250*time.Millisecond, true, 0, 1500*time.Millisecond)
	take(time.Hour, true, 2, 500*time.Millisecond)     // never more than it holds
	take(-time.Minute, true, 1, 1000*time.Millisecond) // a clock that goes back gives nothing
}

func TestRateLimitOutlivesATable(t *testing.T) {
	now := time.Unix(1000, 0)
	first := limitedTable(t, "a", "b")
	for range 3 {
		limitOf(first, "a").Take(now)
	}
	second := limitedTable(t, "b", "a", "c")
	second.Inherit(first)
	for name, ok := range map[string]bool{"a": false, "b": true, "c": true} {
		if got := limitOf(second, name).Take(now).OK; got != ok {
			t.Errorf("route %s after the change: allowed is %v, want %v", name, got, ok)
		}
	}
}
