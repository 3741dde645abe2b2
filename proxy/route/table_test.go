package route

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func to(name string) *Forward { return &Forward{Clusters: []Weighted{{Cluster: name}}} }

func mustTable(t *testing.T, hosts ...VirtualHost) *Table {
	t.Helper()
	table, err := New(Config{Name: "outbound", Revision: 7, VirtualHosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestDomains(t *testing.T) {
	vh := func(name string, domains ...string) VirtualHost {
		return VirtualHost{Name: name, Domains: domains, Routes: []Route{{Forward: to(name)}}}
	}
	table := mustTable(t,
		vh("exact", "catalog.cinema.svc.cluster.local", "catalog", "catalog:8080"),
		vh("suffix", "*.example.com"),
		vh("longer", "*.api.example.com"),
		vh("prefix", "tickets.*"),
		vh("all", "*"),
	)
	for host, want := range map[string]string{
		"catalog":                          "exact",
		"CATALOG":                          "exact",
		"catalog:8080":                     "exact",
		"catalog:9090":                     "all",
		"catalog.cinema.svc.cluster.local": "exact",
		"www.example.com":                  "suffix",
		"v1.api.example.com":               "longer",
		".example.com":                     "all", // a suffix needs something before it
		"tickets.cinema":                   "prefix",
		"tickets.":                         "all",
		"":                                 "all",
	} {
		if got := table.Match(&Request{Host: host}).Host.Name; got != want {
			t.Errorf("host %q: got %s, want %s", host, got, want)
		}
	}
}

func TestNoDomain(t *testing.T) {
	table := mustTable(t, VirtualHost{Name: "a", Domains: []string{"a"}, Routes: []Route{{Match: Match{Path: Path{Value: "/x"}}, Forward: to("a")}}})
	if d := table.Match(&Request{Host: "b", Path: "/x"}); d.Host != nil || d.Route != nil {
		t.Errorf("unknown host: got %+v, want nothing", d)
	}
	if d := table.Match(&Request{Host: "a", Path: "/y"}); d.Host == nil || d.Route != nil {
		t.Errorf("unknown path: got %+v, want a host and no route", d)
	}
}

func TestMatch(t *testing.T) {
	exact := func(name, v string) HeaderMatch {
		return HeaderMatch{Name: name, Value: StringMatch{Kind: Exact, Value: v}}
	}
	get := func(path string) Request { return Request{Path: path, Method: "GET"} }
	with := func(kv ...string) Request {
		r := Request{Path: "/", Method: "GET", Header: http.Header{}}
		for i := 0; i < len(kv); i += 2 {
			http.Header(r.Header).Add(kv[i], kv[i+1])
		}
		return r
	}
	invert := func(h HeaderMatch) HeaderMatch { h.Invert = true; return h }
	missing := func(h HeaderMatch) HeaderMatch { h.MissingAsEmpty = true; return h }
	tests := []struct {
		name  string
		match Match
		yes   []Request
		no    []Request
	}{
		{"everything", Match{}, []Request{get("/"), get("/x"), get("*")}, nil},
		{
			"prefix",
			Match{Path: Path{Kind: PathPrefix, Value: "/api"}},
			[]Request{get("/api"), get("/apix"), get("/api/1")},
			[]Request{get("/"), get("/ap"), get("/API")},
		},
		{
			"prefix, any case",
			Match{Path: Path{Kind: PathPrefix, Value: "/api", IgnoreCase: true}},
			[]Request{get("/API/1")},
			[]Request{get("/ap")},
		},
		{
			"segments",
			Match{Path: Path{Kind: PathSeparatedPrefix, Value: "/api"}},
			[]Request{get("/api"), get("/api/1")},
			[]Request{get("/apix")},
		},
		{"exact", Match{Path: Path{Kind: PathExact, Value: "/api"}}, []Request{get("/api")}, []Request{get("/api/"), get("/Api")}},
		{
			"regex takes the whole path",
			Match{Path: Path{Kind: PathRegex, Value: "/v[0-9]+"}},
			[]Request{get("/v12")},
			[]Request{get("/v12/x"), get("/a/v12"), get("/v")},
		},
		{
			"regex with alternatives",
			Match{Path: Path{Kind: PathRegex, Value: "/a|/b"}},
			[]Request{get("/a"), get("/b")},
			[]Request{get("/ab"), get("/a/b")},
		},
		{
			"header exact",
			Match{Headers: []HeaderMatch{exact("x-user", "jo")}},
			[]Request{with("X-User", "jo")},
			[]Request{with("X-User", "joe"), with(), with("X-User", "jo", "X-User", "jo")},
		},
		{"header joined", Match{Headers: []HeaderMatch{exact("x-user", "a,b")}}, []Request{with("X-User", "a", "X-User", "b")}, nil},
		{
			"header not exact: absent is no match",
			Match{Headers: []HeaderMatch{invert(exact("x-user", "jo"))}},
			[]Request{with("X-User", "joe")},
			[]Request{with("X-User", "jo"), with()},
		},
		{
			"header not exact, missing as empty",
			Match{Headers: []HeaderMatch{missing(invert(exact("x-user", "jo")))}},
			[]Request{with("X-User", "joe"), with()},
			[]Request{with("X-User", "jo")},
		},
		{"header present", Match{Headers: []HeaderMatch{{Name: "x-user"}}}, []Request{with("X-User", "")}, []Request{with()}},
		{
			"header not present",
			Match{Headers: []HeaderMatch{invert(HeaderMatch{Name: "x-user"})}},
			[]Request{with()},
			[]Request{with("X-User", "")},
		},
		{
			"header prefix",
			Match{Headers: []HeaderMatch{{Name: "x-v", Value: StringMatch{Kind: Prefix, Value: "1."}}}},
			[]Request{with("X-V", "1.2")},
			[]Request{with("X-V", "11")},
		},
		{
			"header suffix",
			Match{Headers: []HeaderMatch{{Name: "x-v", Value: StringMatch{Kind: Suffix, Value: ".9"}}}},
			[]Request{with("X-V", "1.9")},
			[]Request{with("X-V", "9")},
		},
		{
			"header contains",
			Match{Headers: []HeaderMatch{{Name: "x-v", Value: StringMatch{Kind: Contains, Value: "B", IgnoreCase: true}}}},
			[]Request{with("X-V", "abc")},
			[]Request{with("X-V", "xyz")},
		},
		{
			"header regex",
			Match{Headers: []HeaderMatch{{Name: "x-v", Value: StringMatch{Kind: Regex, Value: "[a-c]+"}}}},
			[]Request{with("X-V", "abc")},
			[]Request{with("X-V", "abcd")},
		},
		{
			"header range",
			Match{Headers: []HeaderMatch{{Name: "x-n", Value: StringMatch{Kind: Range, From: -10, To: 0}}}},
			[]Request{with("X-N", "-1"), with("X-N", "-10")},
			[]Request{with("X-N", "0"), with("X-N", "a"), with("X-N", "-10.5")},
		},
		{
			"all headers",
			Match{Headers: []HeaderMatch{exact("a", "1"), exact("b", "2")}},
			[]Request{with("A", "1", "B", "2")},
			[]Request{with("A", "1"), with("B", "2")},
		},
		{"method", Match{Headers: []HeaderMatch{exact(":method", "POST")}}, []Request{{Method: "POST"}}, []Request{{Method: "GET"}}},
		{"authority", Match{Headers: []HeaderMatch{exact(":authority", "a")}}, nil, []Request{get("/")}},
		{
			"query",
			Match{Query: []QueryMatch{{Name: "v", Value: StringMatch{Kind: Exact, Value: "2"}}, {Name: "d"}}},
			[]Request{{Query: "d&v=2"}, {Query: "v=2&v=3&d=%20"}},
			[]Request{{}, {Query: "v=2"}, {Query: "v=3&d=1"}, {Query: "v=%zz&d"}},
		},
		{
			"gRPC",
			Match{GRPC: true},
			[]Request{with("Content-Type", "application/grpc"), with("Content-Type", "application/grpc+proto")},
			[]Request{with("Content-Type", "application/grpc-web"), with()},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := mustTable(t, VirtualHost{Name: "h", Domains: []string{"*"}, Routes: []Route{{Match: tt.match, Forward: to("c")}}})
			for _, r := range tt.yes {
				if table.Match(&r).Route == nil {
					t.Errorf("%+v does not match", r)
				}
			}
			for _, r := range tt.no {
				if table.Match(&r).Route != nil {
					t.Errorf("%+v matches", r)
				}
			}
		})
	}
}

func TestFirstMatchWins(t *testing.T) {
	table := mustTable(t, VirtualHost{Name: "h", Domains: []string{"*"}, Routes: []Route{
		{Name: "one", Match: Match{Path: Path{Value: "/a"}}, Forward: to("c")},
		{Name: "two", Revision: 3, Forward: to("c")},
	}})
	one, two := table.Match(&Request{Path: "/a/b"}), table.Match(&Request{Path: "/b"})
	if one.Route.Name != "one" || two.Route.Name != "two" {
		t.Errorf("got %s and %s", one.Route.Name, two.Route.Name)
	}
	if one.Revision != 7 || two.Revision != 3 {
		t.Errorf("revisions: got %d and %d, want the table's 7 and its own 3", one.Revision, two.Revision)
	}
}

func TestNewRefuses(t *testing.T) {
	host := func(r ...Route) []VirtualHost {
		return []VirtualHost{{Name: "h", Domains: []string{"a"}, Routes: r}}
	}
	tests := []struct {
		name  string
		hosts []VirtualHost
		want  string
	}{
		{"no action", host(Route{Name: "r"}), `virtual host h: route 0 "r": 0 actions`},
		{"two actions", host(Route{Forward: to("c"), Direct: &Direct{Status: 200}}), "2 actions"},
		{"no cluster", host(Route{Forward: &Forward{}}), "without a cluster"},
		{"weights", host(Route{Forward: &Forward{Clusters: []Weighted{{Cluster: "a"}, {Cluster: "b"}}}}), "all weights are 0"},
		{"path regex", host(Route{Match: Match{Path: Path{Kind: PathRegex, Value: "a)|(b"}}, Forward: to("c")}), "unexpected )"},
		{"header regex", host(Route{Match: Match{Headers: []HeaderMatch{{Name: "x", Value: StringMatch{Kind: Regex, Value: "["}}}}, Forward: to("c")}), "header x"},
		{"retry word", host(Route{Forward: &Forward{Clusters: to("c").Clusters, Retry: &Retry{On: []string{"5xx", "sometimes"}}}}), `"sometimes"`},
		{"status", host(Route{Direct: &Direct{Status: 99}}), "status 99"},
		{"domain twice", []VirtualHost{{Name: "h", Domains: []string{"a"}}, {Name: "i", Domains: []string{"A"}}}, "domain a is also in virtual host h"},
		{"star twice", []VirtualHost{{Name: "h", Domains: []string{"*"}}, {Name: "i", Domains: []string{"*"}}}, "domain *"},
		{"no domains", []VirtualHost{{Name: "h"}}, "no domains"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(Config{Name: "outbound", VirtualHosts: tt.hosts})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "outbound") {
				t.Errorf("got %v, want it to name outbound and %q", err, tt.want)
			}
		})
	}
}

func TestPickFollowsWeights(t *testing.T) {
	f := &Forward{Clusters: []Weighted{{Cluster: "v1", Weight: 90}, {Cluster: "v2", Weight: 10}, {Cluster: "v3"}}}
	rng := rand.New(rand.NewPCG(1, 2))
	counts := map[string]int{}
	const n = 100_000
	for range n {
		counts[f.Pick(rng.Uint64()).Cluster]++
	}
	if got := float64(counts["v2"]) / n; got < 0.095 || got > 0.105 {
		t.Errorf("v2 got %.3f of the draws, want 0.1", got)
	}
	if counts["v3"] != 0 {
		t.Errorf("v3 has weight 0 and got %d draws", counts["v3"])
	}
}

func TestRewrite(t *testing.T) {
	tests := []struct {
		name  string
		route Route
		path  string
		want  string
	}{
		{"prefix", Route{Match: Match{Path: Path{Value: "/old/"}}, Forward: &Forward{PrefixRewrite: "/"}}, "/old/a%2Fb", "/a%2Fb"},
		{"exact", Route{Match: Match{Path: Path{Kind: PathExact, Value: "/old"}}, Forward: &Forward{PrefixRewrite: "/new"}}, "/old", "/new"},
		{"segments", Route{Match: Match{Path: Path{Kind: PathSeparatedPrefix, Value: "/old"}}, Forward: &Forward{PrefixRewrite: "/"}}, "/old/x", "/x"},
		{"regex", Route{Forward: &Forward{Clusters: to("c").Clusters, RegexRewrite: &RegexRewrite{Pattern: "^/(.*)/([0-9]+)$", Substitution: `/\2/\1$1`}}}, "/a/1", "/1/a$1"},
		{"none", Route{Forward: to("c")}, "/x", "/x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.route.Forward.Clusters = to("c").Clusters
			table := mustTable(t, VirtualHost{Name: "h", Domains: []string{"*"}, Routes: []Route{tt.route}})
			r := table.Match(&Request{Path: tt.path}).Route
			if r == nil {
				t.Fatal("no match")
			}
			if got := r.Rewrite(tt.path); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestLocation(t *testing.T) {
	req := &Request{Scheme: "http", Host: "shop.example:80", Path: "/a/b", Query: "q=1"}
	tests := []struct {
		name     string
		redirect Redirect
		want     string
	}{
		{"scheme drops the default port", Redirect{Scheme: "https"}, "https://shop.example/a/b?q=1"},
		{"host", Redirect{Host: "other"}, "http://other/a/b?q=1"},
		{"port", Redirect{Port: 8443}, "http://shop.example:8443/a/b?q=1"},
		{"path", Redirect{Path: "/new?x=2"}, "http://shop.example:80/new?x=2"},
		{"prefix", Redirect{PrefixRewrite: "/z"}, "http://shop.example:80/z/b?q=1"},
		{"no query", Redirect{StripQuery: true}, "http://shop.example:80/a/b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Route{Match: Match{Path: Path{Value: "/a"}}, Redirect: &tt.redirect}
			if got := r.Location(req); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestHeaderOps(t *testing.T) {
	h := http.Header{"A": {"1"}, "B": {"1"}, "C": {"1"}}
	ops := HeaderOps{Remove: []string{"c"}, Set: []HeaderSet{
		{Name: "a", Value: "2"},
		{Name: "b", Value: "2", Action: OverwriteOrAdd},
		{Name: "d", Value: "2", Action: OverwriteIfExists},
		{Name: "a", Value: "3", Action: AddIfAbsent},
		{Name: "e", Value: "2", Action: AddIfAbsent},
		{Name: ":authority", Value: "other"},
		{Name: ":path", Value: "/never"},
	}}
	if host := ops.Apply(h); host != "other" {
		t.Errorf("host %q, want other", host)
	}
	want := http.Header{"A": {"1", "2"}, "B": {"2"}, "E": {"2"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Error(diff)
	}
}

func TestService(t *testing.T) {
	table := mustTable(t,
		VirtualHost{Name: "catalog:8080", Domains: []string{"catalog.cinema.svc.cluster.local", "catalog"}},
		VirtualHost{Name: "bank", Domains: []string{"api.bank.example:443"}},
		VirtualHost{Name: "block_all", Domains: []string{"*"}},
	)
	hosts := table.Config().VirtualHosts
	if s := hosts[0].Service(); s.Host != "catalog.cinema.svc.cluster.local" || s.Name != "catalog" || s.Namespace != "cinema" {
		t.Errorf("got %+v", s)
	}
	if s := hosts[1].Service(); s.Host != "api.bank.example" || s.Name != "api.bank.example" {
		t.Errorf("got %+v", s)
	}
	if s := hosts[2].Service(); s.Host != "" || s.Name != "BlackHoleCluster" {
		t.Errorf("got %+v", s)
	}
}

func TestRetryConditions(t *testing.T) {
	policy := func(on string, codes ...int) Policy {
		return NewPolicy(&Retry{On: strings.Split(on, ","), Num: 2, StatusCodes: codes})
	}
	resets := []struct {
		on   string
		kind Reset
		sent bool
		want bool
	}{
		{"connect-failure", ResetConnectFailure, false, true},
		{"connect-failure", ResetRemote, true, false},
		{"refused-stream", ResetRefused, true, true},
		{"refused-stream", ResetConnectFailure, false, false},
		{"reset", ResetRemote, true, true},
		{"reset", ResetTimeout, true, true},
		{"reset-before-request", ResetRemote, false, true},
		{"reset-before-request", ResetRemote, true, false},
		{"5xx", ResetTimeout, true, true},
		{"gateway-error", ResetConnectFailure, false, true},
		{"retriable-4xx", ResetRemote, true, false},
		{"unavailable", ResetRemote, true, false},
	}
	for _, tt := range resets {
		if got := policy(tt.on).AfterReset(tt.kind, tt.sent); got != tt.want {
			t.Errorf("%s after reset %d (sent %v): got %v", tt.on, tt.kind, tt.sent, got)
		}
	}
	answers := []struct {
		on      string
		status  int
		grpc    string
		limited bool
		want    bool
	}{
		{"5xx", 500, "", false, true},
		{"5xx", 499, "", false, false},
		{"5xx", 503, "", true, false},
		{"5xx,envoy-ratelimited", 503, "", true, true},
		{"gateway-error", 500, "", false, false},
		{"gateway-error", 504, "", false, true},
		{"retriable-4xx", 409, "", false, true},
		{"retriable-4xx", 404, "", false, false},
		{"retriable-status-codes", 404, "", false, true},
		{"unavailable", 200, "14", false, true},
		{"unavailable", 200, "8", false, false},
		{"cancelled,internal", 200, "13", false, true},
		{"resource-exhausted", 200, "8", false, true},
		{"deadline-exceeded", 200, "4", false, true},
		{"cancelled", 200, "1", false, true},
	}
	for _, tt := range answers {
		if got := policy(tt.on, 404).AfterHeaders(tt.status, tt.grpc, tt.limited); got != tt.want {
			t.Errorf("%s after %d grpc %q: got %v", tt.on, tt.status, tt.grpc, got)
		}
	}
	if NewPolicy(nil).Enabled() || NewPolicy(&Retry{Num: 3}).Enabled() {
		t.Error("a policy without conditions is enabled")
	}
}

func TestBackoff(t *testing.T) {
	p := NewPolicy(&Retry{On: []string{"5xx"}})
	for n, want := range map[int]time.Duration{
		1: 25 * time.Millisecond, 2: 75 * time.Millisecond, 3: 175 * time.Millisecond,
		4: 250 * time.Millisecond, 100: 250 * time.Millisecond,
	} {
		if got := p.Backoff(n, 1); got != want {
			t.Errorf("retry %d waits up to %s, want %s", n, got, want)
		}
	}
	if got := p.Backoff(3, 0); got != 0 {
		t.Errorf("lowest wait %s, want 0", got)
	}
	p = NewPolicy(&Retry{On: []string{"5xx"}, BackoffBase: time.Second, BackoffMax: 2 * time.Second})
	if got := p.Backoff(2, 0.5); got != time.Second {
		t.Errorf("got %s, want 1s", got)
	}
}

func FuzzMatch(f *testing.F) {
	table, err := New(Config{Name: "f", VirtualHosts: []VirtualHost{
		{Name: "a", Domains: []string{"a", "*.b", "c.*"}, Routes: []Route{
			{Match: Match{Path: Path{Kind: PathSeparatedPrefix, Value: "/x"}}, Forward: &Forward{Clusters: to("c").Clusters, PrefixRewrite: "/y"}},
			{Match: Match{Query: []QueryMatch{{Name: "q", Value: StringMatch{Kind: Regex, Value: "a+"}}}}, Redirect: &Redirect{Port: 1}},
		}},
		{Name: "all", Domains: []string{"*"}, Routes: []Route{{Forward: to("c")}}},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a", "/x/1", "q=aa")
	f.Add("x.b", "*", "%zz")
	f.Fuzz(func(t *testing.T, host, path, query string) {
		req := &Request{Host: host, Path: path, Query: query, Scheme: "http"}
		d := table.Match(req)
		if d.Host == nil {
			t.Fatal("the wildcard host took nothing")
		}
		switch {
		case d.Route == nil:
		case d.Route.Redirect != nil:
			d.Route.Location(req)
		default:
			d.Route.Rewrite(path)
		}
	})
}
