package xds

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	uritemplatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/sidelight-mesh/sidelight/proxy/policy"
)

// Policy compiles rules as a sidecar does. Like Table, it is there for those who
// hold another reading of Envoy's API against this one.
func Policy(rules *rbacv3.RBAC) (*policy.Policy, error) {
	into := &problems{}
	p := newTranslator("").rbac(nil, rules, nil, "", into)
	return p, into.err()
}

// rbac adds the filters of an RBAC configuration: the rules that hold, and
// those of a dry run.
func (t *translator) rbac(p *policy.Policy, rules, shadow *rbacv3.RBAC, path string, into *problems) *policy.Policy {
	if p == nil {
		p = &policy.Policy{}
	}
	// No rules at all lets everything pass in Envoy; rules without a policy do not.
	if shadow != nil {
		f := t.rbacFilter(shadow, path+".shadow_rules", into)
		f.DryRun = true
		p.Filters = append(p.Filters, f)
	}
	if rules != nil {
		p.Filters = append(p.Filters, t.rbacFilter(rules, path+".rules", into))
	}
	return p
}

func (t *translator) rbacFilter(m *rbacv3.RBAC, path string, into *problems) policy.Filter {
	f := policy.Filter{}
	switch m.GetAction() {
	case rbacv3.RBAC_ALLOW:
	case rbacv3.RBAC_DENY:
		f.Action = policy.Deny
	default:
		into.add(path+".action", "%s is not supported by build %s", m.GetAction(), t.build)
	}
	// Envoy takes them by name, so that the first match is always the same.
	for _, name := range slices.Sorted(maps.Keys(m.GetPolicies())) {
		at := path + ".policies[" + strconv.Quote(name) + "]"
		p := m.GetPolicies()[name]
		f.Rules = append(f.Rules, policy.Rule{
			Name:       name,
			Permission: policy.OneOf(t.permissions(p.GetPermissions(), at+".permissions", into)),
			Principal:  policy.OneOf(t.principals(p.GetPrincipals(), at+".principals", into)),
		})
	}
	return f
}

func (t *translator) permissions(list []*rbacv3.Permission, path string, into *problems) []policy.Match {
	out := make([]policy.Match, len(list))
	for i, p := range list {
		out[i] = t.permission(p, path+"["+strconv.Itoa(i)+"]", into)
	}
	return out
}

func (t *translator) permission(m *rbacv3.Permission, path string, into *problems) policy.Match {
	switch r := m.GetRule().(type) {
	case *rbacv3.Permission_AndRules:
		return policy.All(t.permissions(r.AndRules.GetRules(), path+".and_rules.rules", into))
	case *rbacv3.Permission_OrRules:
		return policy.OneOf(t.permissions(r.OrRules.GetRules(), path+".or_rules.rules", into))
	case *rbacv3.Permission_NotRule:
		return policy.Not(t.permission(r.NotRule, path+".not_rule", into))
	case *rbacv3.Permission_Any:
		return policy.Any
	case *rbacv3.Permission_Header:
		return t.rbacHeader(r.Header, path+".header", into)
	case *rbacv3.Permission_UrlPath:
		return policy.Path(t.text(r.UrlPath.GetPath(), path+".url_path.path", into))
	case *rbacv3.Permission_DestinationIp:
		return policy.Destination(prefix(r.DestinationIp, path+".destination_ip", into))
	case *rbacv3.Permission_DestinationPort:
		return policy.Port(uint16(r.DestinationPort), uint16(r.DestinationPort)) // bounded by Envoy's constraint
	case *rbacv3.Permission_RequestedServerName:
		return policy.SNI(t.text(r.RequestedServerName, path+".requested_server_name", into))
	case *rbacv3.Permission_UriTemplate:
		if tpl, ok := extension(r.UriTemplate.GetTypedConfig(), path+".uri_template.typed_config", into).(*uritemplatev3.UriTemplateMatchConfig); ok {
			match, err := policy.Template(tpl.GetPathTemplate())
			if err != nil {
				into.add(path+".uri_template", "%v", err)
			}
			return policy.Path(match)
		}
	}
	into.add(path, "not supported by build %s", t.build)
	return nobody
}

// nobody stands where a condition could not be read; the resource is refused.
func nobody(*policy.Request) bool { return false }

func (t *translator) principals(list []*rbacv3.Principal, path string, into *problems) []policy.Match {
	out := make([]policy.Match, len(list))
	for i, p := range list {
		out[i] = t.principal(p, path+"["+strconv.Itoa(i)+"]", into)
	}
	return out
}

func (t *translator) principal(m *rbacv3.Principal, path string, into *problems) policy.Match {
	switch id := m.GetIdentifier().(type) {
	case *rbacv3.Principal_AndIds:
		return policy.All(t.principals(id.AndIds.GetIds(), path+".and_ids.ids", into))
	case *rbacv3.Principal_OrIds:
		return policy.OneOf(t.principals(id.OrIds.GetIds(), path+".or_ids.ids", into))
	case *rbacv3.Principal_NotId:
		return policy.Not(t.principal(id.NotId, path+".not_id", into))
	case *rbacv3.Principal_Any:
		return policy.Any
	case *rbacv3.Principal_Authenticated_:
		if id.Authenticated.GetPrincipalName() == nil {
			any, _ := policy.NewText(policy.Present, "", false)
			return policy.Principal(any)
		}
		return policy.Principal(t.text(id.Authenticated.GetPrincipalName(), path+".authenticated.principal_name", into))
	case *rbacv3.Principal_DirectRemoteIp:
		return policy.Source(prefix(id.DirectRemoteIp, path+".direct_remote_ip", into))
	case *rbacv3.Principal_Header:
		return t.rbacHeader(id.Header, path+".header", into)
	case *rbacv3.Principal_UrlPath:
		return policy.Path(t.text(id.UrlPath.GetPath(), path+".url_path.path", into))
	}
	into.add(path, "not supported by build %s", t.build)
	return nobody
}

func (t *translator) rbacHeader(m *routev3.HeaderMatcher, path string, into *problems) policy.Match {
	var match policy.Match
	switch spec := m.GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_StringMatch:
		match = policy.Header(m.GetName(), t.text(spec.StringMatch, path+".string_match", into))
	case *routev3.HeaderMatcher_PresentMatch:
		present, _ := policy.NewText(policy.Present, "", false)
		if match = policy.Header(m.GetName(), present); !spec.PresentMatch {
			match = policy.Not(match)
		}
	default:
		into.add(path, "only string_match and present_match are supported by build %s", t.build)
		return nobody
	}
	if m.GetTreatMissingHeaderAsEmpty() {
		into.add(path+".treat_missing_header_as_empty", "not supported by build %s", t.build)
	}
	if m.GetInvertMatch() {
		return policy.Not(match)
	}
	return match
}

func (t *translator) text(m *matcherv3.StringMatcher, path string, into *problems) policy.Text {
	kind, value := policy.Exact, ""
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.StringMatcher_Exact:
		value = p.Exact
	case *matcherv3.StringMatcher_Prefix:
		kind, value = policy.Prefix, p.Prefix
	case *matcherv3.StringMatcher_Suffix:
		kind, value = policy.Suffix, p.Suffix
	case *matcherv3.StringMatcher_Contains:
		kind, value = policy.Contains, p.Contains
	case *matcherv3.StringMatcher_SafeRegex:
		kind, value = policy.Regex, p.SafeRegex.GetRegex()
	default:
		into.add(path, "not supported by build %s", t.build)
	}
	// As Envoy has it, an expression says itself what is alike.
	out, err := policy.NewText(kind, value, m.GetIgnoreCase() && kind != policy.Regex)
	if err != nil {
		into.add(path, "%v", err)
	}
	return out
}

func prefix(m *corev3.CidrRange, path string, into *problems) netip.Prefix {
	address, err := netip.ParseAddr(m.GetAddressPrefix())
	if err != nil {
		into.add(path+".address_prefix", "%q is no IP address", m.GetAddressPrefix())
		return netip.Prefix{}
	}
	bits := address.BitLen()
	if m.GetPrefixLen() != nil {
		bits = int(m.GetPrefixLen().GetValue())
	}
	p := netip.PrefixFrom(address, bits)
	if !p.IsValid() {
		into.add(path+".prefix_len", "%d is too long for %s", bits, address)
	}
	return p.Masked()
}
