package explain

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

// Request is what is asked about.
type Request struct {
	Method string
	Scheme string
	Host   string              // as in the Host header: with a port when the client sends one
	Path   string              // escaped, without the query
	Query  string              // raw
	Header map[string][]string // by lower-case name

	// Principal is whom the caller's certificate names; "" when it has none.
	Principal string
	Source    netip.Addr // of the caller; the zero Addr when it is not known
}

// NewRequest makes a request of a method and an absolute URL.
func NewRequest(method, address string, header map[string][]string) (*Request, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q is not a URL like http://catalog/movies?page=2", address)
	}
	if method == "" || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return nil, fmt.Errorf("%q is not a method like GET", method)
	}
	r := &Request{Method: method, Scheme: u.Scheme, Host: u.Host, Path: u.EscapedPath(), Query: u.RawQuery, Header: map[string][]string{}}
	if r.Path == "" {
		r.Path = "/"
	}
	for name, values := range header {
		if name = strings.ToLower(name); name == "host" {
			r.Host = values[0]
			continue
		}
		r.Header[name] = values
	}
	return r, nil
}

// port is where the client connects to.
func (r *Request) port() uint32 {
	if _, text, ok := strings.Cut(r.Host, ":"); ok {
		if n, err := strconv.ParseUint(text, 10, 16); err == nil {
			return uint32(n)
		}
	}
	if r.Scheme == "https" {
		return 443
	}
	return 80
}

// Decision is which route takes a request.
type Decision struct {
	Host   *routev3.VirtualHost // nil: none has the domain
	Domain string               // of Host that matched
	Route  int                  // its index in Host, -1: none matched
}

// Decide finds the route that takes a request, as Envoy's documentation has it:
// an exact domain before the longest suffix before the longest prefix before
// all; then the first route whose conditions all hold.
func Decide(c *routev3.RouteConfiguration, r *Request) (Decision, error) {
	d := Decision{Route: -1}
	d.Host, d.Domain = findHost(c, strings.ToLower(r.Host))
	for i, candidate := range d.Host.GetRoutes() {
		why, err := refusal(candidate.GetMatch(), r)
		if err != nil {
			return d, fmt.Errorf("route %s: %w", candidate.GetName(), err)
		}
		if why == "" {
			d.Route = i
			break
		}
	}
	return d, nil
}

func findHost(c *routev3.RouteConfiguration, name string) (best *routev3.VirtualHost, domain string) {
	rank := 0 // 1: all, 2: prefix, 3: suffix, 4: exact
	for _, vh := range c.GetVirtualHosts() {
		for _, d := range vh.GetDomains() {
			if r := domainRank(strings.ToLower(d), name); r > rank || r == rank && r > 0 && len(d) > len(domain) {
				best, domain, rank = vh, d, r
			}
		}
	}
	return best, domain
}

func domainRank(domain, name string) int {
	switch {
	case domain == "*":
		return 1
	case strings.HasPrefix(domain, "*"):
		if len(name) >= len(domain) && strings.HasSuffix(name, domain[1:]) {
			return 3
		}
	case strings.HasSuffix(domain, "*"):
		if len(name) >= len(domain) && strings.HasPrefix(name, domain[:len(domain)-1]) {
			return 2
		}
	case domain == name:
		return 4
	}
	return 0
}

// similar gives names that a client may have meant: the same first label, or
// one a few letters off. The shortest of each virtual host is enough.
func similar(c *routev3.RouteConfiguration, host string) []string {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	first, _, _ := strings.Cut(host, ".")
	var names []string
	for _, vh := range c.GetVirtualHosts() {
		best := ""
		for _, d := range vh.GetDomains() {
			label, _, _ := strings.Cut(d, ".")
			near := label == first || expr.Distance(label, first) <= max(1, len(first)/4)
			if near && !strings.ContainsAny(d, "*:") && (best == "" || len(d) < len(best)) {
				best = d
			}
		}
		if best != "" && len(names) < 3 {
			names = append(names, best)
		}
	}
	return names
}

// refusal says why a match does not take a request: its first condition that
// does not hold; "" when all do.
func refusal(m *routev3.RouteMatch, r *Request) (string, error) {
	ok, err := matchPath(m, r.Path)
	if err != nil {
		return "", err
	}
	if !ok {
		return fmt.Sprintf("the path is %s, not %s", r.Path, pathText(m)), nil
	}
	if m.GetGrpc() != nil && !isGRPC(r.Header["content-type"]) {
		return "it takes gRPC only", nil
	}
	for _, h := range m.GetHeaders() {
		ok, err := matchHeader(h, r)
		if err != nil {
			return "", err
		}
		if !ok {
			return headerRefusal(h, r), nil
		}
	}
	if len(m.GetQueryParameters()) == 0 {
		return "", nil
	}
	query, _ := url.ParseQuery(r.Query) // keeps what it could read
	for _, q := range m.GetQueryParameters() {
		values, has := query[q.GetName()]
		if !has {
			return fmt.Sprintf("there is no query parameter %s", q.GetName()), nil
		}
		if s := q.GetStringMatch(); s != nil {
			ok, err := matchString(s, values[0])
			if err != nil {
				return "", err
			}
			if !ok {
				return fmt.Sprintf("the query parameter %s is %q, not %s", q.GetName(), values[0], stringText(s)), nil
			}
		}
	}
	return "", nil
}

func matchPath(m *routev3.RouteMatch, path string) (bool, error) {
	fold := m.GetCaseSensitive() != nil && !m.GetCaseSensitive().GetValue()
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Path:
		return equal(path, p.Path, fold), nil
	case *routev3.RouteMatch_SafeRegex:
		return matchRegex(p.SafeRegex.GetRegex(), path)
	case *routev3.RouteMatch_PathSeparatedPrefix:
		prefix := p.PathSeparatedPrefix
		return hasPrefix(path, prefix, fold) && (len(path) == len(prefix) || path[len(prefix)] == '/'), nil
	case *routev3.RouteMatch_Prefix:
		return p.Prefix == "" || p.Prefix == "/" || hasPrefix(path, p.Prefix, fold), nil
	}
	return false, fmt.Errorf("this version does not know how %s matches", pathText(m))
}

// matchRegex must take the whole text, as RE2 does in Envoy.
func matchRegex(expression, text string) (bool, error) {
	if _, err := regexp.Compile(expression); err != nil {
		return false, err
	}
	re, err := regexp.Compile(`\A(?:` + expression + `)\z`)
	if err != nil {
		return false, err
	}
	return re.MatchString(text), nil
}

func matchHeader(h *routev3.HeaderMatcher, r *Request) (bool, error) {
	value, has := headerValue(h.GetName(), r)
	invert := h.GetInvertMatch()
	s, presence, err := headerCondition(h)
	if err != nil {
		return false, err
	}
	if presence != nil {
		return has != (invert != !*presence), nil
	}
	if !has && !h.GetTreatMissingHeaderAsEmpty() {
		return false, nil // of an absent header nothing is true, not even the reverse
	}
	if rng := h.GetRangeMatch(); rng != nil {
		n, err := strconv.ParseInt(value, 10, 64)
		return (err == nil && rng.GetStart() <= n && n < rng.GetEnd()) != invert, nil
	}
	ok, err := matchString(s, value)
	return ok != invert, err
}

// headerCondition gives what a header must be, in one of the forms that Envoy's
// API has had over the years: a string, or whether it must be there.
func headerCondition(h *routev3.HeaderMatcher) (s *matcherv3.StringMatcher, presence *bool, err error) {
	here := true
	//nolint:staticcheck // the older forms are still sent, and proxy/xds reads them
	switch m := h.GetHeaderMatchSpecifier().(type) {
	case nil:
		return nil, &here, nil
	case *routev3.HeaderMatcher_PresentMatch:
		return nil, &m.PresentMatch, nil
	case *routev3.HeaderMatcher_StringMatch:
		return m.StringMatch, nil, nil
	case *routev3.HeaderMatcher_RangeMatch:
		return nil, nil, nil
	case *routev3.HeaderMatcher_ExactMatch:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: m.ExactMatch}}, nil, nil
	case *routev3.HeaderMatcher_PrefixMatch:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: m.PrefixMatch}}, nil, nil
	case *routev3.HeaderMatcher_SuffixMatch:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: m.SuffixMatch}}, nil, nil
	case *routev3.HeaderMatcher_ContainsMatch:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Contains{Contains: m.ContainsMatch}}, nil, nil
	case *routev3.HeaderMatcher_SafeRegexMatch:
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: m.SafeRegexMatch}}, nil, nil
	}
	return nil, nil, fmt.Errorf("this version does not know the condition on the header %s", h.GetName())
}

// headerValue gives a header's value; several are compared as one, joined by
// commas.
func headerValue(name string, r *Request) (string, bool) {
	switch strings.ToLower(name) {
	case ":method":
		return r.Method, true
	case ":authority", "host":
		return r.Host, r.Host != ""
	case ":scheme":
		return r.Scheme, r.Scheme != ""
	case ":path":
		if r.Query != "" {
			return r.Path + "?" + r.Query, true
		}
		return r.Path, true
	}
	if strings.HasPrefix(name, ":") {
		return "", false
	}
	values := r.Header[strings.ToLower(name)]
	return strings.Join(values, ","), len(values) > 0
}

func matchString(s *matcherv3.StringMatcher, v string) (bool, error) {
	fold := s.GetIgnoreCase()
	switch p := s.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		return equal(v, p.Exact, fold), nil
	case *matcherv3.StringMatcher_Prefix:
		return hasPrefix(v, p.Prefix, fold), nil
	case *matcherv3.StringMatcher_Suffix:
		return len(v) >= len(p.Suffix) && equal(v[len(v)-len(p.Suffix):], p.Suffix, fold), nil
	case *matcherv3.StringMatcher_Contains:
		if fold {
			return strings.Contains(strings.ToLower(v), strings.ToLower(p.Contains)), nil
		}
		return strings.Contains(v, p.Contains), nil
	case *matcherv3.StringMatcher_SafeRegex:
		return matchRegex(p.SafeRegex.GetRegex(), v)
	}
	return false, fmt.Errorf("this version does not know how %s matches", stringText(s))
}

func isGRPC(contentType []string) bool {
	if len(contentType) == 0 {
		return false
	}
	rest, ok := strings.CutPrefix(contentType[0], "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

func equal(a, b string, fold bool) bool {
	if fold {
		return strings.EqualFold(a, b)
	}
	return a == b
}

func hasPrefix(s, prefix string, fold bool) bool {
	return len(s) >= len(prefix) && equal(s[:len(prefix)], prefix, fold)
}

// conditions gives what a match asks for, in words, one each.
func conditions(m *routev3.RouteMatch) []string {
	var list []string
	if text := pathText(m); text != "any path" {
		list = append(list, "path "+text)
	}
	if m.GetGrpc() != nil {
		list = append(list, "gRPC")
	}
	for _, h := range m.GetHeaders() {
		list = append(list, headerText(h))
	}
	for _, q := range m.GetQueryParameters() {
		if s := q.GetStringMatch(); s != nil {
			list = append(list, "query parameter "+q.GetName()+" is "+stringText(s))
		} else {
			list = append(list, "query parameter "+q.GetName()+" is there")
		}
	}
	return list
}

func pathText(m *routev3.RouteMatch) string {
	text := ""
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Path:
		text = p.Path
	case *routev3.RouteMatch_SafeRegex:
		return "like " + p.SafeRegex.GetRegex()
	case *routev3.RouteMatch_PathSeparatedPrefix:
		text = "below " + p.PathSeparatedPrefix
	case *routev3.RouteMatch_Prefix:
		if p.Prefix == "" || p.Prefix == "/" {
			return "any path"
		}
		text = p.Prefix + "…"
	default:
		return fmt.Sprintf("%T", p)
	}
	if m.GetCaseSensitive() != nil && !m.GetCaseSensitive().GetValue() {
		text += " (in any case)"
	}
	return text
}

// headerName is how people call a header, pseudo headers included.
func headerName(name string) string {
	switch name {
	case ":method":
		return "method"
	case ":authority":
		return "host"
	case ":path", ":scheme":
		return name[1:]
	}
	return "header " + name
}

func headerText(h *routev3.HeaderMatcher) string {
	s, presence, _ := headerCondition(h)
	not := ""
	if h.GetInvertMatch() != (presence != nil && !*presence) {
		not = "not "
	}
	switch {
	case presence != nil:
		return headerName(h.GetName()) + " is " + not + "there"
	case s != nil:
		return headerName(h.GetName()) + " is " + not + stringText(s)
	}
	return fmt.Sprintf("%s is %sfrom %d to below %d", headerName(h.GetName()), not, h.GetRangeMatch().GetStart(), h.GetRangeMatch().GetEnd())
}

func headerRefusal(h *routev3.HeaderMatcher, r *Request) string {
	value, has := headerValue(h.GetName(), r)
	if !has {
		return "there is no " + headerName(h.GetName()) + "; it asks that " + headerText(h)
	}
	return fmt.Sprintf("%s is %q; it asks that %s", headerName(h.GetName()), value, headerText(h))
}

func stringText(s *matcherv3.StringMatcher) string {
	text := ""
	switch p := s.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		text = strconv.Quote(p.Exact)
	case *matcherv3.StringMatcher_Prefix:
		text = strconv.Quote(p.Prefix + "…")
	case *matcherv3.StringMatcher_Suffix:
		text = strconv.Quote("…" + p.Suffix)
	case *matcherv3.StringMatcher_Contains:
		text = strconv.Quote("…" + p.Contains + "…")
	case *matcherv3.StringMatcher_SafeRegex:
		return "like " + p.SafeRegex.GetRegex()
	default:
		return fmt.Sprintf("%T", p)
	}
	if s.GetIgnoreCase() {
		text += " (in any case)"
	}
	return text
}
