package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/prometheus/storage"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// process is a sidecar's metrics, made by the library that sidecars use.
type process struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	sentBytes *prometheus.CounterVec
}

func startProcess(at time.Time) *process {
	p := &process{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: mesh.MetricRequests},
			[]string{"reporter", "source_workload", "destination_workload", "response_code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: mesh.MetricDuration, Buckets: []float64{1, 10, 100, 1000}, NativeHistogramBucketFactor: 1.1,
			NativeHistogramMaxBucketNumber: 40,
		}, []string{"reporter", "source_workload", "destination_workload", "response_code"}),
		sentBytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: mesh.MetricTCPReceivedBytes},
			[]string{"reporter", "source_workload", "destination_workload"}),
	}
	start := prometheus.NewGauge(prometheus.GaugeOpts{Name: "process_start_time_seconds"})
	start.Set(float64(at.UnixMilli()) / 1000)
	p.registry.MustRegister(p.requests, p.duration, p.sentBytes, start)
	return p
}

func (p *process) work(rnd *rand.Rand) {
	for range rnd.IntN(30) {
		labels := []string{"source", "web", fmt.Sprintf("to-%d", rnd.IntN(4)), []string{"200", "503"}[rnd.IntN(2)]}
		p.requests.WithLabelValues(labels...).Inc()
		p.duration.WithLabelValues(labels...).Observe(math.Exp(rnd.Float64()*10) - 1)
		p.sentBytes.WithLabelValues(labels[:3]...).Add(float64(rnd.IntN(5000)))
	}
}

func (p *process) expose(t *testing.T, format expfmt.Format) []byte {
	t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	enc := expfmt.NewEncoder(&b, format)
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// tally is what counters say, or what increases add up to: by target workload
// and what is counted.
type tally map[string]float64

// values reads the counters without any code that is tested here.
func (p *process) values(t *testing.T) tally {
	t.Helper()
	families, err := p.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := make(tally)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := make(map[string]string)
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			to := labels["destination_workload"]
			switch f.GetName() {
			case mesh.MetricRequests:
				out[to+" requests "+labels["response_code"]] += m.GetCounter().GetValue()
			case mesh.MetricTCPReceivedBytes:
				out[to+" bytes"] += m.GetCounter().GetValue()
			case mesh.MetricDuration:
				out[to+" latency"] += float64(m.GetHistogram().GetSampleCount())
				out[to+" buckets"] += float64(m.GetHistogram().GetSampleCount())
				out[to+" ms"] += m.GetHistogram().GetSampleSum()
			}
		}
	}
	return out
}

func sumOf(batches []mesh.EdgeBatch) tally {
	out := make(tally)
	for _, b := range batches {
		for _, d := range b.Deltas {
			to := d.Key.Target.Name
			for o, n := range d.Requests {
				out[fmt.Sprintf("%s requests %d", to, o.Code)] += n
			}
			if d.SentBytes != 0 {
				out[to+" bytes"] += d.SentBytes
			}
			if d.Latency.Count != 0 {
				out[to+" latency"] += d.Latency.Count
				out[to+" ms"] += d.Latency.Sum
				for _, bucket := range d.Latency.Buckets {
					out[to+" buckets"] += bucket.Count
				}
			}
		}
	}
	return out
}

// TestIncreasesAddUp holds the one promise on which every rate rests: whatever
// happens to scrapes, store and process, the increases of a counter add up to
// what the counter gained between the scrapes that succeeded.
func TestIncreasesAddUp(t *testing.T) {
	formats := map[string]expfmt.Format{
		"protobuf": expfmt.NewFormat(expfmt.TypeProtoDelim),
		"text":     expfmt.NewFormat(expfmt.TypeTextPlain),
	}
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				if !addsUp(t, format, seed) {
					return
				}
			}
		})
	}
}

func addsUp(t *testing.T, format expfmt.Format, seed uint64) bool {
	t.Helper()
	var (
		rnd      = rand.New(rand.NewPCG(seed, 1))
		r        = newRig(t, Limits{})
		at       = time.Now().Add(-2 * time.Second)
		p        = startProcess(at.Add(2 * time.Second))
		want     = make(tally) // of processes that ended
		scraped  = make(tally) // of the process that runs, at the last good scrape
		baseline = make(tally)
		first    = true
	)
	old := seed%2 == 1 // the target's past is not ours
	if old {
		p = startProcess(at.Add(-time.Hour))
		p.work(rnd)
		format = expfmt.NewFormat(expfmt.TypeTextPlain) // says nothing of when a counter began
	}
	for range 40 {
		at = at.Add(5 * time.Second)
		p.work(rnd)
		switch rnd.IntN(12) {
		case 0:
			r.fail(at, errors.New("connection refused"))
			continue
		case 1: // the last line is broken: nothing of the response may count
			body := append(p.expose(t, expfmt.NewFormat(expfmt.TypeTextPlain)), "broken{ 1\n"...)
			if b := r.scrape(at, "text/plain", body); b.Up || len(b.Deltas) > 0 {
				t.Fatalf("seed %d: broken response gave %+v", seed, b)
			}
			continue
		case 2:
			if !first {
				maps.Copy(want, added(want, scraped, 1))
				p = startProcess(at.Add(-time.Second))
				p.work(rnd)
			}
		case 3:
			r.store.recreate()
		case 4:
			clear(r.cache) // the scrape manager starts its cache anew
		case 5:
			r.store.commitErr = errors.New("disk full")
		case 6:
			r.store.commitErr = nil
		case 7:
			if !first {
				r.store.appendErr = storage.ErrOutOfOrderSample // the clock stepped back
			}
		}
		r.scrape(at, string(format), p.expose(t, format))
		if r.store.appendErr != nil {
			// Series that are new meanwhile are not known by any reference; the
			// next scrape has them.
			r.store.appendErr = nil
			at = at.Add(5 * time.Second)
			r.scrape(at, string(format), p.expose(t, format))
		}
		scraped = p.values(t)
		if first && old {
			baseline = scraped
		}
		first = false
	}
	want = added(added(want, scraped, 1), baseline, -1)
	got := sumOf(r.got)
	equal := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) })
	if diff := cmp.Diff(nonzero(want), nonzero(got), equal); diff != "" {
		t.Errorf("seed %d: increases do not add up (-counters +increases):\n%s", seed, diff)
		return false
	}
	for _, key := range slices.Sorted(maps.Keys(nonzero(want))) {
		if key[len(key)-2:] != "ms" && want[key] != got[key] {
			t.Errorf("seed %d: %s: increases give %v, the counter gained %v: not exact", seed, key, got[key], want[key])
		}
	}
	return !t.Failed()
}

func added(a, b tally, sign float64) tally {
	out := maps.Clone(a)
	for k, v := range b {
		out[k] += sign * v
	}
	return out
}

func nonzero(a tally) tally {
	out := make(tally)
	for k, v := range a {
		if v != 0 {
			out[k] = v
		}
	}
	return out
}
