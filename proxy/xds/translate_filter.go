package xds

import (
	"strconv"

	commonratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	dynamicfilterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/dynamic_forward_proxy/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// httpFilters accepts a chain of the filters that this build has, with the
// router at its end. What a filter does is said on routes; here it only stands.
func (t *translator) httpFilters(filters []*hcmv3.HttpFilter, c *listen.Config, path string, into *problems) {
	if len(filters) == 0 {
		into.add(path, "is empty, and the router must be in it")
	}
	for i, f := range filters {
		at := path + "[" + strconv.Itoa(i) + "]"
		last := i == len(filters)-1
		switch m := extension(f.GetTypedConfig(), at+".typed_config", into).(type) {
		case *routerv3.Router:
			if !last {
				into.add(at, "the router must be the last filter")
			}
			continue
		case *httprbacv3.RBAC:
			if i > 0 && !isRBAC(filters[i-1]) {
				into.add(at, "policies must come before other filters")
			}
			c.Policy = t.rbac(c.Policy, m.GetRules(), m.GetShadowRules(), at+".typed_config", into)
		case *corsv3.Cors, *dynamicfilterv3.FilterConfig: // whose cluster looks names up itself
		case *ratelimitv3.LocalRateLimit:
			if m.GetTokenBucket() != nil {
				into.add(at+".typed_config.token_bucket", "a limit for all routes is not supported by build %s, put it on a virtual host", t.build)
			}
		case *faultv3.HTTPFault:
			if proto.Size(m) > 0 {
				into.add(at+".typed_config", "settings for all routes are not supported by build %s, put them on the routes", t.build)
			}
		default:
			into.add(at, "%s: not supported by build %s", f.GetName(), t.build)
			continue
		}
		if last {
			into.add(at, "the last filter must be the router")
		}
	}
}

// routePolicies are the filters' settings for a route, or for all routes of a
// virtual host that have none of their own.
type routePolicies struct {
	cors  *route.CORS
	fault *route.Fault
	limit *route.RateLimit
}

func (t *translator) perFilter(configs map[string]*anypb.Any, path string, into *problems) routePolicies {
	var p routePolicies
	for name, packed := range configs {
		at := path + "[" + strconv.Quote(name) + "]"
		switch m := extension(packed, at, into).(type) {
		case *corsv3.CorsPolicy:
			p.cors = t.cors(m, at, into)
		case *faultv3.HTTPFault:
			p.fault = t.fault(m, at, into)
		case *ratelimitv3.LocalRateLimit:
			p.limit = t.rateLimit(m, at, into)
		default:
			into.add(at, "not supported by build %s", t.build)
		}
	}
	return p
}

// or fills in what a route does not say.
func (p routePolicies) or(outer routePolicies) routePolicies {
	if p.cors == nil {
		p.cors = outer.cors
	}
	if p.fault == nil {
		p.fault = outer.fault
	}
	if p.limit == nil {
		p.limit = outer.limit // and its bucket
	}
	return p
}

func (t *translator) cors(m *corsv3.CorsPolicy, path string, into *problems) *route.CORS {
	c := &route.CORS{
		Methods: m.GetAllowMethods(), Headers: m.GetAllowHeaders(), Expose: m.GetExposeHeaders(), MaxAge: m.GetMaxAge(),
		Credentials:     m.GetAllowCredentials().GetValue(),
		IgnoreUnmatched: m.GetForwardNotMatchingPreflights() != nil && !m.GetForwardNotMatchingPreflights().GetValue(),
	}
	for i, o := range m.GetAllowOriginStringMatch() {
		c.Origins = append(c.Origins, stringMatch(o, path+".allow_origin_string_match["+strconv.Itoa(i)+"]", into))
	}
	if f := m.GetFilterEnabled().GetDefaultValue(); f != nil && millionths(f) < 1_000_000 {
		if millionths(f) > 0 {
			into.add(path+".filter_enabled", "a share is not supported by build %s", t.build)
		}
		return &route.CORS{} // of no origin: off, also where the virtual host has one
	}
	return c
}

func (t *translator) rateLimit(m *ratelimitv3.LocalRateLimit, path string, into *problems) *route.RateLimit {
	b := m.GetTokenBucket()
	if b == nil {
		into.add(path+".token_bucket", "is missing")
		return nil
	}
	// Without them Envoy's filter neither counts nor enforces.
	for _, f := range []struct {
		name  string
		share *typev3.FractionalPercent
	}{{"filter_enabled", m.GetFilterEnabled().GetDefaultValue()}, {"filter_enforced", m.GetFilterEnforced().GetDefaultValue()}} {
		if f.share == nil || millionths(f.share) != 1_000_000 {
			into.add(path+"."+f.name, "only 100 percent is supported by build %s", t.build)
		}
	}
	return &route.RateLimit{
		Max: b.GetMaxTokens(), Fill: orDefault(b.GetTokensPerFill(), 1),
		Every:     duration(b.GetFillInterval(), 0, path+".token_bucket.fill_interval", into),
		Status:    int(m.GetStatus().GetCode()),
		Exhausted: m.GetRateLimitedAsResourceExhausted(),
		Headers:   m.GetEnableXRatelimitHeaders() == commonratelimitv3.XRateLimitHeadersRFCVersion_DRAFT_VERSION_03,
	}
}

func (t *translator) fault(m *faultv3.HTTPFault, path string, into *problems) *route.Fault {
	f := &route.Fault{}
	if d := m.GetDelay(); d != nil {
		f.Delay = duration(d.GetFixedDelay(), 0, path+".delay.fixed_delay", into)
		f.DelayShare = millionths(d.GetPercentage())
		if d.GetFixedDelay() == nil {
			into.add(path+".delay", "without fixed_delay is not supported by build %s", t.build)
		}
	}
	if a := m.GetAbort(); a != nil {
		f.AbortShare, f.AbortBody = millionths(a.GetPercentage()), a.GetResponseBody()
		switch by := a.GetErrorType().(type) {
		case *faultv3.FaultAbort_HttpStatus:
			f.AbortStatus = int(by.HttpStatus)
		case *faultv3.FaultAbort_GrpcStatus:
			f.AbortGRPC = strconv.Itoa(int(by.GrpcStatus))
		default:
			into.add(path+".abort", "neither http_status nor grpc_status")
		}
	}
	return f
}
