package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// ServiceEntry is one host of the registry.
type ServiceEntry struct {
	Service   mesh.Service
	External  bool
	Ports     []Port
	Endpoints int
	List      []Endpoint
	Workloads []string       // IDs, sorted
	Instances map[string]int // endpoints by workload ID
	Objects   []string       // that are carried out for it, then those that it was made of
}

// Port is one port of a service.
type Port struct {
	Name     string `json:"name"`
	Number   uint32 `json:"number"`
	Protocol string `json:"protocol"`
}

// NamespaceItem is a namespace with its traffic. In and Out are all requests
// to and from its workloads, those among themselves in both.
type NamespaceItem struct {
	graph.NamespaceSummary
	Services  int            `json:"services"`
	In        graph.Traffic  `json:"in"`
	Out       graph.Traffic  `json:"out"`
	RPSSeries []float64      `json:"rps_series"`
	Coverage  graph.Coverage `json:"coverage"`
	Cost      Cost           `json:"cost"`
}

// WorkloadItem is a workload of the graph with its instances and nodes.
type WorkloadItem struct {
	graph.Node
	Instances int      `json:"instances"`
	Nodes     []string `json:"nodes"`
	Services  []string `json:"services"` // hosts that it stands behind
	Cost      Cost     `json:"cost"`
}

// ServiceItem is a service with its traffic.
type ServiceItem struct {
	Host      string        `json:"host"`
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	External  bool          `json:"external"`
	Ports     []Port        `json:"ports"`
	Endpoints int           `json:"endpoints"`
	Ejected   int           `json:"ejected"` // endpoints that some caller's outlier detection has taken out now: the most of any caller
	Health    graph.Health  `json:"health"`
	In        graph.Traffic `json:"in"`
	RPSSeries []float64     `json:"rps_series"`
	Workloads []string      `json:"workloads"`
	Meshed    int           `json:"meshed"` // of those workloads
	Objects   []string      `json:"objects"`
}

type itemList[T any] struct {
	At    time.Time `json:"at"`
	Items []T       `json:"items"`
}

// inventory is what the lists and pages of one request are made of.
type inventory struct {
	server   *Server
	at       time.Time
	window   time.Duration
	services []ServiceEntry // by host
	nodes    []skew.NodeStatus
	outliers []graph.Outlier
	costs    map[string]Cost
	byGroup  map[graph.Group]graph.View
}

// takeInventory reads the parameters that all of its pages have, and what they
// are made of.
func (s *Server) takeInventory(c echo.Context, known ...string) (*inventory, *params) {
	now := time.Now()
	p := query(c, append(known, "window")...)
	i := &inventory{
		server: s, at: now, window: p.duration("window", defaultWindow, minWindow, maxWindow),
		byGroup: map[graph.Group]graph.View{},
	}
	if p.err != nil {
		return nil, p
	}
	i.services = s.opts.Mesh.Services()
	slices.SortFunc(i.services, func(a, b ServiceEntry) int {
		return cmp.Or(cmp.Compare(a.Service.Namespace, b.Service.Namespace), cmp.Compare(a.Service.Host, b.Service.Host))
	})
	i.nodes = s.opts.Nodes.View(now).Nodes
	i.outliers = s.opts.Mesh.Outliers()
	i.costs = s.opts.Mesh.NodeCosts()
	return i, p
}

func (i *inventory) view(group graph.Group) graph.View {
	v, ok := i.byGroup[group]
	if !ok {
		v = i.server.graphView(graph.Query{Group: group, Window: i.window}, i.at)
		i.byGroup[group] = v
	}
	return v
}

func (s *Server) getNamespaces(c echo.Context) error {
	i, p := s.takeInventory(c)
	if p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, itemList[NamespaceItem]{i.at, i.namespaces()})
}

func (s *Server) getWorkloads(c echo.Context) error {
	i, p := s.takeInventory(c, "namespace")
	if p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, itemList[WorkloadItem]{i.at, i.workloads(p.text("namespace"))})
}

func (s *Server) getServices(c echo.Context) error {
	i, p := s.takeInventory(c, "namespace")
	if p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, itemList[ServiceItem]{i.at, i.serviceItems(p.text("namespace"))})
}

func (i *inventory) namespaces() []NamespaceItem {
	workloads := i.view(graph.ByWorkload)
	policies := i.server.opts.Mesh.Policies()
	groups := map[string]*graph.Node{}
	for _, n := range i.view(graph.ByNamespace).Nodes {
		if n.Kind == graph.KindNamespace {
			groups[n.Namespace] = n
		}
	}
	services, costs := map[string]int{}, map[string]Cost{}
	for _, svc := range i.services {
		services[svc.Service.Namespace]++
	}
	for _, n := range i.nodes {
		costs[n.Workload.Namespace] = costs[n.Workload.Namespace].plus(i.costOf(n))
	}
	items := []NamespaceItem{}
	for _, sum := range graph.Namespaces(workloads) {
		n := groups[sum.Name]
		if n == nil { // no traffic yet
			n = &graph.Node{}
		}
		items = append(items, NamespaceItem{
			NamespaceSummary: sum, Services: services[sum.Name], In: n.In, Out: n.Out, RPSSeries: listOf(n.RPSSeries),
			Coverage: graph.CoverageOf(workloads, policies, sum.Name), Cost: costs[sum.Name].per(n.In.RPS + n.Out.RPS),
		})
	}
	return items
}

func (i *inventory) workloads(namespace string) []WorkloadItem {
	nodes, costs := map[string][]string{}, map[string]Cost{}
	for _, n := range i.nodes {
		id := n.Workload.ID()
		nodes[id] = append(nodes[id], n.ID)
		costs[id] = costs[id].plus(i.costOf(n))
	}
	instances, hosts := map[string]int{}, map[string][]string{}
	for _, svc := range i.services {
		for id, n := range svc.Instances {
			instances[id] = max(instances[id], n) // one workload may stand behind several hosts
		}
		for _, id := range svc.Workloads {
			hosts[id] = append(hosts[id], svc.Service.Host)
		}
	}
	items := []WorkloadItem{}
	for _, n := range i.view(graph.ByWorkload).Nodes {
		if n.Kind != graph.KindWorkload || namespace != "" && n.Namespace != namespace {
			continue
		}
		id := workloadOf(n).ID()
		slices.Sort(nodes[id])
		items = append(items, WorkloadItem{
			*n, max(instances[id], len(nodes[id])), listOf(nodes[id]), listOf(hosts[id]), costs[id].per(n.In.RPS + n.Out.RPS),
		})
	}
	return items
}

func workloadOf(n *graph.Node) mesh.Workload {
	return mesh.Workload{Cluster: n.Cluster, Namespace: n.Namespace, Name: n.Name}
}

func (i *inventory) serviceItems(namespace string) []ServiceItem {
	seen := i.serviceNodes()
	meshed := map[string]bool{}
	for _, n := range i.view(graph.ByWorkload).Nodes {
		if n.Kind == graph.KindWorkload && n.Meshed {
			meshed[workloadOf(n).ID()] = true
		}
	}
	items := []ServiceItem{}
	for _, svc := range i.services {
		if namespace != "" && svc.Service.Namespace != namespace {
			continue
		}
		item := ServiceItem{
			Host: svc.Service.Host, Namespace: svc.Service.Namespace, Name: svc.Service.Name,
			External: svc.External, Ports: listOf(svc.Ports), Endpoints: svc.Endpoints, Workloads: listOf(svc.Workloads),
			Health: graph.Health{State: graph.Idle, Reasons: []graph.Reason{}}, RPSSeries: []float64{}, Objects: listOf(svc.Objects),
		}
		if n, ok := seen[svc.Service.Host]; ok {
			item.Health, item.In, item.RPSSeries = n.Health, n.In, listOf(n.RPSSeries)
		}
		for _, id := range svc.Workloads {
			if meshed[id] {
				item.Meshed++
			}
		}
		for _, o := range i.outliers {
			if o.Host == svc.Service.Host {
				item.Ejected = max(item.Ejected, o.Ejected)
			}
		}
		items = append(items, item)
	}
	return items
}

// serviceNodes gives the nodes of the service view by host.
func (i *inventory) serviceNodes() map[string]*graph.Node {
	seen := map[string]*graph.Node{}
	for _, n := range i.view(graph.ByService).Nodes {
		if n.Kind == graph.KindService || n.Kind == graph.KindExternal {
			_, host, _ := strings.Cut(n.ID, ":")
			seen[host] = n
		}
	}
	return seen
}

// costOf is what one sidecar takes: nothing when it is not running.
func (i *inventory) costOf(n skew.NodeStatus) Cost {
	if !n.Connected {
		return Cost{}
	}
	c := i.costs[n.ID]
	c.Proxies = 1
	return c
}

func (c Cost) plus(o Cost) Cost {
	c.Proxies += o.Proxies
	c.CPUCores += o.CPUCores
	c.MemoryBytes += o.MemoryBytes
	return c
}

// per gives the cost of a request, of those that pass a second.
func (c Cost) per(rps float64) Cost {
	if c.CPUCores > 0 && rps > 0 {
		us := c.CPUCores / rps * 1e6
		c.CPUUSPerRequest = &us
	}
	return c
}

func notInInventory(kind, name, list string) error {
	return hint("GET /api/v1/"+list+" lists what there is.", fmt.Errorf("%s %q: %w", kind, name, mesh.ErrNotFound))
}
