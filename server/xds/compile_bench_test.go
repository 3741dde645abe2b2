package xds

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

const (
	benchServices  = 10_000
	benchEndpoints = 5 // of each
	benchRouted    = 1_000
)

// benchService is a ServiceEntry with five endpoints, the first of which is at
// an address that changes.
func benchService(i, address int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: s%d, namespace: ns-%d}\nspec:\n  hosts: [s%d.ns-%d.svc.cluster.local]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  ports: [{number: 80, name: http}]\n  endpoints:\n", i, i%100, i, i%100)
	for e := range benchEndpoints {
		last := e
		if e == 0 {
			last = address
		}
		fmt.Fprintf(&text, "  - {address: 10.%d.%d.%d, labels: {app: s%d, version: v%d}}\n", i/250, i%250, last, i, e%2)
	}
	return text.String()
}

func benchRoutes(i int) string {
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: s%[1]d, namespace: ns-%[2]d}
spec:
  hosts: [s%[1]d]
  http:
  - match: [{headers: {x-tester: {exact: "yes"}}}]
    route: [{destination: {host: s%[1]d, subset: v1}}]
  - route: [{destination: {host: s%[1]d, subset: v0}, weight: 90}, {destination: {host: s%[1]d, subset: v1}, weight: 10}]
    timeout: 3s
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: s%[1]d, namespace: ns-%[2]d}
spec:
  host: s%[1]d
  subsets: [{name: v0, labels: {version: v0}}, {name: v1, labels: {version: v1}}]
`, i, i%100)
}

// benchCompile is one mesh and what compiling it took.
type benchCompile struct {
	b         *testing.B
	store     *config.Store
	objects   []*config.Object
	server    *Server
	source    *fixedStore
	revision  uint64
	resources int
}

func (c *benchCompile) decode(text string) []*config.Object {
	objects, err := c.store.Decode([]byte(text))
	if err != nil {
		c.b.Fatal(err)
	}
	for _, o := range objects {
		o.Revision = max(c.revision, 1)
	}
	return objects
}

func (c *benchCompile) snapshot() config.Snapshot {
	return config.Snapshot{Revision: mesh.Revision{Number: c.revision}, Objects: c.objects}
}

// change puts another form of an object into the mesh and gives the CPU time that
// it takes until every node's view is of it.
func (c *benchCompile) change(text string) time.Duration {
	c.revision++
	next := slices.Clone(c.objects)
	for _, o := range c.decode(text) {
		i, _ := slices.BinarySearchFunc(next, o.Key(), func(o *config.Object, key config.Key) int { return o.Key().Compare(key) })
		next[i] = o
	}
	c.objects = next
	snapshot := c.snapshot()
	return cpu(func() { c.source.fn(snapshot) })
}

// connect makes nodes known, each of a namespace of its own.
func (c *benchCompile) connect(nodes int) {
	for i := range nodes {
		p, err := readProxy(testNode(c.b, fmt.Sprintf("node-%d", i), fmt.Sprintf("ns-%d", i), nil))
		if err != nil {
			c.b.Fatal(err)
		}
		c.server.mu.Lock()
		c.server.connect(p, c.server.opts.Now())
		c.server.mu.Unlock()
	}
}

// BenchmarkCompile compiles 10,000 services with 50,000 endpoints and 2,000
// other objects: from nothing, and after one change. It prints a table and a
// line for each goal.
func BenchmarkCompile(b *testing.B) {
	store, err := config.Open(config.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	c := &benchCompile{b: b, store: store, source: &fixedStore{}, revision: 1}
	decoded := cpu(func() { c.decodeAll() })
	slices.SortFunc(c.objects, func(a, b *config.Object) int { return a.Key().Compare(b.Key()) })
	for b.Loop() {
		c.run(decoded)
	}
}

func (c *benchCompile) decodeAll() {
	for i := range benchServices {
		c.objects = append(c.objects, c.decode(benchService(i, 0))...)
		if i < benchRouted {
			c.objects = append(c.objects, c.decode(benchRoutes(i))...)
		}
	}
}

// cpu gives the processor time that something takes, the collection of garbage
// meanwhile included: on a machine that does other things the clock tells those.
func cpu(run func()) time.Duration {
	before := cpuSoFar()
	run()
	return cpuSoFar() - before
}

func (c *benchCompile) run(decoded time.Duration) {
	fmt.Printf("%d services, %d endpoints, %d other objects; medians of CPU time\n\n| | ms |\n|---|---:|\n", benchServices, benchServices*benchEndpoints, 2*benchRouted)
	fmt.Printf("| decoding the objects' YAML, which is not compilation | %s |\n", milliseconds(decoded))
	cold := median(3, func(int) time.Duration {
		runtime.GC()
		return cpu(func() {
			w := newWorld(c.snapshot(), "", Security{})
			v := newView(1, w.share(sharing{namespace: "ns-0"}, nil), w.node(&proxy{outbound: "127.0.0.1:15001"}), nil)
			c.resources = len(slices.Concat(v.desired...))
		})
	})
	fmt.Printf("| from cold to the %d resources of a node | %s |\n", c.resources, milliseconds(cold))

	var err error
	if c.server, err = New(Options{Store: c.source, Tracker: newRecorder()}); err != nil {
		c.b.Fatal(err)
	}
	c.source.fn(c.snapshot())
	c.connect(1)
	endpoint := median(41, func(i int) time.Duration { return c.change(benchService(5_000+i, 200+i%2)) })
	fmt.Printf("| an endpoint changed, 1 node | %s |\n", milliseconds(endpoint))
	rule := median(5, func(i int) time.Duration {
		return c.change(strings.ReplaceAll(benchRoutes(i), "90", fmt.Sprint(91+i)))
	})
	fmt.Printf("| a route changed, 1 node | %s |\n", milliseconds(rule))
	c.connect(20)
	many := median(21, func(i int) time.Duration { return c.change(benchService(6_000+i, 200+i%2)) })
	fmt.Printf("| an endpoint changed, 20 nodes of 20 namespaces | %s |\n\n", milliseconds(many))

	goal("compile-cold-seconds", cold.Seconds(), 3)
	goal("compile-endpoint-ms", 1000*endpoint.Seconds(), 5)
}

// cpuSoFar is what this process has used.
func cpuSoFar() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// median runs something that often and gives the median of what it took.
func median(times int, run func(i int) time.Duration) time.Duration {
	took := make([]time.Duration, 0, times)
	for i := range times {
		took = append(took, run(i))
	}
	slices.Sort(took)
	return took[times/2]
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f", 1000*d.Seconds()) }

func goal(name string, value, bound float64) {
	verdict := "missed"
	if value <= bound {
		verdict = "met"
	}
	fmt.Printf("goal %s: %.4g <=%g %s\n", name, value, bound, verdict)
}
