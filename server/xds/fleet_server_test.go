package xds

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	gcpserver "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

// The environment of the process that serves a fleet.
const (
	fleetRole     = "SIDELIGHT_FLEET_ROLE"
	fleetNodes    = "SIDELIGHT_FLEET_NODES"
	roleSidelight = "Sidelight"
	roleAgents    = "Sidelight, nodes with their agent streams"
	roleSnapshots = "go-control-plane, a snapshot a node"
)

// fleetAsk is a command: "rest" waits until the process has heard so many nodes
// and lets it collect its garbage, "change" changes a cluster and waits until all
// nodes acknowledged.
type fleetAsk struct {
	What  string
	Nodes int
}

// fleetTold is what the process tells after a command.
type fleetTold struct {
	Error      string  `json:"error,omitempty"`
	Addr       string  `json:"addr"`
	Types      int     `json:"types"` // of resources that are served, from the first on
	CPU        float64 `json:"cpu_s"` // of the change; of rest: since the process began
	Wall       float64 `json:"wall_s"`
	Acked      int     `json:"acked"`
	ResidentKB float64 `json:"resident_kb"`
	LiveKB     float64 `json:"live_kb"` // heap and stacks in use
}

func (fleetTold) took(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}

// fleetServing is a server of one of the two kinds.
type fleetServing struct {
	nodes  int
	types  int
	asked  atomic.Int64  // first questions of nodes, one a type
	acked  atomic.Int64  // answers to responses
	reach  atomic.Int64  // at which all is signalled
	all    chan struct{} // all nodes answered
	change func(n int) error
}

func (f *fleetServing) answered() {
	if f.acked.Add(1) == f.reach.Load() {
		f.all <- struct{}{}
	}
}

// serveFleet reads commands from standard input until it ends.
func serveFleet(role string) error {
	nodes, err := strconv.Atoi(os.Getenv(fleetNodes))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	states, err := fleetStates()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g := grpc.NewServer(ServerOptions()...)
	defer g.Stop()
	f := &fleetServing{nodes: nodes, all: make(chan struct{}, 1)}
	if role == roleSnapshots {
		err = f.serveSnapshots(ctx, g, states)
	} else {
		err = f.serveSidelight(g, states)
	}
	if err != nil {
		return err
	}
	if err := f.change(0); err != nil {
		return err
	}
	go func() { _ = g.Serve(listener) }()
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for changes := 0; ; {
		var ask fleetAsk
		if err := in.Decode(&ask); err != nil {
			return nil // the other end is gone
		}
		told := fleetTold{}
		if ask.What == "change" {
			changes++
			told = f.play(changes)
		} else {
			told = f.rest(ask.Nodes)
		}
		told.Addr, told.Types = listener.Addr().String(), f.types
		if err := out.Encode(told); err != nil {
			return err
		}
	}
}

// play changes the cluster and waits until all nodes have answered.
func (f *fleetServing) play(n int) (told fleetTold) {
	before := f.acked.Load()
	f.reach.Store(before + int64(f.nodes))
	start := time.Now()
	told.CPU = cpu(func() {
		if err := f.change(n); err != nil {
			told.Error = err.Error()
			return
		}
		select {
		case <-f.all:
		case <-time.After(time.Minute):
		}
	}).Seconds()
	told.Wall, told.Acked = time.Since(start).Seconds(), int(f.acked.Load()-before)
	return told
}

// rest waits until what nodes asked has been answered, then tells what is held.
func (f *fleetServing) rest(nodes int) (told fleetTold) {
	for f.asked.Load() < int64(nodes*f.types) {
		time.Sleep(50 * time.Millisecond)
	}
	for busy := time.Second; busy > 20*time.Millisecond; {
		busy = cpu(func() { time.Sleep(200 * time.Millisecond) })
	}
	used := cpuSoFar()
	runtime.GC()         // what pools hold goes with the second collection
	debug.FreeOSMemory() // collects before
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	told.CPU, told.LiveKB = used.Seconds(), float64(m.HeapAlloc+m.StackInuse)/1000
	content, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			told.ResidentKB = kib * 1.024
		}
	}
	return told
}

// countedTracker is the real tracker; it counts what it hears.
type countedTracker struct {
	*skew.Tracker
	serving *fleetServing
}

func (t countedTracker) Holds(nodeID, conn string, refs []skew.ResourceRef, at time.Time) {
	t.Tracker.Holds(nodeID, conn, refs, at)
	t.serving.asked.Add(1)
}

func (t countedTracker) Acked(nodeID, conn, nonce string, at time.Time) {
	t.Tracker.Acked(nodeID, conn, nonce, at)
	t.serving.answered()
}

func (f *fleetServing) serveSidelight(g *grpc.Server, states [2]config.Snapshot) error {
	source := &fixedStore{}
	f.types = typeCount
	s, err := New(Options{Store: source, Tracker: countedTracker{skew.New(skew.Options{}), f}})
	if err != nil {
		return err
	}
	s.Register(g)
	f.change = func(n int) error {
		next := states[n%2]
		next.Revision = mesh.Revision{Number: states[1].Revision.Number + uint64(n), At: time.Now()} // of what has come after the states
		source.fn(next)
		return nil
	}
	return nil
}

// fleetStates gives two states of a mesh, different in one cluster.
func fleetStates() (out [2]config.Snapshot, err error) {
	var text strings.Builder
	for i := range fleetServices {
		text.WriteString(service(fmt.Sprintf("s%d.cinema.svc.cluster.local", i), fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
	}
	dir, err := os.MkdirTemp("", "sidelight-fleet-")
	if err != nil {
		return out, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	store, err := config.Open(config.Options{Dir: dir})
	if err != nil {
		return out, err
	}
	for i := range out {
		rule := fmt.Sprintf("---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: s7, namespace: cinema}\nspec:\n  host: s7.cinema.svc.cluster.local\n  trafficPolicy: {connectionPool: {tcp: {maxConnections: %d}}}\n", 100+i)
		if _, err := store.Apply(context.Background(), []byte(text.String()+rule), "bench"); err != nil {
			return out, err
		}
		text.Reset()
		out[i] = store.Snapshot()
	}
	return out, nil
}

// serveSnapshots serves the same resources from go-control-plane's cache, with
// a snapshot per node, as its users do.
func (f *fleetServing) serveSnapshots(ctx context.Context, g *grpc.Server, states [2]config.Snapshot) error {
	var packed [2]map[resource.Type][]types.Resource
	for i, state := range states {
		set := newWorld(state, "", Security{}).share(sharing{namespace: "ns-0"}, nil)
		packed[i] = map[resource.Type][]types.Resource{}
		for _, t := range []int{clusterType, endpointType} {
			for r := range set[t].each {
				m, err := r.Any.UnmarshalNew()
				if err != nil {
					return err
				}
				packed[i][mesh.TypeURL(typeName(t))] = append(packed[i][mesh.TypeURL(typeName(t))], m)
			}
		}
	}
	f.types = 2 // clusters and endpoints: the others do not change
	snapshots := cache.NewSnapshotCache(true, cache.IDHash{}, nil)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, gcpserver.NewServer(ctx, snapshots, answers{f}))
	f.change = func(n int) error {
		for i := range f.nodes {
			snapshot, err := cache.NewSnapshot(strconv.Itoa(n+1), packed[n%2])
			if err != nil {
				return err
			}
			if err := snapshots.SetSnapshot(ctx, fmt.Sprintf("node-%d", i), snapshot); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// answers counts what go-control-plane hears.
type answers struct{ *fleetServing }

func (a answers) OnStreamDeltaRequest(_ int64, req *discoveryv3.DeltaDiscoveryRequest) error {
	if req.GetResponseNonce() != "" {
		a.answered()
	} else if len(req.GetInitialResourceVersions()) > 0 {
		a.asked.Add(1)
	}
	return nil
}

func (answers) OnDeltaStreamOpen(context.Context, int64, string) error { return nil }
func (answers) OnDeltaStreamClosed(int64, *corev3.Node)                {}
func (answers) OnStreamDeltaResponse(int64, *discoveryv3.DeltaDiscoveryRequest, *discoveryv3.DeltaDiscoveryResponse) {
}

func (answers) OnStreamOpen(context.Context, int64, string) error          { return nil }
func (answers) OnStreamClosed(int64, *corev3.Node)                         {}
func (answers) OnStreamRequest(int64, *discoveryv3.DiscoveryRequest) error { return nil }

func (answers) OnFetchRequest(context.Context, *discoveryv3.DiscoveryRequest) error           { return nil }
func (answers) OnFetchResponse(*discoveryv3.DiscoveryRequest, *discoveryv3.DiscoveryResponse) {}
func (answers) OnStreamResponse(context.Context, int64, *discoveryv3.DiscoveryRequest, *discoveryv3.DiscoveryResponse) {
}
