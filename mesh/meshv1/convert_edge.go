package meshv1

import (
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// FromEdgeBatch gives the message for b.
func FromEdgeBatch(b mesh.EdgeBatch) *EdgeBatch {
	x := &EdgeBatch{
		Target:     b.Target,
		Node:       b.Node,
		Workload:   FromWorkload(b.Workload),
		At:         fromTime(b.At),
		IntervalNs: int64(b.Interval),
		Up:         b.Up,
		Error:      b.Error,
		SetBack:    b.SetBack,
	}
	if len(b.Deltas) > 0 {
		x.Deltas = make([]*EdgeDelta, 0, len(b.Deltas))
	}
	for i := range b.Deltas {
		x.Deltas = append(x.Deltas, FromEdgeDelta(b.Deltas[i]))
	}
	return x
}

// Mesh gives the batch.
func (x *EdgeBatch) Mesh() mesh.EdgeBatch {
	b := mesh.EdgeBatch{
		Target:   x.GetTarget(),
		Node:     x.GetNode(),
		Workload: x.GetWorkload().Mesh(),
		At:       toTime(x.GetAt()),
		Interval: time.Duration(x.GetIntervalNs()),
		Up:       x.GetUp(),
		Error:    x.GetError(),
		SetBack:  x.GetSetBack(),
	}
	if len(x.GetDeltas()) > 0 {
		b.Deltas = make([]mesh.EdgeDelta, 0, len(x.GetDeltas()))
	}
	for _, d := range x.GetDeltas() {
		b.Deltas = append(b.Deltas, d.Mesh())
	}
	return b
}

// FromEdgeDelta gives the message for d.
func FromEdgeDelta(d mesh.EdgeDelta) *EdgeDelta {
	return &EdgeDelta{
		Reporter:          string(d.Key.Reporter),
		Source:            FromWorkload(d.Key.Source),
		Target:            FromWorkload(d.Key.Target),
		Service:           FromService(d.Key.Service),
		Protocol:          string(d.Key.Protocol),
		Security:          d.Key.Security,
		Requests:          fromOutcomes(d.Requests),
		Responses:         fromOutcomes(d.Responses),
		Latency:           FromHistogram(d.Latency),
		Attempts:          d.Attempts,
		NewConnections:    d.NewConnections,
		TcpOpened:         d.TCPOpened,
		TcpClosed:         d.TCPClosed,
		SentBytes:         d.SentBytes,
		ReceivedBytes:     d.ReceivedBytes,
		ActiveConnections: d.ActiveConnections,
	}
}

// Mesh gives the delta.
func (x *EdgeDelta) Mesh() mesh.EdgeDelta {
	return mesh.EdgeDelta{
		Key: mesh.EdgeKey{
			Reporter: mesh.Reporter(x.GetReporter()),
			Source:   x.GetSource().Mesh(),
			Target:   x.GetTarget().Mesh(),
			Service:  x.GetService().Mesh(),
			Protocol: mesh.Protocol(x.GetProtocol()),
			Security: x.GetSecurity(),
		},
		Requests:          toOutcomes(x.GetRequests()),
		Responses:         toOutcomes(x.GetResponses()),
		Latency:           x.GetLatency().Mesh(),
		Attempts:          x.GetAttempts(),
		NewConnections:    x.GetNewConnections(),
		TCPOpened:         x.GetTcpOpened(),
		TCPClosed:         x.GetTcpClosed(),
		SentBytes:         x.GetSentBytes(),
		ReceivedBytes:     x.GetReceivedBytes(),
		ActiveConnections: x.GetActiveConnections(),
	}
}

// FromHistogram gives the message for h; nil when h is empty.
func FromHistogram(h mesh.Histogram) *Histogram {
	if h.Count == 0 && h.Sum == 0 && len(h.Buckets) == 0 {
		return nil
	}
	x := &Histogram{Count: h.Count, Sum: h.Sum}
	if n := len(h.Buckets); n > 0 {
		x.Lower, x.Upper, x.Counts = make([]float64, n), make([]float64, n), make([]float64, n)
	}
	for i, b := range h.Buckets {
		x.Lower[i], x.Upper[i], x.Counts[i] = b.Lower, b.Upper, b.Count
	}
	return x
}

// Mesh gives the histogram. Columns of unequal length are cut to the shortest.
func (x *Histogram) Mesh() mesh.Histogram {
	h := mesh.Histogram{Count: x.GetCount(), Sum: x.GetSum()}
	n := min(len(x.GetLower()), len(x.GetUpper()), len(x.GetCounts()))
	if n == 0 {
		return h
	}
	h.Buckets = make([]mesh.Bucket, n)
	for i := range h.Buckets {
		h.Buckets[i] = mesh.Bucket{Lower: x.Lower[i], Upper: x.Upper[i], Count: x.Counts[i]}
	}
	return h
}

func fromOutcomes(counts map[mesh.Outcome]float64) []*OutcomeCount {
	if len(counts) == 0 {
		return nil
	}
	out := make([]*OutcomeCount, 0, len(counts))
	for o, n := range counts {
		out = append(out, &OutcomeCount{
			Code: int32(o.Code), Grpc: o.GRPC, Flags: o.Flags, AnsweredBy: o.AnsweredBy,
			Details: o.Details, Object: o.Object, Count: n,
		})
	}
	return out
}

// toOutcomes adds up outcomes that the sender listed twice.
func toOutcomes(counts []*OutcomeCount) map[mesh.Outcome]float64 {
	if len(counts) == 0 {
		return nil
	}
	out := make(map[mesh.Outcome]float64, len(counts))
	for _, c := range counts {
		out[mesh.Outcome{
			Code: int(c.GetCode()), GRPC: c.GetGrpc(), Flags: c.GetFlags(), AnsweredBy: c.GetAnsweredBy(),
			Details: c.GetDetails(), Object: c.GetObject(),
		}] += c.GetCount()
	}
	return out
}
