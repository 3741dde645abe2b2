package telemetry

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// Bounds on series. A sidecar of a large mesh has a few hundred edges with a
// handful of outcomes each; more is somebody's invention.
const (
	maxEdges    = 2000
	maxOutcomes = 64 // per edge
	mostSeries  = 8192
	mostTries   = 5 // told apart by number; later ones count as the last
)

// exemplarEvery bounds what exemplars cost: one an outcome in so long a time.
const exemplarEvery = time.Second

// istioBuckets are Envoy's, in ms or bytes.
var istioBuckets = []float64{
	0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000,
	60000, 300000, 600000, 1800000, 3600000,
}

// Metrics counts exchanges. It is an Observer and a TCP Meter.
type Metrics struct {
	requests, responses               *prometheus.CounterVec
	attempts, connections             *prometheus.CounterVec
	requestMsgs, responseMsgs         *prometheus.CounterVec
	duration, requestSize, answerSize *prometheus.HistogramVec
	tcpOpened, tcpClosed              *prometheus.CounterVec
	tcpSent, tcpReceived              *prometheus.CounterVec
	tcpActive                         *prometheus.GaugeVec
	added                             *prometheus.HistogramVec
	addedSource, addedDestination     prometheus.Observer
	limited                           *prometheus.CounterVec
	dryRun                            *prometheus.CounterVec
	spansDropped                      *prometheus.CounterVec
	logDropped                        prometheus.Counter

	edges     sync.Map // edgeKey -> *edge
	edgeCount atomic.Int64
	edgeLimit int64

	outcomeCount, outcomeLimit atomic.Int64 // over all edges
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	edge := mesh.EdgeLabels()
	outcome := slices.Concat(edge, []string{mesh.LabelCode, mesh.LabelGRPCStatus, mesh.LabelFlags})
	answer := slices.Concat(outcome, []string{mesh.LabelResponseSource, mesh.LabelDetails, mesh.LabelConfigObject})
	tcp := slices.Concat(edge, []string{mesh.LabelFlags})
	m := &Metrics{
		edgeLimit:    maxEdges,
		requests:     counter(mesh.MetricRequests, "Requests, by who called whom and how it ended.", outcome),
		responses:    counter(mesh.MetricResponses, "Answers, by who gave them and why.", answer),
		attempts:     counter(mesh.MetricAttempts, "Tries at an upstream, by their number and how each ended.", slices.Concat(edge, []string{mesh.LabelAttempt, mesh.LabelOutcome})),
		requestMsgs:  counter(mesh.MetricRequestMessages, "gRPC messages sent by clients.", edge),
		responseMsgs: counter(mesh.MetricResponseMessages, "gRPC messages sent by servers.", edge),
		connections:  counter(mesh.MetricUpstreamConnections, "Upstream connections opened.", edge),
		duration:     histogram(mesh.MetricDuration, "Duration of requests in milliseconds.", outcome, istioBuckets),
		requestSize:  histogram(mesh.MetricRequestBytes, "Size of requests with headers.", outcome, istioBuckets),
		answerSize:   histogram(mesh.MetricResponseBytes, "Size of answers with headers.", outcome, istioBuckets),
		tcpOpened:    counter(mesh.MetricTCPOpened, "TCP connections opened.", tcp),
		tcpClosed:    counter(mesh.MetricTCPClosed, "TCP connections closed.", tcp),
		tcpSent:      counter(mesh.MetricTCPSentBytes, "Bytes of TCP connections in the direction of answers.", tcp),
		tcpReceived:  counter(mesh.MetricTCPReceivedBytes, "Bytes of TCP connections in the direction of requests.", tcp),
		tcpActive: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: mesh.MetricActiveConnections, Help: "TCP connections open now.",
		}, edge),
		added: histogram(mesh.MetricProxyAdded, "The sidecar's own share of the time to the first byte.",
			[]string{mesh.LabelReporter},
			[]float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5}),
		limited: counter("sidelight_series_limited_total",
			"Exchanges counted under coarser labels because a bound on series was reached.", []string{"kind"}),
		dryRun: counter(mesh.MetricDryRunDenied,
			"Requests and connections that a policy on trial would have denied.", []string{"policy"}),
		spansDropped: counter(mesh.MetricSpansDropped, "Spans that did not reach the collector.", []string{"reason"}),
		logDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidelight_access_log_dropped_total", Help: "Access log lines dropped because the log was too slow.",
		}),
	}
	m.outcomeLimit.Store(mostSeries)
	m.addedSource = m.added.WithLabelValues(string(mesh.FromSource))
	m.addedDestination = m.added.WithLabelValues(string(mesh.FromDestination))
	for _, reason := range []string{reasonQueueFull, reasonExport} {
		m.spansDropped.WithLabelValues(reason)
	}
	reg.MustRegister(m.requests, m.responses, m.attempts, m.connections, m.requestMsgs, m.responseMsgs, m.duration, m.requestSize,
		m.answerSize, m.tcpOpened, m.tcpClosed, m.tcpSent, m.tcpReceived, m.tcpActive, m.added,
		m.limited, m.dryRun, m.spansDropped, m.logDropped)
	return m
}

func counter(name, help string, labels []string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// histogram is native, with classic buckets beside for those who read text.
func histogram(name, help string, labels []string, buckets []float64) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
		NativeHistogramMaxExemplars:     4,
	}, labels)
}

// edge holds the series of one edge, resolved once.
type edge struct {
	m      *Metrics
	labels []string

	attempts                  [mostTries][2]atomic.Pointer[prometheus.Counter] // by number and whether it failed; made when first needed
	connections               prometheus.Counter
	requestMsgs, responseMsgs prometheus.Counter // nil unless gRPC

	tcpOpened, tcpSent, tcpReceived prometheus.Counter // nil unless TCP
	tcpActive                       prometheus.Gauge

	outcomes sync.Map // outcomeKey -> *outcome
	count    atomic.Int64
}

type outcome struct {
	requests, responses               prometheus.Counter
	duration, requestSize, answerSize prometheus.Observer

	exemplarAt atomic.Int64 // Unix nanoseconds of the last
}

// observe notes a duration, now and then with the trace that shows one like it.
func (o *outcome) observe(x *forward.Exchange, sampled bool) {
	ms := float64(x.Duration) / float64(time.Millisecond)
	end := x.Begin.Add(x.Duration).UnixNano()
	last := o.exemplarAt.Load()
	if sampled && end-last >= int64(exemplarEvery) && o.exemplarAt.CompareAndSwap(last, end) {
		if e, ok := o.duration.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(ms, prometheus.Labels{"trace_id": x.Trace.ID.String()})
			return
		}
	}
	o.duration.Observe(ms)
}

// Active is always true: counters are the one thing that never samples.
func (m *Metrics) Active() bool { return true }

// Done counts a request. TCP connections are counted as they live, see Opened.
//
// A mirrored request is counted in sidelight_* only: Istio's metrics, where the
// client's side counts no copies, would show more requests than there were.
func (m *Metrics) Done(x *forward.Exchange) {
	if x.DryRun != "" {
		m.dryRun.WithLabelValues(x.DryRun).Inc() // the rules of this sidecar's own configuration: few
	}
	if x.Protocol == mesh.TCP {
		return
	}
	e := m.edge(keyOf(x))
	o := e.outcome(outcomeOf(x))
	o.responses.Inc()
	e.tried(x)
	e.connections.Add(float64(x.Connections))
	if x.Mirror {
		return
	}
	o.requests.Inc()
	o.observe(x, x.Trace.Sampled && !x.Trace.ID.IsZero())
	o.requestSize.Observe(float64(x.RequestBytes))
	o.answerSize.Observe(float64(x.ResponseBytes))
	if x.Direction == listen.Inbound {
		m.addedDestination.Observe(x.Own.Seconds())
	} else {
		m.addedSource.Observe(x.Own.Seconds())
	}
}

// Messages counts the messages of a gRPC stream.
func (m *Metrics) Messages(x *forward.Exchange, requests, responses int64) {
	e := m.edge(keyOf(x))
	e.requestMsgs.Add(float64(requests))
	e.responseMsgs.Add(float64(responses))
}

// edge finds or makes the series of an edge. Above the bound, who is at the
// far end is not told any more; which service was called still is.
func (m *Metrics) edge(k edgeKey) *edge {
	if e, ok := m.edges.Load(k); ok {
		return e.(*edge)
	}
	if m.edgeCount.Load() >= m.edgeLimit {
		m.limited.WithLabelValues("edge").Inc()
		if k.direction == listen.Inbound {
			k.source = &nobody
		} else {
			k.destination = &nobody
		}
		k.service.Namespace = ""
		if e, ok := m.edges.Load(k); ok {
			return e.(*edge)
		}
	}
	labels := k.values()
	fresh := &edge{
		m: m, labels: labels,
		connections: m.connections.WithLabelValues(labels...),
	}
	if k.protocol == mesh.GRPC {
		fresh.requestMsgs = m.requestMsgs.WithLabelValues(labels...)
		fresh.responseMsgs = m.responseMsgs.WithLabelValues(labels...)
	}
	if k.protocol == mesh.TCP {
		open := fresh.tcp("-")
		fresh.tcpOpened, fresh.tcpActive = m.tcpOpened.WithLabelValues(open...), m.tcpActive.WithLabelValues(labels...)
		fresh.tcpSent, fresh.tcpReceived = m.tcpSent.WithLabelValues(open...), m.tcpReceived.WithLabelValues(open...)
	}
	made, loaded := m.edges.LoadOrStore(k, fresh)
	if !loaded {
		m.edgeCount.Add(1)
	}
	return made.(*edge)
}

// tried counts the tries of one exchange. Most edges never see a second one, so
// that a series is made for what has happened only.
func (e *edge) tried(x *forward.Exchange) {
	for i := range x.Attempts {
		number, outcome, word := min(i, mostTries-1), 0, "ok"
		if x.Attempts[i].Failed(x.Protocol) {
			outcome, word = 1, "failed"
		}
		at := &e.attempts[number][outcome]
		c := at.Load()
		if c == nil {
			made := e.m.attempts.WithLabelValues(slices.Concat(e.labels, []string{strconv.Itoa(number + 1), word})...)
			c = &made
			at.Store(c) // another may do the same: it is the same series
		}
		(*c).Inc()
	}
}

// nobody stands for the far end of edges above the bound. It is never written.
var nobody forward.Peer

func (e *edge) outcome(k outcomeKey) *outcome {
	if o, ok := e.outcomes.Load(k); ok {
		return o.(*outcome)
	}
	if e.count.Load() >= maxOutcomes || e.m.outcomeCount.Load() >= e.m.outcomeLimit.Load() {
		e.m.limited.WithLabelValues("outcome").Inc()
		k = k.coarse()
		if o, ok := e.outcomes.Load(k); ok {
			return o.(*outcome)
		}
	}
	fresh := &outcome{responses: e.m.responses.WithLabelValues(slices.Concat(e.labels, k.answer())...)}
	if !k.mirror {
		values := slices.Concat(e.labels, k.values())
		fresh.requests = e.m.requests.WithLabelValues(values...)
		fresh.duration = e.m.duration.WithLabelValues(values...)
		fresh.requestSize = e.m.requestSize.WithLabelValues(values...)
		fresh.answerSize = e.m.answerSize.WithLabelValues(values...)
	}
	made, loaded := e.outcomes.LoadOrStore(k, fresh)
	if !loaded {
		e.count.Add(1)
		e.m.outcomeCount.Add(1)
	}
	return made.(*outcome)
}

// Opened counts a TCP connection.
func (m *Metrics) Opened(x *forward.Exchange) {
	e := m.edge(keyOf(x))
	e.tcpOpened.Inc()
	e.tcpActive.Inc()
	e.tried(x)
	e.connections.Add(float64(x.Connections))
}

// Moved counts a TCP connection's bytes while it lives. The Meter speaks of the
// cluster's side of the connection, Istio's metrics of the client's: what was
// received from the client was sent to the cluster.
func (m *Metrics) Moved(x *forward.Exchange, sent, received int64) {
	e := m.edge(keyOf(x))
	e.tcpReceived.Add(float64(sent))
	e.tcpSent.Add(float64(received))
}

// Closed counts a TCP connection's end.
func (m *Metrics) Closed(x *forward.Exchange) {
	e := m.edge(keyOf(x))
	m.tcpClosed.WithLabelValues(e.tcp(x.Flags.String())...).Inc()
	e.tcpActive.Dec()
}

func (e *edge) tcp(flags string) []string { return slices.Concat(e.labels, []string{flags}) }
