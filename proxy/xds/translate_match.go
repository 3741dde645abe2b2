package xds

import (
	"slices"
	"strconv"
	"strings"

	// So that the configuration of the predicate decodes.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

func (t *translator) match(m *routev3.RouteMatch, path string, into *problems) route.Match {
	out := route.Match{GRPC: m.GetGrpc() != nil}
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		out.Path = route.Path{Kind: route.PathPrefix, Value: p.Prefix}
	case *routev3.RouteMatch_Path:
		out.Path = route.Path{Kind: route.PathExact, Value: p.Path}
	case *routev3.RouteMatch_SafeRegex:
		out.Path = route.Path{Kind: route.PathRegex, Value: p.SafeRegex.GetRegex()}
	case *routev3.RouteMatch_PathSeparatedPrefix:
		out.Path = route.Path{Kind: route.PathSeparatedPrefix, Value: p.PathSeparatedPrefix}
	case *routev3.RouteMatch_ConnectMatcher_:
		out.Connect = true
	default:
		into.add(path, "has no path condition")
	}
	if cs := m.GetCaseSensitive(); cs != nil && !cs.GetValue() && out.Path.Kind != route.PathRegex {
		out.Path.IgnoreCase = true
	}
	for i, h := range m.GetHeaders() {
		out.Headers = append(out.Headers, headerMatch(h, path+".headers["+strconv.Itoa(i)+"]", into))
	}
	for i, q := range m.GetQueryParameters() {
		out.Query = append(out.Query, queryMatch(q, path+".query_parameters["+strconv.Itoa(i)+"]", into))
	}
	return out
}

func headerMatch(m *routev3.HeaderMatcher, path string, into *problems) route.HeaderMatch {
	out := route.HeaderMatch{
		Name:           strings.ToLower(m.GetName()),
		Invert:         m.GetInvertMatch(),
		MissingAsEmpty: m.GetTreatMissingHeaderAsEmpty(),
	}
	//nolint:staticcheck // the forms before string_match are deprecated, and control planes still send them.
	switch s := m.GetHeaderMatchSpecifier().(type) {
	case nil:
		out.Value = route.StringMatch{Kind: route.Present}
	case *routev3.HeaderMatcher_PresentMatch:
		out.Value = route.StringMatch{Kind: route.Present}
		out.Invert = out.Invert != !s.PresentMatch
	case *routev3.HeaderMatcher_StringMatch:
		out.Value = stringMatch(s.StringMatch, path+".string_match", into)
	case *routev3.HeaderMatcher_RangeMatch:
		out.Value = route.StringMatch{Kind: route.Range, From: s.RangeMatch.GetStart(), To: s.RangeMatch.GetEnd()}
	case *routev3.HeaderMatcher_ExactMatch:
		out.Value = route.StringMatch{Kind: route.Exact, Value: s.ExactMatch}
	case *routev3.HeaderMatcher_PrefixMatch:
		out.Value = route.StringMatch{Kind: route.Prefix, Value: s.PrefixMatch}
	case *routev3.HeaderMatcher_SuffixMatch:
		out.Value = route.StringMatch{Kind: route.Suffix, Value: s.SuffixMatch}
	case *routev3.HeaderMatcher_ContainsMatch:
		out.Value = route.StringMatch{Kind: route.Contains, Value: s.ContainsMatch}
	case *routev3.HeaderMatcher_SafeRegexMatch:
		out.Value = route.StringMatch{Kind: route.Regex, Value: s.SafeRegexMatch.GetRegex()}
	default:
		into.add(path, "has no condition that is known")
	}
	return out
}

func queryMatch(m *routev3.QueryParameterMatcher, path string, into *problems) route.QueryMatch {
	out := route.QueryMatch{Name: m.GetName()}
	switch s := m.GetQueryParameterMatchSpecifier().(type) {
	case nil:
		out.Value = route.StringMatch{Kind: route.Present}
	case *routev3.QueryParameterMatcher_PresentMatch:
		out.Value = route.StringMatch{Kind: route.Present}
		if !s.PresentMatch {
			into.add(path+".present_match", "false is not supported")
		}
	case *routev3.QueryParameterMatcher_StringMatch:
		out.Value = stringMatch(s.StringMatch, path+".string_match", into)
	default:
		into.add(path, "has no condition that is known")
	}
	return out
}

func stringMatch(m *matcherv3.StringMatcher, path string, into *problems) route.StringMatch {
	out := route.StringMatch{IgnoreCase: m.GetIgnoreCase()}
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		out.Kind, out.Value = route.Exact, p.Exact
	case *matcherv3.StringMatcher_Prefix:
		out.Kind, out.Value = route.Prefix, p.Prefix
	case *matcherv3.StringMatcher_Suffix:
		out.Kind, out.Value = route.Suffix, p.Suffix
	case *matcherv3.StringMatcher_Contains:
		out.Kind, out.Value = route.Contains, p.Contains
	case *matcherv3.StringMatcher_SafeRegex:
		out.Kind, out.Value = route.Regex, p.SafeRegex.GetRegex()
		out.IgnoreCase = false // as in Envoy: no effect on an expression
	default:
		into.add(path, "has no pattern")
	}
	return out
}

// previousHosts is the one predicate that is supported.
const previousHosts = "envoy.retry_host_predicates.previous_hosts"

func (t *translator) retry(m *routev3.RetryPolicy, path string, into *problems) *route.Retry {
	if m == nil {
		return nil
	}
	out := &route.Retry{
		Num:          1, // Envoy's, when the policy does not say
		PerTry:       duration(m.GetPerTryTimeout(), 0, path+".per_try_timeout", into),
		HostAttempts: uint32(max(0, m.GetHostSelectionRetryMaxAttempts())),
	}
	if n := m.GetNumRetries(); n != nil {
		out.Num = n.GetValue()
	}
	for word := range strings.SplitSeq(m.GetRetryOn(), ",") {
		if word = strings.TrimSpace(word); word != "" {
			out.On = append(out.On, word)
		}
	}
	for _, code := range m.GetRetriableStatusCodes() {
		out.StatusCodes = append(out.StatusCodes, int(code))
	}
	for i, p := range m.GetRetryHostPredicate() {
		if p.GetName() != previousHosts {
			into.add(path+".retry_host_predicate["+strconv.Itoa(i)+"]", "%q is not supported by build %s", p.GetName(), t.build)
		}
		out.AvoidPrevious = true
	}
	if b := m.GetRetryBackOff(); b != nil {
		out.BackoffBase = duration(b.GetBaseInterval(), 0, path+".retry_back_off.base_interval", into)
		out.BackoffMax = duration(b.GetMaxInterval(), 0, path+".retry_back_off.max_interval", into)
	}
	return out
}

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
