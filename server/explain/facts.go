package explain

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// factList collects the policies of one resource. What it has no words for it
// shows as it is in the resource: an account leaves nothing out that acts.
type factList struct {
	*explaining
	object string // that the policies are of
	path   string // of the route in it
	list   []Fact
}

// add notes a policy and the field it is from; field "" or one that is not
// written is a default.
func (l *factList) add(name, value, field string) {
	f := Fact{Name: name, Value: value, Default: true}
	if field != "" && l.written(l.object, field) {
		f.Default, f.Place = false, l.place(l.object, field)
	}
	l.list = append(l.list, f)
}

// rest shows the fields that are set and not among those that were put in words.
func (l *factList) rest(m proto.Message, known ...protoreflect.Name) {
	told := map[protoreflect.Name]bool{}
	for _, k := range known {
		told[k] = true
	}
	r := m.ProtoReflect()
	for i := range r.Descriptor().Fields().Len() {
		fd := r.Descriptor().Fields().Get(i)
		if told[fd.Name()] || !r.Has(fd) {
			continue
		}
		alone := r.New()
		alone.Set(fd, r.Get(fd))
		l.list = append(l.list, Fact{Name: strings.ReplaceAll(string(fd.Name()), "_", " "), Value: compact(alone.Interface())})
	}
}

// compact is a message on one line.
func compact(m proto.Message) string {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return string(m.ProtoReflect().Descriptor().FullName())
	}
	if len(text) > 300 {
		return string(text[:300]) + "…"
	}
	return string(text)
}

func (l *factList) route(r *routev3.Route, host *routev3.VirtualHost) {
	l.headers(r.GetRequestHeadersToAdd(), r.GetRequestHeadersToRemove(), "request")
	l.headers(r.GetResponseHeadersToAdd(), r.GetResponseHeadersToRemove(), "response")
	settings := maps.Clone(host.GetTypedPerFilterConfig()) // the route's own go before its host's
	if settings == nil {
		settings = map[string]*anypb.Any{}
	}
	maps.Copy(settings, r.GetTypedPerFilterConfig())
	l.filters(settings)
	switch a := r.GetAction().(type) {
	case *routev3.Route_DirectResponse:
		text := strconv.Itoa(int(a.DirectResponse.GetStatus()))
		if body := a.DirectResponse.GetBody().GetInlineString(); body != "" && l.object != "" {
			text += " " + body
		}
		l.add("answer", text, l.path+".directResponse")
	case *routev3.Route_Redirect:
		l.add("redirect", redirectText(a.Redirect), l.path+".redirect")
	case *routev3.Route_Route:
		l.forward(a.Route)
	}
	l.rest(r, "name", "match", "metadata", "route", "typed_per_filter_config", "redirect", "direct_response",
		"request_headers_to_add", "request_headers_to_remove", "response_headers_to_add", "response_headers_to_remove")
}

// filters puts in words what filters do to the requests of this route.
func (l *factList) filters(settings map[string]*anypb.Any) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fault, cors, limit := &faultv3.HTTPFault{}, &corsv3.CorsPolicy{}, &ratelimitv3.LocalRateLimit{}
		switch {
		case settings[name].MessageIs(limit) && settings[name].UnmarshalTo(limit) == nil:
			b := limit.GetTokenBucket()
			fill := max(b.GetTokensPerFill().GetValue(), 1)
			l.add("rate limit", fmt.Sprintf("%d requests each %s, %d at once", fill, b.GetFillInterval().AsDuration(), b.GetMaxTokens()), "metadata.annotations["+config.AnnotationRateLimit+"]")
		case settings[name].MessageIs(fault) && settings[name].UnmarshalTo(fault) == nil:
			if d := fault.GetDelay(); d != nil {
				l.add("fault: delay", percentText(fraction(d.GetPercentage()))+" of requests by "+d.GetFixedDelay().AsDuration().String(), l.path+".fault.delay")
			}
			if a := fault.GetAbort(); a != nil {
				status := strconv.Itoa(int(a.GetHttpStatus()))
				if _, ok := a.GetErrorType().(*faultv3.FaultAbort_GrpcStatus); ok {
					status = "gRPC status " + strconv.Itoa(int(a.GetGrpcStatus()))
				}
				l.add("fault: abort", percentText(fraction(a.GetPercentage()))+" of requests with "+status, l.path+".fault.abort")
			}
		case settings[name].MessageIs(cors) && settings[name].UnmarshalTo(cors) == nil:
			var origins []string
			for _, o := range cors.GetAllowOriginStringMatch() {
				origins = append(origins, stringText(o))
			}
			l.add("CORS", "origins "+strings.Join(origins, ", "), l.path+".corsPolicy")
		default:
			l.add("filter "+strings.TrimPrefix(name, "envoy.filters.http."), compact(settings[name]), "")
		}
	}
}

func redirectText(r *routev3.RedirectAction) string {
	status := map[routev3.RedirectAction_RedirectResponseCode]string{
		routev3.RedirectAction_MOVED_PERMANENTLY: "301", routev3.RedirectAction_FOUND: "302", routev3.RedirectAction_SEE_OTHER: "303",
		routev3.RedirectAction_TEMPORARY_REDIRECT: "307", routev3.RedirectAction_PERMANENT_REDIRECT: "308",
	}[r.GetResponseCode()]
	parts := []string{status + " to"}
	for _, p := range []struct{ what, value string }{
		{"scheme", r.GetSchemeRedirect()}, {"host", r.GetHostRedirect()}, {"path", r.GetPathRedirect()}, {"prefix", r.GetPrefixRewrite()},
	} {
		if p.value != "" {
			parts = append(parts, p.what, p.value)
		}
	}
	if r.GetPortRedirect() != 0 {
		parts = append(parts, "port", strconv.Itoa(int(r.GetPortRedirect())))
	}
	return strings.Join(parts, " ")
}

func (l *factList) headers(add []*corev3.HeaderValueOption, remove []string, side string) {
	for _, h := range add {
		l.add("sets "+side+" header", h.GetHeader().GetKey()+": "+h.GetHeader().GetValue(), l.path+".headers")
	}
	for _, name := range remove {
		l.add("removes "+side+" header", name, l.path+".headers")
	}
}

func (l *factList) forward(a *routev3.RouteAction) {
	l.add("timeout", durationText(a.GetTimeout().AsDuration(), "none"), l.path+".timeout")
	l.retries(a.GetRetryPolicy())
	if a.GetPrefixRewrite() != "" {
		l.add("path rewrite", a.GetPrefixRewrite(), l.path+".rewrite")
	}
	if rw := a.GetRegexRewrite(); rw != nil {
		l.add("path rewrite", rw.GetPattern().GetRegex()+" → "+rw.GetSubstitution(), l.path+".rewrite")
	}
	if a.GetHostRewriteLiteral() != "" {
		l.add("host rewrite", a.GetHostRewriteLiteral(), l.path+".rewrite")
	}
	for i, m := range a.GetRequestMirrorPolicies() {
		field := l.path + ".mirror"
		if !l.written(l.object, field) {
			field = fmt.Sprintf("%s.mirrors[%d]", l.path, i)
		}
		share := fraction(m.GetRuntimeFraction().GetDefaultValue())
		l.add("mirror", percentText(share)+" of requests to "+clusterText(m.GetCluster()), field)
	}
	for _, h := range a.GetHashPolicy() {
		l.list = append(l.list, Fact{Name: "endpoint chosen by", Value: hashText(h)})
	}
	l.rest(a, "cluster", "weighted_clusters", "timeout", "retry_policy", "prefix_rewrite", "regex_rewrite", "host_rewrite_literal",
		"request_mirror_policies", "hash_policy", "max_grpc_timeout") // that clients may ask for less is always so
}

func (l *factList) retries(p *routev3.RetryPolicy) {
	field := l.path + ".retries"
	if p == nil || p.GetNumRetries() != nil && p.GetNumRetries().GetValue() == 0 {
		l.add("retries", "none", field)
		return
	}
	n := uint32(1)
	if p.GetNumRetries() != nil {
		n = p.GetNumRetries().GetValue()
	}
	text := fmt.Sprintf("up to %d on %s", n, strings.ReplaceAll(p.GetRetryOn(), ",", ", "))
	if codes := p.GetRetriableStatusCodes(); len(codes) > 0 {
		text += " " + strings.Trim(fmt.Sprint(codes), "[]")
	}
	if t := p.GetPerTryTimeout(); t != nil {
		text += ", " + durationText(t.AsDuration(), "") + " each"
	}
	if len(p.GetRetryHostPredicate()) > 0 {
		text += ", at another endpoint"
	}
	l.add("retries", text, field)
}

func fraction(f *typev3.FractionalPercent) float64 {
	if f == nil {
		return 1
	}
	of := map[typev3.FractionalPercent_DenominatorType]float64{
		typev3.FractionalPercent_HUNDRED: 100, typev3.FractionalPercent_TEN_THOUSAND: 10_000, typev3.FractionalPercent_MILLION: 1_000_000,
	}[f.GetDenominator()]
	return float64(f.GetNumerator()) / of
}

func hashText(h *routev3.RouteAction_HashPolicy) string {
	switch p := h.GetPolicySpecifier().(type) {
	case *routev3.RouteAction_HashPolicy_Header_:
		return "header " + p.Header.GetHeaderName()
	case *routev3.RouteAction_HashPolicy_Cookie_:
		return "cookie " + p.Cookie.GetName()
	case *routev3.RouteAction_HashPolicy_QueryParameter_:
		return "query parameter " + p.QueryParameter.GetName()
	case *routev3.RouteAction_HashPolicy_ConnectionProperties_:
		return "client address"
	}
	return compact(h)
}

// cluster puts a cluster's policies in words. subset is the path of its subset
// in the rule, "" when it has none.
func (l *factList) cluster(c *clusterv3.Cluster, subset string) {
	// A block that the subset has replaces the host's.
	field := func(block, rest string) string {
		if subset != "" && l.written(l.object, subset+".trafficPolicy."+block) {
			return subset + ".trafficPolicy." + block + rest
		}
		return "spec.trafficPolicy." + block + rest
	}
	l.add("load balancing", strings.ToLower(strings.ReplaceAll(c.GetLbPolicy().String(), "_", " ")), field("loadBalancer", ""))
	l.add("connect timeout", durationText(c.GetConnectTimeout().AsDuration(), "5s"), field("connectionPool", ".tcp.connectTimeout"))
	for _, th := range c.GetCircuitBreakers().GetThresholds() {
		for _, limit := range []struct {
			name  string
			value interface{ GetValue() uint32 }
			set   bool
			field string
		}{
			{"connections at most", th.GetMaxConnections(), th.MaxConnections != nil, ".tcp.maxConnections"},
			{"waiting requests at most", th.GetMaxPendingRequests(), th.MaxPendingRequests != nil, ".http.http1MaxPendingRequests"},
			{"requests under way at most", th.GetMaxRequests(), th.MaxRequests != nil, ".http.http2MaxRequests"},
			{"retries under way at most", th.GetMaxRetries(), th.MaxRetries != nil, ".http.maxRetries"},
		} {
			if limit.set {
				l.add(limit.name, strconv.FormatUint(uint64(limit.value.GetValue()), 10), field("connectionPool", limit.field))
			}
		}
	}
	for _, th := range c.GetCircuitBreakers().GetThresholds() {
		if b := th.GetRetryBudget(); b != nil {
			l.add("retries under way at most", fmt.Sprintf("%v %% of requests, at least %d", b.GetBudgetPercent().GetValue(), b.GetMinRetryConcurrency().GetValue()), field("retryBudget", ""))
		}
	}
	if o := c.GetOutlierDetection(); o != nil {
		l.add("outlier detection", outlierText(o), field("outlierDetection", ""))
	}
	if text := tlsText(c); text != "" {
		l.add("TLS", text, field("tls", ""))
	}
	for _, options := range c.GetTypedExtensionProtocolOptions() {
		text := compact(options)
		switch {
		case strings.Contains(text, "http2_protocol_options"):
			l.list = append(l.list, Fact{Name: "protocol", Value: "HTTP/2", Default: true})
		default:
			l.list = append(l.list, Fact{Name: "protocol", Value: "HTTP/1.1", Default: true})
		}
		if strings.Contains(text, "idle_timeout") || strings.Contains(text, "max_requests_per_connection") {
			l.add("connections", text[strings.Index(text, "common_http"):], field("connectionPool", ".http"))
		}
	}
	l.rest(c, "name", "type", "eds_cluster_config", "connect_timeout", "metadata", "lb_policy", "load_assignment", "circuit_breakers",
		"outlier_detection", "typed_extension_protocol_options", "transport_socket", "ring_hash_lb_config", "maglev_lb_config",
		"common_lb_config", "dns_lookup_family", "dns_refresh_rate", "respect_dns_ttl", "transport_socket_matches", "alt_stat_name")
}

// tlsText says how endpoints are connected to; "" in plain text.
func tlsText(c *clusterv3.Cluster) string {
	if len(c.GetTransportSocketMatches()) > 0 {
		return "mutual, with endpoints whose sidecars take it; plain text with others"
	}
	tls := &tlsv3.UpstreamTlsContext{}
	if t := c.GetTransportSocket().GetTypedConfig(); t == nil || !t.MessageIs(tls) || t.UnmarshalTo(tls) != nil {
		return ""
	}
	common := tls.GetCommonTlsContext()
	text := "simple"
	if len(common.GetTlsCertificateSdsSecretConfigs()) > 0 || len(common.GetTlsCertificates()) > 0 {
		text = "mutual"
	}
	if tls.GetSni() != "" {
		text += ", server name " + tls.GetSni()
	}
	if common.GetValidationContextType() == nil {
		text += ", the server's certificate is NOT checked"
	}
	return text
}

func outlierText(o *clusterv3.OutlierDetection) string {
	var parts []string
	if o.GetConsecutive_5Xx() != nil || o.EnforcingConsecutive_5Xx == nil {
		n := uint32(5)
		if o.Consecutive_5Xx != nil {
			n = o.GetConsecutive_5Xx().GetValue()
		}
		parts = append(parts, fmt.Sprintf("out after %d errors in a row", n))
	}
	if o.GetEnforcingConsecutiveGatewayFailure().GetValue() > 0 {
		parts = append(parts, fmt.Sprintf("or %d gateway errors", o.GetConsecutiveGatewayFailure().GetValue()))
	}
	base, share := 30*time.Second, uint32(10)
	if o.BaseEjectionTime != nil {
		base = o.BaseEjectionTime.AsDuration()
	}
	if o.MaxEjectionPercent != nil {
		share = o.MaxEjectionPercent.GetValue()
	}
	parts = append(parts, fmt.Sprintf("for %s or longer, at most %d %% of endpoints", base, share))
	return strings.Join(parts, " ")
}

func durationText(d time.Duration, zero string) string {
	if d == 0 {
		return zero
	}
	return d.String()
}

func endpointFact(lb *endpointv3.LbEndpoint, locality *corev3.Locality, priority uint32) Fact {
	a := lb.GetEndpoint().GetAddress().GetSocketAddress()
	f := Fact{Name: fmt.Sprintf("%s:%d", a.GetAddress(), a.GetPortValue())}
	var parts []string
	if text := lb.GetMetadata().GetFilterMetadata()["istio"].GetFields()["workload"].GetStringValue(); text != "" {
		// name;namespace;app;version;cluster
		words := append(strings.Split(text, ";"), "", "", "", "")
		parts = append(parts, words[1]+"/"+words[0])
		if words[3] != "" && words[3] != "latest" {
			parts = append(parts, words[3])
		}
	}
	if w := lb.GetLoadBalancingWeight(); w != nil {
		parts = append(parts, fmt.Sprintf("weight %d", w.GetValue()))
	}
	if locality != nil {
		parts = append(parts, strings.Trim(locality.GetRegion()+"/"+locality.GetZone()+"/"+locality.GetSubZone(), "/"))
	}
	if priority > 0 {
		parts = append(parts, fmt.Sprintf("priority %d", priority))
	}
	if lb.GetMetadata().GetFilterMetadata()["envoy.transport_socket_match"].GetFields()["tlsMode"].GetStringValue() != "" {
		parts = append(parts, "mutual TLS")
	}
	if s := lb.GetHealthStatus(); s != corev3.HealthStatus_UNKNOWN && s != corev3.HealthStatus_HEALTHY {
		parts = append(parts, strings.ToLower(s.String()))
	}
	f.Value = strings.Join(parts, ", ")
	return f
}
