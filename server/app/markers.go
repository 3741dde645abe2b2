package app

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

const (
	markersMax   = 2048
	ejectionsMax = 1024
	// freshStart is how old a sidecar may be on its first hello to count as
	// started now; an older one has reconnected.
	freshStart = 30 * time.Second
)

// markers are the starts and stops of nodes, and what their circuit breakers do,
// oldest first. Configuration
// changes are not kept here: the revisions are at hand.
type markers struct {
	mu   sync.Mutex
	all  []graph.Marker
	outs []api.EjectionEvent // the same of outlier detection, for who looks at one service
}

func (m *markers) add(mk graph.Marker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, mk)
	m.all = newest(m.all, markersMax)
}

func (m *markers) between(from, until time.Time) []graph.Marker {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []graph.Marker{}
	for _, mk := range m.all {
		if !mk.At.Before(from) && !mk.At.After(until) {
			out = append(out, mk)
		}
	}
	return out
}

// newest keeps the end of a list that grows, in a place of its own.
func newest[T any](list []T, most int) []T {
	if over := len(list) - most; over > 0 {
		return slices.Clone(list[over:])
	}
	return list
}

// ejections lists what outlier detection did for one host, oldest first.
func (m *markers) ejections(host string) []api.EjectionEvent {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []api.EjectionEvent{}
	for _, e := range m.outs {
		if e.Host == host {
			out = append(out, e)
		}
	}
	return out
}

// ejected notes what outlier detection did at a sidecar. Every endpoint out is
// an open breaker: the sidecar answers by itself then.
func (m *markers) ejected(n mesh.Node, e *meshv1.Ejection) {
	at := time.Now() // the sidecar's clock may be wrong; its word is on the way for moments
	who, service := n.Workload.ID(), cmp.Or(e.GetService(), e.GetCluster())
	mk := graph.Marker{At: at, Kind: "breaker", Severity: graph.Warn}
	switch out, of := e.GetOut(), e.GetOf(); {
	case e.GetReturned() && out+1 == of:
		mk.Text = fmt.Sprintf("breaker closed: %s asks %s again, endpoint %s is back", who, service, e.GetEndpoint())
		mk.Severity = graph.OK
	case e.GetReturned():
		mk.Text = fmt.Sprintf("%s asks endpoint %s of %s again (%d of %d out)", who, e.GetEndpoint(), service, out, of)
		mk.Severity = graph.OK
	case out == of:
		mk.Text = fmt.Sprintf("breaker open: %s has no endpoint of %s left, the last was %s (%d)", who, service, e.GetEndpoint(), e.GetStatus())
		mk.Severity = graph.Fail
	default:
		mk.Text = fmt.Sprintf("%s took endpoint %s of %s out after %d (%d of %d out)", who, e.GetEndpoint(), service, e.GetStatus(), out, of)
	}
	m.add(mk)
	event := api.EjectionEvent{
		At: at, Node: n.ID, Caller: who, Host: service, Endpoint: e.GetEndpoint(), Returned: e.GetReturned(),
		Status: int(e.GetStatus()), Out: int(e.GetOut()), Of: int(e.GetOf()), Object: e.GetObject(),
	}
	if e.GetUntil() != nil && e.GetAt() != nil {
		// By our clock: how long it is out, not when that ends by the sidecar's.
		until := at.Add(e.GetUntil().AsTime().Sub(e.GetAt().AsTime()))
		event.Until = &until
	}
	if part := strings.Split(e.GetCluster(), "|"); len(part) == 4 {
		event.Subset, event.Host = part[2], part[3]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outs = newest(append(m.outs, event), ejectionsMax)
}

// markedAgents are the agent streams with the starts and stops of their nodes
// noted: xds tells each event to one listener, which is server/tap.
type markedAgents struct {
	*xds.Agents
	markers *markers
}

// OnHello notes a start before it tells of the stream.
func (m markedAgents) OnHello(next func(mesh.Node)) {
	m.Agents.OnHello(func(n mesh.Node) {
		if now := time.Now(); !n.StartedAt.IsZero() && now.Sub(n.StartedAt) < freshStart {
			m.markers.add(graph.Marker{At: now, Kind: "start", Text: fmt.Sprintf("%s started (%s)", n.Workload.ID(), n.ID)})
		}
		next(n)
	})
}

// OnGone notes a stop before it tells of the stream's end.
func (m markedAgents) OnGone(next func(nodeID string)) {
	m.Agents.OnGone(func(nodeID string) {
		m.markers.add(graph.Marker{At: time.Now(), Kind: "stop", Text: nodeID + " is gone", Severity: graph.Warn})
		next(nodeID)
	})
}
