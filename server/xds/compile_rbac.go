package xds

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	uritemplatev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/path/match/uri_template/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
	securityv1beta1 "istio.io/api/security/v1beta1"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// The names of the filters, as Envoy documents them.
const (
	httpRBACFilter = "envoy.filters.http.rbac"
	tcpRBACFilter  = "envoy.filters.network.rbac"
)

// authorize puts the AuthorizationPolicies and TrafficTargets that hold for a
// port into its listener: those that deny before those that allow.
func (w *world) authorize(p *proxy, in inboundPort, l *listenerv3.Listener) (objects []string) {
	filters := l.FilterChains[0].Filters
	isHTTP := in.protocol != "tcp"
	if isHTTP {
		// What a policy judges, the app must get.
		editManager(filters[len(filters)-1], func(m *hcmv3.HttpConnectionManager) { m.NormalizePath = wrapperspb.Bool(true) })
	}
	var http []*hcmv3.HttpFilter
	var tcp []*listenerv3.Filter
	for _, action := range []rbacv3.RBAC_Action{rbacv3.RBAC_DENY, rbacv3.RBAC_ALLOW} {
		rules, shadow := &rbacv3.RBAC{Action: action}, &rbacv3.RBAC{Action: action}
		for _, o := range w.policiesFor(p) {
			policy := o.AuthorizationPolicy()
			if (policy.Action == securityv1beta1.AuthorizationPolicy_DENY) != (action == rbacv3.RBAC_DENY) {
				continue
			}
			into := rules
			if dry, _ := strconv.ParseBool(o.Annotations[config.AnnotationDryRun]); dry {
				into = shadow
			}
			if into.Policies == nil {
				into.Policies = map[string]*rbacv3.Policy{}
			}
			g := &ruleCompiler{w, o, in, isHTTP, action == rbacv3.RBAC_DENY}
			g.compile(policy, into.Policies)
			objects = append(objects, o.Key().String())
		}
		if action == rbacv3.RBAC_ALLOW {
			for _, o := range w.targetsFor(p) {
				if rules.Policies == nil {
					rules.Policies = map[string]*rbacv3.Policy{}
				}
				objects = append(objects, w.allow(o, in, rules.Policies)...)
			}
		}
		if rules.Policies == nil {
			rules = nil
		}
		if shadow.Policies == nil {
			shadow = nil
		}
		if rules == nil && shadow == nil {
			continue
		}
		http = append(http, httpFilterOf(httpRBACFilter, &httprbacv3.RBAC{Rules: rules, ShadowRules: shadow}))
		tcp = append(tcp, &listenerv3.Filter{Name: tcpRBACFilter, ConfigType: &listenerv3.Filter_TypedConfig{
			TypedConfig: pack(&tcprbacv3.RBAC{Rules: rules, ShadowRules: shadow, StatPrefix: "tcp."}),
		}})
	}
	if isHTTP {
		editManager(filters[len(filters)-1], func(m *hcmv3.HttpConnectionManager) { m.HttpFilters = append(http, m.HttpFilters...) })
	} else {
		l.FilterChains[0].Filters = append(tcp, filters...)
	}
	return objects
}

// editManager changes the connection manager inside of a filter.
func editManager(f *listenerv3.Filter, edit func(*hcmv3.HttpConnectionManager)) {
	m := &hcmv3.HttpConnectionManager{}
	if err := f.GetTypedConfig().UnmarshalTo(m); err != nil {
		panic(fmt.Sprintf("BUG: %v", err)) // we packed it
	}
	edit(m)
	f.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: pack(m)}
}

// policiesFor lists the policies that hold for a node: the mesh's, its
// namespace's and those that select it, by key.
func (w *world) policiesFor(p *proxy) []*config.Object {
	var out []*config.Object
	for _, o := range w.policies {
		here := o.Namespace == p.node.Workload.Namespace || o.Namespace == w.security.RootNamespace
		if here && matchLabels(o.AuthorizationPolicy().GetSelector().GetMatchLabels(), p.node.Labels) {
			out = append(out, o)
		}
	}
	return out
}

// ruleCompiler makes Envoy's rules of one policy, for one port.
type ruleCompiler struct {
	w      *world
	object *config.Object
	in     inboundPort
	http   bool
	deny   bool
}

func (g *ruleCompiler) compile(policy *securityv1beta1.AuthorizationPolicy, into map[string]*rbacv3.Policy) {
	name := func(i int) string {
		return fmt.Sprintf("ns[%s]-policy[%s]-rule[%d]", g.object.Namespace, g.object.Name, i)
	}
	for i, r := range policy.Rules {
		into[name(i)] = g.rule(r)
	}
	if len(policy.Rules) == 0 { // an ALLOW that allows nothing
		into[name(0)] = never()
	}
}

// never matches nothing. A rule that cannot match must still stand: without it,
// an ALLOW policy would be none.
func never() *rbacv3.Policy {
	return &rbacv3.Policy{
		Permissions: []*rbacv3.Permission{notPermission(anyPermission())},
		Principals:  []*rbacv3.Principal{notPrincipal(anyPrincipal())},
	}
}

func (g *ruleCompiler) rule(r *securityv1beta1.Rule) *rbacv3.Policy {
	if !g.http && !g.deny && asksHTTP(r) {
		return never() // nobody can say that it is so of a TCP connection
	}
	var permissions []*rbacv3.Permission
	var whenDone []*rbacv3.Permission
	var whenWho []*rbacv3.Principal
	for _, c := range r.GetWhen() {
		done, who := g.condition(c)
		whenDone, whenWho = append(whenDone, done...), append(whenWho, who...)
	}
	for _, to := range r.GetTo() {
		permissions = append(permissions, allOf(append(g.operation(to.GetOperation()), whenDone...)))
	}
	if len(permissions) == 0 {
		permissions = append(permissions, allOf(whenDone))
	}
	out := &rbacv3.Policy{Permissions: permissions}
	for _, from := range r.GetFrom() {
		out.Principals = append(out.Principals, everyone(append(g.source(from.GetSource()), whenWho...)))
	}
	if len(out.Principals) == 0 {
		out.Principals = append(out.Principals, everyone(whenWho))
	}
	return out
}

// asksHTTP reports whether a rule speaks of what a TCP connection has not.
func asksHTTP(r *securityv1beta1.Rule) bool {
	for _, to := range r.GetTo() {
		o := to.GetOperation()
		if len(o.GetHosts())+len(o.GetNotHosts())+len(o.GetMethods())+len(o.GetNotMethods())+len(o.GetPaths())+len(o.GetNotPaths()) > 0 {
			return true
		}
	}
	return slices.ContainsFunc(r.GetWhen(), func(c *securityv1beta1.Condition) bool {
		_, _, header := config.CutHeaderKey(c.GetKey())
		return header
	})
}

func (g *ruleCompiler) operation(o *securityv1beta1.Operation) []*rbacv3.Permission {
	var out []*rbacv3.Permission
	if g.http { // a DENY for TCP leaves out what it cannot see, and so denies more
		out = permit(out, o.GetHosts(), o.GetNotHosts(), func(v string) *rbacv3.Permission { return headerPermission(":authority", v, true) })
		out = permit(out, o.GetMethods(), o.GetNotMethods(), func(v string) *rbacv3.Permission { return headerPermission(":method", v, false) })
		out = permit(out, o.GetPaths(), o.GetNotPaths(), pathPermission)
	}
	return permit(out, o.GetPorts(), o.GetNotPorts(), g.port)
}

// port is settled here: each listener has one.
func (g *ruleCompiler) port(v string) *rbacv3.Permission {
	if v == strconv.Itoa(int(g.in.servicePort)) {
		return anyPermission()
	}
	return notPermission(anyPermission())
}

func (g *ruleCompiler) source(s *securityv1beta1.Source) []*rbacv3.Principal {
	var out []*rbacv3.Principal
	out = identify(out, s.GetPrincipals(), s.GetNotPrincipals(), principalID)
	out = identify(out, s.GetNamespaces(), s.GetNotNamespaces(), namespaceID)
	out = identify(out, s.GetServiceAccounts(), s.GetNotServiceAccounts(), g.accountID)
	return identify(out, s.GetIpBlocks(), s.GetNotIpBlocks(), blockID)
}

func (g *ruleCompiler) condition(c *securityv1beta1.Condition) ([]*rbacv3.Permission, []*rbacv3.Principal) {
	yes, no := c.GetValues(), c.GetNotValues()
	key, header, isHeader := config.CutHeaderKey(c.GetKey())
	switch {
	case isHeader:
		if !g.http {
			return nil, nil
		}
		return nil, identify(nil, yes, no, func(v string) *rbacv3.Principal {
			return &rbacv3.Principal{Identifier: &rbacv3.Principal_Header{Header: headerMatcher(header, v, false)}}
		})
	case key == config.WhenSourceIP:
		return nil, identify(nil, yes, no, blockID)
	case key == config.WhenNamespace:
		return nil, identify(nil, yes, no, namespaceID)
	case key == config.WhenPrincipal:
		return nil, identify(nil, yes, no, principalID)
	case key == config.WhenServiceAccount:
		return nil, identify(nil, yes, no, g.accountID)
	case key == config.WhenDestinationIP:
		return permit(nil, yes, no, func(v string) *rbacv3.Permission {
			return &rbacv3.Permission{Rule: &rbacv3.Permission_DestinationIp{DestinationIp: cidr(v)}}
		}), nil
	case key == config.WhenPort:
		return permit(nil, yes, no, g.port), nil
	case key == config.WhenSNI:
		return permit(nil, yes, no, func(v string) *rbacv3.Permission {
			return &rbacv3.Permission{Rule: &rbacv3.Permission_RequestedServerName{RequestedServerName: wildcard(v, "")}}
		}), nil
	}
	panic("BUG: condition " + c.GetKey() + " was not refused")
}

// permit adds: one of yes, and none of no.
func permit(to []*rbacv3.Permission, yes, no []string, one func(string) *rbacv3.Permission) []*rbacv3.Permission {
	set := func(values []string) *rbacv3.Permission {
		rules := make([]*rbacv3.Permission, 0, len(values))
		for _, v := range values {
			rules = append(rules, one(v))
		}
		return &rbacv3.Permission{Rule: &rbacv3.Permission_OrRules{OrRules: &rbacv3.Permission_Set{Rules: rules}}}
	}
	if len(yes) > 0 {
		to = append(to, set(yes))
	}
	if len(no) > 0 {
		to = append(to, notPermission(set(no)))
	}
	return to
}

func identify(to []*rbacv3.Principal, yes, no []string, one func(string) *rbacv3.Principal) []*rbacv3.Principal {
	set := func(values []string) *rbacv3.Principal {
		ids := make([]*rbacv3.Principal, 0, len(values))
		for _, v := range values {
			ids = append(ids, one(v))
		}
		return &rbacv3.Principal{Identifier: &rbacv3.Principal_OrIds{OrIds: &rbacv3.Principal_Set{Ids: ids}}}
	}
	if len(yes) > 0 {
		to = append(to, set(yes))
	}
	if len(no) > 0 {
		to = append(to, notPrincipal(set(no)))
	}
	return to
}

func allOf(list []*rbacv3.Permission) *rbacv3.Permission {
	if len(list) == 0 {
		return anyPermission()
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_AndRules{AndRules: &rbacv3.Permission_Set{Rules: list}}}
}

func everyone(list []*rbacv3.Principal) *rbacv3.Principal {
	if len(list) == 0 {
		return anyPrincipal()
	}
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_AndIds{AndIds: &rbacv3.Principal_Set{Ids: list}}}
}

func anyPermission() *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_Any{Any: true}}
}

func notPermission(p *rbacv3.Permission) *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_NotRule{NotRule: p}}
}

func anyPrincipal() *rbacv3.Principal {
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_Any{Any: true}}
}

func notPrincipal(p *rbacv3.Principal) *rbacv3.Principal {
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_NotId{NotId: p}}
}

func certified(m *matcherv3.StringMatcher) *rbacv3.Principal {
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{
		Authenticated: &rbacv3.Principal_Authenticated{PrincipalName: m},
	}}
}

// principalID reads "cluster.local/ns/cinema/sa/web", with * at an end.
func principalID(v string) *rbacv3.Principal { return certified(wildcard(v, "spiffe://")) }

func namespaceID(v string) *rbacv3.Principal {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(v), `\*`, `[^/]*`)
	return certified(expression(".*/ns/" + pattern + "/.*"))
}

// accountID reads "namespace/account", or an account of the policy's namespace.
func (g *ruleCompiler) accountID(v string) *rbacv3.Principal {
	namespace, account, ok := strings.Cut(v, "/")
	if !ok {
		namespace, account = g.object.Namespace, v
	}
	return certified(exactly("spiffe://" + g.w.security.TrustDomain + "/ns/" + namespace + "/sa/" + account))
}

func blockID(v string) *rbacv3.Principal {
	return &rbacv3.Principal{Identifier: &rbacv3.Principal_DirectRemoteIp{DirectRemoteIp: cidr(v)}}
}

func cidr(v string) *corev3.CidrRange {
	p, err := config.ParseBlock(v)
	if err != nil {
		panic("BUG: IP block " + v + " was not refused")
	}
	return &corev3.CidrRange{AddressPrefix: p.Addr().String(), PrefixLen: wrapperspb.UInt32(uint32(p.Bits()))}
}

func headerPermission(name, v string, fold bool) *rbacv3.Permission {
	return &rbacv3.Permission{Rule: &rbacv3.Permission_Header{Header: headerMatcher(name, v, fold)}}
}

func headerMatcher(name, v string, fold bool) *routev3.HeaderMatcher {
	m := &routev3.HeaderMatcher{Name: name}
	if v == "*" {
		m.HeaderMatchSpecifier = &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}
		return m
	}
	text := wildcard(v, "")
	text.IgnoreCase = fold
	m.HeaderMatchSpecifier = &routev3.HeaderMatcher_StringMatch{StringMatch: text}
	return m
}

func pathPermission(v string) *rbacv3.Permission {
	if config.IsPathTemplate(v) {
		pattern := strings.NewReplacer("{**}", "**", "{*}", "*").Replace(v)
		return &rbacv3.Permission{Rule: &rbacv3.Permission_UriTemplate{UriTemplate: extensionOf(
			"uri-template", &uritemplatev3.UriTemplateMatchConfig{PathTemplate: pattern})}}
	}
	return &rbacv3.Permission{Rule: &rbacv3.Permission_UrlPath{UrlPath: &matcherv3.PathMatcher{
		Rule: &matcherv3.PathMatcher_Path{Path: wildcard(v, "")},
	}}}
}

func extensionOf(name string, m proto.Message) *corev3.TypedExtensionConfig {
	return &corev3.TypedExtensionConfig{Name: name, TypedConfig: pack(m)}
}

// wildcard reads Istio's form of a condition on a text: * for anything there is,
// *x, x* or x. Scheme stands before what is given from its beginning.
func wildcard(v, scheme string) *matcherv3.StringMatcher {
	switch {
	case v == "*":
		return expression(".+")
	case strings.HasPrefix(v, "*"):
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Suffix{Suffix: v[1:]}}
	case strings.HasSuffix(v, "*"):
		return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Prefix{Prefix: scheme + strings.TrimSuffix(v, "*")}}
	}
	return exactly(scheme + v)
}

func expression(pattern string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: pattern}}}
}
