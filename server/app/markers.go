package app

import (
	"fmt"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/xds"
)

const (
	markersMax = 2048
	// freshStart is how old a sidecar may be on its first hello to count as
	// started now; an older one has reconnected.
	freshStart = 30 * time.Second
)

// markers are the starts and stops of nodes, oldest first. Configuration
// changes are not kept here: the revisions are at hand.
type markers struct {
	mu  sync.Mutex
	all []graph.Marker
}

func (m *markers) add(mk graph.Marker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, mk)
	if over := len(m.all) - markersMax; over > 0 {
		m.all = append([]graph.Marker(nil), m.all[over:]...)
	}
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
