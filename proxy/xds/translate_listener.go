package xds

import (
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
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
	if b := m.GetBindToPort(); b != nil && !b.GetValue() {
		into.add("bind_to_port", "false is not supported by build %s", t.build)
	}
	if n := len(m.GetFilterChains()); n != 1 {
		into.add("filter_chains", "has %d chains, and exactly one is supported by build %s", n, t.build)
		return
	}
	filters := m.GetFilterChains()[0].GetFilters()
	if n := len(filters); n != 1 {
		into.add("filter_chains[0].filters", "has %d filters, and exactly one is supported by build %s", n, t.build)
		return
	}
	const path = "filter_chains[0].filters[0].typed_config"
	switch f := extension(filters[0].GetTypedConfig(), path, into).(type) {
	case *hcmv3.HttpConnectionManager:
		c.Kind = listen.HTTP
		t.connectionManager(f, c, r, path, into)
	case *tcpproxyv3.TcpProxy:
		c.Kind = listen.TCP
		c.Cluster = f.GetCluster()
		c.StatPrefix = f.GetStatPrefix()
		c.IdleTimeout = duration(f.GetIdleTimeout(), 0, path+".idle_timeout", into)
		if c.IdleTimeout == 0 && f.GetIdleTimeout() != nil {
			into.add(path+".idle_timeout", "0 (never) is not supported by build %s", t.build)
		}
		if c.Cluster == "" {
			into.add(path+".cluster", "is empty")
		}
		r.uses = []string{c.Cluster}
	default:
		into.add(path, "neither an HTTP connection manager nor a TCP proxy")
	}
	r.listener = c
}

func (t *translator) connectionManager(m *hcmv3.HttpConnectionManager, c *listen.Config, r *resource, path string, into *problems) {
	c.StatPrefix = m.GetStatPrefix()
	if m.GetCodecType() != hcmv3.HttpConnectionManager_AUTO {
		into.add(path+".codec_type", "%s is not supported, a port serves HTTP/1.1 and HTTP/2", m.GetCodecType())
	}
	if n := m.GetNormalizePath(); n != nil && n.GetValue() {
		into.add(path+".normalize_path", "true is not supported by build %s", t.build)
	}
	for i, u := range m.GetUpgradeConfigs() {
		if u.GetUpgradeType() != "websocket" {
			into.add(path+".upgrade_configs["+strconv.Itoa(i)+"].upgrade_type", "%q is not supported by build %s", u.GetUpgradeType(), t.build)
		}
	}
	t.httpFilters(m.GetHttpFilters(), path+".http_filters", into)
	switch spec := m.GetRouteSpecifier().(type) {
	case *hcmv3.HttpConnectionManager_Rds:
		c.RouteName = spec.Rds.GetRouteConfigName()
		overADS(spec.Rds.GetConfigSource(), path+".rds.config_source", into)
		if c.RouteName == "" {
			into.add(path+".rds.route_config_name", "is empty")
		}
	case *hcmv3.HttpConnectionManager_RouteConfig:
		c.Routes, r.uses = t.routes(spec.RouteConfig, r.revision, path+".route_config", into)
	default:
		into.add(path, "neither rds nor route_config")
	}
}

// httpFilters accepts the one chain there is: the router alone.
func (t *translator) httpFilters(filters []*hcmv3.HttpFilter, path string, into *problems) {
	if len(filters) == 0 {
		into.add(path, "is empty, and the router must be in it")
	}
	for i, f := range filters {
		at := path + "[" + strconv.Itoa(i) + "]"
		if _, ok := extension(f.GetTypedConfig(), at+".typed_config", into).(*routerv3.Router); !ok {
			into.add(at, "%s: not supported by build %s", f.GetName(), t.build)
		} else if i != len(filters)-1 {
			into.add(at, "the router must be the last filter")
		}
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
