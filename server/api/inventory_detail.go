package api

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// NamespaceDetail is one namespace with what is in it. Edges are of the
// namespace view: one per other namespace and protocol.
type NamespaceDetail struct {
	NamespaceItem
	At        time.Time      `json:"at"`
	WindowS   float64        `json:"window_s"`
	Workloads []WorkloadItem `json:"workload_items"`
	Services  []ServiceItem  `json:"service_items"`
	Inbound   []*graph.Edge  `json:"inbound"`
	Outbound  []*graph.Edge  `json:"outbound"`
}

// WorkloadDetail is one workload with its neighbours in the workload view.
type WorkloadDetail struct {
	WorkloadItem
	At       time.Time       `json:"at"`
	WindowS  float64         `json:"window_s"`
	Inbound  []*graph.Edge   `json:"inbound"`  // busiest first
	Outbound []*graph.Edge   `json:"outbound"` // busiest first
	Proxies  []Proxy         `json:"proxies"`  // worst first
	NotHeld  []graph.NotHeld `json:"not_held"` // policies that nobody carries out for it
	Ejecting []Ejection      `json:"ejecting"` // what its own sidecars keep from clusters
}

// ServiceDetail is one service with its endpoints. Edges are of the service
// view: one per calling and called service and protocol.
type ServiceDetail struct {
	ServiceItem
	At          time.Time       `json:"at"`
	WindowS     float64         `json:"window_s"`
	Inbound     []*graph.Edge   `json:"inbound"`  // busiest first
	Outbound    []*graph.Edge   `json:"outbound"` // of the workloads behind it, busiest first
	Instances   []Endpoint      `json:"instances"`
	Ejections   []Ejection      `json:"ejections"`
	EjectionLog []EjectionEvent `json:"ejection_log"` // oldest first
}

// Proxy is a sidecar of a workload.
type Proxy struct {
	ID        string     `json:"id"`
	State     skew.State `json:"state"`
	Since     time.Time  `json:"since"`
	Reason    string     `json:"reason"`
	Connected bool       `json:"connected"`
	Revision  uint64     `json:"revision"`
	Behind    int        `json:"behind"`
	Build     string     `json:"build"`
	Address   string     `json:"address,omitempty"`
	Cost      Cost       `json:"cost"`
}

// Endpoint is one instance of a service as the registry has it. Node and state
// are there when a sidecar with its address is known.
type Endpoint struct {
	Address   string            `json:"address"`
	Ports     map[string]uint32 `json:"ports"` // by the service port's name
	Workload  string            `json:"workload"`
	Weight    uint32            `json:"weight"`
	Locality  string            `json:"locality,omitempty"`
	Labels    map[string]string `json:"labels"`
	Object    string            `json:"object"` // that declares it
	Meshed    bool              `json:"meshed"`
	Health    graph.Health      `json:"health"` // of its workload
	Node      string            `json:"node,omitempty"`
	NodeState skew.State        `json:"node_state,omitempty"`
}

// Ejection is what one caller's sidecar keeps from a service now: endpoints
// taken out by outlier detection, or a limit that is reached.
type Ejection struct {
	Node    string `json:"node"`
	Caller  string `json:"caller"` // workload ID
	Host    string `json:"host"`
	Subset  string `json:"subset"`
	Ejected int    `json:"ejected"` // endpoints
	Breaker string `json:"breaker"` // connections, pending, requests or retries; "" for ejections
}

// EjectionEvent is one endpoint that a caller's sidecar took out, or let back in.
type EjectionEvent struct {
	At       time.Time  `json:"at"`
	Node     string     `json:"node"`
	Caller   string     `json:"caller"` // workload ID
	Host     string     `json:"host"`
	Subset   string     `json:"subset"`
	Endpoint string     `json:"endpoint"` // host:port
	Returned bool       `json:"returned"`
	Status   int        `json:"status"` // that was the last straw; 503 also stands for no answer
	Out      int        `json:"out"`    // endpoints that are out now
	Of       int        `json:"of"`
	Until    *time.Time `json:"until"`  // its time is over; it is back at the next sweep after that
	Object   string     `json:"object"` // with the rules
}

func (s *Server) getNamespace(c echo.Context) error {
	i, p := s.takeInventory(c)
	if p.err != nil {
		return p.err
	}
	name, err := pathParam(c, "name")
	if err != nil {
		return err
	}
	items := i.namespaces()
	at := slices.IndexFunc(items, func(n NamespaceItem) bool { return n.Name == name })
	if at < 0 {
		return notInInventory("namespace", name, "namespaces")
	}
	d := NamespaceDetail{
		NamespaceItem: items[at], At: i.at, WindowS: i.window.Seconds(),
		Workloads: i.workloads(name), Services: i.serviceItems(name),
	}
	d.Inbound, d.Outbound = edgesOf(i.view(graph.ByNamespace), "namespace:"+name)
	return c.JSON(http.StatusOK, d)
}

func (s *Server) getWorkload(c echo.Context) error {
	i, p := s.takeInventory(c)
	if p.err != nil {
		return p.err
	}
	id, err := pathParam(c, "*")
	if err != nil {
		return err
	}
	item, ok := i.workload(strings.TrimPrefix(id, "workload:"))
	if !ok {
		return notInInventory("workload", id, "workloads")
	}
	own := workloadOf(&item.Node).ID()
	d := WorkloadDetail{
		WorkloadItem: item, At: i.at, WindowS: i.window.Seconds(),
		Proxies: []Proxy{}, NotHeld: []graph.NotHeld{}, Ejecting: []Ejection{},
	}
	d.Inbound, d.Outbound = edgesOf(i.view(graph.ByWorkload), item.ID)
	for _, n := range i.nodes {
		if n.Workload.ID() == own {
			d.Proxies = append(d.Proxies, Proxy{
				n.ID, n.State, n.Since, n.Reason, n.Connected, n.Revision, n.Behind, n.Build, n.Address, i.costOf(n),
			})
		}
	}
	for _, h := range graph.CoverageOf(i.view(graph.ByWorkload), s.opts.Mesh.Policies(), item.Namespace).NotHeld {
		if h.Workload == own {
			d.NotHeld = append(d.NotHeld, h)
		}
	}
	for _, o := range i.outliers {
		if o.Caller == own {
			d.Ejecting = append(d.Ejecting, Ejection(o))
		}
	}
	return c.JSON(http.StatusOK, d)
}

// workload finds a workload by its ID. The cluster may be left out where the
// rest names but one.
func (i *inventory) workload(id string) (WorkloadItem, bool) {
	items := i.workloads("")
	at := slices.IndexFunc(items, func(w WorkloadItem) bool { return workloadOf(&w.Node).ID() == id })
	if at >= 0 {
		return items[at], true
	}
	items = slices.DeleteFunc(items, func(w WorkloadItem) bool { return w.Namespace+"/"+w.Name != id })
	if len(items) != 1 {
		return WorkloadItem{}, false
	}
	return items[0], true
}

func (s *Server) getService(c echo.Context) error {
	i, p := s.takeInventory(c)
	if p.err != nil {
		return p.err
	}
	host, err := pathParam(c, "host")
	if err != nil {
		return err
	}
	items := i.serviceItems("")
	at := slices.IndexFunc(items, func(s ServiceItem) bool { return s.Host == host })
	if at < 0 {
		return notInInventory("service", host, "services")
	}
	d := ServiceDetail{ServiceItem: items[at], At: i.at, WindowS: i.window.Seconds(), Instances: i.endpoints(host), Ejections: []Ejection{}, EjectionLog: s.opts.Mesh.Ejections(host)}
	kind := graph.KindService
	if d.External {
		kind = graph.KindExternal
	}
	d.Inbound, d.Outbound = edgesOf(i.view(graph.ByService), string(kind)+":"+host)
	for _, o := range i.outliers {
		if o.Host == host {
			d.Ejections = append(d.Ejections, Ejection(o))
		}
	}
	return c.JSON(http.StatusOK, d)
}

// endpoints completes a service's endpoints by what is known of their
// workloads and sidecars.
func (i *inventory) endpoints(host string) []Endpoint {
	workloads := map[string]*graph.Node{}
	for _, n := range i.view(graph.ByWorkload).Nodes {
		if n.Kind == graph.KindWorkload {
			workloads[workloadOf(n).ID()] = n
		}
	}
	at := slices.IndexFunc(i.services, func(s ServiceEntry) bool { return s.Service.Host == host })
	out := slices.Clone(listOf(i.services[at].List))
	for k := range out {
		e := &out[k]
		if e.Labels == nil {
			e.Labels = map[string]string{}
		}
		e.Health = graph.Health{State: graph.UnknownData, Reasons: []graph.Reason{
			{Code: "no_data", Text: "nothing reports on this endpoint: it belongs to no workload with a sidecar"},
		}}
		n, ok := workloads[e.Workload]
		if !ok {
			continue
		}
		e.Meshed, e.Health = n.Meshed, n.Health
		if s, ok := i.sidecarOf(e); ok {
			e.Node, e.NodeState = s.ID, s.State
		}
	}
	return out
}

// sidecarOf finds the sidecar beside an endpoint: the one of its workload, of
// several the one with its address, if that tells them apart.
func (i *inventory) sidecarOf(e *Endpoint) (skew.NodeStatus, bool) {
	var own, same []skew.NodeStatus
	for _, n := range i.nodes {
		if n.Workload.ID() != e.Workload {
			continue
		}
		own = append(own, n)
		if address, _, err := net.SplitHostPort(n.Address); err == nil && address == e.Address {
			same = append(same, n)
		}
	}
	switch {
	case len(own) == 1:
		return own[0], true
	case len(same) == 1:
		return same[0], true
	}
	return skew.NodeStatus{}, false
}

// edgesOf gives the edges to and from a node of a view, busiest first. One
// from a node to itself is in both.
func edgesOf(v graph.View, node string) (in, out []*graph.Edge) {
	in, out = []*graph.Edge{}, []*graph.Edge{}
	for _, e := range v.Edges {
		if e.Target == node {
			in = append(in, e)
		}
		if e.Source == node {
			out = append(out, e)
		}
	}
	busiest := func(a, b *graph.Edge) int {
		switch {
		case a.RPS > b.RPS:
			return -1
		case a.RPS < b.RPS:
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	}
	slices.SortFunc(in, busiest)
	slices.SortFunc(out, busiest)
	return in, out
}
