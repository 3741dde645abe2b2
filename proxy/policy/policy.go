package policy

import (
	"net/netip"
	"net/textproto"
	"slices"
	"strings"
)

// Request is what is known of a request, or of a TCP connection.
type Request struct {
	Principal   string     // "spiffe://…"; "" without mutual TLS
	Source      netip.Addr // of the connection
	Destination netip.AddrPort
	SNI         string

	// HTTP only; a TCP connection has none of them, and rules that ask for them
	// do not match it.
	HTTP   bool
	Method string
	Host   string              // as sent, with the port if there was one
	Path   string              // normalised, without the query
	Header map[string][]string // names in canonical form
}

// Match says whether something is so of a request.
type Match func(*Request) bool

// Action is what a filter does with what its rules match.
type Action uint8

// The actions. Deny denies what matches, Allow denies what does not.
const (
	Allow Action = iota
	Deny
)

// Rule is one named condition. It matches when both parts do.
type Rule struct {
	Name       string // "ns[cinema]-policy[deny-cron]-rule[0]"
	Permission Match  // what is done
	Principal  Match  // who does it
}

// Filter is a set of rules with one action.
type Filter struct {
	Action Action
	Rules  []Rule
	DryRun bool // judges, and lets everything pass
}

// Policy is an ordered list of filters; a request must pass all of them. A nil
// policy lets everything pass.
type Policy struct{ Filters []Filter }

// Verdict is what a policy makes of a request.
type Verdict struct {
	Denied bool
	Rule   string // that denied; "" when none of an Allow filter's rules matched
	// Objects are the configuration objects behind the denial.
	Objects string
	// DryRun is the rule of the first dry run that would have denied; None when
	// it was for lack of a match; "" when all would have let it pass.
	DryRun string
}

// None stands for no rule.
const None = "none"

// Check judges a request.
func (p *Policy) Check(r *Request) Verdict {
	var v Verdict
	if p == nil {
		return v
	}
	for i := range p.Filters {
		f := &p.Filters[i]
		rule := f.match(r)
		if (rule != nil) != (f.Action == Deny) {
			continue
		}
		name := ""
		if rule != nil {
			name = rule.Name
		}
		if f.DryRun {
			if v.DryRun == "" {
				if v.DryRun = name; name == "" {
					v.DryRun = None
				}
			}
			continue
		}
		v.Denied, v.Rule, v.Objects = true, name, f.objects(rule)
		return v
	}
	return v
}

func (f *Filter) match(r *Request) *Rule {
	for i := range f.Rules {
		if rule := &f.Rules[i]; rule.Permission(r) && rule.Principal(r) {
			return rule
		}
	}
	return nil
}

// maxObjects bounds how many policies are named when none of them matched.
const maxObjects = 3

// objects names the policies that denied.
func (f *Filter) objects(rule *Rule) string {
	if rule != nil {
		return Object(rule.Name)
	}
	var names []string
	for i := range f.Rules {
		if o := Object(f.Rules[i].Name); o != "" && !slices.Contains(names, o) {
			if len(names) == maxObjects {
				return strings.Join(names, ", ") + " …"
			}
			names = append(names, o)
		}
	}
	return strings.Join(names, ", ")
}

// Object gives the object that a rule comes from by the rule's name, as Istio's
// control plane and ours form it, or "".
func Object(rule string) string {
	rest, ok := strings.CutPrefix(rule, "ns[")
	if !ok {
		return ""
	}
	kind := "AuthorizationPolicy"
	namespace, of, ok := strings.Cut(rest, "]-policy[")
	if !ok {
		kind = "TrafficTarget" // of SMI
		if namespace, of, ok = strings.Cut(rest, "]-target["); !ok {
			return ""
		}
	}
	name, _, ok := strings.Cut(of, "]-rule[")
	if !ok {
		return ""
	}
	return kind + " " + namespace + "/" + name
}

// Any matches everything.
func Any(*Request) bool { return true }

// All matches when each does.
func All(list []Match) Match {
	return func(r *Request) bool {
		for _, m := range list {
			if !m(r) {
				return false
			}
		}
		return true
	}
}

// OneOf matches when one does.
func OneOf(list []Match) Match {
	return func(r *Request) bool {
		for _, m := range list {
			if m(r) {
				return true
			}
		}
		return false
	}
}

// Not matches when m does not.
func Not(m Match) Match { return func(r *Request) bool { return !m(r) } }

// Principal matches who has proved to be somebody of that name.
func Principal(t Text) Match {
	return func(r *Request) bool { return r.Principal != "" && t.Match(r.Principal) }
}

// Source matches the address that a connection comes from.
func Source(block netip.Prefix) Match {
	return func(r *Request) bool { return block.Contains(r.Source.Unmap()) }
}

// Destination matches the address that a connection went to.
func Destination(block netip.Prefix) Match {
	return func(r *Request) bool { return block.Contains(r.Destination.Addr().Unmap()) }
}

// Port matches the ports from first to last that a connection went to.
func Port(first, last uint16) Match {
	return func(r *Request) bool { return first <= r.Destination.Port() && r.Destination.Port() <= last }
}

// SNI matches what a TLS client called the server.
func SNI(t Text) Match { return func(r *Request) bool { return t.Match(r.SNI) } }

// Path matches the normalised path.
func Path(t Text) Match { return func(r *Request) bool { return r.HTTP && t.Match(r.Path) } }

// Header matches a request's header; several values are one, comma separated.
// The pseudo headers are :method, :authority and :path.
func Header(name string, t Text) Match {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	return func(r *Request) bool {
		if !r.HTTP {
			return false
		}
		switch name {
		case ":method":
			return t.Match(r.Method)
		case ":authority", "host":
			return t.Match(r.Host)
		case ":path":
			return t.Match(r.Path)
		}
		values := r.Header[canonical]
		if len(values) == 0 {
			return false
		}
		return t.Match(strings.Join(values, ","))
	}
}
