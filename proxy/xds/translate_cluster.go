package xds

import (
	"cmp"
	"math"
	"math/big"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	dynamicv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dynamic_forward_proxy/v3"
	upstreamhttpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
)

// envoyConnectTimeout is what a cluster without a connect timeout means in
// Envoy's API.
const envoyConnectTimeout = 5 * time.Second

// envoyPanicPercent is the share of healthy endpoints below which Envoy draws
// all, where a cluster does not say.
const envoyPanicPercent = 50

// maxRing is Envoy's largest ring.
const maxRing = 8 << 20

func (t *translator) cluster(m *clusterv3.Cluster, r *resource, into *problems) {
	c := &cluster.Config{
		Name:           m.GetName(),
		ConnectTimeout: duration(m.GetConnectTimeout(), envoyConnectTimeout, "connect_timeout", into),
		Services:       servicesOf(m.GetMetadata()),
		External:       m.GetMetadata().GetFilterMetadata()["sidelight"].GetFields()["external"].GetBoolValue(),
		Object:         objectOf(m.GetMetadata()),
		Revision:       r.revision,
	}
	switch m.GetLbPolicy() {
	case clusterv3.Cluster_ROUND_ROBIN:
		c.Policy = cluster.RoundRobin
	case clusterv3.Cluster_LEAST_REQUEST:
		c.Policy = cluster.LeastRequest
	case clusterv3.Cluster_RANDOM:
		c.Policy = cluster.Random
	case clusterv3.Cluster_RING_HASH:
		c.Policy = cluster.RingHash
	case clusterv3.Cluster_MAGLEV:
		c.Policy = cluster.Maglev
	case clusterv3.Cluster_CLUSTER_PROVIDED: // by the client, see discovery
		if m.GetType() != clusterv3.Cluster_ORIGINAL_DST && m.GetClusterType() == nil {
			into.add("lb_policy", "CLUSTER_PROVIDED is for clusters of type ORIGINAL_DST")
		}
	default:
		into.add("lb_policy", "%s is not supported by build %s", m.GetLbPolicy(), t.build)
	}
	t.discovery(m, c, into)
	t.httpOptions(m, c, into)
	t.breakers(m.GetCircuitBreakers(), c, into)
	t.hashing(m, c, into)
	t.slowStart(m, c, into)
	t.transportSockets(m, c, into)
	t.outlier(m.GetOutlierDetection(), c, into)
	c.PanicPercent = envoyPanicPercent
	if p := m.GetCommonLbConfig().GetHealthyPanicThreshold(); p != nil {
		c.PanicPercent = uint32(p.GetValue())
	}
	r.cluster = c
}

// discovery says where the cluster's endpoints come from.
func (t *translator) discovery(m *clusterv3.Cluster, c *cluster.Config, into *problems) {
	if own := m.GetClusterType(); own != nil {
		// The only one that the table of fields lets through: names are looked up
		// as requests bring them.
		_, c.ByHost = extension(own.GetTypedConfig(), "cluster_type.typed_config", into).(*dynamicv3.ClusterConfig)
		if !c.ByHost {
			into.add("cluster_type", "not supported by build %s", t.build)
		}
		t.nameless(c)
		return
	}
	switch m.GetType() {
	case clusterv3.Cluster_EDS:
		c.EDS = true
		c.ServiceName = m.GetEdsClusterConfig().GetServiceName()
		overADS(m.GetEdsClusterConfig().GetEdsConfig(), "eds_cluster_config.eds_config", into)
	case clusterv3.Cluster_STATIC, clusterv3.Cluster_STRICT_DNS, clusterv3.Cluster_LOGICAL_DNS:
		c.Endpoints = t.endpoints(m.GetLoadAssignment(), "load_assignment", into)
		if c.Name == "BlackHoleCluster" {
			t.nameless(c)
		}
		if m.GetType() != clusterv3.Cluster_STATIC {
			t.names(m, c, into)
		}
	case clusterv3.Cluster_ORIGINAL_DST:
		c.OriginalDst = true
		t.nameless(c)
	default:
		into.add("type", "%s is not supported by build %s", m.GetType(), t.build)
	}
}

// names says how the names of a DNS cluster are looked up.
func (*translator) names(m *clusterv3.Cluster, c *cluster.Config, into *problems) {
	if m.GetLoadAssignment() == nil {
		into.add("load_assignment", "is missing")
	}
	c.DNS = &cluster.DNS{
		Logical: m.GetType() == clusterv3.Cluster_LOGICAL_DNS,
		Every:   duration(m.GetDnsRefreshRate(), 0, "dns_refresh_rate", into), //nolint:staticcheck // the field that control planes still send
		HeedTTL: m.GetRespectDnsTtl(),                                         //nolint:staticcheck // the field that control planes still send
	}
	switch m.GetDnsLookupFamily() {
	case clusterv3.Cluster_V4_ONLY:
		c.DNS.Family = cluster.V4Only
	case clusterv3.Cluster_V6_ONLY:
		c.DNS.Family = cluster.V6Only
	case clusterv3.Cluster_V4_PREFERRED:
		c.DNS.Family = cluster.V4Preferred
	case clusterv3.Cluster_ALL:
		c.DNS.Family = cluster.AllFamilies
	}
}

// nameless lets a cluster that stands for no service go by its own name, as the
// standard metrics have it.
func (*translator) nameless(c *cluster.Config) {
	if len(c.Services) == 0 {
		c.Services = []mesh.Service{{Name: c.Name}}
	}
}

// httpOptionsKey is where Envoy keeps a cluster's HTTP options.
const httpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

func (t *translator) httpOptions(m *clusterv3.Cluster, c *cluster.Config, into *problems) {
	for key, packed := range m.GetTypedExtensionProtocolOptions() {
		path := "typed_extension_protocol_options[" + `"` + key + `"]`
		if key != httpOptionsKey {
			into.add(path, "not supported by build %s", t.build)
			continue
		}
		options, ok := extension(packed, path, into).(*upstreamhttpv3.HttpProtocolOptions)
		if !ok {
			into.add(path, "is no HttpProtocolOptions")
			continue
		}
		c.HTTP2 = options.GetExplicitHttpConfig().GetHttp2ProtocolOptions() != nil
		if auto := options.GetUpstreamHttpProtocolOptions(); auto.GetAutoSni() != auto.GetAutoSanValidation() || auto.GetAutoSni() && !c.ByHost {
			into.add(path+".upstream_http_protocol_options", "auto_sni goes with auto_san_validation and a dynamic_forward_proxy cluster in build %s", t.build)
		}
		common := options.GetCommonHttpProtocolOptions()
		c.IdleTimeout = duration(common.GetIdleTimeout(), 0, path+".common_http_protocol_options.idle_timeout", into)
		c.Limits.MaxRequestsPerConnection = threshold(common.GetMaxRequestsPerConnection())
	}
}

func (t *translator) breakers(m *clusterv3.CircuitBreakers, c *cluster.Config, into *problems) {
	for _, th := range m.GetThresholds() {
		if th.GetPriority() != corev3.RoutingPriority_DEFAULT {
			into.add("circuit_breakers.thresholds", "priority %s is not supported by build %s", th.GetPriority(), t.build)
			continue
		}
		c.Limits.MaxConnections = threshold(th.GetMaxConnections())
		c.Limits.MaxPending = threshold(th.GetMaxPendingRequests())
		c.Limits.MaxRequests = threshold(th.GetMaxRequests())
		c.Limits.MaxRetries = threshold(th.GetMaxRetries())
		if b := th.GetRetryBudget(); b != nil {
			c.Limits.Budget = &cluster.RetryBudget{Percent: 20, Min: orDefault(b.GetMinRetryConcurrency(), 3)}
			if b.GetBudgetPercent() != nil {
				c.Limits.Budget.Percent = b.GetBudgetPercent().GetValue()
			}
		}
	}
}

// threshold reads a limit. Istio's control plane writes the highest number for
// none.
func threshold(v *wrapperspb.UInt32Value) uint32 {
	if v.GetValue() == math.MaxUint32 {
		return 0
	}
	return v.GetValue()
}

// hashing reads the sizes of what a hashed policy draws from.
func (t *translator) hashing(m *clusterv3.Cluster, c *cluster.Config, into *problems) {
	if ring := m.GetRingHashLbConfig(); ring != nil {
		c.RingMin, c.RingMax = ring.GetMinimumRingSize().GetValue(), ring.GetMaximumRingSize().GetValue()
		if f := ring.GetHashFunction(); f != clusterv3.Cluster_RingHashLbConfig_XX_HASH {
			into.add("ring_hash_lb_config.hash_function", "%s is not supported by build %s", f, t.build)
		}
		if high := cmp.Or(c.RingMax, maxRing); c.RingMin > high {
			into.add("ring_hash_lb_config", "minimum_ring_size %d is above the maximum %d", c.RingMin, high)
		}
	}
	c.TableSize = m.GetMaglevLbConfig().GetTableSize().GetValue()
	if n := c.TableSize; n != 0 && !new(big.Int).SetUint64(n).ProbablyPrime(0) {
		into.add("maglev_lb_config.table_size", "%d is no prime number", n)
	}
}

// slowStart reads how endpoints that come get their share.
func (t *translator) slowStart(m *clusterv3.Cluster, c *cluster.Config, into *problems) {
	s, path := m.GetRoundRobinLbConfig().GetSlowStartConfig(), "round_robin_lb_config.slow_start_config"
	if least := m.GetLeastRequestLbConfig().GetSlowStartConfig(); least != nil {
		s, path = least, "least_request_lb_config.slow_start_config"
	}
	if s == nil {
		return
	}
	c.SlowStart = &cluster.SlowStart{
		Window:     duration(s.GetSlowStartWindow(), 0, path+".slow_start_window", into),
		Aggression: 1, MinPercent: 10, // Envoy's
	}
	if a := s.GetAggression(); a != nil {
		c.SlowStart.Aggression = a.GetDefaultValue()
	}
	if p := s.GetMinWeightPercent(); p != nil {
		c.SlowStart.MinPercent = p.GetValue()
	}
	if !(c.SlowStart.Aggression > 0) {
		into.add(path+".aggression", "must be above 0")
	}
	if c.SlowStart.Window <= 0 {
		into.add(path+".slow_start_window", "is missing")
	}
}

func (t *translator) outlier(m *clusterv3.OutlierDetection, c *cluster.Config, into *problems) {
	if m == nil {
		return
	}
	c.Outlier = &cluster.Outlier{
		Interval:           duration(m.GetInterval(), 0, "outlier_detection.interval", into),
		BaseEjection:       duration(m.GetBaseEjectionTime(), 0, "outlier_detection.base_ejection_time", into),
		MaxEjection:        duration(m.GetMaxEjectionTime(), 0, "outlier_detection.max_ejection_time", into),
		MaxEjectionPercent: orDefault(m.GetMaxEjectionPercent(), 10),
	}
	enforced := func(field string, threshold, percent uint32) uint32 {
		if percent != 0 && percent != 100 {
			into.add("outlier_detection."+field, "%d is not supported by build %s, only 0 and 100 are", percent, t.build)
		}
		if percent == 0 {
			return 0
		}
		return threshold
	}
	c.Outlier.Consecutive5xx = enforced("enforcing_consecutive_5xx",
		orDefault(m.GetConsecutive_5Xx(), 5), orDefault(m.GetEnforcingConsecutive_5Xx(), 100))
	c.Outlier.ConsecutiveGateway = enforced("enforcing_consecutive_gateway_failure",
		orDefault(m.GetConsecutiveGatewayFailure(), 5), orDefault(m.GetEnforcingConsecutiveGatewayFailure(), 0))
	if orDefault(m.GetEnforcingSuccessRate(), 100) != 0 {
		into.add("outlier_detection.enforcing_success_rate", "only 0 is supported by build %s", t.build)
	}
}

// orDefault reads a number that means something else than 0 when it is absent.
func orDefault(v *wrapperspb.UInt32Value, absent uint32) uint32 {
	if v == nil {
		return absent
	}
	return v.GetValue()
}

// servicesOf reads what clients call the cluster, from Istio's metadata.
func servicesOf(m *corev3.Metadata) []mesh.Service {
	var out []mesh.Service
	for _, v := range m.GetFilterMetadata()["istio"].GetFields()["services"].GetListValue().GetValues() {
		f := v.GetStructValue().GetFields()
		s := mesh.Service{
			Host:      f["host"].GetStringValue(),
			Namespace: f["namespace"].GetStringValue(),
			Name:      f["name"].GetStringValue(),
		}
		if s.Name == "" {
			s.Name, _, _ = strings.Cut(s.Host, ".")
		}
		if s.Host != "" {
			out = append(out, s)
		}
	}
	return out
}
