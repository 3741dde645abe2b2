package mesh

import "time"

// Reporter is the side of a connection that a measurement was taken on. Both
// sides are kept apart, because where they disagree something was lost.
type Reporter string

// The reporters, in the standard metrics' spelling.
const (
	FromSource      Reporter = "source"
	FromDestination Reporter = "destination"
	// FromWaypoint is a proxy that stands before a workload and answers for it.
	// It counts as the server's side where no proxy beside the workload does.
	FromWaypoint Reporter = "waypoint"
)

// EdgeKey says who talked to whom, as one reporter saw it. It is comparable.
type EdgeKey struct {
	Reporter Reporter
	Source   Workload
	Target   Workload // unknown when the request never reached a workload
	Service  Service  // what the client called
	Protocol Protocol
	Security string // "mutual_tls", "none", "unknown"
}

// Outcome is how a request ended, as counted on an edge. It is comparable.
type Outcome struct {
	Code       int    // HTTP status; 0 when the client went away
	GRPC       string // gRPC status name or number; "" unless gRPC
	Flags      string // response flags, comma separated; "-" for none
	AnsweredBy string // AnsweredByUpstream, AnsweredByProxy, or "" when the dialect cannot tell
	Details    string // why the proxy answered: "upstream_per_try_timeout", "route_not_found"; "" for upstream
	Object     string // configuration object that caused the proxy's answer: "VirtualService cinema/tickets"
}

// Who gave an answer.
const (
	AnsweredByUpstream = "upstream"
	AnsweredByProxy    = "proxy"
)

// EdgeDelta is what one target counted on one edge between two scrapes.
// Counts are increases, already corrected for counter resets.
type EdgeDelta struct {
	Key EdgeKey

	Requests  map[Outcome]float64 // by istio_requests_total: AnsweredBy, Details and Object empty
	Responses map[Outcome]float64 // by sidelight_responses_total: who answered and why
	Latency   Histogram           // milliseconds
	Attempts  float64             // upstream tries; equals requests when nothing was retried

	NewConnections    float64 // upstream connections opened by the reporter
	TCPOpened         float64
	TCPClosed         float64
	SentBytes         float64 // request direction
	ReceivedBytes     float64 // response direction
	ActiveConnections float64 // a level, not an increase
}

// EdgeBatch carries all that one scrape of one target changed. An edge that
// did not change is left out; a batch without edges still tells that the
// target is alive.
type EdgeBatch struct {
	Target   string        // scrape target, "host:port", with its path where that is not /metrics
	Node     string        // node ID when known
	Workload Workload      // the target's own workload when known
	At       time.Time     // of this scrape
	Interval time.Duration // since the last good scrape; 0 at the first
	SetBack  bool          // since then, the clock that At is of was set back
	Up       bool          // false: the scrape failed, Error says why
	Error    string
	Deltas   []EdgeDelta
}
