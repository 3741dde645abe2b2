package traces_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/sidelight-mesh/sidelight/collector/receive"
	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

const (
	benchBatches = 800
	benchBatch   = 100 // spans
	benchSpans   = benchBatches * benchBatch

	fewSenders  = 4  // blocks of 400 spans, the dear case
	manySenders = 64 // a fleet
)

// BenchmarkSpans prints what spans cost, the same stream into each store, and
// what reading takes. Run it by `make bench-spans`.
//
// The peers are Jaeger, the program that JAEGER_BIN names, on its embedded
// store, and the layout of that, a row a span and an index row a tag, on our
// Pebble and without sync on commit.
func BenchmarkSpans(b *testing.B) {
	for b.Loop() {
		payloads := benchPayloads(b)
		store, dir := openBench(b)
		direct := measure(func() {
			feed(payloads, fewSenders, func(raw []byte) { must(b, store.WriteOTLP(b.Context(), raw, benchBatch)) })
		})
		reads := measureReads(b, store)
		must(b, store.Close())
		directBytes := diskBytes(b, dir)

		store, _ = openBench(b)
		resident := paced(b, store, payloads)
		must(b, store.Close())

		overHTTP, overGRPC := ours(b, payloads, false), ours(b, payloads, true)
		peer, hasPeer := jaegerOnBadger(b, payloads)
		rows, rowBytes := rowStore(b, payloads)
		worst := killedOften(b, 5)
		decoding := measure(func() { feed(payloads, fewSenders, func(raw []byte) { decode(b, raw) }) })

		fmt.Printf("\n%-58s %12s %14s %12s\n", fmt.Sprintf("%d spans of a sidecar, batches of %d", benchSpans, benchBatch), "CPU us/span", "spans/CPU s", "bytes/span")
		for _, r := range []struct {
			name  string
			cpu   time.Duration
			bytes int64
		}{
			{"decoding OTLP into structs (in the last row)", decoding, 0},
			{"store: OTLP taken apart, columns, indexes, synced", direct, directBytes},
			{"a process of ours: receive by OTLP/HTTP, inspect, store", overHTTP.cpu, overHTTP.bytes},
			{"a process of ours: the same by OTLP/gRPC", overGRPC.cpu, overGRPC.bytes},
			{"Jaeger's process: receive by OTLP/HTTP, store in Badger", peer.cpu, peer.bytes},
			{"a row a span on Pebble: decode and store", rows, rowBytes},
		} {
			if r.cpu == 0 {
				fmt.Printf("%-58s not measured: JAEGER_BIN names no program\n", r.name)
				continue
			}
			fmt.Printf("%-58s %12.2f %14.0f %12s\n", r.name, micros(r.cpu), benchSpans/r.cpu.Seconds(), orDash(r.bytes/benchSpans))
		}
		fmt.Printf("\n%-58s %12s\n", "reading", "p99 ms")
		fmt.Printf("%-58s %12.2f\n%-58s %12.2f\n", "one trace by ID", reads.byID, "search: 20 newest by edge, route, status or tag", reads.search)
		fmt.Printf("\n%-58s %12.2f cores, %d MB resident\n\n", "50,000 spans/s over OTLP/HTTP, sender in the same process", resident.cores, resident.mb)
		fmt.Printf("kill -9 under load, 5 times: %d batches stored, %d lost, open again after %v ms\n\n", worst.stored, worst.lost, ms(worst.open))
		goal("spans-per-cpu-second", benchSpans/overGRPC.cpu.Seconds(), 250_000, true)
		if hasPeer {
			goal("against-jaeger", peer.cpu.Seconds()/overHTTP.cpu.Seconds(), 10, true)
		}
		goal("killed-lost-acknowledged", float64(worst.acknowledged), 0, false)
		goal("killed-lost-ms", ms(worst.window), 100, false)
		goal("against-a-row-a-span", rows.Seconds()/direct.Seconds(), 10, true)
		goal("bytes-per-span", float64(directBytes)/benchSpans, 110, false)
		goal("trace-by-id-p99-ms", reads.byID, 10, false)
		goal("search-p99-ms", reads.search, 100, false)
		goal("cores-at-50000-spans", resident.cores, 0.5, false)
		goal("resident-mb-at-50000-spans", float64(resident.mb), 512, false)
	}
}

func goal(name string, value, bound float64, atLeast bool) {
	sign, met := "<=", value <= bound
	if atLeast {
		sign, met = ">=", value >= bound
	}
	verdict := "missed"
	if met {
		verdict = "met"
	}
	fmt.Printf("goal %s: %.4g %s%g %s\n", name, value, sign, bound, verdict)
}

func orDash(n int64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

func micros(cpu time.Duration) float64 { return float64(cpu.Microseconds()) / benchSpans }

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func openBench(b *testing.B) (*traces.Store, string) {
	b.Helper()
	dir := b.TempDir()
	s, err := traces.Open(traces.Options{Dir: dir})
	must(b, err)
	return s, dir
}

// cpuTime is what the process has taken so far, all threads.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func measure(f func()) time.Duration {
	before := cpuTime()
	f()
	return cpuTime() - before
}

// feed gives all payloads to so many senders.
func feed(payloads [][]byte, senders int, send func([]byte)) {
	var wg sync.WaitGroup
	next := make(chan []byte)
	for range senders {
		wg.Go(func() {
			for raw := range next {
				send(raw)
			}
		})
	}
	for _, raw := range payloads {
		next <- raw
	}
	close(next)
	wg.Wait()
}

func decode(b *testing.B, raw []byte) ptrace.Traces {
	req := ptraceotlp.NewExportRequest()
	must(b, req.UnmarshalProto(raw))
	return req.Traces()
}

// benchPayloads makes batches as sidecars send them: traces of ten spans, each
// with the attributes of a request.
func benchPayloads(b *testing.B) [][]byte {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	services := []string{"web", "catalog", "reviews", "posters", "tickets", "seats", "payments", "gateway"}
	now := time.Now().Add(-10 * time.Second)
	payloads := make([][]byte, 0, benchBatches)
	for i := range benchBatches {
		service, to := services[i%len(services)], services[(i+1)%len(services)]
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		for k, v := range map[string]string{"service.name": service, "service.namespace": "cinema", "service.version": "v1", "sidelight.workload": "cinema/" + service, "sidelight.node": service + "-1.cinema"} {
			rs.Resource().Attributes().PutStr(k, v)
		}
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		for j := range benchBatch {
			s := spans.AppendEmpty()
			s.SetTraceID(traceOf(i/10*benchBatch + j)) // ten batches share their traces
			s.SetSpanID(pcommon.SpanID(binary.BigEndian.AppendUint64(nil, rng.Uint64()|1)))
			s.SetParentSpanID(pcommon.SpanID(binary.BigEndian.AppendUint64(nil, rng.Uint64()|1)))
			s.SetName("GET " + to)
			s.SetKind(ptrace.SpanKindClient)
			at := now.Add(time.Duration(i*benchBatch+j) * time.Microsecond)
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Duration(rng.Int64N(int64(50 * time.Millisecond))))))
			status := 200
			if rng.IntN(100) == 0 {
				status = 503
				s.Status().SetCode(ptrace.StatusCodeError)
			}
			a := s.Attributes()
			a.PutStr("sidelight.reporter", "source")
			a.PutStr("sidelight.source", "cinema/"+service)
			a.PutStr("sidelight.destination", "cinema/"+to)
			a.PutStr("sidelight.service", to+".cinema.svc.cluster.local")
			a.PutStr("http.request.method", "GET")
			a.PutStr("url.path", "/v1/items/"+strconv.Itoa(rng.IntN(10_000)))
			a.PutInt("http.response.status_code", int64(status))
			a.PutStr("http.route", "all")
			a.PutStr("sidelight.flags", "-")
			a.PutStr("sidelight.answered_by", "upstream")
			a.PutStr("sidelight.details", "via_upstream")
			a.PutInt("sidelight.attempts", 1)
			a.PutInt("sidelight.revision", 17)
			a.PutStr("server.address", "10.0.0."+strconv.Itoa(rng.IntN(20))+":8080")
		}
		raw, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
		must(b, err)
		payloads = append(payloads, raw)
	}
	return payloads
}

func traceOf(n int) (id pcommon.TraceID) {
	h := fnv.New128a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	copy(id[:], h.Sum(nil))
	return id
}

type reads struct{ byID, search float64 } // p99, ms

func measureReads(b *testing.B, q traces.Querier) (r reads) {
	b.Helper()
	p99 := func(n int, ask func(int)) float64 {
		took := make([]float64, n)
		for i := range took {
			begin := time.Now()
			ask(i)
			took[i] = float64(time.Since(begin).Microseconds()) / 1000
		}
		slices.Sort(took)
		return took[n*99/100]
	}
	r.byID = p99(500, func(i int) {
		id := traceOf(i * 16)
		t, err := q.Get(b.Context(), id.String())
		must(b, err)
		if len(t.Spans) < 10 {
			b.Fatalf("trace %s has %d spans", id, len(t.Spans))
		}
	})
	queries := []traces.Query{
		{Source: "cinema/web", Target: "cinema/catalog"},
		{Route: "all"},
		{Status: "503"},
		{Service: "tickets", Errors: true},
		{Service: "web", Operation: "GET catalog", Status: "5xx"},
		{Tags: map[string]string{"server.address": "10.0.0.7:8080"}},
		{MinDuration: 45 * time.Millisecond},
	}
	r.search = p99(105, func(i int) {
		found, err := q.Search(b.Context(), queries[i%len(queries)])
		must(b, err)
		if len(found.Traces) != 20 {
			b.Fatalf("search %d finds %d", i%len(queries), len(found.Traces))
		}
	})
	return r
}

// sender gives how to send to an address, and how to end that.
func sender(b *testing.B, addr string) (send func([]byte), hangUp func()) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: manySenders}}
	return func(raw []byte) {
		for {
			resp, err := client.Post("http://"+addr+"/v1/traces", "application/x-protobuf", bytes.NewReader(raw))
			must(b, err)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
			if resp.StatusCode != http.StatusTooManyRequests {
				b.Fatal(resp.Status)
			}
			time.Sleep(50 * time.Millisecond) // the store asks for time
		}
	}, client.CloseIdleConnections
}

// receiving runs a receiver over store and gives how to send to it.
func receiving(b *testing.B, store traces.Writer) (send func([]byte), stop func()) {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	addr := listener.Addr().String()
	must(b, listener.Close())
	r, err := receive.New(receive.Options{HTTP: addr, Store: store})
	must(b, err)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- r.Run(ctx) }()
	send, hangUp := sender(b, addr)
	return send, func() {
		hangUp()
		cancel()
		must(b, <-done)
	}
}

type load struct {
	cores float64
	mb    int
}

// paced sends 50,000 spans a second for three seconds, from 64 senders at most,
// and gives what a second of that takes.
func paced(b *testing.B, store traces.Writer, payloads [][]byte) load {
	b.Helper()
	const spans = 150_000
	send, stop := receiving(b, store)
	begin, before := time.Now(), cpuTime()
	var wg sync.WaitGroup
	room := make(chan struct{}, 64)
	for i := range spans / benchBatch {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * benchBatch * time.Second / 50_000)))
		room <- struct{}{}
		wg.Go(func() {
			send(payloads[i%len(payloads)])
			<-room
		})
	}
	wg.Wait()
	l := load{cores: (cpuTime() - before).Seconds() * 50_000 / spans, mb: residentMB()}
	stop()
	return l
}

func residentMB() int {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kb / 1000
		}
	}
	return 0
}

func diskBytes(b *testing.B, dir string) (sum int64) {
	b.Helper()
	must(b, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		sum += info.Size()
		return err
	}))
	return sum
}

// rowStore writes a row a span, and an index row for its service, operation,
// duration and each tag.
func rowStore(b *testing.B, payloads [][]byte) (cpu time.Duration, size int64) {
	b.Helper()
	dir := b.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{MemTableSize: 8 << 20, MemTableStopWritesThreshold: 4, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	must(b, err)
	cpu = measure(func() {
		feed(payloads, fewSenders, func(raw []byte) {
			batch := db.NewBatch()
			writeRows(b, batch, decode(b, raw))
			must(b, batch.Commit(pebble.NoSync))
		})
		must(b, db.Flush())
	})
	must(b, db.Close())
	return cpu, diskBytes(b, dir)
}

func writeRows(b *testing.B, batch *pebble.Batch, td ptrace.Traces) {
	one := ptrace.NewTraces()
	for _, rs := range td.ResourceSpans().All() {
		service, _ := rs.Resource().Attributes().Get("service.name")
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				one.ResourceSpans().RemoveIf(func(ptrace.ResourceSpans) bool { return true })
				to := one.ResourceSpans().AppendEmpty()
				rs.Resource().CopyTo(to.Resource())
				s.CopyTo(to.ScopeSpans().AppendEmpty().Spans().AppendEmpty())
				raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(one)
				must(b, err)
				trace, span := s.TraceID(), s.SpanID()
				tail := append(binary.BigEndian.AppendUint64(nil, uint64(s.StartTimestamp())), trace[:]...)
				set := func(value []byte, parts ...string) {
					must(b, batch.Set(append([]byte(strings.Join(parts, "\x00")), tail...), value, nil))
				}
				set(raw, "s", string(span[:]))
				set(nil, "svc", service.Str())
				set(nil, "op", service.Str(), s.Name())
				set(nil, "d", strconv.FormatUint(uint64(s.EndTimestamp()-s.StartTimestamp()), 10))
				for k, v := range s.Attributes().All() {
					set(nil, "t", service.Str(), k, v.AsString())
				}
			}
		}
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic(fmt.Sprintf(f, a...))
}
