package benchingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Each sidecar of the fleet has edges to and from this many others.
const edgesPerSide = 3

// sidecars is one process that stands for many: each has an address of its
// own in 127.0.0.0/8. It counts scrapes and samples by who scraped.
type sidecars struct {
	n     int
	port  int
	begun time.Time

	mu      sync.Mutex
	scrapes map[string]int // by program
}

func startSidecars(b *testing.B, n int) *sidecars {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &sidecars{n: n, port: l.Addr().(*net.TCPAddr).Port, begun: time.Now(), scrapes: map[string]int{}}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(l) })
	b.Cleanup(func() { _ = srv.Close(); serving.Wait() })
	return s
}

func (s *sidecars) address(i int) string {
	return fmt.Sprintf("127.%d.%d.%d:%d", 1+i>>16, i>>8&255, i&255, s.port)
}

// discovery writes the targets in Prometheus' file_sd format.
func (s *sidecars) discovery(b *testing.B, file string) {
	group := struct {
		Targets []string `json:"targets"`
	}{}
	for i := range s.n {
		group.Targets = append(group.Targets, s.address(i))
	}
	text, err := json.Marshal([]any{group})
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
}

func (s *sidecars) by(program string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scrapes[program]
}

func (s *sidecars) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var a, c, d int
	if _, err := fmt.Sscanf(r.Host, "127.%d.%d.%d:", &a, &c, &d); err != nil {
		http.Error(w, "no sidecar has this address", http.StatusNotFound)
		return
	}
	program := "sidelight"
	if r.URL.Path == peerPath {
		program = "prometheus"
	}
	s.mu.Lock()
	s.scrapes[program]++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
	_, _ = w.Write(s.exposition((a-1)<<16|c<<8|d, time.Since(s.begun).Seconds()))
}

// peerPath is where Prometheus is told to look: both name themselves alike.
const peerPath = "/metrics-for-prometheus"

// samplesPerScrape is what exposition holds; a native histogram is one.
const samplesPerScrape = edgesPerSide * 2 * 7

// exposition is what a sidecar says after some seconds under steady load.
func (s *sidecars) exposition(i int, seconds float64) []byte {
	families := map[string]*dto.MetricFamily{}
	var order []*dto.MetricFamily
	add := func(name string, kind dto.MetricType, m *dto.Metric) {
		f := families[name]
		if f == nil {
			f = &dto.MetricFamily{Name: new(name), Type: kind.Enum()}
			families[name] = f
			order = append(order, f)
		}
		f.Metric = append(f.Metric, m)
	}
	count := func(perSecond float64) *dto.Counter {
		return &dto.Counter{Value: new(float64(int(perSecond * seconds)))}
	}
	edge := func(reporter string, from, to int) {
		labels := edgeLabels(reporter, from, to)
		requests := append(slices.Clip(labels), label("response_code", "200"), label("response_flags", "-"), label("grpc_response_status", ""))
		responses := append(slices.Clip(requests), label("response_source", "upstream"), label("response_code_details", ""), label("config_object", ""))
		add(mesh.MetricRequests, dto.MetricType_COUNTER, &dto.Metric{Label: requests, Counter: count(10)})
		add(mesh.MetricResponses, dto.MetricType_COUNTER, &dto.Metric{Label: responses, Counter: count(10)})
		add(mesh.MetricAttempts, dto.MetricType_COUNTER, &dto.Metric{Label: labels, Counter: count(11)})
		add(mesh.MetricUpstreamConnections, dto.MetricType_COUNTER, &dto.Metric{Label: labels, Counter: count(1)})
		for j, name := range []string{mesh.MetricDuration, mesh.MetricRequestBytes, mesh.MetricResponseBytes} {
			add(name, dto.MetricType_HISTOGRAM, &dto.Metric{Label: requests, Histogram: nativeHistogram(10*seconds, int32(8*(j+1)+from%4))})
		}
	}
	for j := range edgesPerSide {
		edge("source", i, s.callee(i, j))
		edge("destination", s.caller(i, j), i)
	}
	var out bytes.Buffer
	for _, f := range order {
		if _, err := protodelim.MarshalTo(&out, f); err != nil {
			return nil // the scrape fails, and the count of samples tells
		}
	}
	return out.Bytes()
}

func (s *sidecars) callee(i, j int) int { return (i + 7*(j+1)) % s.n }
func (s *sidecars) caller(i, j int) int { return (i - 7*(j+1) + 7*(j+1)*s.n) % s.n }

func label(name, value string) *dto.LabelPair {
	return &dto.LabelPair{Name: new(name), Value: new(value)}
}

// edgeLabels are Istio's.
func edgeLabels(reporter string, from, to int) []*dto.LabelPair {
	out := []*dto.LabelPair{label("reporter", reporter), label("request_protocol", "http"), label("connection_security_policy", "mutual_tls")}
	for _, end := range []struct {
		side string
		i    int
	}{{"source", from}, {"destination", to}} {
		app, ns := fmt.Sprint("app", end.i), fmt.Sprint("ns", end.i%100)
		out = append(out,
			label(end.side+"_workload", app+"-v1"), label(end.side+"_workload_namespace", ns), label(end.side+"_app", app),
			label(end.side+"_version", "v1"), label(end.side+"_canonical_service", app), label(end.side+"_canonical_revision", "v1"),
			label(end.side+"_cluster", "east"), label(end.side+"_principal", "spiffe://cluster.local/ns/"+ns+"/sa/"+app))
	}
	app, ns := fmt.Sprint("app", to), fmt.Sprint("ns", to%100)
	return append(out, label("destination_service", app+"."+ns+".svc.cluster.local"), label("destination_service_name", app), label("destination_service_namespace", ns))
}

// nativeHistogram has eight neighbouring buckets of schema 3, a ninth of the
// value wide each.
func nativeHistogram(observed float64, first int32) *dto.Histogram {
	const buckets = 8
	each := int64(observed / buckets)
	h := &dto.Histogram{
		SampleCount: new(uint64(each * buckets)), SampleSum: new(float64(each*buckets) * 12), Schema: proto.Int32(3),
		ZeroThreshold: new(1e-9), ZeroCount: proto.Uint64(0),
		PositiveSpan:  []*dto.BucketSpan{{Offset: new(first), Length: proto.Uint32(buckets)}},
		PositiveDelta: make([]int64, buckets),
	}
	h.PositiveDelta[0] = each
	return h
}
