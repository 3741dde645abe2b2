package traces_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

const (
	benchBatches = 800
	benchBatch   = 100 // spans
	benchSpans   = benchBatches * benchBatch
	streamSpans  = 6 * benchSpans // enough for the stores to merge files

	hourSpans = 1_800_000

	fewSenders  = 4  // blocks of 400 spans, the dear case
	manySenders = 64 // a fleet
	sendFor     = 3 * time.Minute

	slowOneIn = 10_000 // spans; slow ones take slowTook and more
	slowTook  = 2 * time.Second
)

// BenchmarkSpans prints what spans cost, the same stream into each store, what
// reading takes and what a kill loses. Run it by `make bench-spans`.
//
// The peers are Jaeger, the program that JAEGER_BIN names, on its embedded
// store, and the layout of that, a row a span and an index row a tag, on our
// Pebble and without sync on commit.
func BenchmarkSpans(b *testing.B) {
	for b.Loop() {
		stream := benchPayloads(b)
		payloads := stream[:benchBatches]
		store, dir := openBench(b)
		direct := measure(b, func() error {
			return feed(payloads, fewSenders, func(raw []byte) error { return store.WriteOTLP(b.Context(), raw, benchBatch) })
		})
		fresh := measureReads(b, store, benchSpans)
		must(b, store.Close())
		directBytes := diskBytes(b, dir)

		overHTTP, overGRPC := ours(b, stream, false), ours(b, stream, true)
		peer, hasPeer := jaegerOnBadger(b, stream)
		rows, rowBytes := rowStore(b, payloads)
		decoding := measure(b, func() error {
			return feed(payloads, fewSenders, func(raw []byte) error { _, err := decode(raw); return err })
		})
		resident := paced(b, payloads)
		worst := killedOften(b, 12)
		open, sealed := hour(b)

		fmt.Printf("\n%-58s %9s %12s %14s %12s\n", fmt.Sprintf("spans of a sidecar, batches of %d", benchBatch), "spans", "CPU us/span", "spans/CPU s", "bytes/span")
		for _, r := range []struct {
			name  string
			spans int
			stored
		}{
			{"a process of ours: receive by OTLP/gRPC, inspect, store", streamSpans, overGRPC},
			{"a process of ours: the same by OTLP/HTTP", streamSpans, overHTTP},
			{"Jaeger's process: receive by OTLP/HTTP, store in Badger", streamSpans, peer},
			{"store alone, blocks of 400: taken apart, indexed, synced", benchSpans, stored{direct, directBytes}},
			{"a row a span on Pebble: decode and store", benchSpans, stored{rows, rowBytes}},
			{"decoding OTLP into structs (in the row above)", benchSpans, stored{cpu: decoding}},
		} {
			if r.cpu == 0 {
				fmt.Printf("%-58s not measured: JAEGER_BIN names no program\n", r.name)
				continue
			}
			fmt.Printf("%-58s %9d %12.2f %14.0f %12s\n", r.name, r.spans, float64(r.cpu.Microseconds())/float64(r.spans), float64(r.spans)/r.cpu.Seconds(), orDash(r.bytes/int64(r.spans)))
		}
		fmt.Printf("\n%-58s %12s %14s\n", "reading, p99 in ms", "trace by ID", "search")
		for _, r := range []struct {
			name string
			reads
		}{
			{"what was just written", fresh},
			{fmt.Sprintf("an hour of %d spans", hourSpans), open},
			{"the same hour, sealed", sealed},
		} {
			fmt.Printf("%-58s %12.2f %14.2f\n", r.name, r.byID, r.search)
		}
		fmt.Printf("\n%-58s %12.2f cores, %d MB resident at most\n", "our process at 50,000 spans/s over OTLP/gRPC", resident.cores, resident.mb)
		fmt.Printf("kill -9 under load, 12 times: %d batches stored, %d lost, open again after %v ms\n\n", worst.stored, worst.lost, ms(worst.open))
		goal("spans-per-cpu-second", streamSpans/overGRPC.cpu.Seconds(), 250_000, true)
		if hasPeer {
			goal("against-jaeger", peer.cpu.Seconds()/overHTTP.cpu.Seconds(), 10, true)
		}
		goal("against-a-row-a-span", rows.Seconds()/direct.Seconds(), 10, true)
		goal("cores-at-50000-spans", resident.cores, 0.5, false)
		goal("resident-mb-at-50000-spans", float64(resident.mb), 512, false)
		goal("bytes-per-span", float64(directBytes)/benchSpans, 110, false)
		goal("trace-by-id-p99-ms", max(fresh.byID, open.byID, sealed.byID), 10, false)
		goal("search-hour-p99-ms", max(fresh.search, open.search, sealed.search), 100, false)
		goal("killed-lost-acknowledged", float64(worst.acknowledged), 0, false)
		goal("killed-lost-ms", ms(worst.window), 100, false)
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

func measure(b *testing.B, f func() error) time.Duration {
	b.Helper()
	before := cpuTime()
	must(b, f())
	return cpuTime() - before
}

// feed gives all payloads to so many senders, until one of them fails.
func feed(payloads [][]byte, senders int, send func([]byte) error) error {
	next := make(chan []byte)
	failed := make(chan error, senders)
	for range senders {
		go func() {
			for raw := range next {
				if err := send(raw); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	running, err := senders, error(nil)
	for _, raw := range payloads {
		select {
		case next <- raw:
			continue
		case err = <-failed:
			running--
		}
		break
	}
	close(next)
	for range running {
		err = errors.Join(err, <-failed)
	}
	return err
}

func decode(raw []byte) (ptrace.Traces, error) {
	req := ptraceotlp.NewExportRequest()
	err := req.UnmarshalProto(raw)
	return req.Traces(), err
}

// benchPayloads makes batches as sidecars send them: traces of ten spans, each
// with the attributes of a request.
func benchPayloads(b *testing.B) [][]byte {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	now := time.Now().Add(-10 * time.Second)
	payloads := make([][]byte, streamSpans/benchBatch)
	for i := range payloads {
		payloads[i] = benchPayload(b, rng, i, now.Add(time.Duration(i*benchBatch)*time.Microsecond))
	}
	return payloads
}

// benchPayload makes batch i; ten batches share their traces.
func benchPayload(b *testing.B, rng *rand.Rand, i int, now time.Time) []byte {
	b.Helper()
	services := [...]string{"web", "catalog", "reviews", "posters", "tickets", "seats", "payments", "gateway"}
	service, to := services[i%len(services)], services[(i+1)%len(services)]
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	for _, kv := range [][2]string{{"service.name", service}, {"service.namespace", "cinema"}, {"service.version", "v1"}, {"sidelight.workload", "cinema/" + service}, {"sidelight.node", service + "-1.cinema"}} {
		rs.Resource().Attributes().PutStr(kv[0], kv[1])
	}
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for j := range benchBatch {
		s := spans.AppendEmpty()
		s.SetTraceID(traceOf(i/10*benchBatch + j))
		s.SetSpanID(pcommon.SpanID(binary.BigEndian.AppendUint64(nil, rng.Uint64()|1)))
		s.SetParentSpanID(pcommon.SpanID(binary.BigEndian.AppendUint64(nil, rng.Uint64()|1)))
		s.SetName("GET " + to)
		s.SetKind(ptrace.SpanKindClient)
		at := now.Add(time.Duration(j) * time.Microsecond)
		took := rng.Int64N(int64(50 * time.Millisecond))
		if (i*benchBatch+j)%slowOneIn == 0 {
			took += int64(slowTook)
		}
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Duration(took))))
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
	return raw
}

func traceOf(n int) (id pcommon.TraceID) {
	h := fnv.New128a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	copy(id[:], h.Sum(nil))
	return id
}

type reads struct{ byID, search float64 } // p99, ms

// measureReads asks a store that was given so many spans in batches of
// benchPayload.
func measureReads(b *testing.B, q traces.Querier, spans int) (r reads) {
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
		id := traceOf(i * (spans / 10 / 500))
		t, err := q.Get(b.Context(), id.String())
		must(b, err)
		if len(t.Spans) != 10 {
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
		{MinDuration: slowTook, Limit: min(20, spans/slowOneIn)}, // few, and far apart
	}
	r.search = p99(104, func(i int) {
		q1 := queries[i%len(queries)]
		found, err := q.Search(b.Context(), q1)
		must(b, err)
		if want := cmp.Or(q1.Limit, 20); len(found.Traces) != want {
			b.Fatalf("search %d finds %d, want %d", i%len(queries), len(found.Traces), want)
		}
	})
	return r
}

// hour writes an hour of a mesh, a block every 200 ms, and gives what reading
// takes while it is as it was written, and once it is sealed.
func hour(b *testing.B) (open, sealed reads) {
	b.Helper()
	var now atomic.Int64
	begin := time.Now().Truncate(time.Hour).Add(-2 * time.Hour)
	now.Store(begin.UnixNano())
	store, err := traces.Open(traces.Options{Dir: b.TempDir(), Now: func() time.Time { return time.Unix(0, now.Load()) }})
	must(b, err)
	defer store.Close()
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range hourSpans / benchBatch {
		at := begin.Add(time.Duration(i) * time.Hour * benchBatch / hourSpans)
		now.Store(at.UnixNano())
		trace := begin.Add(time.Duration(i/10) * time.Hour * 10 * benchBatch / hourSpans) // its spans come in ten blocks
		must(b, store.WriteBlock(benchPayload(b, rng, i, trace)))
	}
	open = measureReads(b, store, hourSpans)
	now.Store(begin.Add(time.Hour + 10*time.Minute).UnixNano())
	must(b, store.Seal(b.Context()))
	return open, measureReads(b, store, hourSpans)
}

// sender gives how to send to an address, and how to end that.
func sender(addr string) (send func([]byte) error, hangUp func()) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: manySenders}, Timeout: time.Minute}
	return func(raw []byte) error {
		for deadline := time.Now().Add(sendFor); ; time.Sleep(50 * time.Millisecond) {
			resp, err := client.Post("http://"+addr+"/v1/traces", "application/x-protobuf", bytes.NewReader(raw))
			if err != nil {
				return err
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode == http.StatusOK {
				return err
			}
			busy := resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable
			if !busy || time.Now().After(deadline) {
				return fmt.Errorf("%s says %s: %s", addr, resp.Status, body)
			}
		}
	}, client.CloseIdleConnections
}

type load struct {
	cores float64
	mb    int
}

// paced sends 50,000 spans a second to a process of ours for four seconds, and
// gives what a second of that takes of it, and its memory at most.
func paced(b *testing.B, payloads [][]byte) load {
	b.Helper()
	const spans = 200_000
	c := startCollector(b, b.TempDir())
	send, hangUp := senderGRPC(b, c.grpc)
	began, before := time.Now(), processCPU(b, c.cmd.Process.Pid)
	sent := make(chan error, spans/benchBatch)
	room := make(chan struct{}, manySenders)
	for i := range cap(sent) {
		time.Sleep(time.Until(began.Add(time.Duration(i) * benchBatch * time.Second / 50_000)))
		room <- struct{}{}
		go func() {
			sent <- send(payloads[i%len(payloads)])
			<-room
		}()
	}
	for range cap(sent) {
		must(b, <-sent)
	}
	late := time.Since(began) - spans*time.Second/50_000
	l := load{mb: residentMB(b, c.cmd.Process.Pid)}
	hangUp()
	l.cores = (c.stop(b) - before).Seconds() * 50_000 / spans
	if late > time.Second {
		b.Fatalf("50,000 spans a second took %s too long: the machine is busy", late)
	}
	return l
}

// residentMB is the most that a process had in memory.
func residentMB(b *testing.B, pid int) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(b, err)
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			must(b, err)
			return kb / 1000
		}
	}
	b.Fatalf("process %d has no VmHWM", pid)
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
	cpu = measure(b, func() error {
		err := feed(payloads, fewSenders, func(raw []byte) error {
			batch := db.NewBatch()
			td, err := decode(raw)
			return errors.Join(err, writeRows(batch, td), batch.Commit(pebble.NoSync))
		})
		return errors.Join(err, db.Flush())
	})
	must(b, db.Close())
	return cpu, diskBytes(b, dir)
}

func writeRows(batch *pebble.Batch, td ptrace.Traces) (err error) {
	one := ptrace.NewTraces()
	for _, rs := range td.ResourceSpans().All() {
		service, _ := rs.Resource().Attributes().Get("service.name")
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				one.ResourceSpans().RemoveIf(func(ptrace.ResourceSpans) bool { return true })
				to := one.ResourceSpans().AppendEmpty()
				rs.Resource().CopyTo(to.Resource())
				s.CopyTo(to.ScopeSpans().AppendEmpty().Spans().AppendEmpty())
				raw, marshalErr := (&ptrace.ProtoMarshaler{}).MarshalTraces(one)
				err = errors.Join(err, marshalErr)
				trace, span := s.TraceID(), s.SpanID()
				tail := append(binary.BigEndian.AppendUint64(nil, uint64(s.StartTimestamp())), trace[:]...)
				set := func(value []byte, parts ...string) {
					err = errors.Join(err, batch.Set(append([]byte(strings.Join(parts, "\x00")), tail...), value, nil))
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
	return err
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic(fmt.Sprintf(f, a...))
}
