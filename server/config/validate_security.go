package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	securityv1beta1 "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
)

// AnnotationDryRun makes a policy judge and count, and let everything pass.
const AnnotationDryRun = "istio.io/dry-run"

func (c *checker) selector(s *typev1beta1.WorkloadSelector) {
	c.labels("spec.selector.matchLabels", s.GetMatchLabels())
	for k, v := range s.GetMatchLabels() {
		if strings.Contains(k+v, "*") {
			c.errorf(CodeValue, "spec.selector.matchLabels["+k+"]", "", "a label selector has no wildcards")
		}
	}
}

func (c *checker) peerAuthentication(p *securityv1beta1.PeerAuthentication) {
	c.selector(p.Selector)
	if len(p.PortLevelMtls) > 0 && len(p.GetSelector().GetMatchLabels()) == 0 {
		c.errorf(CodeRequired, "spec.portLevelMtls", "add selector.matchLabels: a port is a workload's", "spec.portLevelMtls is of effect with a selector only")
	}
	for port := range p.PortLevelMtls {
		c.port(fmt.Sprintf("spec.portLevelMtls[%d]", port), port)
	}
	c.plainText(p)
}

func (c *checker) authorizationPolicy(p *securityv1beta1.AuthorizationPolicy) {
	c.selector(p.Selector)
	switch p.Action {
	case securityv1beta1.AuthorizationPolicy_ALLOW, securityv1beta1.AuthorizationPolicy_DENY:
	default:
		c.unsupported("spec.action", p.Action.String())
	}
	if v, ok := c.object.Annotations[AnnotationDryRun]; ok {
		if _, err := strconv.ParseBool(v); err != nil {
			c.errorf(CodeValue, "metadata.annotations["+AnnotationDryRun+"]", `use "true" or "false"`, "%s: %q is neither true nor false", AnnotationDryRun, v)
		}
	}
	for i, r := range p.Rules {
		path := fmt.Sprintf("spec.rules[%d]", i)
		for j, from := range r.GetFrom() {
			c.source(fmt.Sprintf("%s.from[%d].source", path, j), from.GetSource())
		}
		for j, to := range r.GetTo() {
			c.operation(fmt.Sprintf("%s.to[%d].operation", path, j), to.GetOperation())
		}
		for j, when := range r.GetWhen() {
			c.condition(fmt.Sprintf("%s.when[%d]", path, j), when)
		}
	}
	c.letsIn(p)
}

// values are one field of a rule.
type values struct {
	name string
	list []string
}

// notEmpty refuses what would be no condition at all: an empty source or
// operation, and an empty text.
func (c *checker) notEmpty(path string, fields ...values) {
	some := false
	for _, f := range fields {
		for i, v := range f.list {
			some = true
			if v == "" {
				c.errorf(CodeValue, fmt.Sprintf("%s.%s[%d]", path, f.name, i), "", "%s.%s[%d] is empty", path, f.name, i)
			}
		}
	}
	if !some {
		c.errorf(CodeRequired, path, "leave it out to match everything", "%s says nothing", path)
	}
}

// wildcard checks a value that may have * at its begin or its end.
func (c *checker) wildcard(path string, f values) {
	for i, v := range f.list {
		if v != "*" && strings.Contains(strings.TrimSuffix(strings.TrimPrefix(v, "*"), "*"), "*") ||
			len(v) > 1 && strings.HasPrefix(v, "*") && strings.HasSuffix(v, "*") {
			c.errorf(CodeValue, fmt.Sprintf("%s.%s[%d]", path, f.name, i), `* stands at the begin, or at the end, or alone`, "%s.%s[%d]: %q: a wildcard stands in the middle", path, f.name, i, v)
		}
	}
}

func (c *checker) source(path string, s *securityv1beta1.Source) {
	fields := []values{
		{"principals", s.GetPrincipals()},
		{"notPrincipals", s.GetNotPrincipals()},
		{"namespaces", s.GetNamespaces()},
		{"notNamespaces", s.GetNotNamespaces()},
		{"serviceAccounts", s.GetServiceAccounts()},
		{"notServiceAccounts", s.GetNotServiceAccounts()},
		{"ipBlocks", s.GetIpBlocks()},
		{"notIpBlocks", s.GetNotIpBlocks()},
	}
	c.notEmpty(path, fields...)
	for _, f := range fields[:4] {
		c.wildcard(path, f)
	}
	for _, f := range fields[4:6] {
		for i, v := range f.list {
			if strings.ContainsAny(v, "*") || strings.Count(v, "/") > 1 {
				c.errorf(CodeValue, fmt.Sprintf("%s.%s[%d]", path, f.name, i), "write NAMESPACE/ACCOUNT, or ACCOUNT for one of the policy's namespace", "%s.%s[%d]: %q is no service account", path, f.name, i, v)
			}
		}
	}
	for _, f := range fields[6:] {
		c.blocks(path, f)
	}
}

func (c *checker) blocks(path string, f values) {
	for i, v := range f.list {
		if _, err := ParseBlock(v); err != nil {
			c.errorf(CodeValue, fmt.Sprintf("%s.%s[%d]", path, f.name, i), "as 10.0.0.0/8, or one address", "%s.%s[%d]: %q is no IP block", path, f.name, i, v)
		}
	}
}

// ParseBlock reads an IP block, or a single address.
func ParseBlock(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func (c *checker) operation(path string, o *securityv1beta1.Operation) {
	fields := []values{
		{"hosts", o.GetHosts()},
		{"notHosts", o.GetNotHosts()},
		{"methods", o.GetMethods()},
		{"notMethods", o.GetNotMethods()},
		{"paths", o.GetPaths()},
		{"notPaths", o.GetNotPaths()},
		{"ports", o.GetPorts()},
		{"notPorts", o.GetNotPorts()},
	}
	c.notEmpty(path, fields...)
	for _, f := range fields[:4] {
		c.wildcard(path, f)
	}
	for _, f := range fields[4:6] {
		for i, v := range f.list {
			if !IsPathTemplate(v) {
				c.wildcard(path, values{f.name, f.list[i : i+1]})
			} else if err := checkTemplate(v); err != "" {
				c.errorf(CodeValue, fmt.Sprintf("%s.%s[%d]", path, f.name, i), "as /films/{*}/seats or /films/{**}", "%s.%s[%d]: %q: %s", path, f.name, i, v, err)
			}
		}
	}
	for _, f := range fields[6:] {
		c.ports(path, f)
	}
}

func (c *checker) ports(path string, f values) {
	for i, v := range f.list {
		if n, err := strconv.ParseUint(v, 10, 16); err != nil || n == 0 {
			c.errorf(CodePort, fmt.Sprintf("%s.%s[%d]", path, f.name, i), "", "%s.%s[%d]: %q is not a port", path, f.name, i, v)
		}
	}
}

// IsPathTemplate reports whether a path has {*} or {**} in it.
func IsPathTemplate(path string) bool {
	return strings.Contains(path, "{*}") || strings.Contains(path, "{**}")
}

func checkTemplate(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "a template begins with /"
	}
	whole := 0
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		switch {
		case s == "{*}":
		case s == "{**}":
			if whole++; whole > 1 || i != len(segments)-1 {
				return "{**} stands once, at the end"
			}
		case strings.ContainsAny(s, "{}*"):
			return strconv.Quote(s) + " is neither text, nor {*} nor {**}"
		}
	}
	return ""
}

// The keys of conditions that can be judged without a token of the end user.
const (
	WhenHeaders        = "request.headers"
	WhenSourceIP       = "source.ip"
	WhenNamespace      = "source.namespace"
	WhenPrincipal      = "source.principal"
	WhenServiceAccount = "source.serviceAccount"
	WhenDestinationIP  = "destination.ip"
	WhenPort           = "destination.port"
	WhenSNI            = "connection.sni"
)

func (c *checker) condition(path string, w *securityv1beta1.Condition) {
	values, not := values{"values", w.GetValues()}, values{"notValues", w.GetNotValues()}
	c.notEmpty(path, values, not)
	key, header, isHeader := CutHeaderKey(w.GetKey())
	switch {
	case isHeader:
		c.header(path+".key", header)
	case strings.HasPrefix(key, "request.auth."):
		c.errorf(CodeUnsupported, path+".key", "tokens of end users (RequestAuthentication) are not read; judge by source.principal", "%s.key: %s is not supported", path, key)
	case key == WhenSourceIP || key == WhenDestinationIP:
		c.blocks(path, values)
		c.blocks(path, not)
	case key == WhenPort:
		c.ports(path, values)
		c.ports(path, not)
	case key == WhenNamespace || key == WhenPrincipal || key == WhenSNI:
		c.wildcard(path, values)
		c.wildcard(path, not)
	case key == WhenServiceAccount:
	case key == "remote.ip":
		c.errorf(CodeUnsupported, path+".key", "use source.ip: X-Forwarded-For is the caller's to write", "%s.key: remote.ip is not supported", path)
	default:
		c.errorf(CodeValue, path+".key", "there are request.headers[NAME], source.ip, source.namespace, source.principal, source.serviceAccount, destination.ip, destination.port, connection.sni",
			"%s.key: %q is not known", path, w.GetKey())
	}
}

// CutHeaderKey reads request.headers[NAME].
func CutHeaderKey(key string) (rest, header string, ok bool) {
	if name, found := strings.CutPrefix(key, WhenHeaders+"["); found && strings.HasSuffix(name, "]") {
		return WhenHeaders, strings.TrimSuffix(name, "]"), true
	}
	return key, "", false
}
