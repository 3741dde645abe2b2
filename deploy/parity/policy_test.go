package parity

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/textproto"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	uritemplatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/policy"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
	"github.com/sidelight-mesh/sidelight/server/explain"
)

// TestPolicies lets the sidecar and the account judge random calls by random
// rules of the whole API that sidecars take.
func TestPolicies(t *testing.T) {
	var allowed, denied, matched int
	for seed := range uint64(600) {
		a, d, m := comparePolicies(t, seed)
		allowed, denied, matched = allowed+a, denied+d, matched+m
	}
	if allowed < 2000 || denied < 2000 || matched < 2000 {
		t.Errorf("%d calls were allowed, %d denied, %d by a rule: the generator is off", allowed, denied, matched)
	}
}

func FuzzPolicies(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { comparePolicies(t, seed) })
}

func comparePolicies(t *testing.T, seed uint64) (allowed, denied, matched int) {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(seed, 11))}
	rules := g.rules()
	compiled, err := xds.Policy(rules)
	if err != nil {
		t.Fatalf("seed %d: the sidecar refuses %s: %v", seed, protojson.Format(rules), err)
	}
	for range 20 {
		asked, sent := g.call()
		want := compiled.Check(sent)
		got, err := explain.Judge(rules, asked)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		// Of what passes, the sidecar does not tell the rule.
		if got.Denied != want.Denied || want.Denied && got.Rule != want.Rule {
			t.Fatalf("seed %d: %+v of %+v: the sidecar %+v, the account %+v\n%s", seed, asked.Request, asked, want, got, protojson.Format(rules))
		}
		for _, n := range got.Not {
			if n.Why == "" {
				t.Fatalf("seed %d: no reason why %s does not match %+v\n%s", seed, n.Rule, asked, protojson.Format(rules))
			}
		}
		if got.Denied {
			denied++
		} else {
			allowed++
		}
		if got.Rule != "" {
			matched++
		}
	}
	return allowed, denied, matched
}

func (g generator) rules() *rbacv3.RBAC {
	out := &rbacv3.RBAC{Action: pick(g, rbacv3.RBAC_ALLOW, rbacv3.RBAC_DENY), Policies: map[string]*rbacv3.Policy{}}
	for i := range g.IntN(4) {
		p := &rbacv3.Policy{}
		for range 1 + g.IntN(2) {
			p.Permissions = append(p.Permissions, g.permission(2))
			p.Principals = append(p.Principals, g.principal(2))
		}
		out.Policies[fmt.Sprintf("ns[cinema]-policy[p]-rule[%d]", i)] = p
	}
	return out
}

func several[T any](g generator, one func() T) []T {
	out := make([]T, 1+g.IntN(2))
	for i := range out {
		out[i] = one()
	}
	return out
}

func (g generator) permission(deep int) *rbacv3.Permission {
	kind := g.IntN(10)
	if deep == 0 {
		kind = 3 + g.IntN(7)
	}
	more := func() *rbacv3.Permission { return g.permission(deep - 1) }
	switch kind {
	case 0:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: &rbacv3.Permission_Set{Rules: several(g, more)}}}
	case 1:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_OrRules{OrRules: &rbacv3.Permission_Set{Rules: several(g, more)}}}
	case 2:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_NotRule{NotRule: more()}}
	case 3:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: g.ruleHeader()}}
	case 4:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_UrlPath{UrlPath: g.rulePath()}}
	case 5:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_DestinationIp{DestinationIp: g.block()}}
	case 6:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_DestinationPort{DestinationPort: pick(g, uint32(80), 81)}}
	case 7:
		return &rbacv3.Permission{Rule: &rbacv3.Permission_RequestedServerName{RequestedServerName: g.text()}}
	case 8:
		typed, err := anypb.New(&uritemplatev3.UriTemplateMatchConfig{PathTemplate: pick(g, "/a", "/*", "/a/*", "/**", "/a/**", "/**/b")})
		if err != nil {
			panic(err)
		}
		return &rbacv3.Permission{Rule: &rbacv3.Permission_UriTemplate{UriTemplate: &corev3.TypedExtensionConfig{Name: "t", TypedConfig: typed}}}
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_Any{Any: true}}
}

func (g generator) principal(deep int) *rbacv3.Principal {
	kind := g.IntN(9)
	if deep == 0 {
		kind = 3 + g.IntN(6)
	}
	more := func() *rbacv3.Principal { return g.principal(deep - 1) }
	switch kind {
	case 0:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_AndIds{AndIds: &rbacv3.Principal_Set{Ids: several(g, more)}}}
	case 1:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_OrIds{OrIds: &rbacv3.Principal_Set{Ids: several(g, more)}}}
	case 2:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_NotId{NotId: more()}}
	case 3:
		a := &rbacv3.Principal_Authenticated{}
		switch g.IntN(4) {
		case 0:
			a.PrincipalName = &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: regex(".*/ns/cinema/.*")}}
		case 1:
			a.PrincipalName = &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: pick(g, "/sa/web", "/sa/cron")}}
		case 2:
			a.PrincipalName = &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "spiffe://cluster.local/ns/cinema/sa/web"}}
		}
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{Authenticated: a}}
	case 4:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_DirectRemoteIp{DirectRemoteIp: g.block()}}
	case 5:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_Header{Header: g.ruleHeader()}}
	case 6:
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_UrlPath{UrlPath: g.rulePath()}}
	}
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_Any{Any: true}}
}

func (g generator) block() *corev3.CidrRange {
	b := &corev3.CidrRange{AddressPrefix: pick(g, "10.0.0.0", "10.0.0.1", "10.1.0.0", "::1")}
	if g.IntN(3) > 0 {
		b.PrefixLen = wrapperspb.UInt32(pick(g, uint32(8), 16, 32))
	}
	return b
}

func (g generator) rulePath() *matcherv3.PathMatcher {
	m := g.text()
	if g.IntN(2) == 0 {
		m.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: pick(g, "/", "/a", "/b")}
	}
	return &matcherv3.PathMatcher{Rule: &matcherv3.PathMatcher_Path{Path: m}}
}

func (g generator) ruleHeader() *routev3.HeaderMatcher {
	m := &routev3.HeaderMatcher{Name: pick(g, ":method", ":authority", ":path", "host", "x-a", "x-b"), InvertMatch: g.IntN(4) == 0}
	m.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: g.text()}
	if g.IntN(4) == 0 {
		m.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: g.IntN(2) == 0}
	}
	return m
}

// call gives one call in the words of both.
func (g generator) call() (*explain.Call, *policy.Request) {
	c := &explain.Call{
		Request: &explain.Request{
			Method: pick(g, "GET", "PUT", "a"), Scheme: "http", Host: pick(g, "a", "A", "b"), Path: pick(g, "/", "/a", "/a/b", "/b/../a", "/%61", "/a/./b"),
			Header: map[string][]string{}, Source: pick(g, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("::1")),
		},
		HTTP: g.IntN(5) > 0, Principal: pick(g, "", "spiffe://cluster.local/ns/cinema/sa/web", "spiffe://cluster.local/ns/ops/sa/cron"),
		Destination: netip.AddrPortFrom(pick(g, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.1.0.1")), pick(g, uint16(80), 81)), SNI: pick(g, "", "a", "ab"),
	}
	r := &policy.Request{Principal: c.Principal, Source: c.Source, Destination: c.Destination, SNI: c.SNI, HTTP: c.HTTP}
	if c.HTTP {
		r.Method, r.Host, r.Path, r.Header = c.Method, c.Host, mesh.NormalizePath(c.Path), map[string][]string{}
	}
	for _, name := range []string{"x-a", "x-b"} {
		if g.IntN(2) == 0 {
			values := several(g, g.value)
			c.Header[name] = values
			if c.HTTP {
				r.Header[textproto.CanonicalMIMEHeaderKey(name)] = values
			}
		}
	}
	return c, r
}
