package forward

import (
	"encoding/hex"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
)

type (
	// TraceID names a trace, as in W3C trace context.
	TraceID [16]byte
	// SpanID names a span, as in W3C trace context.
	SpanID [8]byte
)

// IsZero reports whether the identifier is the invalid one.
func (t TraceID) IsZero() bool { return t == TraceID{} }

// IsZero reports whether the identifier is the invalid one.
func (s SpanID) IsZero() bool { return s == SpanID{} }

// String is the identifier in hex, or "" for the invalid one.
func (t TraceID) String() string {
	if t.IsZero() {
		return ""
	}
	return hex.EncodeToString(t[:])
}

// String is the identifier in hex, or "" for the invalid one.
func (s SpanID) String() string {
	if s.IsZero() {
		return ""
	}
	return hex.EncodeToString(s[:])
}

// NewSpanID draws an identifier.
func NewSpanID() SpanID {
	var s SpanID
	for s.IsZero() {
		putUint64(s[:], rand.Uint64())
	}
	return s
}

func newTraceID() TraceID {
	var t TraceID
	for t.IsZero() {
		putUint64(t[:8], rand.Uint64())
		putUint64(t[8:], rand.Uint64())
	}
	return t
}

func putUint64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}

// traceForm is a set of header formats.
type traceForm uint8

const (
	formW3C traceForm = 1 << iota
	formB3Single
	formB3Multi
	formB3Short // B3 with a 64-bit trace identifier, continued as such
)

// Trace is an exchange's place in a trace.
type Trace struct {
	ID      TraceID
	Parent  SpanID // zero at the root
	Span    SpanID // of this exchange
	Sampled bool
	State   string // tracestate, passed on as it came

	forms traceForm
	debug bool // B3's "sample whatever your own mind"
}

// The trace context headers, in canonical form.
const (
	headerTraceparent = "Traceparent"
	headerTracestate  = "Tracestate"
	headerB3          = "B3"
	headerB3Trace     = "X-B3-Traceid"
	headerB3Span      = "X-B3-Spanid"
	headerB3Parent    = "X-B3-Parentspanid"
	headerB3Sampled   = "X-B3-Sampled"
	headerB3Flags     = "X-B3-Flags"
)

// readTrace joins the trace that a request carries, or begins one. A broken
// header counts as absent. When W3C and B3 name different traces W3C's is
// continued, in both forms. Share is the part of new traces that is sampled.
func readTrace(h http.Header, share float64) Trace {
	var t Trace
	decided := false
	if id, span, sampled, ok := parseTraceparent(first(h, headerTraceparent)); ok {
		t.ID, t.Parent, t.Sampled, decided = id, span, sampled, true
		t.forms |= formW3C
		t.State = strings.Join(h[headerTracestate], ",")
	}
	b3, form := readB3(h)
	if form != 0 {
		t.forms |= form
		if t.ID.IsZero() {
			t.ID, t.Parent, t.debug = b3.id, b3.span, b3.debug
			t.Sampled, decided = b3.sampled, b3.decided
		} else if t.ID != b3.id {
			t.forms &^= formB3Short
		}
	}
	if t.ID.IsZero() {
		t.ID = newTraceID()
	}
	if t.forms == 0 {
		t.forms = formW3C
	}
	if !decided {
		t.Sampled = sampledByID(t.ID, share)
	}
	t.Span = NewSpanID()
	return t
}

// write puts the context that the next hop joins into h: its parent is span.
func (t *Trace) write(h http.Header, span SpanID) {
	if t.forms&formW3C != 0 {
		h[headerTraceparent] = []string{t.traceparent(span)}
	}
	if t.forms&^formW3C == 0 {
		return
	}
	id := t.ID.String()
	if t.forms&formB3Short != 0 {
		id = id[16:]
	}
	if t.forms&formB3Single != 0 {
		value := id + "-" + span.String() + "-" + t.b3Sampled()
		if !t.Parent.IsZero() {
			value += "-" + t.Parent.String()
		}
		h[headerB3] = []string{value}
	}
	if t.forms&formB3Multi != 0 {
		h[headerB3Trace] = []string{id}
		h[headerB3Span] = []string{span.String()}
		delete(h, headerB3Parent)
		if !t.Parent.IsZero() {
			h[headerB3Parent] = []string{t.Parent.String()}
		}
		if !t.debug { // X-B3-Flags: 1 stays as it came and implies the decision
			h[headerB3Sampled] = []string{t.b3Sampled()}
		}
	}
}

func (t *Trace) traceparent(span SpanID) string {
	var b [55]byte
	copy(b[:], "00-")
	hex.Encode(b[3:], t.ID[:])
	b[35] = '-'
	hex.Encode(b[36:], span[:])
	copy(b[52:], "-00")
	if t.Sampled {
		b[54] = '1'
	}
	return string(b[:])
}

func (t *Trace) b3Sampled() string {
	switch {
	case t.debug:
		return "d"
	case t.Sampled:
		return "1"
	default:
		return "0"
	}
}

// parseTraceparent reads version-traceid-parentid-flags. Versions above 00 may
// carry more after the flags, ff is invalid.
func parseTraceparent(v string) (TraceID, SpanID, bool, bool) {
	var id TraceID
	var span SpanID
	var version, flags [1]byte
	if len(v) < 55 || v[2] != '-' || v[35] != '-' || v[52] != '-' ||
		(len(v) > 55 && (v[:2] == "00" || v[55] != '-')) ||
		!unhex(version[:], v[:2]) || version[0] == 0xff ||
		!unhex(id[:], v[3:35]) || !unhex(span[:], v[36:52]) || !unhex(flags[:], v[53:55]) ||
		id.IsZero() || span.IsZero() {
		return id, span, false, false
	}
	return id, span, flags[0]&1 == 1, true
}

type b3Context struct {
	id               TraceID
	span             SpanID
	sampled, decided bool
	debug            bool
}

func readB3(h http.Header) (b3Context, traceForm) {
	if v := first(h, headerB3); v != "" {
		if c, short, ok := parseB3Single(v); ok {
			return c, formB3Single | short
		}
	}
	var c b3Context
	c.setSampled(first(h, headerB3Sampled))
	if first(h, headerB3Flags) == "1" {
		c.sampled, c.decided, c.debug = true, true, true
	}
	short, ok := c.setIDs(first(h, headerB3Trace), first(h, headerB3Span))
	if !ok {
		c.id, c.span, short = TraceID{}, SpanID{}, 0
		if !c.decided {
			return c, 0
		}
	}
	return c, formB3Multi | short
}

// parseB3Single reads {traceid}-{spanid}[-{sampled}[-{parent}]], or the
// decision alone.
func parseB3Single(v string) (c b3Context, short traceForm, ok bool) {
	parts := strings.Split(v, "-")
	if len(parts) == 1 {
		c.setSampled(v)
		return c, 0, c.decided
	}
	if len(parts) > 4 {
		return c, 0, false
	}
	if len(parts) > 2 {
		c.setSampled(parts[2])
	}
	short, ok = c.setIDs(parts[0], parts[1])
	return c, short, ok
}

func (c *b3Context) setIDs(trace, span string) (short traceForm, ok bool) {
	switch len(trace) {
	case 16:
		short = formB3Short
		ok = unhex(c.id[8:], trace)
	case 32:
		ok = unhex(c.id[:], trace)
	}
	ok = ok && len(span) == 16 && unhex(c.span[:], span) && !c.id.IsZero() && !c.span.IsZero()
	return short, ok
}

func (c *b3Context) setSampled(v string) {
	switch v {
	case "1", "true":
		c.sampled, c.decided = true, true
	case "0", "false":
		c.decided = true
	case "d":
		c.sampled, c.decided, c.debug = true, true, true
	}
}

// sampledByID decides by the trace identifier's low half, so that every
// sidecar that has to decide on the same trace decides the same.
func sampledByID(id TraceID, share float64) bool {
	switch {
	case share >= 1:
		return true
	case share <= 0:
		return false
	}
	var low uint64
	for _, b := range id[8:] {
		low = low<<8 | uint64(b)
	}
	return float64(low) < share*math.MaxUint64
}

// unhex reads lower-case hex only, as W3C demands, and upper case too, as B3
// tracers send; a length that does not fit is refused.
func unhex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}

func first(h http.Header, canonical string) string {
	if v := h[canonical]; len(v) > 0 {
		return v[0]
	}
	return ""
}
