package policy_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/sidelight-mesh/sidelight/proxy/policy"
)

func text(t testing.TB, kind policy.Kind, value string, fold bool) policy.Text {
	t.Helper()
	m, err := policy.NewText(kind, value, fold)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMatches(t *testing.T) {
	r := &policy.Request{
		Principal: "spiffe://cluster.local/ns/cinema/sa/web", Source: netip.MustParseAddr("::ffff:10.1.2.3"),
		Destination: netip.MustParseAddrPort("10.0.0.7:8080"), SNI: "a.example",
		HTTP: true, Method: "GET", Host: "Catalog:8080", Path: "/v1/films/42", Header: http.Header{"X-User": {"ann", "bob"}},
	}
	tcp := *r
	tcp.HTTP = false
	anonymous := *r
	anonymous.Principal = ""
	template := func(pattern string) policy.Match {
		m, err := policy.Template(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return policy.Path(m)
	}
	tests := []struct {
		name  string
		match policy.Match
		of    *policy.Request
		want  bool
	}{
		{"any", policy.Any, r, true},
		{"principal", policy.Principal(text(t, policy.Exact, r.Principal, false)), r, true},
		{"principal of another", policy.Principal(text(t, policy.Exact, r.Principal+"x", false)), r, false},
		{"principal by namespace", policy.Principal(text(t, policy.Regex, ".*/ns/cinema/.*", false)), r, true},
		{"any principal", policy.Principal(text(t, policy.Present, "", false)), r, true},
		{"any principal of nobody", policy.Principal(text(t, policy.Present, "", false)), &anonymous, false},
		{"a regular expression is of the whole", policy.Path(text(t, policy.Regex, "/v1", false)), r, false},
		{"source", policy.Source(netip.MustParsePrefix("10.1.0.0/16")), r, true},
		{"other source", policy.Source(netip.MustParsePrefix("10.2.0.0/16")), r, false},
		{"destination", policy.Destination(netip.MustParsePrefix("10.0.0.7/32")), r, true},
		{"port", policy.Port(8080, 8080), r, true},
		{"port range", policy.Port(1, 8079), r, false},
		{"SNI", policy.SNI(text(t, policy.Suffix, ".example", false)), r, true},
		{"method", policy.Header(":method", text(t, policy.Exact, "GET", false)), r, true},
		{"method of TCP", policy.Header(":method", text(t, policy.Exact, "GET", false)), &tcp, false},
		{"host", policy.Header(":authority", text(t, policy.Exact, "catalog:8080", true)), r, true},
		{"header", policy.Header("x-user", text(t, policy.Exact, "ann,bob", false)), r, true},
		{"header that is there", policy.Header("x-user", text(t, policy.Present, "", false)), r, true},
		{"header that is not", policy.Header("x-none", text(t, policy.Present, "", false)), r, false},
		{"path of TCP", policy.Path(text(t, policy.Prefix, "/", false)), &tcp, false},
		{"path", policy.Path(text(t, policy.Contains, "films", false)), r, true},
		{"template", template("/v1/*/42"), r, true},
		{"template of one segment", template("/v1/*"), r, false},
		{"template of all", template("/v1/**"), r, true},
		{"template of everything", template("/**"), r, true},
		{"not", policy.Not(policy.Any), r, false},
		{"all", policy.All([]policy.Match{policy.Any, policy.Not(policy.Any)}), r, false},
		{"all of none", policy.All(nil), r, true},
		{"one of", policy.OneOf([]policy.Match{policy.Not(policy.Any), policy.Any}), r, true},
		{"one of none", policy.OneOf(nil), r, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.match(tt.of); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
	for _, bad := range []string{"", "v1", "/a*b", "/{*}"} {
		if _, err := policy.Template(bad); err == nil {
			t.Errorf("template %q is taken", bad)
		}
	}
}

func TestCheck(t *testing.T) {
	rule := func(name, principal string) policy.Rule {
		return policy.Rule{
			Name: "ns[cinema]-policy[" + name + "]-rule[0]", Permission: policy.Any,
			Principal: policy.Principal(text(t, policy.Exact, principal, false)),
		}
	}
	deny := policy.Filter{Action: policy.Deny, Rules: []policy.Rule{rule("no-cron", "cron"), rule("no-bank", "bank")}}
	allow := policy.Filter{Action: policy.Allow, Rules: []policy.Rule{rule("web-only", "web"), rule("cron-too", "cron")}}
	dry := func(f policy.Filter) policy.Filter {
		f.DryRun = true
		return f
	}
	nothing := policy.Filter{Action: policy.Allow}
	tests := []struct {
		name    string
		filters []policy.Filter
		who     string
		want    policy.Verdict
	}{
		{"no filter", nil, "web", policy.Verdict{}},
		{"denied before it is allowed", []policy.Filter{deny, allow}, "cron", policy.Verdict{
			Denied: true, Rule: "ns[cinema]-policy[no-cron]-rule[0]", Objects: "AuthorizationPolicy cinema/no-cron",
		}},
		{"allowed", []policy.Filter{deny, allow}, "web", policy.Verdict{}},
		{"not allowed", []policy.Filter{deny, allow}, "reviews", policy.Verdict{
			Denied: true, Objects: "AuthorizationPolicy cinema/web-only, AuthorizationPolicy cinema/cron-too",
		}},
		{"allow nothing", []policy.Filter{nothing}, "web", policy.Verdict{Denied: true}},
		{"dry run of a denial", []policy.Filter{dry(deny)}, "cron", policy.Verdict{DryRun: "ns[cinema]-policy[no-cron]-rule[0]"}},
		{"dry run of no match", []policy.Filter{dry(allow)}, "reviews", policy.Verdict{DryRun: "none"}},
		{"dry run and denial", []policy.Filter{dry(allow), deny}, "bank", policy.Verdict{
			Denied: true, Rule: "ns[cinema]-policy[no-bank]-rule[0]", Objects: "AuthorizationPolicy cinema/no-bank", DryRun: "none",
		}},
		{"dry run that lets pass", []policy.Filter{dry(deny), dry(allow)}, "web", policy.Verdict{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &policy.Policy{Filters: tt.filters}
			if got := p.Check(&policy.Request{Principal: tt.who}); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	var none *policy.Policy
	if v := none.Check(&policy.Request{}); v.Denied {
		t.Error("no policy denies")
	}
}

func BenchmarkCheck(b *testing.B) {
	p := &policy.Policy{Filters: []policy.Filter{
		{Action: policy.Deny, Rules: []policy.Rule{{
			Name:       "ns[a]-policy[b]-rule[0]",
			Permission: policy.All([]policy.Match{policy.Header(":method", text(b, policy.Exact, "DELETE", false)), policy.Path(text(b, policy.Prefix, "/admin", false))}),
			Principal:  policy.Not(policy.Principal(text(b, policy.Suffix, "/sa/admin", false))),
		}}},
		{Action: policy.Allow, Rules: []policy.Rule{{Name: "ns[a]-policy[c]-rule[0]", Permission: policy.Any, Principal: policy.Principal(text(b, policy.Prefix, "spiffe://cluster.local/ns/cinema/", false))}}},
	}}
	r := &policy.Request{Principal: "spiffe://cluster.local/ns/cinema/sa/web", HTTP: true, Method: "GET", Path: "/v1/films"}
	b.ReportAllocs()
	for b.Loop() {
		if p.Check(r).Denied {
			b.Fatal("denied")
		}
	}
}
