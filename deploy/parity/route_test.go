package parity

import (
	"fmt"
	"math/rand/v2"
	"net/textproto"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sidelight-mesh/sidelight/proxy/route"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
	"github.com/sidelight-mesh/sidelight/server/explain"
)

// TestRoutes lets both decide random requests by random route configurations
// of the whole API that sidecars take.
func TestRoutes(t *testing.T) {
	var decided, fell int
	for seed := range uint64(400) {
		d, f := compare(t, seed)
		decided, fell = decided+d, fell+f
	}
	// A test in which nothing matches, or everything does, proves nothing.
	if decided < 2000 || fell < 2000 {
		t.Errorf("%d requests found a route, %d did not: the generator is off", decided, fell)
	}
}

func FuzzRoutes(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, seed) })
}

func compare(t *testing.T, seed uint64) (decided, fell int) {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(seed, 7))}
	config := g.configuration()
	table, err := xds.Table(config)
	if err != nil {
		t.Fatalf("seed %d: the sidecar refuses %s: %v", seed, protojson.Format(config), err)
	}
	for range 40 {
		asked, sent := g.request()
		want := table.Match(sent)
		got, err := explain.Decide(config, asked)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		host, name := "", ""
		if want.Host != nil {
			host = want.Host.Name
		}
		if want.Route != nil {
			name = want.Route.Name
			decided++
		} else {
			fell++
		}
		gotName := ""
		if got.Route >= 0 {
			gotName = got.Host.Routes[got.Route].Name
		}
		if got.Host.GetName() != host || gotName != name {
			t.Fatalf("seed %d: %+v goes to %q %q in the sidecar, %q %q by the account\n%s",
				seed, asked, host, name, got.Host.GetName(), gotName, protojson.Format(config))
		}
	}
	return decided, fell
}

type generator struct{ *rand.Rand }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) configuration() *routev3.RouteConfiguration {
	c := &routev3.RouteConfiguration{Name: "outbound"}
	domains := []string{"a", "A.b", "a:80", "b", "*.b", "*.a.b", "*b", "a.*", "a*", "aa.*", "*", "x.a.b", "x.a.b:80"}
	g.Shuffle(len(domains), func(i, j int) { domains[i], domains[j] = domains[j], domains[i] })
	for i := 0; len(domains) > 0 && i < 5; i++ {
		n := min(1+g.IntN(3), len(domains))
		vh := &routev3.VirtualHost{Name: fmt.Sprint("host", i), Domains: domains[:n]}
		domains = domains[n:]
		for j := range g.IntN(5) {
			vh.Routes = append(vh.Routes, &routev3.Route{
				Name: fmt.Sprint("route", j), Match: g.match(),
				Action: &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: 200}},
			})
		}
		c.VirtualHosts = append(c.VirtualHosts, vh)
	}
	return c
}

func (g generator) match() *routev3.RouteMatch {
	m := &routev3.RouteMatch{}
	switch g.IntN(5) {
	case 0:
		m.PathSpecifier = &routev3.RouteMatch_Path{Path: pick(g, "/", "/a", "/A", "/a/b")}
	case 1:
		m.PathSpecifier = &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: pick(g, "/a", "/A", "/a/b")}
	case 2:
		m.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: regex(pick(g, "/a", "/a.*", "/(a|b)", "/a|/b", ""))}
	default:
		m.PathSpecifier = &routev3.RouteMatch_Prefix{Prefix: pick(g, "", "/", "/a", "/A", "/a/b", "/b")}
	}
	if g.IntN(3) == 0 {
		m.CaseSensitive = wrapperspb.Bool(g.IntN(2) == 0)
	}
	if g.IntN(8) == 0 {
		m.Grpc = &routev3.RouteMatch_GrpcRouteMatchOptions{}
	}
	for range max(0, g.IntN(4)-1) {
		m.Headers = append(m.Headers, g.header())
	}
	if g.IntN(4) == 0 {
		q := &routev3.QueryParameterMatcher{Name: pick(g, "q", "r")}
		switch g.IntN(3) {
		case 0:
			q.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_PresentMatch{PresentMatch: true}
		case 1:
			q.QueryParameterMatchSpecifier = &routev3.QueryParameterMatcher_StringMatch{StringMatch: g.text()}
		}
		m.QueryParameters = append(m.QueryParameters, q)
	}
	return m
}

func regex(expression string) *matcherv3.RegexMatcher {
	return &matcherv3.RegexMatcher{Regex: expression}
}

func (g generator) value() string { return pick(g, "1", "12", "GET", "a", "A", "ab", "ba") }

func (g generator) text() *matcherv3.StringMatcher {
	s := &matcherv3.StringMatcher{IgnoreCase: g.IntN(3) == 0}
	switch g.IntN(5) {
	case 0:
		s.MatchPattern = &matcherv3.StringMatcher_Prefix{Prefix: g.value()}
	case 1:
		s.MatchPattern = &matcherv3.StringMatcher_Suffix{Suffix: g.value()}
	case 2:
		s.MatchPattern = &matcherv3.StringMatcher_Contains{Contains: g.value()}
	case 3:
		s.MatchPattern = &matcherv3.StringMatcher_SafeRegex{SafeRegex: regex(pick(g, "a", "a|b", ".*", "[0-9]+", "a.?"))}
	default:
		s.MatchPattern = &matcherv3.StringMatcher_Exact{Exact: g.value()}
	}
	return s
}

//nolint:staticcheck // the older forms are still sent
func (g generator) header() *routev3.HeaderMatcher {
	h := &routev3.HeaderMatcher{
		Name:        pick(g, "x-a", "X-A", "x-b", ":method", ":authority", ":path", ":scheme", "host", "content-type"),
		InvertMatch: g.IntN(3) == 0, TreatMissingHeaderAsEmpty: g.IntN(4) == 0,
	}
	switch g.IntN(9) {
	case 0:
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: g.IntN(2) == 0}
	case 1:
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_RangeMatch{RangeMatch: &typev3.Int64Range{Start: 1, End: 12}}
	case 2:
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_ExactMatch{ExactMatch: g.value()}
	case 3:
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_PrefixMatch{PrefixMatch: g.value()}
	case 4:
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_SuffixMatch{SuffixMatch: g.value()}
	case 5:
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_ContainsMatch{ContainsMatch: g.value()}
	case 6:
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_SafeRegexMatch{SafeRegexMatch: regex("a|1.*")}
	case 7:
	default:
		h.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: g.text()}
	}
	return h
}

// request gives one request in both forms.
func (g generator) request() (*explain.Request, *route.Request) {
	asked := &explain.Request{
		Method: pick(g, "GET", "POST"), Scheme: "http", Host: pick(g, "a", "A", "a:80", "a.b", "x.a.b", "x.a.b:80", "c", "ab", "aa.c"),
		Path: pick(g, "/", "/a", "/A", "/a/b", "/ab", "/b"), Query: pick(g, "", "q=a", "q=12&q=a", "r", "r=%zz&q=1"), Header: map[string][]string{},
	}
	sent := &route.Request{Method: asked.Method, Scheme: asked.Scheme, Host: asked.Host, Path: asked.Path, Query: asked.Query, Header: route.Header{}}
	for _, name := range []string{"x-a", "x-b", "content-type"} {
		for range g.IntN(3) {
			v := g.value()
			if name == "content-type" {
				v = pick(g, "application/grpc", "application/grpc+proto", "text/html", "application/grpc-web")
			}
			asked.Header[name] = append(asked.Header[name], v)
			key := textproto.CanonicalMIMEHeaderKey(name)
			sent.Header[key] = append(sent.Header[key], v)
		}
	}
	return asked, sent
}
