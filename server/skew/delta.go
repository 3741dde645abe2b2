package skew

import "github.com/sidelight-mesh/sidelight/mesh"

// Delta turns one view into the next: upserts and removals.
type Delta struct {
	Nodes   []NodeStatus   `json:"nodes"`
	Gone    []string       `json:"gone"`
	Desired *mesh.Revision `json:"desired"`
	Summary Summary        `json:"summary"`
	Spread  Spread         `json:"spread"`
}

// Diff gives what changed between two views: only nodes whose JSON differs.
func Diff(prev, next NodesView) Delta {
	d := Delta{Nodes: []NodeStatus{}, Gone: []string{}, Desired: next.Desired, Summary: next.Summary, Spread: next.Spread}
	before := make(map[string]*NodeStatus, len(prev.Nodes))
	for i := range prev.Nodes {
		before[prev.Nodes[i].ID] = &prev.Nodes[i]
	}
	for i := range next.Nodes {
		n := &next.Nodes[i]
		if old := before[n.ID]; old == nil || !sameStatus(old, n) {
			d.Nodes = append(d.Nodes, *n)
		}
		delete(before, n.ID)
	}
	for i := range prev.Nodes {
		if _, gone := before[prev.Nodes[i].ID]; gone {
			d.Gone = append(d.Gone, prev.Nodes[i].ID)
		}
	}
	return d
}

// sameStatus compares by value. Histories only ever grow at the end and shrink
// at the front, so that their ends and length tell them apart.
func sameStatus(a, b *NodeStatus) bool {
	ends := len(a.History) == len(b.History)
	if n := len(a.History); ends && n > 0 {
		ends = a.History[0] == b.History[0] && a.History[n-1] == b.History[n-1]
	}
	return ends &&
		a.ID == b.ID && a.Workload == b.Workload && a.Kind == b.Kind && a.Build == b.Build && a.Address == b.Address &&
		a.State == b.State && a.Since.Equal(b.Since) && a.Reason == b.Reason && a.Connected == b.Connected &&
		a.ConnectedAt.Equal(b.ConnectedAt) && a.DisconnectedAt.Equal(b.DisconnectedAt) &&
		a.LastSeen.Equal(b.LastSeen) && a.StartedAt.Equal(b.StartedAt) &&
		a.Revision == b.Revision && a.Behind == b.Behind && a.LagS == b.LagS &&
		sameMS(a.Push.SentMS, b.Push.SentMS) && sameMS(a.Push.AckedMS, b.Push.AckedMS) &&
		sameMS(a.Push.AppliedMS, b.Push.AppliedMS)
}

func sameMS(a, b *float64) bool {
	return a == b || a != nil && b != nil && *a == *b
}
