package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Coverage says which workloads have no sidecar, and what therefore does not
// hold.
type Coverage struct {
	Workloads int       `json:"workloads"`
	Meshed    int       `json:"meshed"`
	Unmeshed  []string  `json:"unmeshed"` // IDs
	NotHeld   []NotHeld `json:"not_held"` // by object, then workload
}

// NotHeld is a configuration object that nobody carries out for a workload.
type NotHeld struct {
	Object   string `json:"object"`   // "AuthorizationPolicy cinema/web"
	Workload string `json:"workload"` // ID; "unknown" for callers that nobody can name
	Text     string `json:"text"`     // one plain sentence
}

// Policy is a configuration object with who has to carry it out: the sidecars
// of the workloads that it protects, or those of whoever calls a host.
type Policy struct {
	Object    string
	Workloads []string // IDs that it is for; empty when Host is given
	Host      string   // whose callers carry it out
}

// CoverageOf counts the workloads of a workload view, or of one of its
// namespaces, and finds the policies that do not hold for them. A policy for
// callers counts only where an unmeshed caller really calls.
func CoverageOf(workloads View, policies []Policy, namespace string) Coverage {
	c := Coverage{Unmeshed: []string{}, NotHeld: []NotHeld{}}
	bare := make(map[string]bool) // IDs of workloads without sidecar
	for _, n := range workloads.Nodes {
		if n.Kind != KindWorkload || namespace != "" && n.Namespace != namespace {
			continue
		}
		c.Workloads++
		if n.Meshed {
			c.Meshed++
			continue
		}
		id := workloadID(n.ID)
		bare[id] = true
		c.Unmeshed = append(c.Unmeshed, id)
	}
	if namespace == "" {
		bare[nowhere.id] = true
	}
	callers := make(map[string][]string) // of hosts, without sidecar
	for _, e := range workloads.Edges {
		if id := workloadID(e.Source); e.Service != nil && bare[id] && !slices.Contains(callers[e.Service.Host], id) {
			callers[e.Service.Host] = append(callers[e.Service.Host], id)
		}
	}
	for _, p := range policies {
		for _, id := range p.Workloads {
			if bare[id] {
				c.NotHeld = append(c.NotHeld, NotHeld{p.Object, id, fmt.Sprintf("%s protects nothing at %s: it has no sidecar", p.Object, id)})
			}
		}
		for _, id := range callers[p.Host] {
			c.NotHeld = append(c.NotHeld, NotHeld{p.Object, id, fmt.Sprintf("%s is not followed by %s, which calls %s without a sidecar", p.Object, id, p.Host)})
		}
	}
	slices.SortFunc(c.NotHeld, func(a, b NotHeld) int {
		return cmp.Or(strings.Compare(a.Object, b.Object), strings.Compare(a.Workload, b.Workload))
	})
	return c
}

func workloadID(node string) string { return strings.TrimPrefix(node, string(KindWorkload)+":") }
