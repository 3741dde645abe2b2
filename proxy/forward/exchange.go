package forward

import (
	"net/http"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// Observer sees each exchange once, when it has ended. Observers are called in
// turn on the request's own goroutine after the last byte went to the client:
// Done must not block, and must not keep the Exchange or anything it points to
// after it returns.
//
// Active is asked before Done; a false costs nothing more. It must be cheap
// and safe for concurrent use.
type Observer interface {
	Active() bool
	Done(*Exchange)
}

// Exchange is one request and its answer, or one TCP connection, as this
// sidecar saw it end.
type Exchange struct {
	Begin     time.Time
	Listener  string
	Direction listen.Direction
	Protocol  mesh.Protocol
	Mirror    bool // a copy, whose answer nobody got

	Source      *Peer // never nil; mesh.Unknown where nobody could tell
	Destination *Peer
	Service     mesh.Service

	Method    string // "" for TCP
	Scheme    string
	Authority string
	Path      string // with query, as the client sent it
	Proto     string // "HTTP/1.1", "HTTP/2.0"

	Status     int    // 0 when the client went away before an answer, and for TCP
	GRPCStatus string // number, "" unless gRPC
	Flags      Flags
	Details    string // Envoy's response_code_details; "via_upstream" when the service answered
	Object     string // configuration object that made the proxy answer itself
	DryRun     string // rule of a policy on trial that would have denied; policy.None for lack of one that allows

	RouteName   string
	RouteObject string // "VirtualService cinema/tickets"
	Cluster     string
	Revision    uint64 // of the route used

	Attempts    []Attempt
	Connections int // upstream connections opened since the last exchange with that endpoint

	Duration  time.Duration
	FirstByte time.Duration // after Begin; 0 when there was none
	Own       time.Duration // this sidecar's share of the time to the first byte

	RequestBytes  int64 // with headers
	ResponseBytes int64

	Trace   Trace
	Headers HeaderView

	RequestID  string
	ClientAddr string
	TLS        string // mutual_tls | tls | none
}

// HeaderView gives the headers as the client sent and got them. They are not
// copied: valid during Done only, and only to be read.
type HeaderView struct {
	Request  http.Header // nil for TCP
	Response http.Header
}

// AnsweredBy says who gave the answer that the client got: the proxy or the
// service behind it.
func (x *Exchange) AnsweredBy() string {
	if x.Details == DetailsViaUpstream {
		return mesh.AnsweredByUpstream
	}
	return mesh.AnsweredByProxy
}

// Failed reports whether the exchange counts as an error: a 5xx, a gRPC status
// that is one, or no answer at all.
func (x *Exchange) Failed() bool {
	if x.Protocol == mesh.TCP {
		return x.Flags != 0
	}
	return x.Status == 0 || x.Status >= 500 || (x.GRPCStatus != "" && x.GRPCStatus != "0")
}

// Attempt is one try at an endpoint.
type Attempt struct {
	Endpoint  string // "10.0.0.7:8080"
	Workload  mesh.Workload
	SpanID    SpanID // that this try carried to the endpoint
	Start     time.Duration
	Duration  time.Duration
	Queue     time.Duration // of it, waiting for a connection
	Connect   time.Duration // of it, opening one, TLS included
	Status    int           // 0 when no answer came
	GRPC      string
	Flags     Flags
	Reason    string // "connection refused", "per-try timeout 1s"; "" when it was the answer
	Reached   bool   // a connection to the endpoint stood
	Encrypted bool   // by TLS, the mesh's or another
	Secure    bool   // and was under mutual TLS
	// Principal is the endpoint's identity, as its certificate proved it.
	Principal string
}

// Failed reports whether a try counts as an error, as Exchange.Failed does of
// the whole.
func (a *Attempt) Failed(p mesh.Protocol) bool {
	if p == mesh.TCP {
		return a.Flags != 0
	}
	return a.Status == 0 || a.Status >= 500 || (a.GRPC != "" && a.GRPC != "0")
}
