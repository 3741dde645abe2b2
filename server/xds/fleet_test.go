package xds

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// The fleet: nodes that hold 1,000 clusters with their endpoints, of which one
// cluster changes.
const (
	fleetServices   = 1000
	fleetNamespaces = 20
	fleetChanges    = 5
	fleetTime       = 4 * time.Minute // for all of it
)

// BenchmarkFleet measures what a change costs the server, and what a connected
// node does: each node a gRPC connection of its own over loopback, the clients
// in this process and the server in another. Beside it stands go-control-plane's
// snapshot cache with a snapshot per node; as that takes long, the two are
// compared over a tenth of the nodes. FLEET sets another number of nodes.
func BenchmarkFleet(b *testing.B) {
	nodes := 5000
	if text := os.Getenv("FLEET"); text != "" {
		var err error
		if nodes, err = strconv.Atoi(text); err != nil || nodes < 10*fleetNamespaces+10 {
			b.Fatalf("FLEET=%s: not a number of nodes from %d on", text, 10*fleetNamespaces+10)
		}
	}
	ctx, cancel := context.WithTimeout(b.Context(), fleetTime)
	defer cancel()
	fmt.Printf("%d clusters and as many endpoint lists a node; medians of %d changes of one cluster\n\n", fleetServices, fleetChanges)
	fmt.Println("| nodes | server | connecting, CPU s | a change, CPU s | acknowledged by all after, s | resident, KB a node | heap and stacks, KB a node |")
	fmt.Println("|---:|---|---:|---:|---:|---:|---:|")
	few := playFleet(ctx, b, roleSidelight, nodes/10)
	peer := playFleet(ctx, b, roleSnapshots, nodes/10)
	fleet := playFleet(ctx, b, roleSidelight, nodes)
	playFleet(ctx, b, roleAgents, nodes)
	many := playFleet(ctx, b, roleSidelight, 2*nodes)
	fmt.Println()
	goal("xds-change-cpu-seconds", fleet.cpu.Seconds(), 1)
	goal("xds-change-wall-seconds", fleet.wall.Seconds(), 2)
	goal("xds-kilobytes-a-node", fleet.resident, 60)
	goal("xds-not-acknowledged-of-twice-the-nodes", float64(2*nodes-many.acked), 0)
	ratio := 0.0
	if few.cpu > 0 {
		ratio = peer.cpu.Seconds() / few.cpu.Seconds()
	}
	verdict := "missed"
	if ratio >= 5 {
		verdict = "met"
	}
	fmt.Printf("goal xds-times-faster-than-snapshots: %.3g >=5 %s\n", ratio, verdict)
}

type fleetResult struct {
	cpu, wall time.Duration
	resident  float64 // KB a node
	acked     int     // of the change that the fewest nodes acknowledged
}

// playFleet connects nodes to a server and changes a cluster some times. What
// does not end in time is told as not measured, which meets no goal.
func playFleet(ctx context.Context, b *testing.B, role string, nodes int) fleetResult {
	failed := fleetResult{cpu: time.Hour, wall: time.Hour, resident: 1e9}
	res, row, err := tryFleet(ctx, b, role, nodes)
	if err != nil {
		fmt.Printf("| %d | %s | not measured: %v | | | | |\n", nodes, role, err)
		return failed
	}
	fmt.Println(row)
	return res
}

func tryFleet(ctx context.Context, b *testing.B, role string, nodes int) (res fleetResult, row string, err error) {
	s, err := startFleetServer(ctx, role, nodes)
	if err != nil {
		return res, "", err
	}
	defer s.close()
	ready, err := s.ask(ctx, fleetAsk{"rest", 0})
	if err != nil {
		return res, "", err
	}
	f := &fleetClients{b: b, addr: ready.Addr, types: ready.Types, agents: role == roleAgents}
	defer f.close()
	// The first node of each namespace has its resources compiled, which the
	// others share: it does not count.
	if err := f.connect(ctx, 0, fleetNamespaces); err != nil {
		return res, "", err
	}
	few, err := s.ask(ctx, fleetAsk{"rest", fleetNamespaces})
	if err != nil {
		return res, "", err
	}
	if err := f.connect(ctx, fleetNamespaces, nodes); err != nil {
		return res, "", err
	}
	connected, err := s.ask(ctx, fleetAsk{"rest", nodes})
	if err != nil {
		return res, "", err
	}
	each := func(now, before float64) float64 { return (now - before) / float64(nodes-fleetNamespaces) }
	res.resident, res.acked = each(connected.ResidentKB, few.ResidentKB), nodes
	var cpus, walls []time.Duration
	for range fleetChanges {
		did, err := s.ask(ctx, fleetAsk{"change", nodes})
		if err != nil {
			return res, "", err
		}
		cpus, walls, res.acked = append(cpus, did.took(did.CPU)), append(walls, did.took(did.Wall)), min(res.acked, did.Acked)
	}
	res.cpu = median(len(cpus), func(i int) time.Duration { return cpus[i] })
	res.wall = median(len(walls), func(i int) time.Duration { return walls[i] })
	if res.acked < nodes {
		return res, "", fmt.Errorf("%d of %d nodes acknowledged in time", res.acked, nodes)
	}
	return res, fmt.Sprintf("| %d | %s | %.1f | %.3f | %.3f | %.1f | %.1f |", nodes, role, connected.CPU-ready.CPU, res.cpu.Seconds(), res.wall.Seconds(),
		res.resident, each(connected.LiveKB, few.LiveKB)), nil
}

// fleetServer is the process that serves; see serveFleet.
type fleetServer struct {
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
	end func() error
}

func startFleetServer(ctx context.Context, role string, nodes int) (*fleetServer, error) {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), fleetRole+"="+role, fleetNodes+"="+strconv.Itoa(nodes))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &fleetServer{cmd, json.NewEncoder(in), json.NewDecoder(out), in.Close}, nil
}

func (s *fleetServer) ask(ctx context.Context, what fleetAsk) (told fleetTold, err error) {
	if err := s.in.Encode(what); err != nil {
		return told, err
	}
	if err := s.out.Decode(&told); err != nil {
		return told, fmt.Errorf("%s: %w", what.What, cmpErr(ctx.Err(), err)) // killed when the time is over
	}
	if told.Error != "" {
		return told, fmt.Errorf("%s: %s", what.What, told.Error)
	}
	return told, nil
}

func cmpErr(first, otherwise error) error {
	if first != nil {
		return first
	}
	return otherwise
}

func (s *fleetServer) close() {
	_ = s.end()
	_ = s.cmd.Wait()
}

// fleetClients are nodes: delta ADS clients that hold all and acknowledge.
type fleetClients struct {
	b       *testing.B
	addr    string
	ctx     context.Context // of the streams
	cancel  context.CancelFunc
	types   int                          // of resources that are asked for
	agents  bool                         // each node has an agent stream, too, as sidecars have
	held    [typeCount]map[string]string // by name the version
	reading sync.WaitGroup

	mu    sync.Mutex
	conns []*grpc.ClientConn
}

// connect opens nodes. The first one downloads everything; the others say that
// they hold that already, as sidecars do after the server's restart.
func (f *fleetClients) connect(ctx context.Context, from, to int) (err error) {
	if f.cancel == nil {
		f.ctx, f.cancel = context.WithCancel(ctx)
		if err = f.download(f.ctx); err != nil {
			return fmt.Errorf("the first node: %w", err)
		}
	}
	limit, failed := make(chan struct{}, 16), make(chan error, to)
	var opening sync.WaitGroup
	for i := from; i < to; i++ {
		limit <- struct{}{}
		opening.Go(func() {
			defer func() { <-limit }()
			if err := f.join(f.ctx, i); err != nil {
				failed <- err
			}
		})
		if ctx.Err() != nil {
			break
		}
	}
	opening.Wait()
	close(failed)
	return cmpErr(ctx.Err(), <-failed)
}

// join opens one node's stream and has everything acknowledged from then on.
func (f *fleetClients) join(ctx context.Context, i int) error {
	conn, str, err := f.open(ctx)
	if err != nil {
		return err
	}
	if f.agents {
		if err := f.agent(ctx, conn, i); err != nil {
			return err
		}
	}
	for t := range f.types {
		if err := str.Send(f.question(t, i)); err != nil {
			return err
		}
	}
	f.reading.Go(func() {
		for {
			resp, err := str.Recv()
			if err != nil {
				return
			}
			if err := str.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}); err != nil {
				return
			}
		}
	})
	return nil
}

// agent opens a node's agent stream.
func (f *fleetClients) agent(ctx context.Context, conn *grpc.ClientConn, i int) error {
	str, err := meshv1.NewAgentClient(conn).Connect(ctx)
	if err != nil {
		return err
	}
	f.reading.Go(func() { _, _ = str.Recv() })
	return str.Send(&meshv1.AgentMessage{Message: &meshv1.AgentMessage_Hello{Hello: &meshv1.Hello{NodeId: fmt.Sprintf("node-%d", i)}}})
}

func (f *fleetClients) open(ctx context.Context) (*grpc.ClientConn, discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient, error) {
	conn, err := grpc.NewClient("passthrough:///"+f.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithReadBufferSize(4<<10), grpc.WithWriteBufferSize(4<<10), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return nil, nil, err
	}
	f.mu.Lock()
	f.conns = append(f.conns, conn)
	f.mu.Unlock()
	str, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	return conn, str, err
}

// question is a node's first one for a type: all clusters and listeners, the
// endpoints of all clusters, and the outbound routes. It says what is held.
func (f *fleetClients) question(t, i int) *discoveryv3.DeltaDiscoveryRequest {
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: mesh.TypeURL(typeName(t)), InitialResourceVersions: f.held[t]}
	switch t {
	case clusterType:
		req.Node = testNode(f.b, fmt.Sprintf("node-%d", i), fmt.Sprintf("ns-%d", i%fleetNamespaces), nil)
	case endpointType:
		for name := range f.held[clusterType] {
			req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, name)
		}
	case routeType:
		req.ResourceNamesSubscribe = []string{outboundRoute}
	}
	return req
}

// download gives the versions of everything.
func (f *fleetClients) download(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, str, err := f.open(ctx)
	if err != nil {
		return err
	}
	for t := range f.types {
		if err := str.Send(f.question(t, 0)); err != nil {
			return err
		}
		resp, err := str.Recv()
		if err != nil {
			return err
		}
		f.held[t] = map[string]string{}
		for _, r := range resp.GetResources() {
			f.held[t][r.GetName()] = r.GetVersion()
		}
		if t == clusterType && len(f.held[t]) < fleetServices || len(f.held[t]) == 0 {
			return fmt.Errorf("%d %ss are there", len(f.held[t]), typeName(t))
		}
		if err := str.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fleetClients) close() {
	if f.cancel != nil {
		f.cancel()
	}
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.reading.Wait()
}
