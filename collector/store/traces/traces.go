// Package traces stores spans and answers questions about them. It owns the
// query port that the server, the Jaeger API and the command line read
// through, the embedded store on Pebble behind it, and the HTTP client for a
// collector in another process. Pebble is imported here and nowhere else.
package traces

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Querier answers questions about stored traces. Implementations are safe for
// concurrent use, give results that the caller owns, and pass
// storetest.Suite.
type Querier interface {
	// Search gives the newest traces that match, at most q.Limit: exactly
	// q.Limit when that many exist. An empty result is not an error.
	Search(ctx context.Context, q Query) (SearchResult, error)
	// Get gives one trace whole. mesh.ErrNotFound when no span of it is stored,
	// mesh.ErrInvalid when id is not 32 hex digits (leading zeros may be missing).
	Get(ctx context.Context, id string) (Trace, error)
	// Services lists the services that sent spans, sorted.
	Services(ctx context.Context) ([]string, error)
	// Operations lists a service's operations, sorted; empty when unknown.
	Operations(ctx context.Context, service string) ([]string, error)
	// Stats gives totals since the store was opened and what it holds.
	Stats() Stats
}

// Query selects traces. Zero fields do not restrict. All conditions on spans
// must hold on one and the same span, except MinDuration, MaxDuration, From
// and To, which speak of the trace.
type Query struct {
	Service   string
	Operation string
	Workload  string // "namespace/name"
	Source    string // "namespace/name": an edge's client
	Target    string // "namespace/name": an edge's server
	Route     string
	Status    string // "503", "5xx"
	Errors    bool   // only traces with an error span
	Tags      map[string]string

	MinDuration, MaxDuration time.Duration
	From, To                 time.Time
	Limit                    int // default 20, at most 1000
}

// SearchResult is what a search found, newest first.
type SearchResult struct {
	Traces       []Summary `json:"traces"`
	TotalScanned int       `json:"total_scanned"`
	Complete     bool      `json:"complete"` // false: the scan's limit ended it before the time range did
}

// Summary is one line of a result list.
type Summary struct {
	TraceID    string         `json:"trace_id"`
	Service    string         `json:"service"` // of the root span, or of the earliest when the root is missing
	Operation  string         `json:"operation"`
	Start      time.Time      `json:"start"`
	DurationMS float64        `json:"duration_ms"`
	Spans      int            `json:"spans"`
	Errors     int            `json:"errors"`
	Status     int            `json:"status"` // HTTP status of the root, 0 when it has none
	Services   []ServiceCount `json:"services"`
}

// ServiceCount is a service's share in one trace.
type ServiceCount struct {
	Name   string `json:"name"`
	Spans  int    `json:"spans"`
	Errors int    `json:"errors"`
}

// Trace is one trace whole. Times are microseconds after Start. A Querier gives
// the spans by start, with Depth, SelfUS, CriticalPath and Services left empty:
// server/trace fills them in and orders the spans as a tree, parents first.
type Trace struct {
	TraceID      string    `json:"trace_id"`
	Start        time.Time `json:"start"`
	DurationMS   float64   `json:"duration_ms"`
	Spans        []Span    `json:"spans"`
	CriticalPath []string  `json:"critical_path"` // span IDs; filled by server/trace
	Services     []string  `json:"services"`
	Problems     []string  `json:"problems"` // "2 spans without their parent", "clock skew of 3 ms at ..."
}

// Span is one operation of a trace.
type Span struct {
	SpanID     string      `json:"span_id"`
	ParentID   string      `json:"parent_id"`
	Depth      int         `json:"depth"`
	Service    string      `json:"service"`
	Workload   string      `json:"workload"` // "namespace/name"
	Operation  string      `json:"operation"`
	Kind       string      `json:"kind"` // internal | server | client | producer | consumer
	StartUS    int64       `json:"start_us"`
	DurationUS int64       `json:"duration_us"`
	SelfUS     int64       `json:"self_us"` // not covered by children
	Status     string      `json:"status"`  // unset | ok | error
	Message    string      `json:"message,omitempty"`
	Attributes []Attribute `json:"attributes"`
	Events     []Event     `json:"events"`
}

// Attribute is a key and its value as text.
type Attribute struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Event is a dated note on a span.
type Event struct {
	AtUS       int64       `json:"at_us"`
	Name       string      `json:"name"`
	Attributes []Attribute `json:"attributes"`
}

// Writer stores spans. WriteSpans returns once they are safe from the end of
// this process, and owns td from the call on. mesh.ErrExhausted asks the sender
// to slow down and try again; mesh.ErrUnavailable says that the store is
// closed or cannot write.
type Writer interface {
	WriteSpans(ctx context.Context, td ptrace.Traces) error
}

// Stats counts what the store took, holds and lost.
type Stats struct {
	Spans    uint64    `json:"spans"`  // taken since the store was opened
	Traces   uint64    `json:"traces"` // distinct, since the store was opened
	Refused  uint64    `json:"refused"`
	Bytes    uint64    `json:"bytes"` // on disk
	Corrupt  uint64    `json:"corrupt"`
	OldestAt time.Time `json:"oldest_at,omitzero"`
}
