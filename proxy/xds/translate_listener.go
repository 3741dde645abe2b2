package xds

import (
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

func (t *translator) listener(m *listenerv3.Listener, r *resource, into *problems) {
	c := &listen.Config{
		Name:       m.GetName(),
		Address:    address(m.GetAddress(), "address", into),
		Revision:   r.revision,
		StatPrefix: m.GetStatPrefix(),
	}
	switch m.GetTrafficDirection() {
	case corev3.TrafficDirection_INBOUND:
		c.Direction = listen.Inbound
	case corev3.TrafficDirection_OUTBOUND:
		c.Direction = listen.Outbound
	default:
		into.add("traffic_direction", "must be INBOUND or OUTBOUND")
	}
	c.Virtual = m.GetBindToPort() != nil && !m.GetBindToPort().GetValue()
	c.OriginalDst, c.Transparent = m.GetUseOriginalDst().GetValue(), m.GetTransparent().GetValue()
	r.listener = c
	if choosesByName(m.GetFilterChains()) {
		t.chains(m, c, r, into)
		return
	}
	if t.downstreamTLS(m.GetFilterChains(), c, into) {
		t.filters(m.GetFilterChains()[0].GetFilters(), "filter_chains[0]", c, r, into)
	}
}

// filters reads what serves a chain: policies, then what looks into requests or
// passes bytes on.
func (t *translator) filters(list []*listenerv3.Filter, path string, c *listen.Config, r *resource, into *problems) {
	filters := t.networkPolicies(list, path, c, into)
	if n := len(filters); n != 1 {
		into.add(path+".filters", "has %d filters that end the chain, and exactly one is supported by build %s", n, t.build)
		return
	}
	path += ".filters[" + strconv.Itoa(len(list)-1) + "].typed_config"
	switch f := extension(filters[0].GetTypedConfig(), path, into).(type) {
	case *hcmv3.HttpConnectionManager:
		c.Kind = listen.HTTP
		t.connectionManager(f, c, r, path, into)
	case *tcpproxyv3.TcpProxy:
		c.Kind = listen.TCP
		t.tcpProxy(f, c, r, path, into)
	default:
		into.add(path, "neither an HTTP connection manager nor a TCP proxy")
	}
}

func (t *translator) tcpProxy(f *tcpproxyv3.TcpProxy, c *listen.Config, r *resource, path string, into *problems) {
	c.StatPrefix = f.GetStatPrefix()
	c.IdleTimeout = duration(f.GetIdleTimeout(), 0, path+".idle_timeout", into)
	if c.IdleTimeout == 0 && f.GetIdleTimeout() != nil {
		into.add(path+".idle_timeout", "0 (never) is not supported by build %s", t.build)
	}
	for _, w := range f.GetWeightedClusters().GetClusters() {
		c.Split = append(c.Split, listen.Share{Cluster: w.GetName(), Weight: w.GetWeight()})
		r.uses = append(r.uses, w.GetName())
	}
	if c.Split != nil {
		c.Cluster = c.Split[0].Cluster
		return
	}
	if c.Cluster = f.GetCluster(); c.Cluster == "" {
		into.add(path+".cluster", "is empty")
	}
	r.uses = append(r.uses, c.Cluster)
}

func (t *translator) connectionManager(m *hcmv3.HttpConnectionManager, c *listen.Config, r *resource, path string, into *problems) {
	c.StatPrefix = m.GetStatPrefix()
	c.Edge = m.GetUseRemoteAddress().GetValue()
	if m.GetCodecType() != hcmv3.HttpConnectionManager_AUTO {
		into.add(path+".codec_type", "%s is not supported, a port serves HTTP/1.1 and HTTP/2", m.GetCodecType())
	}
	c.NormalizePath = m.GetNormalizePath().GetValue()
	for i, u := range m.GetUpgradeConfigs() {
		at := path + ".upgrade_configs[" + strconv.Itoa(i) + "]"
		if t.upgrade(u.GetUpgradeType(), u.GetEnabled(), at, into) == connectUpgrade {
			c.Connect = u.GetEnabled() == nil || u.GetEnabled().GetValue()
		}
	}
	t.httpFilters(m.GetHttpFilters(), c, path+".http_filters", into)
	switch spec := m.GetRouteSpecifier().(type) {
	case *hcmv3.HttpConnectionManager_Rds:
		c.RouteName = spec.Rds.GetRouteConfigName()
		overADS(spec.Rds.GetConfigSource(), path+".rds.config_source", into)
		if c.RouteName == "" {
			into.add(path+".rds.route_config_name", "is empty")
		}
	case *hcmv3.HttpConnectionManager_RouteConfig:
		var uses []string
		c.Routes, uses = t.routes(spec.RouteConfig, r.revision, path+".route_config", into)
		r.uses = append(r.uses, uses...)
	default:
		into.add(path, "neither rds nor route_config")
	}
}

// extension unpacks an extension's configuration; the checker has already
// refused types that are not known.
func extension(packed interface{ UnmarshalNew() (proto.Message, error) }, path string, into *problems) proto.Message {
	m, err := packed.UnmarshalNew()
	if err != nil {
		into.add(path, "does not decode: %v", err)
		return nil
	}
	return m
}
