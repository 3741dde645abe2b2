package forward

// TraceID and SpanID are the identifiers of W3C trace context.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

// IsZero reports whether the identifier is the invalid one.
func (t TraceID) IsZero() bool { return t == TraceID{} }

// IsZero reports whether the identifier is the invalid one.
func (s SpanID) IsZero() bool { return s == SpanID{} }

// Trace is an exchange's place in a trace.
type Trace struct {
	ID      TraceID
	Parent  SpanID // zero at the root
	Span    SpanID // of this exchange
	Sampled bool
	State   string // tracestate, passed on as it came
}
