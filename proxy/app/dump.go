package app

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// dump is what /running shows: what the sidecar made of its configuration.
type dump struct {
	Node      string         `json:"node"`
	Workload  mesh.Workload  `json:"workload"`
	Active    int64          `json:"active_requests"`
	Revision  uint64         `json:"revision"`
	Listeners []listenerDump `json:"listeners"`
	Routes    []tableDump    `json:"routes"`
	Clusters  []clusterDump  `json:"clusters"`
	XDS       *xds.Status    `json:"xds,omitempty"`
}

type listenerDump struct {
	Name      string     `json:"name"`
	Address   string     `json:"address"`
	Direction string     `json:"direction"`
	Protocol  string     `json:"protocol"`
	Routes    string     `json:"routes,omitempty"`
	Inline    *tableDump `json:"inline_routes,omitempty"`
	Cluster   string     `json:"cluster,omitempty"`
	Revision  uint64     `json:"revision"`
}

type tableDump struct {
	Name         string     `json:"name"`
	Revision     uint64     `json:"revision"`
	VirtualHosts []hostDump `json:"virtual_hosts"`
}

type hostDump struct {
	Name    string      `json:"name"`
	Domains []string    `json:"domains"`
	Routes  []routeDump `json:"routes"`
}

type routeDump struct {
	Name     string   `json:"name,omitempty"`
	Object   string   `json:"object,omitempty"`
	Match    []string `json:"match"`
	Action   string   `json:"action"`
	To       []string `json:"to,omitempty"`
	Timeout  string   `json:"timeout,omitempty"`
	Retries  string   `json:"retries,omitempty"`
	Revision uint64   `json:"revision"`
}

type clusterDump struct {
	Name      string         `json:"name"`
	Service   *mesh.Service  `json:"service,omitempty"`
	Policy    string         `json:"lb_policy"`
	HTTP2     bool           `json:"http2"`
	External  bool           `json:"external,omitempty"`
	Object    string         `json:"object,omitempty"`
	Revision  uint64         `json:"revision"`
	Endpoints []endpointDump `json:"endpoints"`
}

type endpointDump struct {
	Address  string `json:"address"`
	Hostname string `json:"hostname,omitempty"`
	Workload string `json:"workload"`
	Health   string `json:"health"`
	Ejected  bool   `json:"ejected,omitempty"` // by outlier detection
	Weight   uint32 `json:"weight"`
	Priority uint32 `json:"priority,omitempty"`
	Active   int64  `json:"active_requests"`
}

func (a *App) dump() dump {
	d := dump{
		Node: a.opts.NodeID, Workload: a.opts.Workload, Active: a.engine.Active(), Revision: a.runtime.revision(),
		Listeners: []listenerDump{}, Routes: []tableDump{}, Clusters: a.clusterDump(),
	}
	for _, c := range a.sockets.Configs() {
		c.Each(func(c *listen.Config) { d.Listeners = append(d.Listeners, dumpListener(c)) })
	}
	if s := a.runtime.Current(); s != nil {
		for _, t := range s.Routes {
			d.Routes = append(d.Routes, dumpTable(t))
		}
	}
	if a.client != nil {
		status := a.client.Status()
		d.XDS = &status
	}
	return d
}

func dumpListener(c *listen.Config) listenerDump {
	l := listenerDump{
		Name: c.Name, Address: c.Address, Direction: string(c.Direction),
		Protocol: "http", Routes: c.RouteName, Revision: c.Revision,
	}
	if c.Kind == listen.TCP {
		l.Protocol, l.Cluster = "tcp", c.Cluster
	}
	if c.Routes != nil {
		t := dumpTable(c.Routes)
		l.Inline = &t
	}
	return l
}

func dumpTable(t *route.Table) tableDump {
	c := t.Config()
	d := tableDump{Name: c.Name, Revision: c.Revision, VirtualHosts: []hostDump{}}
	for i := range c.VirtualHosts {
		vh := &c.VirtualHosts[i]
		h := hostDump{Name: vh.Name, Domains: vh.Domains, Routes: []routeDump{}}
		for j := range vh.Routes {
			h.Routes = append(h.Routes, dumpRoute(&vh.Routes[j], c.Revision))
		}
		d.VirtualHosts = append(d.VirtualHosts, h)
	}
	return d
}

func dumpRoute(r *route.Route, revision uint64) routeDump {
	d := routeDump{Name: r.Name, Object: r.Object, Revision: cmp.Or(r.Revision, revision), Match: r.Match.Describe()}
	switch {
	case r.Direct != nil:
		d.Action = fmt.Sprintf("answer %d", r.Direct.Status)
	case r.Redirect != nil:
		d.Action = fmt.Sprintf("redirect %d", r.Redirect.Code())
	default:
		d.Action = "forward"
		for _, w := range r.Forward.Clusters {
			d.To = append(d.To, fmt.Sprintf("%s weight %d", w.Cluster, w.Weight))
		}
		if r.Forward.Timeout > 0 {
			d.Timeout = r.Forward.Timeout.String()
		}
		if p := r.Forward.Policy(); p.Enabled() {
			d.Retries = fmt.Sprintf("%d on %s", p.Num, strings.Join(p.Retry.On, ","))
			if p.PerTry > 0 {
				d.Retries += ", " + p.PerTry.String() + " per try"
			}
		}
	}
	return d
}

func (a *App) clusterDump() []clusterDump {
	list := []clusterDump{}
	for _, u := range a.upstreams() {
		list = append(list, dumpUpstream(u))
	}
	return list
}

func dumpUpstream(u *forward.Upstream) clusterDump {
	c := u.Config()
	d := clusterDump{
		Name: c.Name, Policy: c.Policy.String(), HTTP2: c.HTTP2, External: c.External,
		Object: c.Object, Revision: c.Revision, Endpoints: []endpointDump{},
	}
	if s := u.Service(); s.Host != "" {
		d.Service = &s
	}
	for _, h := range u.Hosts().All() {
		e := h.Endpoint()
		workload := mesh.Unknown
		if !e.Workload.IsUnknown() {
			workload = e.Workload.ID()
		}
		d.Endpoints = append(d.Endpoints, endpointDump{
			Address: e.Address, Hostname: e.Hostname, Workload: workload,
			Health: e.Health.String(), Weight: max(e.Weight, 1), Priority: e.Priority, Active: h.Active(),
			Ejected: h.Ejected(),
		})
	}
	return d
}
