package trace

import (
	"regexp"
	"slices"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

// Roles that spans of sidecars and of tries have. Spans of applications have
// none, but for tries that their client library tells of.
const (
	RoleOutbound = "outbound" // a sidecar's of a request that its workload made
	RoleInbound  = "inbound"  // a sidecar's of a request that it let in
	RoleAttempt  = "attempt"  // one of several tries of its parent, after the one before had ended
	RoleHedge    = "hedge"    // one of several tries of its parent, beside another
)

var attemptName = regexp.MustCompile(`^attempt \d+$`)

// roleOf reads a span's role from what it says itself. Our sidecar names the
// reporter; Envoy marks its spans as a proxy's.
func roleOf(s *traces.Span) string {
	reporter := attribute(s, "sidelight.reporter")
	proxy := attribute(s, "component") == "proxy"
	switch {
	case attemptName.MatchString(s.Operation) && s.Kind == "client" && reporter == "":
		return RoleAttempt
	case reporter == "source", proxy && s.Kind == "client":
		return RoleOutbound
	case reporter == "destination", proxy && s.Kind == "server":
		return RoleInbound
	}
	return ""
}

// setRoles gives every span its role. Tries of an application are those of one
// parent of which any says how often it was sent again; tries side by side are
// hedges.
func (a *analysis) setRoles() {
	for _, n := range a.nodes {
		n.span.Role = roleOf(n.span)
	}
	for _, n := range a.nodes {
		var tries []*node
		for _, c := range n.children {
			if c.span.Role == RoleAttempt || c.span.Role == "" && c.span.Kind == "client" && isResent(c.span, n.children) {
				tries = append(tries, c)
			}
		}
		for i, t := range tries { // by start
			t.span.Role = RoleAttempt
			if i > 0 && slices.ContainsFunc(tries[:i], func(before *node) bool { return before.end() > t.start()+toleranceUS }) {
				t.span.Role = RoleHedge
			}
		}
	}
}

// isResent tells whether a client span is one of several tries, by
// OpenTelemetry's count of resends on it or on a sibling of the same name.
func isResent(s *traces.Span, siblings []*node) bool {
	return slices.ContainsFunc(siblings, func(n *node) bool {
		again := attribute(n.span, "http.request.resend_count")
		return n.span.Operation == s.Operation && again != "" && again != "0"
	})
}

// setHops folds what stands for one call into one place: the spans between a
// client's and the server's that only sidecars sent. Each of them names the
// span that the call is shown as: the first of the chain.
func (a *analysis) setHops() {
	for _, n := range a.nodes {
		n.span.Hop = n.span.SpanID
	}
	stack := slices.Clone(a.roots)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if p := n.parent; p != nil && folds(p.span, n.span) {
			n.span.Hop = p.span.Hop
		}
		stack = append(stack, n.children...)
	}
}

// folds tells whether child is the same call as parent, seen one step further:
// application, its sidecar, an attempt, the other sidecar, the application.
func folds(parent, child *traces.Span) bool {
	switch child.Role {
	case RoleOutbound:
		return parent.Role == "" && parent.Kind == "client" && parent.Service == child.Service
	case RoleInbound:
		return parent.Role == RoleOutbound || parent.Role == RoleAttempt || parent.Role == RoleHedge
	case "":
		return parent.Role == RoleInbound && child.Kind == "server" && parent.Service == child.Service
	}
	return false
}
