package traces_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/scanner"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// tempo stands in for Grafana Tempo: the parts of its HTTP API that are used,
// after its documentation, with as much of TraceQL as that takes. Like the real
// one it gives the traces that it finds first, in no order.
type tempo struct {
	t  *testing.T
	mu sync.Mutex
	// byID holds each trace whole.
	byID map[pcommon.TraceID]ptrace.Traces
	auth string // what the header X-Scope-OrgID must say
}

func newTempo(t *testing.T) (*tempo, *httptest.Server) {
	s := &tempo{t: t, byID: map[pcommon.TraceID]ptrace.Traces{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/search", s.search)
	mux.HandleFunc("GET /api/traces/{id}", s.trace)
	mux.HandleFunc("GET /api/v2/search/tag/{tag}/values", s.values)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return s, server
}

func (s *tempo) WriteSpans(_ context.Context, td ptrace.Traces) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				own, ok := s.byID[span.TraceID()]
				if !ok {
					own = ptrace.NewTraces()
					s.byID[span.TraceID()] = own
				}
				to := own.ResourceSpans().AppendEmpty()
				rs.Resource().CopyTo(to.Resource())
				span.CopyTo(to.ScopeSpans().AppendEmpty().Spans().AppendEmpty())
			}
		}
	}
	return nil
}

func (s *tempo) WriteOTLP(ctx context.Context, message []byte, _ int) error {
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(message)
	if err != nil {
		return err
	}
	return s.WriteSpans(ctx, td)
}

// each visits the spans of a trace.
func each(td ptrace.Traces, visit func(resource pcommon.Map, span ptrace.Span)) {
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				visit(rs.Resource().Attributes(), span)
			}
		}
	}
}

func (s *tempo) search(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := r.URL.Query()
	start, err1 := strconv.ParseInt(v.Get("start"), 10, 64)
	end, err2 := strconv.ParseInt(v.Get("end"), 10, 64)
	limit, err3 := strconv.Atoi(v.Get("limit"))
	query, err := parseTraceQL(v.Get("q"))
	if e := cmp.Or(err1, err2, err3, err); e != nil || r.Header.Get("X-Scope-OrgID") != s.auth {
		http.Error(w, fmt.Sprint("bad request: ", e), http.StatusBadRequest)
		return
	}
	found := []map[string]any{}
	for id, td := range s.byID { // in no order
		begin, last := time.Unix(1<<40, 0), time.Time{}
		each(td, func(_ pcommon.Map, span ptrace.Span) {
			if at := span.StartTimestamp().AsTime(); at.Before(begin) {
				begin = at
			}
			if at := span.EndTimestamp().AsTime(); at.After(last) {
				last = at
			}
		})
		if last.Unix() < start || begin.Unix() >= end || !query.fits(td, last.Sub(begin)) {
			continue
		}
		found = append(found, map[string]any{
			"traceID": strings.TrimLeft(id.String(), "0"), "rootServiceName": "web",
			"startTimeUnixNano": strconv.FormatInt(begin.UnixNano(), 10), "durationMs": last.Sub(begin).Milliseconds(),
		})
		if len(found) == limit {
			break
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"traces": found, "metrics": map[string]any{}})
}

func (s *tempo) trace(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, td := range s.byID {
		if id.String() == r.PathValue("id") {
			if r.Header.Get("Accept") != "application/protobuf" {
				http.Error(w, "the stand-in speaks protobuf only", http.StatusNotAcceptable)
				return
			}
			message, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
			if err != nil {
				s.t.Error(err)
			}
			w.Header().Set("Content-Type", "application/protobuf")
			_, _ = w.Write(message)
			return
		}
	}
	http.Error(w, "trace not found", http.StatusNotFound)
}

func (s *tempo) values(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query, err := parseTraceQL(cmp.Or(r.URL.Query().Get("q"), "{ }"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	seen := map[string]bool{}
	list := []map[string]string{}
	for _, td := range s.byID {
		each(td, func(resource pcommon.Map, span ptrace.Span) {
			for _, v := range fieldOf(r.PathValue("tag"), resource, span, 0) {
				if !seen[v] && query.sets[0].eval(resource, span, 0) {
					seen[v] = true
					list = append(list, map[string]string{"type": "string", "value": v})
				}
			}
		})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"tagValues": list})
}

// traceQL is a conjunction of sets of spans, each with a condition.
type traceQL struct{ sets []condition }

func (q traceQL) fits(td ptrace.Traces, took time.Duration) bool {
	for _, set := range q.sets {
		some := false
		each(td, func(resource pcommon.Map, span ptrace.Span) { some = some || set.eval(resource, span, took) })
		if !some {
			return false
		}
	}
	return true
}

// condition is a comparison, or some of them joined.
type condition struct {
	field, op, value string
	quoted           bool
	join             string // "&&", "||"; "" with a field; "true"
	parts            []condition
}

func (c condition) eval(resource pcommon.Map, span ptrace.Span, took time.Duration) bool {
	switch c.join {
	case "true":
		return true
	case "&&":
		return c.parts[0].eval(resource, span, took) && c.parts[1].eval(resource, span, took)
	case "||":
		return c.parts[0].eval(resource, span, took) || c.parts[1].eval(resource, span, took)
	}
	return slices.ContainsFunc(fieldOf(c.field, resource, span, took), c.holds)
}

// holds compares: texts with texts, numbers with numbers. What fieldOf gives of
// a number begins with "#".
func (c condition) holds(v string) bool {
	number, isNumber := strings.CutPrefix(v, "#")
	if c.quoted || !isNumber {
		return c.quoted == !isNumber && c.op == "=" && v == c.value || c.field == "status" && v == c.value
	}
	got, err1 := strconv.ParseFloat(number, 64)
	want, err2 := strconv.ParseFloat(strings.TrimSuffix(c.value, "ns"), 64)
	if err1 != nil || err2 != nil {
		return false
	}
	switch c.op {
	case "=":
		return got == want
	case ">=":
		return got >= want
	case "<=":
		return got <= want
	}
	return false
}

func fieldOf(field string, resource pcommon.Map, span ptrace.Span, took time.Duration) []string {
	from := func(m pcommon.Map, key string) []string {
		v, ok := m.Get(key)
		switch {
		case !ok:
			return nil
		case v.Type() == pcommon.ValueTypeInt:
			return []string{"#" + v.AsString()}
		}
		return []string{v.AsString()}
	}
	if key, ok := strings.CutPrefix(field, "resource."); ok {
		return from(resource, key)
	}
	if key, ok := strings.CutPrefix(field, "span."); ok {
		return from(span.Attributes(), key)
	}
	if key, ok := strings.CutPrefix(field, "."); ok {
		return append(from(resource, key), from(span.Attributes(), key)...)
	}
	switch field {
	case "name":
		return []string{span.Name()}
	case "status":
		if span.Status().Code() == ptrace.StatusCodeError {
			return []string{"error"}
		}
		return []string{"unset"}
	case "traceDuration":
		return []string{"#" + strconv.FormatInt(int64(took), 10)}
	}
	return nil
}

// parseTraceQL reads "{ condition } && { condition }".
func parseTraceQL(text string) (q traceQL, err error) {
	p := &qlParser{tokens: tokens(text)}
	for {
		if err := p.want("{"); err != nil {
			return q, err
		}
		c := condition{join: "true"}
		if p.peek() != "}" {
			if c, err = p.either(); err != nil {
				return q, err
			}
		}
		if err := p.want("}"); err != nil {
			return q, err
		}
		q.sets = append(q.sets, c)
		if p.peek() == "" {
			return q, nil
		}
		if err := p.want("&&"); err != nil {
			return q, err
		}
	}
}

func tokens(text string) (list []string) {
	var s scanner.Scanner
	s.Init(strings.NewReader(text))
	s.Mode = scanner.ScanStrings | scanner.ScanIdents
	s.IsIdentRune = func(c rune, _ int) bool {
		return c == '.' || c == '_' || c == '-' || c == '/' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for tok := s.Scan(); tok != scanner.EOF; tok = s.Scan() {
		text := s.TokenText()
		if n := len(list); n > 0 && (text == "=" && (list[n-1] == ">" || list[n-1] == "<") || text == "&" && list[n-1] == "&" || text == "|" && list[n-1] == "|") {
			list[n-1] += text
			continue
		}
		list = append(list, text)
	}
	return list
}

type qlParser struct{ tokens []string }

func (p *qlParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *qlParser) next() string {
	tok := p.peek()
	if tok != "" {
		p.tokens = p.tokens[1:]
	}
	return tok
}

func (p *qlParser) want(tok string) error {
	if got := p.next(); got != tok {
		return fmt.Errorf("got %q, want %q", got, tok)
	}
	return nil
}

func (p *qlParser) either() (condition, error) {
	return p.joined("||", func() (condition, error) { return p.joined("&&", p.one) })
}

func (p *qlParser) joined(by string, part func() (condition, error)) (condition, error) {
	left, err := part()
	for err == nil && p.peek() == by {
		p.next()
		var right condition
		right, err = part()
		left = condition{join: by, parts: []condition{left, right}}
	}
	return left, err
}

func (p *qlParser) one() (c condition, err error) {
	if p.peek() == "(" {
		p.next()
		if c, err = p.either(); err != nil {
			return c, err
		}
		return c, p.want(")")
	}
	c = condition{field: p.next(), op: p.next(), value: p.next()}
	if c.op != "=" && c.op != ">=" && c.op != "<=" {
		return c, fmt.Errorf("%q is no comparison", c.op)
	}
	if strings.HasPrefix(c.value, `"`) {
		c.quoted = true
		c.value, err = strconv.Unquote(c.value)
	}
	return c, err
}

var _ traces.Writer = (*tempo)(nil)
