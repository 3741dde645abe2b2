package config

import (
	"math/big"
	"strconv"

	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"
)

func (c *checker) trafficPolicy(path string, p *networking.TrafficPolicy) {
	if p.GetTls() != nil {
		c.clientTLS(path+".tls", p.Tls)
	}
	seen := map[uint32]bool{}
	for i, o := range p.GetPortLevelSettings() {
		at := path + ".portLevelSettings[" + strconv.Itoa(i) + "]"
		number := o.GetPort().GetNumber()
		c.port(at+".port.number", number)
		if seen[number] {
			c.errorf(CodeSameName, at+".port", "put both into one", "%s: the port %d is given twice", at, number)
		}
		seen[number] = true
		c.trafficPolicy(at, &networking.TrafficPolicy{
			LoadBalancer: o.LoadBalancer, ConnectionPool: o.ConnectionPool, OutlierDetection: o.OutlierDetection, Tls: o.Tls,
		})
	}
	c.warmUp(path+".loadBalancer", p.GetLoadBalancer())
	c.failover(path+".loadBalancer.localityLbSetting", p)
	switch lb := p.GetLoadBalancer().GetLbPolicy().(type) {
	case *v1alpha3.LoadBalancerSettings_Simple:
		if lb.Simple == v1alpha3.LoadBalancerSettings_PASSTHROUGH {
			c.unsupported(path+".loadBalancer.simple", "PASSTHROUGH")
		}
	case *v1alpha3.LoadBalancerSettings_ConsistentHash:
		c.consistentHash(path+".loadBalancer.consistentHash", lb.ConsistentHash)
	}
	if b := p.GetRetryBudget(); b != nil {
		c.percent(path+".retryBudget.percent", b.GetPercent().GetValue())
	}
	if p.GetConnectionPool() != nil {
		c.connectionPool(path+".connectionPool", p.ConnectionPool)
	}
	if p.GetOutlierDetection() != nil {
		c.outlierDetection(path+".outlierDetection", p.OutlierDetection)
	}
}

// clientTLS checks how connections to a host are encrypted.
func (c *checker) clientTLS(path string, s *networking.ClientTLSSettings) {
	files := s.ClientCertificate != "" && s.PrivateKey != ""
	switch s.Mode {
	case v1alpha3.ClientTLSSettings_DISABLE:
	case v1alpha3.ClientTLSSettings_ISTIO_MUTUAL:
		if s.ClientCertificate+s.PrivateKey+s.CaCertificates != "" || len(s.SubjectAltNames) > 0 || s.GetInsecureSkipVerify().GetValue() {
			c.errorf(CodeValue, path, "leave the other fields out", "%s: ISTIO_MUTUAL goes by the mesh's certificates and service accounts alone", path)
		}
	case v1alpha3.ClientTLSSettings_SIMPLE:
		if s.ClientCertificate != "" || s.PrivateKey != "" {
			c.errorf(CodeValue, path, "use mode: MUTUAL", "%s: SIMPLE shows no certificate of the client", path)
		}
	case v1alpha3.ClientTLSSettings_MUTUAL:
		if !files {
			c.required(path, "clientCertificate and privateKey, as files that the sidecar can read,")
		}
	default:
		c.unsupported(path+".mode", s.Mode.String())
	}
	switch trusting := s.GetInsecureSkipVerify().GetValue(); {
	case trusting && (s.CaCertificates != "" || len(s.SubjectAltNames) > 0):
		c.errorf(CodeValue, path, "keep one of them", "%s: insecureSkipVerify leaves nothing to verify by caCertificates or subjectAltNames", path)
	case trusting && s.Mode != v1alpha3.ClientTLSSettings_ISTIO_MUTUAL:
		c.trustsAll(path)
	}
	if s.Sni != "" {
		c.host(path+".sni", s.Sni)
	}
}

// Envoy's bounds on rings and tables.
const (
	maxRingSize  = 8 << 20
	maxTableSize = 5000011
)

func (c *checker) consistentHash(path string, h *networking.LoadBalancerSettings_ConsistentHashLB) {
	switch key := h.HashKey.(type) {
	case nil:
		c.required(path, "httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName")
	case *v1alpha3.LoadBalancerSettings_ConsistentHashLB_HttpHeaderName:
		c.header(path+".httpHeaderName", key.HttpHeaderName)
	case *v1alpha3.LoadBalancerSettings_ConsistentHashLB_HttpCookie:
		if key.HttpCookie.GetName() == "" {
			c.required(path+".httpCookie", "name")
		}
		c.timeout(path+".httpCookie.ttl", key.HttpCookie.GetTtl())
	case *v1alpha3.LoadBalancerSettings_ConsistentHashLB_HttpQueryParameterName:
		if key.HttpQueryParameterName == "" {
			c.required(path, "httpQueryParameterName")
		}
	}
	if h.GetMinimumRingSize() > 0 && h.HashAlgorithm != nil { //nolint:staticcheck // old, and still written
		c.errorf(CodeValue, path+".minimumRingSize", "say it in ringHash", "%s: only one of minimumRingSize, ringHash and maglev may be given", path)
	}
	size := max(h.GetMinimumRingSize(), h.GetRingHash().GetMinimumRingSize()) //nolint:staticcheck // the same
	if size > maxRingSize {
		c.errorf(CodeValue, path, "", "%s: a ring has at most %d places, not %d", path, maxRingSize, size)
	}
	if n := h.GetMaglev().GetTableSize(); n > 0 && (n > maxTableSize || !new(big.Int).SetUint64(n).ProbablyPrime(0)) {
		c.errorf(CodeValue, path+".maglev.tableSize", "65537 is one", "%s.maglev.tableSize: want a prime number up to %d, got %d", path, maxTableSize, n)
	}
}

func (c *checker) connectionPool(path string, p *networking.ConnectionPoolSettings) {
	tcp, http := p.GetTcp(), p.GetHttp()
	if tcp == nil && http == nil {
		c.required(path, "tcp or http")
	}
	c.duration(path+".tcp.connectTimeout", tcp.GetConnectTimeout())
	c.timeout(path+".http.idleTimeout", http.GetIdleTimeout())
	for _, f := range []struct {
		name  string
		value int32
	}{
		{"tcp.maxConnections", tcp.GetMaxConnections()},
		{"http.http1MaxPendingRequests", http.GetHttp1MaxPendingRequests()},
		{"http.http2MaxRequests", http.GetHttp2MaxRequests()},
		{"http.maxRequestsPerConnection", http.GetMaxRequestsPerConnection()},
		{"http.maxRetries", http.GetMaxRetries()},
	} {
		c.notNegative(path+"."+f.name, f.value)
	}
}

func (c *checker) notNegative(path string, value int32) {
	if value < 0 {
		c.errorf(CodeValue, path, "0 means no limit", "%s: want 0 or more, got %d", path, value)
	}
}

func (c *checker) outlierDetection(path string, o *networking.OutlierDetection) {
	c.duration(path+".interval", o.Interval)
	c.duration(path+".baseEjectionTime", o.BaseEjectionTime)
	c.percent(path+".maxEjectionPercent", float64(o.MaxEjectionPercent))
	c.percent(path+".minHealthPercent", float64(o.MinHealthPercent))
	old := o.ConsecutiveErrors //nolint:staticcheck // the old name, still written
	c.notNegative(path+".consecutiveErrors", old)
	if old > 0 && o.Consecutive_5XxErrors != nil {
		c.errorf(CodeValue, path+".consecutiveErrors", "remove it", "%s: consecutiveErrors is the old name of consecutive5xxErrors; only one may be given", path)
	}
}

func (c *checker) percent(path string, value float64) {
	if value < 0 || value > 100 {
		c.errorf(CodeValue, path, "", "%s: want 0 to 100, got %v", path, value)
	}
}

// mirrors checks where copies of a route's requests go.
func (c *checker) mirrors(path string, r *networking.HTTPRoute) {
	old := r.MirrorPercent //nolint:staticcheck // the old name of mirrorPercentage, still written
	if r.Mirror != nil {
		c.destination(path+".mirror", r.Mirror)
	}
	if r.Mirror != nil && len(r.Mirrors) > 0 {
		c.errorf(CodeValue, path+".mirror", "put it into mirrors", "%s: only one of mirror and mirrors may be given", path)
	}
	if r.Mirror == nil && (r.MirrorPercentage != nil || old != nil) {
		c.errorf(CodeAction, path, "give a mirror, or remove it; each of mirrors has a percentage of its own", "%s: a share of mirrored requests without a mirror", path)
	}
	c.percent(path+".mirrorPercentage.value", r.GetMirrorPercentage().GetValue())
	c.percent(path+".mirrorPercent", float64(old.GetValue()))
	for i, m := range r.Mirrors {
		at := path + ".mirrors[" + strconv.Itoa(i) + "]"
		c.destination(at+".destination", m.Destination)
		c.percent(at+".percentage.value", m.GetPercentage().GetValue())
	}
}

// failover checks where requests go when too few endpoints nearby are healthy,
// which only outlier detection finds out.
func (c *checker) failover(path string, p *networking.TrafficPolicy) {
	setting := p.GetLoadBalancer().GetLocalityLbSetting()
	if len(setting.GetFailover()) > 0 && p.GetOutlierDetection() == nil {
		c.warnf(CodeNoEffect, path, "add outlierDetection to the same policy", "%s has no effect without outlierDetection", path)
	}
	from := map[string]bool{}
	for i, f := range setting.GetFailover() {
		at := path + ".failover[" + strconv.Itoa(i) + "]"
		switch {
		case f.From == "" || f.To == "":
			c.errorf(CodeValue, at, "write from: REGION and to: REGION", "%s: needs both from and to", at)
		case f.From == f.To:
			c.errorf(CodeValue, at, "name another region", "%s: from and to are the same region", at)
		case from[f.From]:
			c.errorf(CodeSameName, at, "one region fails over to one other", "%s: the region %s is given twice", at, f.From)
		}
		from[f.From] = true
	}
}

// warmUp checks how endpoints that come get their share, which only policies
// with shares can give them.
func (c *checker) warmUp(path string, lb *networking.LoadBalancerSettings) {
	old, w := lb.GetWarmupDurationSecs(), lb.GetWarmup()
	if old == nil && w == nil {
		return
	}
	at := path + ".warmup"
	if w == nil {
		at = path + ".warmupDurationSecs"
	}
	if _, hashed := lb.GetLbPolicy().(*v1alpha3.LoadBalancerSettings_ConsistentHash); hashed || lb.GetSimple() == v1alpha3.LoadBalancerSettings_RANDOM {
		c.errorf(CodeValue, at, "use ROUND_ROBIN or LEAST_REQUEST", "%s: this policy knows no shares", at)
	}
	c.duration(path+".warmupDurationSecs", old)
	if w == nil {
		return
	}
	if w.Duration == nil {
		c.required(at+".duration", "")
	}
	c.duration(at+".duration", w.Duration)
	if p := w.MinimumPercent; p != nil && (p.Value < 0 || p.Value > 100) {
		c.errorf(CodeValue, at+".minimumPercent", "", "%s.minimumPercent: %g is not between 0 and 100", at, p.Value)
	}
	if a := w.Aggression; a != nil && !(a.Value >= 1) {
		c.errorf(CodeValue, at+".aggression", "", "%s.aggression: %g is below 1", at, a.Value)
	}
}
