package api

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

// ServiceEntry is one host of the registry.
type ServiceEntry struct {
	Service   mesh.Service
	External  bool
	Ports     []Port
	Endpoints int
	Workloads []string       // IDs, sorted
	Instances map[string]int // endpoints by workload ID
}

// Port is one port of a service.
type Port struct {
	Name     string `json:"name"`
	Number   uint32 `json:"number"`
	Protocol string `json:"protocol"`
}

// ServiceItem is a service with its traffic.
type ServiceItem struct {
	Host      string        `json:"host"`
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	External  bool          `json:"external"`
	Ports     []Port        `json:"ports"`
	Endpoints int           `json:"endpoints"`
	Health    graph.Health  `json:"health"`
	In        graph.Traffic `json:"in"`
	Workloads []string      `json:"workloads"`
}

// WorkloadItem is a workload of the graph with its instances and nodes.
type WorkloadItem struct {
	graph.Node
	Instances int      `json:"instances"`
	Nodes     []string `json:"nodes"`
}

type itemList[T any] struct {
	At    time.Time `json:"at"`
	Items []T       `json:"items"`
}

func (s *Server) getNamespaces(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	now := time.Now()
	view := s.opts.Graph.View(graph.Query{Group: graph.ByWorkload, Window: defaultWindow}, now)
	return c.JSON(http.StatusOK, itemList[graph.NamespaceSummary]{now, listOf(graph.Namespaces(view))})
}

func (s *Server) getWorkloads(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	now := time.Now()
	view := s.opts.Graph.View(graph.Query{Group: graph.ByWorkload, Window: defaultWindow}, now)
	nodes := map[string][]string{}
	for _, n := range s.opts.Nodes.View(now).Nodes {
		nodes[n.Workload.ID()] = append(nodes[n.Workload.ID()], n.ID)
	}
	instances := map[string]int{}
	for _, svc := range s.opts.Mesh.Services() {
		for id, n := range svc.Instances {
			instances[id] = max(instances[id], n) // one workload may stand behind several hosts
		}
	}
	items := []WorkloadItem{}
	for _, n := range view.Nodes {
		if n.Kind != graph.KindWorkload {
			continue
		}
		id := mesh.Workload{Cluster: n.Cluster, Namespace: n.Namespace, Name: n.Name}.ID()
		slices.Sort(nodes[id])
		items = append(items, WorkloadItem{n, max(instances[id], len(nodes[id])), listOf(nodes[id])})
	}
	return c.JSON(http.StatusOK, itemList[WorkloadItem]{now, items})
}

func (s *Server) getServices(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	now := time.Now()
	view := s.opts.Graph.View(graph.Query{Group: graph.ByService, Window: defaultWindow}, now)
	seen := map[string]graph.Node{}
	for _, n := range view.Nodes {
		seen[n.ID] = n
	}
	items := []ServiceItem{}
	for _, svc := range s.opts.Mesh.Services() {
		item := ServiceItem{
			Host: svc.Service.Host, Namespace: svc.Service.Namespace, Name: svc.Service.Name,
			External: svc.External, Ports: listOf(svc.Ports), Endpoints: svc.Endpoints, Workloads: listOf(svc.Workloads),
			Health: graph.Health{State: graph.Idle, Reasons: []graph.Reason{}},
		}
		for _, kind := range []graph.Kind{graph.KindService, graph.KindExternal} {
			if n, ok := seen[string(kind)+":"+svc.Service.Host]; ok {
				item.Health, item.In = n.Health, n.In
			}
		}
		items = append(items, item)
	}
	slices.SortFunc(items, func(a, b ServiceItem) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Host, b.Host))
	})
	return c.JSON(http.StatusOK, itemList[ServiceItem]{now, items})
}
