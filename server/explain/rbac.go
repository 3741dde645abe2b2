package explain

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tcprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	uritemplatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sidelight-mesh/sidelight/mesh"
)

type (
	rbac    = rbacv3.RBAC
	tcprbac = tcprbacv3.RBAC
)

// Call is a request, or a connection, as the node sees it at which it arrives.
type Call struct {
	*Request
	HTTP        bool   // it is looked into
	Principal   string // proven by the connection; "" without mutual TLS
	Destination netip.AddrPort
	SNI         string
}

// Judgement is what rules make of a call.
type Judgement struct {
	Denied bool
	Rule   string // that decided; "" when none matched
	Not    []NotMatched
}

// NotMatched is a rule that did not match, and why not.
type NotMatched struct{ Rule, Why string }

// Judge judges a call as sidecars do, which is Envoy's way: rules by name, the
// first that matches. An error means that a rule asks for what this version does
// not know.
func Judge(rules *rbacv3.RBAC, c *Call) (Judgement, error) {
	j := Judgement{Not: []NotMatched{}}
	if rules.GetAction() != rbacv3.RBAC_ALLOW && rules.GetAction() != rbacv3.RBAC_DENY {
		return j, fmt.Errorf("this version does not know the action %s", rules.GetAction())
	}
	for _, name := range slices.Sorted(maps.Keys(rules.GetPolicies())) {
		p := rules.GetPolicies()[name]
		ok, why, err := anyOf(p.GetPermissions(), c.permission)
		if err == nil && ok {
			ok, why, err = anyOf(p.GetPrincipals(), c.principal)
		}
		if err != nil {
			return j, fmt.Errorf("%s: %w", name, err)
		}
		if ok {
			j.Rule = name
			break
		}
		j.Not = append(j.Not, NotMatched{name, why})
	}
	j.Denied = (j.Rule != "") == (rules.GetAction() == rbacv3.RBAC_DENY)
	return j, nil
}

// anyOf tells whether one of some conditions holds, and else why the last does
// not: where there are several, they most often ask for one of several values.
func anyOf[T any](list []T, holds func(T) (bool, string, error)) (ok bool, why string, err error) {
	var whys []string
	for _, m := range list {
		if ok, why, err = holds(m); ok || err != nil {
			return ok, "", err
		}
		whys = append(whys, why)
	}
	return false, together(whys), nil
}

// together joins reasons that differ in what is asked for alone: "the method is
// PUT; it asks for GET, or for HEAD".
func together(whys []string) string {
	if len(whys) == 0 {
		return "it asks for nothing there is"
	}
	found, asks, ok := strings.Cut(whys[0], "; it asks for ")
	if !ok {
		return whys[0]
	}
	list := []string{asks}
	for _, w := range whys[1:] {
		if rest, same := strings.CutPrefix(w, found+"; it asks for "); same {
			list = append(list, rest)
		} else {
			return strings.Join(whys, ", and ")
		}
	}
	return found + "; it asks for " + strings.Join(list, ", or for ")
}

func allOf[T any](list []T, holds func(T) (bool, string, error)) (bool, string, error) {
	for _, m := range list {
		if ok, why, err := holds(m); !ok || err != nil {
			return false, why, err
		}
	}
	return true, "", nil
}

// not tells whether a condition does not hold. Why it does is that of what it is.
func not(what string, ok bool, err error) (bool, string, error) {
	return !ok, "it asks for others than " + what, err
}

func (c *Call) permission(m *rbacv3.Permission) (bool, string, error) {
	switch r := m.GetRule().(type) {
	case *rbacv3.Permission_AndRules:
		return allOf(r.AndRules.GetRules(), c.permission)
	case *rbacv3.Permission_OrRules:
		return anyOf(r.OrRules.GetRules(), c.permission)
	case *rbacv3.Permission_NotRule:
		if r.NotRule.GetAny() {
			return false, "it is not for this port, or allows nothing", nil
		}
		ok, _, err := c.permission(r.NotRule)
		return not(permissionText(r.NotRule), ok, err)
	case *rbacv3.Permission_Any:
		return true, "", nil
	case *rbacv3.Permission_Header:
		return c.header(r.Header)
	case *rbacv3.Permission_UrlPath:
		return c.path(r.UrlPath.GetPath())
	case *rbacv3.Permission_DestinationIp:
		return within("the address called", c.Destination.Addr(), r.DestinationIp)
	case *rbacv3.Permission_DestinationPort:
		return uint32(c.Destination.Port()) == r.DestinationPort, fmt.Sprintf("the port is %d; it asks for %d", c.Destination.Port(), r.DestinationPort), nil
	case *rbacv3.Permission_RequestedServerName:
		return compared("the server name", c.SNI, r.RequestedServerName)
	case *rbacv3.Permission_UriTemplate:
		t := &uritemplatev3.UriTemplateMatchConfig{}
		if err := r.UriTemplate.GetTypedConfig().UnmarshalTo(t); err != nil {
			return false, "", err
		}
		pattern, err := template(t.GetPathTemplate())
		if err != nil || !c.HTTP {
			return false, notHTTP, err
		}
		path := mesh.NormalizePath(c.Path)
		ok, err := matchRegex(pattern, path)
		return ok, fmt.Sprintf("the path is %s; it asks for %s", path, t.GetPathTemplate()), err
	}
	return false, "", fmt.Errorf("this version does not know the permission %T", m.GetRule())
}

func (c *Call) principal(m *rbacv3.Principal) (bool, string, error) {
	switch id := m.GetIdentifier().(type) {
	case *rbacv3.Principal_AndIds:
		return allOf(id.AndIds.GetIds(), c.principal)
	case *rbacv3.Principal_OrIds:
		return anyOf(id.OrIds.GetIds(), c.principal)
	case *rbacv3.Principal_NotId:
		if id.NotId.GetAny() {
			return false, "it is for nobody", nil
		}
		ok, _, err := c.principal(id.NotId)
		return not(principalText(id.NotId), ok, err)
	case *rbacv3.Principal_Any:
		return true, "", nil
	case *rbacv3.Principal_Authenticated_:
		name := id.Authenticated.GetPrincipalName()
		switch {
		case name == nil:
			return c.Principal != "", "nobody knows who calls; it asks for somebody who is known", nil
		case c.Principal == "":
			return false, "nobody knows who calls; it asks for " + identityText(name), nil
		}
		ok, err := matchString(name, c.Principal)
		return ok, fmt.Sprintf("the caller is %s; it asks for %s", c.Principal, identityText(name)), err
	case *rbacv3.Principal_DirectRemoteIp:
		return within("the caller's address", c.Source, id.DirectRemoteIp)
	case *rbacv3.Principal_Header:
		return c.header(id.Header)
	case *rbacv3.Principal_UrlPath:
		return c.path(id.UrlPath.GetPath())
	}
	return false, "", fmt.Errorf("this version does not know the principal %T", m.GetIdentifier())
}

const notHTTP = "the node does not look into what is sent; it asks for something of a request"

func (c *Call) path(m *matcherv3.StringMatcher) (bool, string, error) {
	if !c.HTTP {
		return false, notHTTP, nil
	}
	return compared("the path", mesh.NormalizePath(c.Path), m)
}

func (c *Call) header(m *routev3.HeaderMatcher) (bool, string, error) {
	what := headerName(m.GetName())
	if !strings.HasPrefix(what, "header ") {
		what = "the " + what
	}
	value, has := "", false
	if c.HTTP {
		if value, has = headerValue(m.GetName(), c.Request); m.GetName() == ":path" {
			value = mesh.NormalizePath(c.Path)
		}
	}
	var ok bool
	why := "there is no " + headerName(m.GetName()) + "; it asks for one"
	switch spec := m.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_StringMatch:
		held, err := matchString(spec.StringMatch, value)
		if err != nil {
			return false, "", err
		}
		if ok = has && held; has {
			why = fmt.Sprintf("%s is %q; it asks for %s", what, value, stringText(spec.StringMatch))
		}
	case *routev3.HeaderMatcher_PresentMatch:
		ok = has == spec.PresentMatch
	default:
		return false, "", fmt.Errorf("this version does not know the condition on %s", what)
	}
	if !c.HTTP {
		why = notHTTP
	}
	if m.GetInvertMatch() {
		return not(headerText(m), ok, nil)
	}
	return ok, why, nil
}

func compared(what, value string, m *matcherv3.StringMatcher) (bool, string, error) {
	ok, err := matchString(m, value)
	return ok, fmt.Sprintf("%s is %q; it asks for %s", what, value, stringText(m)), err
}

func within(what string, address netip.Addr, block *corev3.CidrRange) (bool, string, error) {
	at, err := netip.ParseAddr(block.GetAddressPrefix())
	if err != nil {
		return false, "", err
	}
	bits := at.BitLen()
	if block.GetPrefixLen() != nil {
		bits = int(block.GetPrefixLen().GetValue())
	}
	asks := fmt.Sprintf("; it asks for %s/%d", at, bits)
	if !address.IsValid() {
		return false, what + " is not known" + asks, nil
	}
	return netip.PrefixFrom(at, bits).Masked().Contains(address.Unmap()), fmt.Sprintf("%s is %s%s", what, address.Unmap(), asks), nil
}

// template gives the regular expression of a URI template: * is one segment, **
// any number of them.
func template(text string) (string, error) {
	if !strings.HasPrefix(text, "/") {
		return "", fmt.Errorf("the path template %q does not begin with /", text)
	}
	var b strings.Builder
	for i, segment := range strings.Split(text[1:], "/") {
		if i > 0 || segment != "**" {
			b.WriteByte('/')
		}
		switch {
		case segment == "*":
			b.WriteString(`[^/]+`)
		case segment == "**" && i == 0:
			b.WriteString(`/.*`)
		case segment == "**":
			b.WriteString(`.*`)
		case strings.ContainsAny(segment, "*{}"):
			return "", fmt.Errorf("the path template %q has %q", text, segment)
		default:
			b.WriteString(regexp.QuoteMeta(segment))
		}
	}
	return b.String(), nil
}

// identityText is how people write whom a rule is for: namespaces by their name.
func identityText(m *matcherv3.StringMatcher) string {
	if e := m.GetSafeRegex().GetRegex(); strings.HasPrefix(e, ".*/ns/") && strings.HasSuffix(e, "/.*") {
		return "namespace " + strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(e, ".*/ns/"), "/.*"), "[^/]*", "*")
	}
	if m.GetSafeRegex().GetRegex() == ".+" {
		return "somebody who is known"
	}
	return strings.Trim(stringText(m), `"`)
}

func permissionText(m *rbacv3.Permission) string {
	switch r := m.GetRule().(type) {
	case *rbacv3.Permission_OrRules:
		return textsOf(r.OrRules.GetRules(), permissionText, " and ")
	case *rbacv3.Permission_AndRules:
		return textsOf(r.AndRules.GetRules(), permissionText, " with ")
	case *rbacv3.Permission_Header:
		return headerText(r.Header)
	case *rbacv3.Permission_UrlPath:
		return "path " + stringText(r.UrlPath.GetPath())
	case *rbacv3.Permission_Any:
		return "this port"
	}
	return compact(m)
}

func principalText(m *rbacv3.Principal) string {
	switch id := m.GetIdentifier().(type) {
	case *rbacv3.Principal_OrIds:
		return textsOf(id.OrIds.GetIds(), principalText, " and ")
	case *rbacv3.Principal_AndIds:
		return textsOf(id.AndIds.GetIds(), principalText, " with ")
	case *rbacv3.Principal_Authenticated_:
		return identityText(id.Authenticated.GetPrincipalName())
	case *rbacv3.Principal_Header:
		return headerText(id.Header)
	case *rbacv3.Principal_DirectRemoteIp:
		return fmt.Sprintf("%s/%d", id.DirectRemoteIp.GetAddressPrefix(), id.DirectRemoteIp.GetPrefixLen().GetValue())
	}
	return compact(m)
}

func textsOf[T any](list []T, text func(T) string, between string) string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = text(m)
	}
	return strings.Join(out, between)
}
