package route_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// table compiles one route; it fails the test when that is refused.
func oneRoute(t *testing.T, r route.Route) *route.Route {
	t.Helper()
	r.Direct = &route.Direct{Status: 200}
	table, err := route.New(route.Config{Name: "t", VirtualHosts: []route.VirtualHost{{Name: "h", Domains: []string{"*"}, Routes: []route.Route{r}}}})
	if err != nil {
		t.Fatal(err)
	}
	return table.Match(&route.Request{Host: "h", Path: "/"}).Route
}

func TestCORS(t *testing.T) {
	shop := &route.CORS{
		Origins: []route.StringMatch{{Kind: route.Exact, Value: "https://shop.example"}, {Kind: route.Regex, Value: `https://.*\.shop\.example`}},
		Methods: "GET,POST", Headers: "x-user", Expose: "x-total", MaxAge: "600", Credentials: true,
	}
	strict := &route.CORS{Origins: shop.Origins, IgnoreUnmatched: true}
	anyone := &route.CORS{Origins: []route.StringMatch{{Kind: route.Exact, Value: "*"}}}
	const origin, method = "Origin", "Access-Control-Request-Method"
	for _, tt := range []struct {
		name   string
		cors   *route.CORS
		method string
		header route.Header
		want   route.Verdict
		set    route.Header
	}{
		{"same origin", shop, "GET", route.Header{}, route.NoCORS, route.Header{}},
		{"allowed", shop, "GET", route.Header{origin: {"https://shop.example"}}, route.Allowed, route.Header{
			"Access-Control-Allow-Origin": {"https://shop.example"}, "Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Expose-Headers": {"x-total"},
		}},
		{"preflight", shop, "OPTIONS", route.Header{origin: {"https://de.shop.example"}, method: {"POST"}}, route.Preflight, route.Header{
			"Access-Control-Allow-Origin": {"https://de.shop.example"}, "Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Allow-Methods": {"GET,POST"}, "Access-Control-Allow-Headers": {"x-user"}, "Access-Control-Max-Age": {"600"},
		}},
		{"options without a method is no preflight", shop, "OPTIONS", route.Header{origin: {"https://shop.example"}}, route.Allowed, nil},
		{"other origin", shop, "GET", route.Header{origin: {"https://evil.example"}}, route.NoCORS, route.Header{}},
		{"other preflight goes to the service", shop, "OPTIONS", route.Header{origin: {"https://evil.example"}, method: {"POST"}}, route.NoCORS, route.Header{}},
		{"other preflight is ignored", strict, "OPTIONS", route.Header{origin: {"https://evil.example"}, method: {"POST"}}, route.Preflight, route.Header{}},
		{"anyone", anyone, "GET", route.Header{origin: {"https://a.example"}}, route.Allowed, route.Header{"Access-Control-Allow-Origin": {"https://a.example"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := oneRoute(t, route.Route{CORS: tt.cors}).CORS
			v, from := c.Judge(&route.Request{Method: tt.method, Header: tt.header})
			if v != tt.want {
				t.Errorf("verdict %d, want %d", v, tt.want)
			}
			got := route.Header{}
			c.Decorate(got, v, from)
			if diff := cmp.Diff(tt.set, got); diff != "" && tt.set != nil {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultShares(t *testing.T) {
	f := &route.Fault{Delay: time.Second, DelayShare: 250_000, AbortStatus: 503, AbortShare: 1_000_000}
	delayed := 0
	for i := range uint32(1024) {
		random := i << 22 // spread over all of the range
		if f.Delays(random) {
			delayed++
		}
		if !f.Aborts(random) {
			t.Fatalf("draw %d is not aborted at 100 %%", random)
		}
	}
	if delayed != 256 {
		t.Errorf("%d of 1024 even draws wait, want a quarter", delayed)
	}
	if none := (&route.Fault{}); none.Delays(0) || none.Aborts(0) {
		t.Error("a share of 0 is drawn")
	}
}

func TestPoliciesAreChecked(t *testing.T) {
	for name, r := range map[string]route.Route{
		"fault: a delay of 0s":                               {Fault: &route.Fault{DelayShare: 1}},
		"fault: abort with status 99":                        {Fault: &route.Fault{AbortShare: 1, AbortStatus: 99}},
		"cors: error parsing regexp: missing closing ): `(`": {CORS: &route.CORS{Origins: []route.StringMatch{{Kind: route.Regex, Value: "("}}}},
	} {
		r.Direct = &route.Direct{Status: 200}
		_, err := route.New(route.Config{Name: "t", VirtualHosts: []route.VirtualHost{{Name: "h", Domains: []string{"*"}, Routes: []route.Route{r}}}})
		if want := `route configuration t: virtual host h: route 0 "": ` + name; err == nil || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}
