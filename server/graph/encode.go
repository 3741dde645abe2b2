package graph

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// A view of a large mesh is megabytes of small figures, once a second.
// Reflection would take longer to write it than the engine to make it, so that
// nodes and edges write themselves. The structs' tags stay the contract: a
// test holds the two against each other.

// Key tells nodes of a view apart.
func (n *Node) Key() string { return n.ID }

// JSON gives the node as JSON, which is shared: it is not to be changed.
func (n *Node) JSON() []byte {
	if n.written == nil || n.Match {
		return n.AppendJSON(nil)
	}
	return n.written.get(n.write)
}

// AppendJSON writes the node.
func (n *Node) AppendJSON(b []byte) []byte {
	if n.written == nil {
		return matched(n.write(b), n.Match)
	}
	return matched(append(b, n.written.get(n.write)...), n.Match)
}

// matched adds to an element what is not of itself, but of the query.
func matched(b []byte, match bool) []byte {
	if match {
		b = append(b[:len(b)-1], `,"match":true}`...)
	}
	return b
}

// labels writes what does not change while a plan holds.
func (n *Node) labels(b []byte) []byte {
	w := writer{b}
	w.text(`{"id":`, n.ID)
	w.text(`,"kind":`, string(n.Kind))
	w.optional(`,"cluster":`, n.Cluster)
	w.text(`,"namespace":`, n.Namespace)
	w.text(`,"name":`, n.Name)
	w.optional(`,"app":`, n.App)
	w.optional(`,"version":`, n.Version)
	return w.b
}

func (n *Node) write(b []byte) []byte {
	w := writer{n.written.begin(b, n.labels)}
	w.flag(`,"meshed":`, n.Meshed)
	if n.Gateway {
		w.raw(`,"gateway":true`)
	}
	if n.Folded != nil {
		w.any(`,"folded":`, n.Folded)
	}
	if n.Config != nil {
		w.any(`,"config":`, n.Config)
	}
	w.health(&n.Health)
	w.traffic(`,"in":`, &n.In)
	w.traffic(`,"out":`, &n.Out)
	w.series(`,"rps_series":`, n.RPSSeries)
	w.raw(`}`)
	return w.b
}

// Key tells edges of a view apart.
func (e *Edge) Key() string { return e.ID }

// JSON gives the edge as JSON, which is shared: it is not to be changed.
func (e *Edge) JSON() []byte {
	if e.written == nil || e.Match {
		return e.AppendJSON(nil)
	}
	return e.written.get(e.write)
}

// AppendJSON writes the edge.
func (e *Edge) AppendJSON(b []byte) []byte {
	if e.written == nil {
		return matched(e.write(b), e.Match)
	}
	return matched(append(b, e.written.get(e.write)...), e.Match)
}

// labels writes what does not change while a plan holds and the same service is
// called most.
func (e *Edge) labels(b []byte) []byte {
	w := writer{b}
	w.text(`{"id":`, e.ID)
	w.text(`,"source":`, e.Source)
	w.text(`,"target":`, e.Target)
	w.text(`,"protocol":`, string(e.Protocol))
	if s := e.Service; s != nil {
		w.text(`,"service":{"host":`, s.Host)
		w.text(`,"namespace":`, s.Namespace)
		w.text(`,"name":`, s.Name)
		w.raw(`}`)
	}
	return w.b
}

func (e *Edge) write(b []byte) []byte {
	w := writer{e.written.begin(b, e.labels)}
	w.number(`,"rps":`, e.RPS)
	w.number(`,"error_ratio":`, e.ErrorRatio)
	w.quantiles(e.P50MS, e.P95MS, e.P99MS)
	w.rates(`,"codes":`, e.Codes)
	w.rates(`,"flags":`, e.Flags)
	w.number(`,"answered_by":{"upstream":`, e.AnsweredBy.Upstream)
	w.number(`,"proxy":`, e.AnsweredBy.Proxy)
	if len(e.Answers) == 0 && e.Answers != nil {
		w.raw(`},"answers":[]`)
	} else {
		w.any(`},"answers":`, e.Answers)
	}
	w.number(`,"attempts_per_request":`, e.AttemptsPerRequest)
	w.flag(`,"mirrored":`, e.Mirrored)
	w.number(`,"new_connections_per_s":`, e.NewConnectionsPerS)
	w.pointer(`,"requests_per_connection":`, e.RequestsPerConnection)
	w.number(`,"mtls_ratio":`, e.MTLSRatio)
	w.number(`,"sent_bytes_per_s":`, e.SentBytesPerS)
	w.number(`,"received_bytes_per_s":`, e.ReceivedBytesPerS)
	w.number(`,"active_connections":`, e.ActiveConnections)
	if e.Weight != nil {
		w.number(`,"weight":{"configured":`, e.Weight.Configured)
		w.number(`,"actual":`, e.Weight.Actual)
		w.raw(`}`)
	}
	w.side(`,"client_side":`, e.ClientSide)
	w.side(`,"server_side":`, e.ServerSide)
	w.health(&e.Health)
	w.series(`,"rps_series":`, e.RPSSeries)
	w.series(`,"error_series":`, e.ErrorSeries)
	w.raw(`}`)
	return w.b
}

// AppendJSON writes the view.
func (v *View) AppendJSON(b []byte) []byte {
	w := writer{b}
	w.text(`{"epoch":`, v.Epoch)
	w.raw(`,"seq":`)
	w.b = strconv.AppendUint(w.b, v.Seq, 10)
	w.any(`,"at":`, v.At)
	w.number(`,"window_s":`, v.WindowS)
	w.text(`,"group":`, string(v.Group))
	w.raw(`,"nodes":[`)
	for i := range v.Nodes {
		w.comma(i)
		w.b = v.Nodes[i].AppendJSON(w.b)
	}
	w.raw(`],"edges":[`)
	for i := range v.Edges {
		w.comma(i)
		w.b = v.Edges[i].AppendJSON(w.b)
	}
	w.any(`],"stale":`, v.Stale)
	if v.Folded != (Folded{}) {
		w.any(`,"folded":`, v.Folded)
	}
	if v.Hidden != nil {
		w.any(`,"hidden":`, v.Hidden)
	}
	if v.Matched != nil {
		w.any(`,"matched":`, v.Matched)
	}
	w.any(`,"totals":`, v.Totals)
	w.any(`,"limits":`, v.Limits)
	w.raw(`}`)
	return w.b
}

// writer appends JSON. Names come with what stands before them.
type writer struct{ b []byte }

func (w *writer) raw(s string) { w.b = append(w.b, s...) }

func (w *writer) comma(i int) {
	if i > 0 {
		w.b = append(w.b, ',')
	}
}

// any writes what is rare.
func (w *writer) any(name string, v any) {
	w.raw(name)
	text, err := json.Marshal(v)
	if err != nil {
		panic("BUG: a part of a view is no JSON: " + err.Error())
	}
	w.b = append(w.b, text...)
}

func (w *writer) text(name, s string) {
	w.raw(name)
	w.quote(s)
}

func (w *writer) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			text, _ := json.Marshal(s) // strings always encode
			w.b = append(w.b, text...)
			return
		}
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, s...)
	w.b = append(w.b, '"')
}

func (w *writer) optional(name, s string) {
	if s != "" {
		w.text(name, s)
	}
}

func (w *writer) flag(name string, is bool) {
	w.raw(name)
	w.b = strconv.AppendBool(w.b, is)
}

func (w *writer) number(name string, x float64) {
	w.raw(name)
	w.b = appendNumber(w.b, x)
}

// appendNumber writes what round leaves: mostly whole numbers, and those of few
// decimals.
func appendNumber(b []byte, x float64) []byte {
	if n := int64(x); float64(n) == x && n >= 0 && n < 1e15 {
		if n < 10 {
			return append(b, byte('0'+n))
		}
		return strconv.AppendInt(b, n, 10)
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(b, '0') // no figure of a view is one
	}
	a := math.Abs(x)
	if a < 1e9 {
		if n := int64(a*1e3 + 0.5); float64(n)/1e3 == a {
			return appendDecimals(b, x < 0, n, 1e3)
		}
		if n := int64(a*1e6 + 0.5); float64(n)/1e6 == a {
			return appendDecimals(b, x < 0, n, 1e6)
		}
	}
	if a < 1e-6 || a >= 1e21 {
		return strconv.AppendFloat(b, x, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, x, 'f', -1, 64)
}

// appendDecimals writes n/of, of being a power of ten.
func appendDecimals(b []byte, negative bool, n, of int64) []byte {
	if negative {
		b = append(b, '-')
	}
	b = strconv.AppendInt(b, n/of, 10)
	n %= of
	if n == 0 {
		return b
	}
	b = append(b, '.')
	for ; n > 0; n %= of {
		of /= 10
		b = append(b, byte('0'+n/of))
	}
	return b
}

func (w *writer) pointer(name string, x *float64) {
	w.raw(name)
	if x == nil {
		w.raw("null")
		return
	}
	w.b = appendNumber(w.b, *x)
}

func (w *writer) quantiles(p50, p95, p99 *float64) {
	w.pointer(`,"p50_ms":`, p50)
	w.pointer(`,"p95_ms":`, p95)
	w.pointer(`,"p99_ms":`, p99)
}

func (w *writer) series(name string, series []float64) {
	w.raw(name)
	if series == nil {
		w.raw("null")
		return
	}
	b := append(w.b, '[')
	for i, x := range series {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, x)
	}
	w.b = append(b, ']')
}

func (w *writer) rates(name string, m map[string]float64) {
	w.raw(name)
	switch len(m) {
	case 0:
		if m == nil {
			w.raw("null")
			return
		}
		w.raw("{}")
		return
	case 1:
		for k, x := range m {
			w.text(`{`, k)
			w.number(`:`, x)
		}
	default:
		w.b = append(w.b, '{')
		for i, k := range slices.Sorted(maps.Keys(m)) {
			w.comma(i)
			w.quote(k)
			w.number(`:`, m[k])
		}
	}
	w.b = append(w.b, '}')
}

func (w *writer) side(name string, s *Side) {
	w.raw(name)
	if s == nil {
		w.raw("null")
		return
	}
	w.number(`{"rps":`, s.RPS)
	w.number(`,"error_ratio":`, s.ErrorRatio)
	w.quantiles(s.P50MS, s.P95MS, s.P99MS)
	w.raw(`}`)
}

func (w *writer) traffic(name string, t *Traffic) {
	w.raw(name)
	w.number(`{"rps":`, t.RPS)
	w.number(`,"error_ratio":`, t.ErrorRatio)
	w.quantiles(t.P50MS, t.P95MS, t.P99MS)
	w.number(`,"sent_bytes_per_s":`, t.SentBytesPerS)
	w.number(`,"received_bytes_per_s":`, t.ReceivedBytesPerS)
	w.number(`,"active_connections":`, t.ActiveConnections)
	w.raw(`}`)
}

func (w *writer) health(h *Health) {
	w.text(`,"health":{"state":`, string(h.State))
	if h.Reasons == nil {
		w.raw(`,"reasons":null}`)
		return
	}
	w.raw(`,"reasons":[`)
	for i := range h.Reasons {
		r := &h.Reasons[i]
		w.comma(i)
		w.text(`{"code":`, r.Code)
		w.text(`,"text":`, r.Text)
		if !r.Since.IsZero() {
			w.raw(`,"since":"`)
			w.b = r.Since.AppendFormat(w.b, time.RFC3339Nano)
			w.raw(`"`)
		}
		w.raw(`}`)
	}
	w.raw(`]}`)
}
