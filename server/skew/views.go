package skew

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// View gives all nodes.
func (t *Tracker) View(at time.Time) NodesView {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tick(at)
	v := NodesView{
		At: at, Epoch: t.opt.Epoch, Seq: t.seq, UnconvergedSince: t.unconverged(),
		Summary: Summary{Nodes: len(t.nodes), ByState: make(map[State]int)},
		Nodes:   make([]NodeStatus, 0, len(t.nodes)),
	}
	if t.newest != nil {
		desired := *t.newest
		v.Desired = &desired
	}
	for _, n := range t.nodes {
		v.Nodes = append(v.Nodes, t.status(n, at))
	}
	slices.SortFunc(v.Nodes, func(a, b NodeStatus) int {
		return cmp.Or(cmp.Compare(b.State.Severity(), a.State.Severity()), strings.Compare(a.ID, b.ID))
	})
	v.Summary.count(v.Nodes)
	v.Spread = t.spread()
	return v
}

// Node gives one node with its resources.
func (t *Tracker) Node(nodeID string, at time.Time) (NodeDetail, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[nodeID]
	if n == nil {
		return NodeDetail{}, false
	}
	t.record(n, at)
	d := NodeDetail{
		NodeStatus:  t.status(n, at),
		Identity:    n.identity,
		Lives:       n.livesView(),
		Resources:   make([]ResourceStatus, 0, n.count()),
		Connections: make([]Connection, 0, len(n.connections)),
	}
	for r := range n.each {
		d.Resources = append(d.Resources, t.resourceStatus(n, r, at))
	}
	slices.SortFunc(d.Resources, func(a, b ResourceStatus) int {
		return cmp.Or(cmp.Compare(b.State.Severity(), a.State.Severity()),
			strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	})
	for _, c := range n.connections {
		d.Connections = append(d.Connections, c.Connection)
	}
	return d, true
}

func (t *Tracker) status(n *node, at time.Time) NodeStatus {
	v := t.judge(n, at)
	since := n.since
	if v.state != n.state {
		since = v.since
	}
	behind, missing := n.behind()
	s := NodeStatus{
		ID: n.ID, Workload: n.Workload, Kind: n.Kind, Build: n.Build, Address: n.Address, PullS: n.PullS,
		State: v.state, Since: since, Reason: v.reason, WaitsOn: v.waits,
		Connected: n.connected(), ConnectedAt: n.connectedAt, DisconnectedAt: n.disconnectedAt,
		LastSeen: n.lastSeen, StartedAt: n.StartedAt, Duplicate: n.twins(), Disorder: n.disorder(at),
		Revision: n.runsRevision(), Behind: behind,
		Push: n.push.times(), History: n.historySince(at.Add(-t.opt.History)),
	}
	if !missing.IsZero() {
		s.LagS = math.Round(max(at.Sub(missing).Seconds(), 0)*10) / 10
	}
	return s
}

func (p *push) times() Push {
	var out Push
	if p.revision == 0 {
		return out
	}
	for stage, at := range map[**float64]time.Time{&out.SentMS: p.sent, &out.AckedMS: p.acked, &out.AppliedMS: p.applied} {
		if !at.IsZero() {
			ms := p.after(at)
			*stage = &ms
		}
	}
	return out
}

// after gives the milliseconds from the push's begin, to a tenth.
func (p *push) after(at time.Time) float64 {
	return max(math.Round(float64(at.Sub(p.base).Microseconds())/100)/10, 0)
}

func (t *Tracker) spread() Spread {
	s := Spread{SentMS: []float64{}, AckedMS: []float64{}, AppliedMS: []float64{}}
	if t.newest == nil {
		return s
	}
	s.Revision, s.AcceptedAt = t.newest.Number, t.newest.At
	for _, n := range t.nodes {
		p := &n.push
		if p.revision != t.newest.Number {
			continue
		}
		if p.applied.IsZero() && n.connected() {
			s.Waiting++
		}
		if p.late {
			continue
		}
		stage := func(list *[]float64, at time.Time) {
			if !at.IsZero() {
				*list = append(*list, p.after(at))
			}
		}
		stage(&s.SentMS, p.sent)
		stage(&s.AckedMS, p.acked)
		stage(&s.AppliedMS, p.applied)
	}
	slices.Sort(s.SentMS)
	slices.Sort(s.AckedMS)
	slices.Sort(s.AppliedMS)
	return s
}

// count fills the summary. nodes are sorted worst first.
func (s *Summary) count(nodes []NodeStatus) {
	type tally struct {
		nodes int
		notes map[State]int
	}
	revisions := make(map[uint64]*tally)
	for i := range nodes {
		s.ByState[nodes[i].State]++
		r := revisions[nodes[i].Revision]
		if r == nil {
			r = &tally{notes: make(map[State]int)}
			revisions[nodes[i].Revision] = r
		}
		r.nodes++
		if nodes[i].State != Synced {
			r.notes[nodes[i].State]++
		}
	}
	s.Synced = s.ByState[Synced]
	s.ByRevision = make([]RevisionCount, 0, len(revisions))
	for rev, r := range revisions {
		var notes []string
		for _, state := range States() {
			if c := r.notes[state]; c > 0 {
				notes = append(notes, fmt.Sprintf("%d %s", c, state))
			}
		}
		s.ByRevision = append(s.ByRevision, RevisionCount{rev, r.nodes, strings.Join(notes, ", ")})
	}
	slices.SortFunc(s.ByRevision, func(a, b RevisionCount) int { return cmp.Compare(b.Revision, a.Revision) })
}

func (t *Tracker) resourceStatus(n *node, r *resource, at time.Time) ResourceStatus {
	s := ResourceStatus{
		Type: r.typ, Name: r.name,
		Desired: short(r.desired().version), Sent: short(r.sent), Acked: short(r.acked), Applied: short(r.applied),
		SentAt: r.sentAt, AckedAt: r.ackedAt, AppliedAt: r.appliedAt,
		State: t.judgeResource(n, r, at).state, Objects: r.objects,
	}
	if !n.connected() && s.State != Synced {
		s.State = Disconnected
		if n.connectedAt.IsZero() {
			s.State = NeverConnected
		}
	}
	if r.refused.set && !r.synced() {
		s.Error = r.refused.text
	}
	if s.Objects == nil {
		s.Objects = []string{}
	}
	return s
}

// short is the form of a version that people compare.
func short(version string) string {
	if len(version) > 12 {
		return version[:12]
	}
	return version
}
