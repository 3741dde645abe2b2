package route

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// compiled is a Route with its expressions ready to run.
type compiled struct {
	*Route
	path    pathMatcher
	headers []headerMatcher
	query   []queryMatcher
}

type pathMatcher struct {
	Path
	re *regexp.Regexp
}

type stringMatcher struct {
	StringMatch
	re *regexp.Regexp
}

type headerMatcher struct {
	HeaderMatch
	canonical string // "" for a pseudo header
	value     stringMatcher
}

type queryMatcher struct {
	name  string
	value stringMatcher
}

func compile(r *Route) (compiled, error) {
	c := compiled{Route: r, path: pathMatcher{Path: r.Match.Path}}
	if err := checkAction(r); err != nil {
		return c, err
	}
	if err := r.Fault.check(); err != nil {
		return c, err
	}
	if err := r.CORS.compile(); err != nil {
		return c, err
	}
	if err := r.RateLimit.compile(); err != nil {
		return c, err
	}
	var err error
	if r.Match.Path.Kind == PathRegex {
		if c.path.re, err = wholeRegexp(r.Match.Path.Value); err != nil {
			return c, fmt.Errorf("path: %w", err)
		}
	}
	for _, h := range r.Match.Headers {
		m := headerMatcher{HeaderMatch: h}
		if h.Name == "" {
			return c, errors.New("header match without a name")
		}
		if !strings.HasPrefix(h.Name, ":") && !strings.EqualFold(h.Name, "host") {
			m.canonical = canonicalName(h.Name)
		}
		if m.value, err = compileString(h.Value); err != nil {
			return c, fmt.Errorf("header %s: %w", h.Name, err)
		}
		c.headers = append(c.headers, m)
	}
	for _, q := range r.Match.Query {
		m := queryMatcher{name: q.Name}
		if m.value, err = compileString(q.Value); err != nil {
			return c, fmt.Errorf("query parameter %s: %w", q.Name, err)
		}
		c.query = append(c.query, m)
	}
	return c, nil
}

func checkAction(r *Route) error {
	actions := 0
	if f := r.Forward; f != nil {
		actions++
		if err := f.compile(); err != nil {
			return err
		}
	}
	if r.Redirect != nil {
		actions++
		switch r.Redirect.Status {
		case 0, 301, 302, 303, 307, 308:
		default:
			return fmt.Errorf("redirect with status %d", r.Redirect.Status)
		}
	}
	if d := r.Direct; d != nil {
		actions++
		if d.Status < 200 || d.Status > 599 {
			return fmt.Errorf("direct response with status %d", d.Status)
		}
	}
	if actions != 1 {
		return fmt.Errorf("%d actions, want exactly one of forward, redirect, direct response", actions)
	}
	return nil
}

func (c *compiled) matches(r *Request, query *url.Values) bool {
	if connect := r.Method == "CONNECT"; connect != c.Match.Connect || !connect && !c.path.matches(r.Path) {
		return false
	}
	if c.Match.GRPC && !isGRPC(r) {
		return false
	}
	for i := range c.headers {
		if !c.headers[i].matches(r) {
			return false
		}
	}
	if len(c.query) > 0 && *query == nil {
		// ParseQuery keeps what it could read; a broken rest matches nothing.
		*query, _ = url.ParseQuery(r.Query)
	}
	for i := range c.query {
		values, ok := (*query)[c.query[i].name]
		if !ok || !c.query[i].value.matches(values[0]) {
			return false
		}
	}
	return true
}

func (p *pathMatcher) matches(path string) bool {
	switch p.Kind {
	case PathExact:
		return equal(path, p.Value, p.IgnoreCase)
	case PathRegex:
		return p.re.MatchString(path)
	case PathSeparatedPrefix:
		return hasPrefix(path, p.Value, p.IgnoreCase) &&
			(len(path) == len(p.Value) || path[len(p.Value)] == '/')
	default:
		return p.Value == "" || p.Value == "/" || hasPrefix(path, p.Value, p.IgnoreCase)
	}
}

func (h *headerMatcher) matches(r *Request) bool {
	value, ok := h.text(r)
	if !ok && (h.Value.Kind == Present || !h.MissingAsEmpty) {
		// As Envoy: of an absent header only "is not present" is true; "is not
		// x" needs MissingAsEmpty to be.
		return h.Value.Kind == Present && h.Invert
	}
	return h.value.matches(value) != h.Invert
}

func (h *headerMatcher) text(r *Request) (string, bool) {
	if h.canonical != "" {
		switch values := r.Header[h.canonical]; len(values) {
		case 0:
			return "", false
		case 1:
			return values[0], true
		default:
			return strings.Join(values, ","), true
		}
	}
	switch strings.ToLower(h.Name) {
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
	return "", false
}

func compileString(m StringMatch) (stringMatcher, error) {
	s := stringMatcher{StringMatch: m}
	if m.Kind != Regex {
		return s, nil
	}
	expr := m.Value
	if m.IgnoreCase {
		expr = "(?i)" + expr
	}
	var err error
	s.re, err = wholeRegexp(expr)
	return s, err
}

func (s *stringMatcher) matches(v string) bool {
	switch s.Kind {
	case Exact:
		return equal(v, s.Value, s.IgnoreCase)
	case Prefix:
		return hasPrefix(v, s.Value, s.IgnoreCase)
	case Suffix:
		return len(v) >= len(s.Value) && equal(v[len(v)-len(s.Value):], s.Value, s.IgnoreCase)
	case Contains:
		if s.IgnoreCase {
			return strings.Contains(strings.ToLower(v), strings.ToLower(s.Value))
		}
		return strings.Contains(v, s.Value)
	case Regex:
		return s.re.MatchString(v)
	case Range:
		n, err := strconv.ParseInt(v, 10, 64)
		return err == nil && s.From <= n && n < s.To
	default:
		return true
	}
}

// wholeRegexp compiles an expression that must take the whole text, as Envoy's
// RE2 matchers do.
func wholeRegexp(expr string) (*regexp.Regexp, error) {
	// Compiled alone first, so that the error shows the user's own text and
	// that `a)|(b` cannot break out of the group.
	if _, err := regexp.Compile(expr); err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + expr + `)\z`)
}

func isGRPC(r *Request) bool {
	values := r.Header["Content-Type"]
	return len(values) > 0 && IsGRPC(values[0])
}

// IsGRPC reports whether a content type is gRPC's: application/grpc, with or
// without a +codec or parameters.
func IsGRPC(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, "application/grpc")
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
