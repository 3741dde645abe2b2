package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// perRequest has every peer answer as many requests as it can in its turn,
// round by round, and gives the processor time of each per request in µs.
func (b *bench) perRequest(peers []*peer, load func(*peer) (int, error)) ([][]float64, error) {
	for _, p := range peers { // warm up: connections, caches, the heap's size
		if _, err := load(p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	costs := make([][]float64, len(peers))
	for range b.rounds {
		for i, p := range peers {
			before, err := p.proc.cpu()
			if err != nil {
				return nil, err
			}
			n, err := load(p)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			after, err := p.proc.cpu()
			if err != nil {
				return nil, err
			}
			costs[i] = append(costs[i], float64((after-before).Microseconds())/float64(n))
		}
	}
	return costs, nil
}

func (b *bench) http1(ctx context.Context) error {
	m := b.mesh
	peers := []*peer{&m.sidelight, &m.reverse, &m.haproxy, &m.nginx}
	costs, err := b.perRequest(peers, func(p *peer) (int, error) { return b.wrk(ctx, p.http, "plain") })
	if err != nil {
		return err
	}
	printCosts(fmt.Sprintf("HTTP/1.1, 1 KiB, %d kept connections", httpConnections), peers, costs)
	b.goal("http1-cpu", ratio(costs[0], costs[1]), 1.2, "x ReverseProxy")
	return nil
}

func (b *bench) grpc(ctx context.Context) error {
	m := b.mesh
	peers := []*peer{&m.sidelight, &m.reverse, &m.haproxy, &m.nginx}
	costs, err := b.perRequest(peers, func(p *peer) (int, error) { return b.grpcLoad(ctx, p.grpc, "rpc:81") })
	if err != nil {
		return err
	}
	printCosts(fmt.Sprintf("gRPC unary over h2c, %d connections of %d streams", grpcConnections, grpcStreams), peers, costs)
	b.goal("grpc-cpu", ratio(costs[0], costs[1]), 1.2, "x ReverseProxy")
	return nil
}

func (b *bench) tcp(ctx context.Context) error {
	m := b.mesh
	peers := []*peer{&m.sidelight, &m.haproxy}
	costs, err := b.perRequest(peers, func(p *peer) (int, error) { return b.wrk(ctx, p.line, "plain") })
	if err != nil {
		return err
	}
	printCosts(fmt.Sprintf("TCP, a request and 1 KiB back, %d connections", httpConnections), peers, costs)
	b.goal("tcp-cpu", ratio(costs[0], costs[1]), 1.2, "x HAProxy")
	return nil
}

// latency is what a hop adds: a percentile through the proxy less the same one
// without any.
func (b *bench) latency(ctx context.Context) error {
	m := b.mesh
	peers := []*peer{&m.direct, &m.sidelight, &m.reverse, &m.haproxy, &m.nginx}
	p50, p99 := make([][]float64, len(peers)), make([][]float64, len(peers))
	for range b.rounds {
		for i, p := range peers {
			times, err := b.paced(ctx, p.http, "plain")
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			p50[i] = append(p50[i], float64(times[len(times)/2].Microseconds()))
			p99[i] = append(p99[i], float64(times[len(times)*99/100].Microseconds()))
		}
	}
	fmt.Printf("\nHTTP/1.1 at %d requests/s: µs\n\n| | p50 | added | p99 | added |\n|---|---:|---:|---:|---:|\n", latencyRate)
	added := func(of [][]float64, i int) float64 { return median(of[i]) - median(of[0]) }
	for i, p := range peers {
		fmt.Printf("| %s | %.0f | %.0f | %.0f | %.0f |\n", p.name, median(p50[i]), added(p50, i), median(p99[i]), added(p99, i))
	}
	b.goal("latency-p50", over(added(p50, 1), added(p50, 2)), 1.3, "x ReverseProxy")
	b.goal("latency-p99", over(added(p99, 1), added(p99, 2)), 1.5, "x ReverseProxy")
	return nil
}

// over is a ratio of added times. On a machine so busy that a hop seems to take
// time away there is none.
func over(a, b float64) float64 {
	if a <= 0 || b <= 0 {
		return math.NaN()
	}
	return a / b
}

// tap compares turns with a session that matches everything with turns without.
func (b *bench) tap(ctx context.Context) error {
	m := b.mesh
	peers := []*peer{&m.sidelight, &m.sidelight}
	session := func() (stop func(), err error) {
		session, cancel := context.WithCancel(ctx)
		cmd := exec.CommandContext(session, filepath.Join(b.bin, "sidelight"), "tap", "--server", "http://"+m.api, "-o", "json")
		cmd.Stdout = io.Discard
		if err := cmd.Start(); err != nil {
			cancel()
			return nil, err
		}
		time.Sleep(time.Second) // the session reaches the sidecar; the turn is longer
		return func() { cancel(); _ = cmd.Wait() }, nil
	}
	turn := 0
	costs, err := b.perRequest(peers, func(p *peer) (int, error) {
		turn++
		if turn%2 == 0 {
			return b.wrk(ctx, p.http, "plain")
		}
		stop, err := session()
		if err != nil {
			return 0, err
		}
		defer stop()
		return b.wrk(ctx, p.http, "plain")
	})
	if err != nil {
		return err
	}
	fmt.Printf("\nTap, HTTP/1.1 as above: µs per request\n\n| | median | min |\n|---|---:|---:|\n")
	for i, name := range []string{"a session on", "no session"} {
		fmt.Printf("| %s | %.1f | %.1f |\n", name, median(costs[i]), minimum(costs[i]))
	}
	b.goal("tap-cpu", ratio(costs[0], costs[1]), 1.05, "x without")
	return nil
}

// Idle connections, and endpoints of the large configuration.
const (
	idleConnections = 1000
	manyEndpoints   = 5000

	// settle is after what time of quiet memory is read: a sidecar that is
	// calm for five to ten seconds gives back what nobody needs.
	settle = 15 * time.Second
)

// memory starts a fresh sidecar, which has served nothing.
func (b *bench) memory(ctx context.Context) error {
	m := b.mesh
	a, err := addresses(3)
	if err != nil {
		return err
	}
	fresh, err := b.start("a fresh sidecar", filepath.Join(b.bin, "sidelight-proxy"), "--node-id", "bench-2", "--workload", "bench2",
		"--namespace", "bench", "--server", m.grpc, "--collector", "off", "--outbound", a[0], "--admin", "off", "--metrics", a[1], "--health", a[2], "--log-level", "error")
	if err != nil {
		return err
	}
	if err := b.answers(ctx, a[0], "plain"); err != nil {
		return err
	}
	time.Sleep(settle)
	small, err := fresh.resident()
	if err != nil {
		return err
	}
	release, err := idle(ctx, a[0], "plain", idleConnections)
	if err != nil {
		return err
	}
	time.Sleep(settle)
	held, err := fresh.resident()
	release()
	if err != nil {
		return err
	}
	before, _, err := m.revisions(ctx)
	if err != nil {
		return err
	}
	if err := m.apply("many.yaml", manyServices(1, manyEndpoints, 0)); err != nil {
		return err
	}
	if _, err := m.converged(ctx, before); err != nil {
		return err
	}
	time.Sleep(settle)
	large, err := fresh.resident()
	if err != nil {
		return err
	}
	perConnection := float64(held-small) / idleConnections / 1024
	fmt.Printf("\nMemory of the sidecar\n\n| | |\n|---|---:|\n| resident, %d services | %.1f MB |\n| an idle client connection, of %d | %.1f KB |\n| resident, %d endpoints more | %.1f MB |\n",
		3, mb(small), idleConnections, perConnection, manyEndpoints, mb(large))
	b.goal("memory-small", mb(small), 20, "MB")
	b.goal("memory-connection", perConnection, 24, "KB")
	b.goal("memory-5000", mb(large), 30, "MB")
	return nil
}

func mb(n int64) float64 { return float64(n) / 1e6 }

// idle opens connections, sends a request on each, and holds them.
func idle(ctx context.Context, address, host string, n int) (release func(), err error) {
	conns := make([]net.Conn, 0, n)
	release = func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	var d net.Dialer
	for range n {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			release()
			return nil, err
		}
		conns = append(conns, c)
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		if err != nil {
			release()
			return nil, err
		}
	}
	return release, nil
}

// Configurations of the large mesh change at this size.
const manyRoutes = 1000

// configChange counts the processor time of the sidecar for one changed route
// and one changed endpoint among 1,000 routes and 5,000 endpoints, and looks how
// long requests wait at most while that goes on.
func (b *bench) configChange(ctx context.Context) error {
	m := b.mesh
	before, _, err := m.revisions(ctx)
	if err != nil {
		return err
	}
	if err := m.apply("many.yaml", manyServices(manyRoutes, manyEndpoints, 0)); err != nil {
		return err
	}
	revision, err := m.converged(ctx, before)
	if err != nil {
		return err
	}
	changes := 0
	change := func() error {
		changes++
		if err := m.apply("many.yaml", manyServices(manyRoutes, manyEndpoints, changes)); err != nil {
			return err
		}
		revision, err = m.converged(ctx, revision)
		return err
	}
	var costs, during, without []float64
	for range b.rounds {
		start, err := m.sidelight.proc.cpu()
		if err != nil {
			return err
		}
		if err := change(); err != nil {
			return err
		}
		end, err := m.sidelight.proc.cpu()
		if err != nil {
			return err
		}
		costs = append(costs, ms(end-start))
		// Not in the same change: probes cost processor time, too.
		longest, took, err := m.longestWait(ctx, change)
		if err != nil {
			return err
		}
		during = append(during, ms(longest))
		longest, _, err = m.longestWait(ctx, func() error { time.Sleep(took); return nil })
		if err != nil {
			return err
		}
		without = append(without, ms(longest))
	}
	fmt.Printf("\nA changed endpoint and route among %d routes and %d endpoints: ms\n\n| | median | min | max |\n|---|---:|---:|---:|\n", manyRoutes, manyEndpoints)
	for _, row := range []struct {
		what string
		of   []float64
	}{
		{"the sidecar's processor time", costs},
		{"longest wait of a request meanwhile, one every ms", during},
		{"the same in as long a time without a change", without},
	} {
		fmt.Printf("| %s | %.1f | %.1f | %.1f |\n", row.what, median(row.of), minimum(row.of), slices.Max(row.of))
	}
	b.goal("config-cpu", median(costs), 50, "ms")
	b.goal("config-pause", max(median(during)-median(without), 0), 5, "ms more than without")
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// longestWait sends a request every millisecond while what goes on, and gives
// the longest time that one took, and how long it all went on.
func (m *mesh) longestWait(ctx context.Context, what func() error) (longest, took time.Duration, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	probed := make(chan error, 1)
	begin := time.Now()
	go func() {
		probed <- m.probe(ctx, func(took time.Duration) { longest = max(longest, took) })
	}()
	err = what()
	took = time.Since(begin)
	stop()
	return longest, took, errors.Join(err, <-probed)
}

// probe sends requests on one kept connection until ctx ends.
func (m *mesh) probe(ctx context.Context, took func(time.Duration)) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", m.sidelight.http)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	from := bufio.NewReader(c)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		begin := time.Now()
		if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: plain\r\n\r\n"); err != nil {
			return err
		}
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("a request while the configuration changes: %s", res.Status)
		}
		took(time.Since(begin))
	}
}

// manyServices spreads endpoints over services; changed varies the first.
func manyServices(services, endpoints, changed int) string {
	var s strings.Builder
	for i := range services {
		list := make([]string, 0, endpoints/services)
		for j := range endpoints / services {
			n := i*(endpoints/services) + j
			list = append(list, fmt.Sprintf("127.%d.%d.%d:%d", 1+n/62500, n/250%250, 1+n%250, 9))
		}
		if i == 0 && changed > 0 {
			list[0] = fmt.Sprintf("127.250.0.%d:9", changed)
		}
		s.WriteString(service(fmt.Sprintf("many-%d", i), "HTTP", 80, list...))
	}
	if changed > 0 {
		fmt.Fprintf(&s, `---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: many, namespace: bench}
spec:
  hosts: [many-0]
  http:
  - timeout: %ds
    route: [{destination: {host: many-0}}]
`, changed)
	}
	return s.String()
}
