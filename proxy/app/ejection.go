package app

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
)

// maxEjections bounds what waits for the control plane. What does not fit is
// still in the log, and counted by sidelight_outlier_ejections_total.
const maxEjections = 256

// tellEjection queues an ejection for the control plane; it never waits.
func (a *App) tellEjection(e forward.Ejection) {
	m := &meshv1.Ejection{
		At: timestamppb.New(e.At), Cluster: e.Cluster.Name, Endpoint: e.Endpoint, Returned: e.Returned,
		Status: int32(e.Status), Out: int32(e.Out), Of: int32(e.Of), Object: e.Cluster.Object,
	}
	if !e.Until.IsZero() {
		m.Until = timestamppb.New(e.Until)
	}
	if len(e.Cluster.Services) > 0 {
		m.Service = e.Cluster.Services[0].Host
	}
	select {
	case a.ejections <- m:
	default:
		a.log.Warn("ejection not told to the control plane, the queue is full", "cluster", m.GetCluster(), "endpoint", m.GetEndpoint())
	}
}
