package peers

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

var seed = flag.Uint64("seed", 0, "seed of the random faults; 0 draws one")

// chaosTime is how long faults are played. More finds more: go test -run Chaos
// -chaos 10m.
var chaosTime = flag.Duration("chaos", 12*time.Second, "how long random faults are played")

// instance is one endpoint of a service that misbehaves as it is told.
type instance struct {
	name string
	mu   sync.Mutex
	mood mood
	ln   net.Listener
	raw  net.Listener // what listens in moods that speak no HTTP
	http *http.Server

	answered map[string]int // requests by ID that it answered
	cuts     int            // answers that it began and broke off
}

// mood is what an instance does to those who call it.
type mood int

const (
	well      mood = iota
	killed         // nobody listens
	refusing       // answers 503
	resetting      // accepts, reads, and resets
	slow           // answers after a while
	stalling       // accepts and never says anything, for a while
	halfOpen       // closes its side at once and reads on
	cutting        // breaks off in the middle of an answer
	moods
)

func (m mood) String() string {
	return [...]string{"well", "killed", "refusing", "resetting", "slow", "stalling", "half-open", "cutting"}[m]
}

func newInstance(t *testing.T, name string) *instance {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{name: name, ln: ln, answered: map[string]int{}}
	i.serve(ln)
	t.Cleanup(func() { i.set(t, killed) })
	return i
}

func protocols(http1, http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2)
	return p
}

func (i *instance) address() string { return i.ln.Addr().String() }

func (i *instance) serve(ln net.Listener) {
	i.http = &http.Server{Handler: http.HandlerFunc(i.answer), ReadHeaderTimeout: patience, Protocols: protocols(true, true)}
	go func(s *http.Server) { _ = s.Serve(ln) }(i.http)
}

// set changes the mood: connections end, as when a process is killed.
func (i *instance) set(t *testing.T, m mood) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.mood = m
	if i.http != nil {
		_ = i.http.Close()
		i.http = nil
	}
	if i.raw != nil {
		_ = i.raw.Close()
		i.raw = nil
	}
	if m == killed {
		return
	}
	var ln net.Listener
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ln, err = net.Listen("tcp", i.address()); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("%s does not come back: %v", i.name, err)
		return
	}
	switch m {
	case resetting, stalling, halfOpen:
		i.raw = ln
		go i.misbehave(ln, m)
	default:
		i.serve(ln)
	}
}

// misbehave serves connections without speaking HTTP.
func (i *instance) misbehave(ln net.Listener, m mood) {
	var open sync.WaitGroup
	defer open.Wait()
	ended := make(chan struct{})
	defer close(ended)
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		open.Go(func() {
			defer c.Close()
			tcp := c.(*net.TCPConn)
			switch m {
			case resetting:
				_, _ = c.Read(make([]byte, 1))
				_ = tcp.SetLinger(0)
			case halfOpen:
				_ = tcp.CloseWrite()
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				_, _ = io.Copy(io.Discard, c)
			case stalling:
				select {
				case <-ended:
				case <-time.After(time.Second):
				}
			}
		})
	}
}

func (i *instance) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	i.mu.Lock()
	m := i.mood
	i.mu.Unlock()
	id := r.Header.Get("X-Id")
	switch m {
	case refusing:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case slow:
		time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
	case cutting:
		if rand.IntN(2) == 0 {
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write([]byte("the beginning"))
			_ = http.NewResponseController(w).Flush()
			i.mu.Lock()
			i.cuts++
			i.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
	}
	i.mu.Lock()
	i.answered[id]++
	i.mu.Unlock()
	w.Header().Set("X-Id", id)
	_, _ = w.Write(append([]byte(id+":"), body...))
}

// killedUnderWay bounds the answers that a change of mood cut in two.
const killedUnderWay = 12

// ledger is what the clients saw.
type ledger struct {
	ok, failed, cut atomic.Int64
}

// TestChaos plays random faults on the endpoints of a service, one of which is
// always well, with requests under way by HTTP/1.1 or HTTP/2 on either side. It
// holds that
//   - a request that could be answered is: its sidecar tries elsewhere;
//   - an answer belongs to its request, and comes once;
//   - the sidecar's counters add up to what clients and servers saw.
func TestChaos(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("go test ./deploy/peers -run TestChaos -seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 1))
	instances := make([]*instance, 3+random.IntN(3))
	var to []string
	for n := range instances {
		instances[n] = newInstance(t, fmt.Sprint("instance ", n))
		to = append(to, instances[n].address())
	}
	wellOne := random.IntN(len(instances))
	policies := []string{"ROUND_ROBIN", "LEAST_REQUEST", "RANDOM"}
	outlier := ""
	if random.IntN(2) == 0 {
		outlier = "    outlier_detection: {consecutive_5xx: 3, interval: 1s, base_ejection_time: 1s, max_ejection_percent: 50, enforcing_success_rate: 0}\n"
	}
	policy := policies[random.IntN(len(policies))]
	clientHTTP2, http2 := random.IntN(2) == 0, random.IntN(2) == 0
	options := ""
	if random.IntN(3) == 0 {
		options = "common_http_protocol_options: {max_requests_per_connection: 5}"
	}
	t.Logf("%d instances, %s, outlier detection %v, HTTP/2 from clients %v, to instances %v, %s", len(instances), policy, outlier != "", clientHTTP2, http2, options)
	// As many tries as it takes: which endpoints a draw finds is chance.
	retry := `{retry_on: "5xx,connect-failure,refused-stream,reset", num_retries: 100, per_try_timeout: 2s, host_selection_retry_max_attempts: 10,
              retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts, typed_config: {
                "@type": type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate}}]}`
	side := startHop(t, "client", hop{to: to, http2: http2, retry: retry, options: options, cluster: "    lb_policy: " + policy + "\n" + outlier})

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen ledger
	var load sync.WaitGroup
	for c := range 12 {
		local := rand.New(rand.NewPCG(*seed, uint64(c)+2))
		load.Go(func() { press(ctx, t, side.address, clientHTTP2, c, local, &seen) })
	}
	begun := time.Now()
	played := map[mood]int{}
	// On a machine that has no time for it, longer: until enough was asked.
	for (time.Since(begun) < *chaosTime || seen.ok.Load() < 200 && time.Since(begun) < 2*patience) && !t.Failed() {
		for n, i := range instances {
			if n != wellOne && random.IntN(3) > 0 {
				m := mood(random.IntN(int(moods)))
				played[m]++
				i.set(t, m)
			}
		}
		time.Sleep(time.Duration(50+random.IntN(300)) * time.Millisecond)
	}
	cancel()
	load.Wait()
	t.Logf("played %v; %d answered, %d failed, %d cut", played, seen.ok.Load(), seen.failed.Load(), seen.cut.Load())
	if seen.ok.Load() < 200 {
		t.Errorf("%d requests were answered only", seen.ok.Load())
	}
	balance(t, side, instances, &seen)
}

// press sends requests, one after the other, until ctx ends.
func press(ctx context.Context, t *testing.T, address string, http2 bool, c int, random *rand.Rand, seen *ledger) {
	tr := &http.Transport{Protocols: protocols(!http2, http2)}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr, Timeout: 4 * patience}
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%d-%d", c, n)
		body := make([]byte, random.IntN(2000))
		for i := range body {
			body[i] = 'a' + byte(random.IntN(26))
		}
		// Bodies of which the client cannot have another copy: only the sidecar
		// may repeat them.
		req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, "http://"+address+"/", io.NopCloser(&onceReader{body}))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("X-Id", id)
		res, err := client.Do(req)
		if err != nil {
			// Broken off before the first kilobytes were passed on; balance knows how
			// often that may be.
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !strings.Contains(err.Error(), "stream error: ") {
				t.Errorf("%s: the sidecar gave no answer: %v", id, err)
			}
			seen.cut.Add(1)
			continue
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		switch {
		case err != nil: // it had begun when the instance broke off: nobody can repeat that
			seen.cut.Add(1)
		case res.StatusCode == http.StatusOK && res.Header.Get("X-Id") == id && string(got) == id+":"+string(body):
			seen.ok.Add(1)
		case res.StatusCode == http.StatusOK:
			t.Errorf("%s: another's answer, of %q: %.40q", id, res.Header.Get("X-Id"), got)
		default:
			seen.failed.Add(1)
			t.Errorf("%s: %d %s, by %q, though one instance was well", id, res.StatusCode, got, res.Header.Get("Proxy-Status"))
		}
	}
}

type onceReader struct{ rest []byte }

func (o *onceReader) Read(p []byte) (int, error) {
	if len(o.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

// balance holds the sidecar's counters against what clients and instances saw.
func balance(t *testing.T, side *sidecar, instances []*instance, seen *ledger) {
	t.Helper()
	all := seen.ok.Load() + seen.failed.Load() + seen.cut.Load()
	eventually(t, "every request in the counters", func() error {
		if n := side.total(t, mesh.MetricRequests); n != float64(all) {
			return fmt.Errorf("%v are counted, clients sent %d", n, all)
		}
		return nil
	})
	if n := side.total(t, mesh.MetricRequests, mesh.LabelCode, "200", mesh.LabelFlags, "-"); n != float64(seen.ok.Load()) {
		t.Errorf("%v requests are counted as well answered, clients saw %d", n, seen.ok.Load())
	}
	if n := side.total(t, mesh.MetricResponses); n != float64(all) {
		t.Errorf("%v answers are counted by who gave them, of %d", n, all)
	}
	if n := side.total(t, mesh.MetricDuration); n != float64(all) {
		t.Errorf("%v durations are counted, of %d", n, all)
	}
	answered, cuts := 0, 0
	for _, i := range instances {
		i.mu.Lock()
		for _, n := range i.answered {
			answered += n
		}
		cuts += i.cuts
		i.mu.Unlock()
	}
	attempts := side.total(t, mesh.MetricAttempts)
	if attempts < float64(answered) || attempts < float64(all) {
		t.Errorf("%v tries are counted; instances answered %d, clients sent %d", attempts, answered, all)
	}
	// An answer that is over when its instance is killed may be cut, too.
	if n := seen.cut.Load(); n > int64(cuts)+killedUnderWay {
		t.Errorf("%d answers were broken off, instances broke off %d", n, cuts)
	}
	if float64(answered) < float64(seen.ok.Load()) {
		t.Errorf("clients got %d answers, instances gave %d", seen.ok.Load(), answered)
	}
	if n, err := fetch("http://" + side.admin + "/running"); err != nil || !strings.Contains(n, `"active_requests": 0`) {
		t.Errorf("requests are still said to be under way: %v", err)
	}
}
