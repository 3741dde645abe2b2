package telemetry

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

// AccessLog writes one JSON line per exchange. It is an Observer. A log that
// is too slow loses lines, counted, and never holds a request.
type AccessLog struct {
	out     io.Writer
	lines   chan []byte
	dropped prometheus.Counter
	quit    chan struct{}
	done    chan struct{}
}

const accessLogQueue = 1024

// NewAccessLog starts the writer; Shutdown ends it.
func NewAccessLog(out io.Writer, m *Metrics) *AccessLog {
	l := &AccessLog{
		out: out, dropped: m.logDropped,
		lines: make(chan []byte, accessLogQueue),
		quit:  make(chan struct{}), done: make(chan struct{}),
	}
	go l.run()
	return l
}

// Active is always true.
func (l *AccessLog) Active() bool { return true }

// line is an access log entry; the names are those of Istio's JSON log where
// it has one.
type line struct {
	StartTime   time.Time `json:"start_time"`
	Direction   string    `json:"direction"`
	Listener    string    `json:"listener"`
	Method      string    `json:"method,omitempty"`
	Authority   string    `json:"authority,omitempty"`
	Path        string    `json:"path,omitempty"`
	Protocol    string    `json:"protocol"`
	Code        int       `json:"response_code"`
	GRPCStatus  string    `json:"grpc_status,omitempty"`
	Flags       string    `json:"response_flags"`
	Details     string    `json:"response_code_details"`
	AnsweredBy  string    `json:"answered_by"`
	Object      string    `json:"config_object,omitempty"`
	Received    int64     `json:"bytes_received"`
	Sent        int64     `json:"bytes_sent"`
	Duration    float64   `json:"duration_ms"`
	Own         float64   `json:"proxy_ms"`
	Attempts    int       `json:"attempts"`
	Cluster     string    `json:"upstream_cluster,omitempty"`
	Host        string    `json:"upstream_host,omitempty"`
	Failure     string    `json:"upstream_failure_reason,omitempty"`
	Route       string    `json:"route_name,omitempty"`
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	Service     string    `json:"service,omitempty"`
	Client      string    `json:"downstream_remote_address"`
	TLS         string    `json:"connection_security"`
	SourceID    string    `json:"source_principal,omitempty"`
	DestID      string    `json:"destination_principal,omitempty"`
	DryRun      string    `json:"dry_run_denied,omitempty"`
	RequestID   string    `json:"request_id,omitempty"`
	TraceID     string    `json:"trace_id,omitempty"`
}

// Done queues the exchange's line.
func (l *AccessLog) Done(x *forward.Exchange) {
	e := line{
		StartTime: x.Begin, Direction: string(x.Direction), Listener: x.Listener,
		Method: x.Method, Authority: x.Authority, Path: x.Path, Protocol: x.Proto,
		Code: x.Status, GRPCStatus: x.GRPCStatus, Flags: x.Flags.String(), Details: x.Details,
		AnsweredBy: x.AnsweredBy(), Object: x.Object,
		Received: x.RequestBytes, Sent: x.ResponseBytes,
		Duration: ms(x.Duration), Own: ms(x.Own), Attempts: len(x.Attempts),
		Cluster: x.Cluster, Route: x.RouteName,
		Source: peerName(x.Source.Workload), Destination: peerName(x.Destination.Workload),
		Service: x.Service.Host, Client: x.ClientAddr,
		TLS: x.TLS, SourceID: x.Source.Principal, DestID: x.Destination.Principal, DryRun: x.DryRun,
		RequestID: x.RequestID, TraceID: x.Trace.ID.String(),
	}
	if x.Protocol == mesh.TCP {
		e.Protocol = string(mesh.TCP)
	}
	if n := len(x.Attempts); n > 0 {
		e.Host, e.Failure = x.Attempts[n-1].Endpoint, x.Attempts[n-1].Reason
	}
	b, err := json.Marshal(e)
	if err != nil {
		l.dropped.Inc()
		return
	}
	select {
	case l.lines <- append(b, '\n'):
	default:
		l.dropped.Inc()
	}
}

// Shutdown writes what is queued, until ctx ends.
func (l *AccessLog) Shutdown(ctx context.Context) error {
	close(l.quit)
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *AccessLog) run() {
	defer close(l.done)
	for {
		select {
		case b := <-l.lines:
			l.write(b)
		case <-l.quit:
			for {
				select {
				case b := <-l.lines:
					l.write(b)
				default:
					return
				}
			}
		}
	}
}

func (l *AccessLog) write(b []byte) {
	if _, err := l.out.Write(b); err != nil {
		l.dropped.Inc()
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
