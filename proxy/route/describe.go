package route

import "fmt"

// Describe gives the conditions in words, for people: one each, in the order
// in which they are checked. A match that takes everything says so.
func (m *Match) Describe() []string {
	list := []string{m.Path.describe()}
	if m.Connect {
		list[0] = "CONNECT"
	}
	if m.GRPC {
		list = append(list, "gRPC")
	}
	for i := range m.Headers {
		h := &m.Headers[i]
		not := ""
		if h.Invert {
			not = "not "
		}
		list = append(list, fmt.Sprintf("header %s %s%s", h.Name, not, h.Value.describe()))
	}
	for i := range m.Query {
		list = append(list, fmt.Sprintf("query %s %s", m.Query[i].Name, m.Query[i].Value.describe()))
	}
	return list
}

func (p Path) describe() string {
	if p.Kind == PathPrefix && (p.Value == "" || p.Value == "/") {
		return "any path"
	}
	kind := [...]string{PathPrefix: "prefix", PathExact: "exact", PathRegex: "regex", PathSeparatedPrefix: "segments"}[p.Kind]
	return fmt.Sprintf("path %s %s", kind, p.Value)
}

func (s StringMatch) describe() string {
	switch s.Kind {
	case Present:
		return "present"
	case Range:
		return fmt.Sprintf("in [%d, %d)", s.From, s.To)
	default:
		kind := [...]string{Exact: "exact", Prefix: "prefix", Suffix: "suffix", Contains: "contains", Regex: "regex"}[s.Kind]
		return fmt.Sprintf("%s %q", kind, s.Value)
	}
}
