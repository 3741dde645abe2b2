package xds

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// envoyRouteTimeout is what a route without a timeout means in Envoy's API.
const envoyRouteTimeout = 15 * time.Second

// Table compiles a route configuration as a sidecar does. It is there for those
// who hold another reading of Envoy's API against this one.
func Table(m *routev3.RouteConfiguration) (*route.Table, error) {
	into := &problems{}
	table, _ := newTranslator("").routes(m, 0, "", into)
	return table, into.err()
}

// routes compiles a route configuration and lists the clusters that it sends
// to.
func (t *translator) routes(m *routev3.RouteConfiguration, revision uint64, path string, into *problems) (*route.Table, []string) {
	before := len(into.list) + into.more
	c := t.tableConfig(m, revision, path, into)
	uses := make(map[string]bool)
	for i, vh := range m.GetVirtualHosts() {
		at := join(path, "virtual_hosts["+strconv.Itoa(i)+"]")
		c.VirtualHosts = append(c.VirtualHosts, t.virtualHost(vh, at, uses, into))
	}
	if len(into.list)+into.more > before {
		return nil, nil
	}
	table, err := route.New(c)
	if err != nil {
		into.add(path, "%v", err)
		return nil, nil
	}
	return table, sortedKeys(uses)
}

// tableConfig is a route configuration but for its virtual hosts.
func (t *translator) tableConfig(m *routev3.RouteConfiguration, revision uint64, path string, into *problems) route.Config {
	if m.GetValidateClusters().GetValue() {
		into.add(join(path, "validate_clusters"), "true is not supported by build %s", t.build)
	}
	return route.Config{
		Name:            m.GetName(),
		Revision:        revision,
		RequestHeaders:  headerOps(m.GetRequestHeadersToAdd(), m.GetRequestHeadersToRemove(), join(path, "request_headers_to_add"), into),
		ResponseHeaders: headerOps(m.GetResponseHeadersToAdd(), m.GetResponseHeadersToRemove(), join(path, "response_headers_to_add"), into),
	}
}

func (t *translator) virtualHost(m *routev3.VirtualHost, path string, uses map[string]bool, into *problems) route.VirtualHost {
	vh := route.VirtualHost{
		Name:            m.GetName(),
		Domains:         m.GetDomains(),
		Retry:           t.retry(m.GetRetryPolicy(), path+".retry_policy", into),
		RequestHeaders:  headerOps(m.GetRequestHeadersToAdd(), m.GetRequestHeadersToRemove(), path+".request_headers_to_add", into),
		ResponseHeaders: headerOps(m.GetResponseHeadersToAdd(), m.GetResponseHeadersToRemove(), path+".response_headers_to_add", into),
	}
	policies := t.perFilter(m.GetTypedPerFilterConfig(), path+".typed_per_filter_config", into)
	for i, r := range m.GetRoutes() {
		at := path + ".routes[" + strconv.Itoa(i) + "]"
		out := t.route(r, at, uses, into)
		own := t.perFilter(r.GetTypedPerFilterConfig(), at+".typed_per_filter_config", into).or(policies)
		out.CORS, out.Fault, out.RateLimit = own.cors, own.fault, own.limit
		vh.Routes = append(vh.Routes, out)
	}
	return vh
}

func (t *translator) route(m *routev3.Route, path string, uses map[string]bool, into *problems) route.Route {
	r := route.Route{
		Name:            m.GetName(),
		Object:          objectOf(m.GetMetadata()),
		Match:           t.match(m.GetMatch(), path+".match", into),
		RequestHeaders:  headerOps(m.GetRequestHeadersToAdd(), m.GetRequestHeadersToRemove(), path+".request_headers_to_add", into),
		ResponseHeaders: headerOps(m.GetResponseHeadersToAdd(), m.GetResponseHeadersToRemove(), path+".response_headers_to_add", into),
	}
	switch action := m.GetAction().(type) {
	case *routev3.Route_Route:
		r.Forward = t.forward(action.Route, path+".route", uses, into)
		r.Forward.Tunnel = t.tunnel(action.Route, r.Match.Connect, path+".route", into)
	case *routev3.Route_Redirect:
		r.Redirect = redirect(action.Redirect, path+".redirect", into)
	case *routev3.Route_DirectResponse:
		r.Direct = &route.Direct{
			Status: int(action.DirectResponse.GetStatus()),
			Body:   inline(action.DirectResponse.GetBody()),
		}
		if action.DirectResponse.GetBody().GetFilename() != "" {
			into.add(path+".direct_response.body.filename", "not supported by build %s", t.build)
		}
	default:
		into.add(path, "has no action")
	}
	return r
}

func (t *translator) forward(m *routev3.RouteAction, path string, uses map[string]bool, into *problems) *route.Forward {
	f := &route.Forward{
		Timeout:       duration(m.GetTimeout(), envoyRouteTimeout, path+".timeout", into),
		Retry:         t.retry(m.GetRetryPolicy(), path+".retry_policy", into),
		PrefixRewrite: m.GetPrefixRewrite(),
		HostRewrite:   m.GetHostRewriteLiteral(),
		AutoHost:      m.GetAutoHostRewrite().GetValue(),
	}
	if most := m.GetMaxGrpcTimeout(); most != nil { //nolint:staticcheck // deprecated in Envoy's API, and still what Istio sends
		d := duration(most, 0, path+".max_grpc_timeout", into)
		f.MaxGRPC = &d
	}
	if rw := m.GetRegexRewrite(); rw != nil {
		f.RegexRewrite = &route.RegexRewrite{Pattern: rw.GetPattern().GetRegex(), Substitution: rw.GetSubstitution()}
	}
	for i, h := range m.GetHashPolicy() {
		f.Hash = append(f.Hash, hashPolicy(h, path+".hash_policy["+strconv.Itoa(i)+"]", into))
	}
	for i, mirror := range m.GetRequestMirrorPolicies() {
		f.Mirrors = append(f.Mirrors, t.mirrorPolicy(mirror, path+".request_mirror_policies["+strconv.Itoa(i)+"]", into))
		uses[mirror.GetCluster()] = true
	}
	switch m.GetClusterNotFoundResponseCode() {
	case routev3.RouteAction_NOT_FOUND:
		f.NotFoundStatus = 404
	case routev3.RouteAction_INTERNAL_SERVER_ERROR:
		f.NotFoundStatus = 500
	default:
		f.NotFoundStatus = 503
	}
	switch spec := m.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_Cluster:
		f.Clusters = []route.Weighted{{Cluster: spec.Cluster, Weight: 1}}
		uses[spec.Cluster] = true
	case *routev3.RouteAction_WeightedClusters:
		f.Clusters = weighted(spec.WeightedClusters, path+".weighted_clusters", uses, into)
	default:
		into.add(path, "names no cluster")
	}
	return f
}

func hashPolicy(m *routev3.RouteAction_HashPolicy, path string, into *problems) route.HashPolicy {
	p := route.HashPolicy{Terminal: m.GetTerminal()}
	switch key := m.GetPolicySpecifier().(type) {
	case *routev3.RouteAction_HashPolicy_Header_:
		p.Header = key.Header.GetHeaderName()
	case *routev3.RouteAction_HashPolicy_Cookie_:
		p.Cookie = &route.Cookie{
			Name: key.Cookie.GetName(), Path: key.Cookie.GetPath(), Generate: key.Cookie.GetTtl() != nil,
			TTL: duration(key.Cookie.GetTtl(), 0, path+".cookie.ttl", into),
		}
	case *routev3.RouteAction_HashPolicy_QueryParameter_:
		p.Query = key.QueryParameter.GetName()
	case *routev3.RouteAction_HashPolicy_ConnectionProperties_:
		p.SourceIP = key.ConnectionProperties.GetSourceIp()
	}
	return p
}

// millionths reads a fraction.
func millionths(f *typev3.FractionalPercent) uint32 {
	n := uint64(f.GetNumerator())
	switch f.GetDenominator() {
	case typev3.FractionalPercent_HUNDRED:
		n *= 10_000
	case typev3.FractionalPercent_TEN_THOUSAND:
		n *= 100
	}
	return uint32(min(n, 1_000_000))
}

func (t *translator) mirrorPolicy(m *routev3.RouteAction_RequestMirrorPolicy, path string, into *problems) route.Mirror {
	out := route.Mirror{Cluster: m.GetCluster(), Share: 1_000_000, KeepHost: m.GetDisableShadowHostSuffixAppend()}
	if out.Cluster == "" {
		into.add(path+".cluster", "is empty")
	}
	if f := m.GetRuntimeFraction().GetDefaultValue(); f != nil {
		out.Share = millionths(f)
	}
	if m.GetTraceSampled().GetValue() {
		into.add(path+".trace_sampled", "true is not supported by build %s", t.build)
	}
	return out
}

func weighted(m *routev3.WeightedCluster, path string, uses map[string]bool, into *problems) []route.Weighted {
	var out []route.Weighted
	var sum uint64
	for i, c := range m.GetClusters() {
		at := path + ".clusters[" + strconv.Itoa(i) + "]"
		if c.GetName() == "" {
			into.add(at+".name", "is empty")
		}
		out = append(out, route.Weighted{
			Cluster:         c.GetName(),
			Weight:          c.GetWeight().GetValue(),
			RequestHeaders:  headerOps(c.GetRequestHeadersToAdd(), c.GetRequestHeadersToRemove(), at+".request_headers_to_add", into),
			ResponseHeaders: headerOps(c.GetResponseHeadersToAdd(), c.GetResponseHeadersToRemove(), at+".response_headers_to_add", into),
		})
		sum += uint64(c.GetWeight().GetValue())
		// A destination without weight gets nothing, so nothing waits for it.
		if c.GetWeight().GetValue() > 0 {
			uses[c.GetName()] = true
		}
	}
	//nolint:staticcheck // deprecated in Envoy's API, and still sent by older control planes.
	if total := m.GetTotalWeight(); total != nil && uint64(total.GetValue()) != sum {
		into.add(path+".total_weight", "is %d, and the weights make %d", total.GetValue(), sum)
	}
	if sum == 0 {
		into.add(path, "the weights make 0")
	}
	return out
}

func redirect(m *routev3.RedirectAction, path string, into *problems) *route.Redirect {
	r := &route.Redirect{
		Scheme:        m.GetSchemeRedirect(),
		Host:          m.GetHostRedirect(),
		Port:          m.GetPortRedirect(),
		Path:          m.GetPathRedirect(),
		PrefixRewrite: m.GetPrefixRewrite(),
		StripQuery:    m.GetStripQuery(),
	}
	if m.GetHttpsRedirect() {
		r.Scheme = "https"
	}
	statuses := map[routev3.RedirectAction_RedirectResponseCode]int{
		routev3.RedirectAction_MOVED_PERMANENTLY:  301,
		routev3.RedirectAction_FOUND:              302,
		routev3.RedirectAction_SEE_OTHER:          303,
		routev3.RedirectAction_TEMPORARY_REDIRECT: 307,
		routev3.RedirectAction_PERMANENT_REDIRECT: 308,
	}
	status, ok := statuses[m.GetResponseCode()]
	if !ok {
		into.add(path+".response_code", "%d is not known", m.GetResponseCode())
	}
	r.Status = status
	return r
}

func headerOps(set []*corev3.HeaderValueOption, remove []string, path string, into *problems) route.HeaderOps {
	ops := route.HeaderOps{Remove: remove}
	for i, h := range set {
		at := path + "[" + strconv.Itoa(i) + "]"
		value := h.GetHeader().GetValue()
		// Envoy substitutes %COMMAND% in values; a plain percent sign is doubled.
		if strings.Contains(strings.ReplaceAll(value, "%%", ""), "%") {
			into.add(at+".header.value", "%q: substitution is not supported", value)
		}
		if value == "" && !h.GetKeepEmptyValue() {
			continue // as in Envoy: without the option an empty value adds no header
		}
		action, err := appendAction(h)
		if err != nil {
			into.add(at, "%v", err)
		}
		ops.Set = append(ops.Set, route.HeaderSet{
			Name: h.GetHeader().GetKey(), Value: strings.ReplaceAll(value, "%%", "%"), Action: action,
		})
	}
	return ops
}

func appendAction(h *corev3.HeaderValueOption) (route.HeaderAppend, error) {
	//nolint:staticcheck // deprecated in Envoy's API, and still what Istio sends.
	if old := h.GetAppend(); old != nil {
		if h.GetAppendAction() != corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD {
			return 0, fmt.Errorf("append and append_action are both set")
		}
		if old.GetValue() {
			return route.AppendOrAdd, nil
		}
		return route.OverwriteOrAdd, nil
	}
	switch h.GetAppendAction() {
	case corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:
		return route.AppendOrAdd, nil
	case corev3.HeaderValueOption_ADD_IF_ABSENT:
		return route.AddIfAbsent, nil
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
		return route.OverwriteOrAdd, nil
	case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
		return route.OverwriteIfExists, nil
	}
	return 0, fmt.Errorf("append_action %d is not known", h.GetAppendAction())
}

func inline(d *corev3.DataSource) string {
	if b := d.GetInlineBytes(); len(b) > 0 {
		return string(b)
	}
	return d.GetInlineString()
}
