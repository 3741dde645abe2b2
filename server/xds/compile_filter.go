package xds

import (
	"math"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	faultcommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// The names of HTTP filters, as Envoy documents them. They are also the keys of
// their settings on routes.
const (
	corsFilter      = "envoy.filters.http.cors"
	rateLimitFilter = "envoy.filters.http.local_ratelimit"
	faultFilter     = "envoy.filters.http.fault"
	routerFilter    = "envoy.filters.http.router"
)

const rateLimitStats = "http_local_rate_limiter"

// outboundFilters are what a client's side does to requests before it routes
// them, in this order. The settings stand on the routes and their hosts.
func outboundFilters() []*hcmv3.HttpFilter {
	return []*hcmv3.HttpFilter{
		httpFilterOf(corsFilter, &corsv3.Cors{}),
		rateLimitStage(),
		httpFilterOf(faultFilter, &faultv3.HTTPFault{}),
		httpFilterOf(routerFilter, &routerv3.Router{}),
	}
}

func httpFilterOf(name string, m proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(m)}}
}

// routeFilters are the settings of filters for one route of an object.
func routeFilters(o *config.Object, r *networking.HTTPRoute) map[string]*anypb.Any {
	out := map[string]*anypb.Any{}
	if l, ok := o.RateLimit(r.Name); ok && r.Name != "" {
		out[rateLimitFilter] = rateLimit(l)
	}
	if r.CorsPolicy != nil {
		out[corsFilter] = pack(corsPolicy(r.CorsPolicy))
	}
	if r.Fault != nil {
		out[faultFilter] = pack(fault(r.Fault))
	}
	return out
}

func corsPolicy(p *networking.CorsPolicy) *corsv3.CorsPolicy {
	out := &corsv3.CorsPolicy{
		AllowMethods:  strings.Join(p.AllowMethods, ","),
		AllowHeaders:  strings.Join(p.AllowHeaders, ","),
		ExposeHeaders: strings.Join(p.ExposeHeaders, ","),
	}
	for _, o := range p.AllowOrigins {
		m := stringMatcher(o)
		if m == nil { // a prefix of nothing, or a regex of anything
			m = &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "*"}}
		}
		out.AllowOriginStringMatch = append(out.AllowOriginStringMatch, m)
	}
	for _, o := range p.AllowOrigin { // the old form, still written
		out.AllowOriginStringMatch = append(out.AllowOriginStringMatch, &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: o}})
	}
	if p.MaxAge != nil {
		out.MaxAge = strconv.FormatInt(p.MaxAge.GetSeconds(), 10)
	}
	if p.AllowCredentials != nil {
		out.AllowCredentials = wrapperspb.Bool(p.AllowCredentials.GetValue())
	}
	switch p.UnmatchedPreflights {
	case v1alpha3.CorsPolicy_FORWARD:
		out.ForwardNotMatchingPreflights = wrapperspb.Bool(true)
	case v1alpha3.CorsPolicy_IGNORE:
		out.ForwardNotMatchingPreflights = wrapperspb.Bool(false)
	}
	return out
}

func fault(f *networking.HTTPFaultInjection) *faultv3.HTTPFault {
	out := &faultv3.HTTPFault{}
	if d := f.Delay; d != nil {
		percent := float64(d.Percent) //nolint:staticcheck // the old name, still written
		if d.Percentage != nil {
			percent = d.Percentage.Value
		}
		out.Delay = &faultcommonv3.FaultDelay{
			FaultDelaySecifier: &faultcommonv3.FaultDelay_FixedDelay{FixedDelay: d.GetFixedDelay()},
			Percentage:         fraction(percent),
		}
	}
	if a := f.Abort; a != nil {
		out.Abort = &faultv3.FaultAbort{Percentage: fraction(a.GetPercentage().GetValue())}
		switch by := a.ErrorType.(type) {
		case *v1alpha3.HTTPFaultInjection_Abort_HttpStatus:
			out.Abort.ErrorType = &faultv3.FaultAbort_HttpStatus{HttpStatus: uint32(by.HttpStatus)}
		case *v1alpha3.HTTPFaultInjection_Abort_GrpcStatus:
			status, _ := config.GRPCStatus(by.GrpcStatus) // validated
			out.Abort.ErrorType = &faultv3.FaultAbort_GrpcStatus{GrpcStatus: status}
		}
	}
	return out
}

func rateLimitStage() *hcmv3.HttpFilter {
	return httpFilterOf(rateLimitFilter, &ratelimitv3.LocalRateLimit{StatPrefix: rateLimitStats})
}

// limits gives the first of some objects that has a rate limit, and its name;
// nil for none.
func (w *world) limits(objects []string) (limited *config.Object, name []string) {
	for _, key := range objects {
		if o := w.object(key); o != nil {
			if _, ok := o.RateLimit(""); ok {
				return o, []string{key}
			}
		}
	}
	return nil, nil
}

// rateLimit gives a limit as a bucket of tokens that fills evenly. gRPC clients
// get RESOURCE_EXHAUSTED: Istio's default retries would repeat UNAVAILABLE.
func rateLimit(l config.RateLimit) *anypb.Any {
	out := &ratelimitv3.LocalRateLimit{
		StatPrefix: rateLimitStats,
		TokenBucket: &typev3.TokenBucket{
			MaxTokens: l.Burst, TokensPerFill: wrapperspb.UInt32(l.Requests), FillInterval: durationpb.New(l.Per),
		},
		FilterEnabled: runtimeFraction(100), FilterEnforced: runtimeFraction(100),
		RateLimitedAsResourceExhausted: true,
	}
	if l.Headers {
		out.EnableXRatelimitHeaders = commonratelimitv3.XRateLimitHeadersRFCVersion_DRAFT_VERSION_03
	}
	return pack(out)
}

// hostRateLimit is the limit of an object's routes that have none of their own.
func hostRateLimit(o *config.Object) map[string]*anypb.Any {
	if l, ok := o.RateLimit(""); ok {
		return map[string]*anypb.Any{rateLimitFilter: rateLimit(l)}
	}
	return nil
}

// fraction gives a percentage in millionths.
func fraction(percent float64) *typev3.FractionalPercent {
	return &typev3.FractionalPercent{Numerator: uint32(math.Round(percent * 10_000)), Denominator: typev3.FractionalPercent_MILLION}
}

func runtimeFraction(percent float64) *corev3.RuntimeFractionalPercent {
	return &corev3.RuntimeFractionalPercent{DefaultValue: fraction(percent)}
}
