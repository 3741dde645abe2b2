// Package meshv1 holds the messages that Sidelight's own processes send each other:
// the sidecar's agent stream and the collector's edge stream, generated from
// mesh.proto, and their conversion to and from the nouns of package mesh.
package meshv1

import (
	"maps"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// The messages of this package are the mesh package's nouns on the wire. The
// functions here are the only translation between the two. Every From function
// copies; every Mesh method takes a nil receiver and garbage from the wire
// without complaint, because both ends judge values where they use them.

// FromWorkload gives the message for w.
func FromWorkload(w mesh.Workload) *Workload {
	return &Workload{Cluster: w.Cluster, Namespace: w.Namespace, Name: w.Name, App: w.App, Version: w.Version}
}

// Mesh gives the workload that the message names.
func (x *Workload) Mesh() mesh.Workload {
	return mesh.Workload{
		Cluster: x.GetCluster(), Namespace: x.GetNamespace(), Name: x.GetName(),
		App: x.GetApp(), Version: x.GetVersion(),
	}
}

// FromIdentity gives the message for id.
func FromIdentity(id mesh.Identity) *Identity {
	x := &Identity{Principal: id.Principal, Serial: id.Serial, NotBefore: stamp(id.NotBefore), NotAfter: stamp(id.NotAfter)}
	if f := id.Failure; f != nil {
		x.Failure = &IdentityFailure{Since: stamp(f.Since), Reason: f.Reason, Error: f.Error, Remedy: f.Remedy}
	}
	return x
}

// Mesh gives the certificate that the message tells of.
func (x *Identity) Mesh() mesh.Identity {
	id := mesh.Identity{Principal: x.GetPrincipal(), Serial: x.GetSerial(), NotBefore: moment(x.GetNotBefore()), NotAfter: moment(x.GetNotAfter())}
	if f := x.GetFailure(); f != nil {
		id.Failure = &mesh.IdentityFailure{Since: moment(f.GetSince()), Reason: f.GetReason(), Error: f.GetError(), Remedy: f.GetRemedy()}
	}
	return id
}

// FromLife gives the message for l.
func FromLife(l mesh.Life) *Life {
	return &Life{
		StartedAt: stamp(l.StartedAt), App: l.App, ServingAt: stamp(l.ServingAt), AppAt: stamp(l.AppAt),
		DrainingAt: stamp(l.DrainingAt), DrainedAt: stamp(l.DrainedAt), AppGoneAt: stamp(l.AppGoneAt), EndedAt: stamp(l.EndedAt),
		ConnectionsCut: l.ConnectionsCut,
	}
}

// Mesh gives the life that the message tells of.
func (x *Life) Mesh() mesh.Life {
	return mesh.Life{
		StartedAt: moment(x.GetStartedAt()), App: x.GetApp(), ServingAt: moment(x.GetServingAt()), AppAt: moment(x.GetAppAt()),
		DrainingAt: moment(x.GetDrainingAt()), DrainedAt: moment(x.GetDrainedAt()), AppGoneAt: moment(x.GetAppGoneAt()), EndedAt: moment(x.GetEndedAt()),
		ConnectionsCut: x.GetConnectionsCut(),
	}
}

// stamp is nil for the zero time.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// moment is the zero time for nil.
func moment(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// FromService gives the message for s.
func FromService(s mesh.Service) *Service {
	return &Service{Host: s.Host, Namespace: s.Namespace, Name: s.Name}
}

// Mesh gives the service that the message names.
func (x *Service) Mesh() mesh.Service {
	return mesh.Service{Host: x.GetHost(), Namespace: x.GetNamespace(), Name: x.GetName()}
}

// FromNode gives the greeting with which node n opens its agent stream.
func FromNode(n mesh.Node, pid int) *Hello {
	h := &Hello{
		NodeId:         n.ID,
		Workload:       FromWorkload(n.Workload),
		Kind:           n.Kind,
		Build:          n.Build,
		MetricsAddress: n.Address,
		MetricsTls:     n.Secure,
		StartedAt:      fromTime(n.StartedAt),
		Pid:            int32(pid),
	}
	if len(n.Labels) > 0 {
		h.Labels = make(map[string]string, len(n.Labels))
		maps.Copy(h.Labels, n.Labels)
	}
	return h
}

// Mesh gives the node that the greeting introduces.
func (x *Hello) Mesh() mesh.Node {
	return mesh.Node{
		ID:        x.GetNodeId(),
		Workload:  x.GetWorkload().Mesh(),
		Kind:      x.GetKind(),
		Build:     x.GetBuild(),
		Address:   x.GetMetricsAddress(),
		Secure:    x.GetMetricsTls(),
		StartedAt: toTime(x.GetStartedAt()),
		Labels:    x.GetLabels(),
	}
}

// fromTime keeps the zero time apart from 1970.
func fromTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func toTime(t *timestamppb.Timestamp) time.Time {
	if t == nil || !t.IsValid() {
		return time.Time{}
	}
	return t.AsTime()
}
