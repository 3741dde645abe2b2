package telemetry

import (
	"strconv"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/forward"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// edgeKey tells edges apart. Peers are interned, so pointers compare them.
type edgeKey struct {
	direction           listen.Direction
	source, destination *forward.Peer
	service             mesh.Service
	protocol            mesh.Protocol
}

func keyOf(x *forward.Exchange) edgeKey {
	return edgeKey{x.Direction, x.Source, x.Destination, x.Service, x.Protocol}
}

// values gives the edge's label values in the order of mesh.EdgeLabels, with
// Istio's words for what nobody could tell.
func (k edgeKey) values() []string {
	reporter, security := mesh.FromSource, mesh.Unknown
	if k.direction == listen.Inbound {
		reporter, security = mesh.FromDestination, "none"
		if k.source.Principal != "" && k.destination.Principal != "" {
			security = "mutual_tls"
		}
	}
	src, dst := k.source, k.destination
	serviceNamespace := k.service.Namespace
	if serviceNamespace == "" {
		serviceNamespace = dst.Namespace
	}
	return []string{
		string(reporter),
		known(src.Name), known(src.App), revision(src.Version), known(src.Namespace),
		known(src.Principal), known(src.App), known(src.Version), known(src.Cluster),
		known(dst.Name), known(dst.Namespace), known(dst.Principal), known(dst.App), known(dst.Version),
		known(k.service.Host), known(dst.App), revision(dst.Version), known(k.service.Name),
		known(serviceNamespace), known(dst.Cluster),
		string(k.protocol), security,
	}
}

func known(v string) string {
	if v == "" {
		return mesh.Unknown
	}
	return v
}

// revision is the canonical revision, which Istio calls latest when unset.
func revision(v string) string {
	if v == "" || v == mesh.Unknown {
		return "latest"
	}
	return v
}

// outcomeKey tells the ends of exchanges on one edge apart.
type outcomeKey struct {
	status  int
	grpc    string
	flags   forward.Flags
	details string
	object  string
	mirror  bool
}

func outcomeOf(x *forward.Exchange) outcomeKey {
	return outcomeKey{x.Status, x.GRPCStatus, x.Flags, x.Details, x.Object, x.Mirror}
}

// coarse is what is left of an outcome when an edge has too many.
func (k outcomeKey) coarse() outcomeKey {
	k.status = k.status / 100 * 100
	k.grpc, k.object = "", ""
	if k.details != forward.DetailsViaUpstream {
		k.details = "other"
	}
	return k
}

func (k outcomeKey) values() []string {
	return []string{strconv.Itoa(k.status), k.grpc, k.flags.String()}
}

func (k outcomeKey) answer() []string {
	by := mesh.AnsweredByProxy
	if k.details == forward.DetailsViaUpstream {
		by = mesh.AnsweredByUpstream
	}
	return append(k.values(), by, k.details, k.object)
}
