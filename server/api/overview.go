package api

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// Overview is the first page: what is wrong, worst first, and what the mesh
// costs.
type Overview struct {
	At          time.Time                `json:"at"`
	WindowS     float64                  `json:"window_s"` // of the figures of traffic
	Findings    []graph.Finding          `json:"findings"`
	Totals      graph.Totals             `json:"totals"`
	Namespaces  []graph.NamespaceSummary `json:"namespaces"`
	Services    []graph.ServiceSummary   `json:"services"`
	ErrorEdges  []*graph.Edge            `json:"error_edges"`
	Objectives  []graph.Standing         `json:"objectives"`
	Coverage    graph.Coverage           `json:"coverage"`
	Convergence Convergence              `json:"convergence"`
	Cost        Cost                     `json:"cost"`
}

// Convergence is how far the newest revision has come.
type Convergence struct {
	Revision     uint64      `json:"revision"`
	Nodes        int         `json:"nodes"`
	Synced       int         `json:"synced"`
	AppliedP50MS *float64    `json:"applied_p50_ms"`
	AppliedP99MS *float64    `json:"applied_p99_ms"`
	NotSynced    []NotSynced `json:"not_synced"`
}

// NotSynced is one node that does not run what it should.
type NotSynced struct {
	ID     string     `json:"id"`
	State  skew.State `json:"state"`
	Reason string     `json:"reason"`
}

// Cost is what the mesh itself takes. A figure is null, or 0 for the sums,
// when the metrics store has nothing on it.
type Cost struct {
	Proxies         int      `json:"proxies"`
	CPUCores        float64  `json:"cpu_cores"`
	MemoryBytes     float64  `json:"memory_bytes"`
	AddedP50MS      *float64 `json:"added_p50_ms"`
	AddedP99MS      *float64 `json:"added_p99_ms"`
	CPUUSPerRequest *float64 `json:"cpu_us_per_request"`
}

const errorEdgesMax = 5

func (s *Server) getOverview(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	return c.JSON(http.StatusOK, s.overview(time.Now()))
}

func (s *Server) overview(at time.Time) Overview {
	workloads := s.graphView(graph.Query{Group: graph.ByWorkload, Window: defaultWindow}, at)
	services := s.opts.Graph.View(graph.Query{Group: graph.ByService, Window: defaultWindow}, at)
	nodes := s.opts.Nodes.View(at)
	return Overview{
		At:          at,
		WindowS:     defaultWindow.Seconds(),
		Findings:    findings(workloads, nodes, s.opts.Stages.State()),
		Totals:      workloads.Totals,
		Namespaces:  listOf(graph.Namespaces(workloads)),
		Services:    listOf(graph.Services(services)),
		ErrorEdges:  listOf(graph.ErrorEdges(workloads, errorEdgesMax)),
		Objectives:  listOf(s.opts.Graph.Standings(at)),
		Coverage:    graph.CoverageOf(workloads, s.opts.Mesh.Policies(), ""),
		Convergence: convergence(nodes),
		Cost:        s.opts.Mesh.Cost(),
	}
}

// findings joins what traffic tells with what the nodes' state, the roll-out and
// the sources of data tell.
func findings(workloads graph.View, nodes skew.NodesView, stages rollout.State) []graph.Finding {
	all := listOf(graph.Findings(workloads))
	if stages.Stopped() {
		all = append(all, graph.Finding{
			Severity: graph.Warn, Link: "/nodes",
			Text: fmt.Sprintf("revision %d goes no further, other nodes keep %d: %s", stages.Target, stages.Base, stages.Reason),
		})
	}
	for _, st := range workloads.Stale {
		if st.Node == "" {
			all = append(all, graph.Finding{Severity: graph.Warn, Text: "No data from " + st.Source + ": " + st.Reason, Link: "/graph"})
		}
	}
	for _, n := range nodes.Nodes {
		if n.Disorder != "" {
			all = append(all, graph.Finding{Severity: graph.Warn, Text: n.ID + ": " + n.Disorder, Link: "/nodes/" + url.PathEscape(n.ID)})
		}
		severity := nodeSeverity(n.State)
		if severity == "" {
			continue
		}
		all = append(all, graph.Finding{Severity: severity, Text: n.ID + " is " + string(n.State) + ": " + n.Reason, Link: "/nodes/" + url.PathEscape(n.ID)})
	}
	slices.SortStableFunc(all, func(a, b graph.Finding) int {
		return cmp.Compare(b.Severity.Severity(), a.Severity.Severity())
	})
	return all
}

// nodeSeverity says which states deserve a finding; "" for the others.
func nodeSeverity(state skew.State) graph.HealthState {
	switch state {
	case skew.Rejected, skew.Drifted:
		return graph.Fail
	case skew.Stale, skew.Unsupported, skew.Disconnected, skew.NeverConnected, skew.Slow:
		return graph.Warn
	}
	return ""
}

func convergence(nodes skew.NodesView) Convergence {
	conv := Convergence{
		Nodes: nodes.Summary.Nodes, NotSynced: []NotSynced{},
		AppliedP50MS: rank(nodes.Spread.AppliedMS, 0.5), AppliedP99MS: rank(nodes.Spread.AppliedMS, 0.99),
	}
	if nodes.Desired != nil {
		conv.Revision = nodes.Desired.Number
	}
	for _, n := range nodes.Nodes {
		switch {
		case n.State != skew.Synced:
			conv.NotSynced = append(conv.NotSynced, NotSynced{n.ID, n.State, n.Reason})
		case n.Revision >= conv.Revision: // a roll-out may keep it at an earlier one
			conv.Synced++
		}
	}
	return conv
}

// rank gives a quantile of sorted values by the nearest rank; nil when there
// are none.
func rank(sorted []float64, q float64) *float64 {
	if len(sorted) == 0 {
		return nil
	}
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	v := sorted[max(i, 0)]
	return &v
}
