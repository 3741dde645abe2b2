package xds

import (
	"cmp"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"
)

// effective lays a subset's policy over its host's: a block that the subset has
// replaces the host's whole, as in Istio. What a policy says of the port replaces
// all of it but the retry budget.
func effective(host, subset *networking.TrafficPolicy, port uint32) *networking.TrafficPolicy {
	out := &networking.TrafficPolicy{
		LoadBalancer: host.GetLoadBalancer(), ConnectionPool: host.GetConnectionPool(), OutlierDetection: host.GetOutlierDetection(),
		RetryBudget: host.GetRetryBudget(), Tls: host.GetTls(), PortLevelSettings: host.GetPortLevelSettings(),
	}
	if p := subset.GetLoadBalancer(); p != nil {
		out.LoadBalancer = p
	}
	if p := subset.GetConnectionPool(); p != nil {
		out.ConnectionPool = p
	}
	if p := subset.GetOutlierDetection(); p != nil {
		out.OutlierDetection = p
	}
	if p := subset.GetRetryBudget(); p != nil {
		out.RetryBudget = p
	}
	if p := subset.GetTls(); p != nil {
		out.Tls = p
	}
	if p := subset.GetPortLevelSettings(); p != nil {
		out.PortLevelSettings = p
	}
	for _, p := range out.PortLevelSettings {
		if p.GetPort().GetNumber() == port {
			out.LoadBalancer, out.ConnectionPool, out.OutlierDetection, out.Tls = p.LoadBalancer, p.ConnectionPool, p.OutlierDetection, p.Tls
		}
	}
	return out
}

// minimumRingSize is Istio's, where nothing else is said.
const minimumRingSize = 1024

// balance says how endpoints are drawn: by the fewest requests under way, as in
// Istio, where nothing else is said.
func balance(c *clusterv3.Cluster, lb *networking.LoadBalancerSettings) {
	c.LbPolicy = clusterv3.Cluster_LEAST_REQUEST
	switch p := lb.GetLbPolicy().(type) {
	case nil:
		warmUp(c, lb)
	case *v1alpha3.LoadBalancerSettings_Simple:
		switch p.Simple {
		case v1alpha3.LoadBalancerSettings_ROUND_ROBIN:
			c.LbPolicy = clusterv3.Cluster_ROUND_ROBIN
		case v1alpha3.LoadBalancerSettings_RANDOM:
			c.LbPolicy = clusterv3.Cluster_RANDOM
		}
		warmUp(c, lb)
	case *v1alpha3.LoadBalancerSettings_ConsistentHash:
		h := p.ConsistentHash
		if table := h.GetMaglev(); table != nil {
			c.LbPolicy = clusterv3.Cluster_MAGLEV
			if table.TableSize != 0 {
				c.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{
					TableSize: wrapperspb.UInt64(table.TableSize),
				}}
			}
			return
		}
		old := h.GetMinimumRingSize() //nolint:staticcheck // old, and still written
		c.LbPolicy = clusterv3.Cluster_RING_HASH
		c.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{
			MinimumRingSize: wrapperspb.UInt64(cmp.Or(h.GetRingHash().GetMinimumRingSize(), old, minimumRingSize)),
		}}
	}
}

// warmUp gives endpoints that come a smaller share at first, where the policy has
// shares.
func warmUp(c *clusterv3.Cluster, lb *networking.LoadBalancerSettings) {
	w := lb.GetWarmup()
	if w == nil {
		old := lb.GetWarmupDurationSecs()
		if old == nil {
			return
		}
		w = &networking.WarmupConfiguration{Duration: old}
	}
	s := &clusterv3.Cluster_SlowStartConfig{SlowStartWindow: w.Duration}
	if w.Aggression != nil {
		s.Aggression = &corev3.RuntimeDouble{DefaultValue: w.Aggression.GetValue(), RuntimeKey: "slow_start"}
	}
	if w.MinimumPercent != nil {
		s.MinWeightPercent = &typev3.Percent{Value: w.MinimumPercent.GetValue()}
	}
	switch c.LbPolicy {
	case clusterv3.Cluster_ROUND_ROBIN:
		c.LbConfig = &clusterv3.Cluster_RoundRobinLbConfig_{RoundRobinLbConfig: &clusterv3.Cluster_RoundRobinLbConfig{SlowStartConfig: s}}
	case clusterv3.Cluster_LEAST_REQUEST:
		c.LbConfig = &clusterv3.Cluster_LeastRequestLbConfig_{LeastRequestLbConfig: &clusterv3.Cluster_LeastRequestLbConfig{SlowStartConfig: s}}
	}
}

// connectionPool sets the limits that are given; 0 is none, as in Istio.
func connectionPool(c *clusterv3.Cluster, p *networking.ConnectionPoolSettings, budget *networking.TrafficPolicy_RetryBudget) {
	if t := p.GetTcp().GetConnectTimeout(); t != nil {
		c.ConnectTimeout = t
	}
	th := &clusterv3.CircuitBreakers_Thresholds{
		MaxConnections:     limit(p.GetTcp().GetMaxConnections()),
		MaxPendingRequests: limit(p.GetHttp().GetHttp1MaxPendingRequests()),
		MaxRequests:        limit(p.GetHttp().GetHttp2MaxRequests()),
		MaxRetries:         limit(p.GetHttp().GetMaxRetries()),
	}
	if budget != nil {
		th.RetryBudget = retryBudget(budget)
	}
	if th.RetryBudget != nil || th.MaxConnections != nil || th.MaxPendingRequests != nil || th.MaxRequests != nil || th.MaxRetries != nil {
		c.CircuitBreakers = &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{th}}
	}
}

// retryBudget bounds retries by a share of the requests under way, which goes
// before a fixed number of them.
func retryBudget(b *networking.TrafficPolicy_RetryBudget) *clusterv3.CircuitBreakers_Thresholds_RetryBudget {
	out := &clusterv3.CircuitBreakers_Thresholds_RetryBudget{
		BudgetPercent: &typev3.Percent{Value: 20}, MinRetryConcurrency: wrapperspb.UInt32(cmp.Or(b.MinRetryConcurrency, 3)),
	}
	if b.Percent != nil {
		out.BudgetPercent.Value = b.Percent.GetValue()
	}
	return out
}

func limit(n int32) *wrapperspb.UInt32Value {
	if n <= 0 {
		return nil
	}
	return wrapperspb.UInt32(uint32(n))
}

// httpOptions says how to speak to the endpoints; nil when nothing differs from
// the usual.
func httpOptions(http2, autoSNI bool, p *networking.ConnectionPoolSettings_HTTPSettings) *anypb.Any {
	if !http2 && !autoSNI && p.GetIdleTimeout() == nil && p.GetMaxRequestsPerConnection() <= 0 {
		return nil
	}
	explicit := &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
		ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}},
	}
	if http2 {
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}}
	}
	options := &httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
	}
	if p.GetIdleTimeout() != nil || p.GetMaxRequestsPerConnection() > 0 {
		options.CommonHttpProtocolOptions = &corev3.HttpProtocolOptions{
			IdleTimeout: p.GetIdleTimeout(), MaxRequestsPerConnection: limit(p.GetMaxRequestsPerConnection()),
		}
	}
	if autoSNI {
		options.UpstreamHttpProtocolOptions = &corev3.UpstreamHttpProtocolOptions{AutoSni: true, AutoSanValidation: true}
	}
	return pack(options)
}

func http2Options() *anypb.Any { return httpOptions(true, false, nil) }

// outlierDetection watches answers only: errors in a row, never a statistic of
// them. What is not given is Envoy's; but panic, which would send requests to
// endpoints that were taken out, is off unless it is asked for.
func outlierDetection(c *clusterv3.Cluster, o *networking.OutlierDetection) {
	if o == nil {
		return
	}
	out := &clusterv3.OutlierDetection{
		EnforcingSuccessRate: wrapperspb.UInt32(0),
		Interval:             o.Interval,
		BaseEjectionTime:     o.BaseEjectionTime,
		MaxEjectionPercent:   limit(o.MaxEjectionPercent),
	}
	errors := o.Consecutive_5XxErrors
	if old := o.ConsecutiveErrors; errors == nil && old > 0 { //nolint:staticcheck // the old name, still written
		errors = wrapperspb.UInt32(uint32(old))
	}
	out.Consecutive_5Xx, out.EnforcingConsecutive_5Xx = enforced(errors)
	out.ConsecutiveGatewayFailure, out.EnforcingConsecutiveGatewayFailure = enforced(o.ConsecutiveGatewayErrors)
	c.OutlierDetection = out
	c.CommonLbConfig = &clusterv3.Cluster_CommonLbConfig{
		HealthyPanicThreshold: &typev3.Percent{Value: float64(o.MinHealthPercent)},
	}
}

// enforced gives a number of errors and how often it is acted on: always, or
// never when it is 0.
func enforced(errors *wrapperspb.UInt32Value) (threshold, percent *wrapperspb.UInt32Value) {
	switch {
	case errors == nil:
		return nil, nil
	case errors.GetValue() == 0:
		return nil, wrapperspb.UInt32(0)
	default:
		return errors, wrapperspb.UInt32(100)
	}
}

// hashPolicy says what of a request its endpoint is chosen by; nil when the
// destination's load balancer does not ask.
func hashPolicy(lb *networking.LoadBalancerSettings) *routev3.RouteAction_HashPolicy {
	switch key := lb.GetConsistentHash().GetHashKey().(type) {
	case *v1alpha3.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName:
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_Header_{
			Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: key.HttpHeaderName},
		}}
	case *v1alpha3.LoadBalancerSettings_ConsistentHashLB_HttpCookie:
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_Cookie_{
			Cookie: &routev3.RouteAction_HashPolicy_Cookie{
				Name: key.HttpCookie.GetName(), Path: key.HttpCookie.GetPath(), Ttl: key.HttpCookie.GetTtl(),
			},
		}}
	case *v1alpha3.LoadBalancerSettings_ConsistentHashLB_UseSourceIp:
		if key.UseSourceIp {
			return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_ConnectionProperties_{
				ConnectionProperties: &routev3.RouteAction_HashPolicy_ConnectionProperties{SourceIp: true},
			}}
		}
	case *v1alpha3.LoadBalancerSettings_ConsistentHashLB_HttpQueryParameterName:
		return &routev3.RouteAction_HashPolicy{PolicySpecifier: &routev3.RouteAction_HashPolicy_QueryParameter_{
			QueryParameter: &routev3.RouteAction_HashPolicy_QueryParameter{Name: key.HttpQueryParameterName},
		}}
	}
	return nil
}
