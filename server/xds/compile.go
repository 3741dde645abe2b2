package xds

import (
	"fmt"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// world is one state of the configuration, ready to be compiled for any
// namespace and node. What namespaces share is compiled once.
type world struct {
	revision uint64
	cluster  string // name of the mesh cluster
	registry *registry.Registry
	routing  map[string][]*config.Object // VirtualServices by resolved host, each list by key
	rules    map[string][]*config.Object // DestinationRules, the same
	updated  map[string]uint64           // revision of each object

	services map[serviceRule][]typed
}

// serviceRule is what the clusters of a service are compiled from.
type serviceRule struct {
	service *registry.Service
	rule    *config.Object // nil: none
}

type typed struct {
	t        int
	resource *Resource
}

func newWorld(snapshot config.Snapshot, cluster string) *world {
	w := &world{
		revision: snapshot.Revision.Number, cluster: cluster, registry: registry.Build(snapshot.Objects),
		routing: map[string][]*config.Object{}, rules: map[string][]*config.Object{},
		updated: map[string]uint64{}, services: map[serviceRule][]typed{},
	}
	for _, o := range snapshot.Objects {
		w.updated[o.Key().String()] = o.Revision
		for _, h := range o.VirtualService().GetHosts() {
			host := w.registry.Resolve(h, o.Namespace)
			if list := w.routing[host]; len(list) == 0 || list[len(list)-1] != o { // two of its hosts may be one
				w.routing[host] = append(list, o)
			}
		}
		if dr := o.DestinationRule(); dr != nil {
			host := w.registry.Resolve(dr.Host, o.Namespace)
			w.rules[host] = append(w.rules[host], o)
		}
	}
	return w
}

// newest gives the highest revision of some objects; 1 when there are none,
// which is what resources that depend on no object count as.
func (w *world) newest(objects []string) uint64 {
	newest := uint64(1)
	for _, o := range objects {
		newest = max(newest, w.updated[o])
	}
	return newest
}

// namespace compiles what all nodes of a namespace share: clusters, endpoints
// and the outbound routes.
func (w *world) namespace(ns string) *set {
	out := newSet()
	services := w.registry.Visible(ns)
	for _, s := range services {
		for _, r := range w.serviceResources(serviceRule{s, w.ruleFor(s, ns)}) {
			out.add(r.t, r.resource)
		}
	}
	out.add(routeType, w.outboundRoutes(ns, services))
	return out
}

// ruleFor chooses the DestinationRule for a service as a namespace sees it: its
// own, else the service's namespace's, else any other's, by key.
func (w *world) ruleFor(s *registry.Service, ns string) *config.Object {
	return choose(w.rules[s.Host], ns, s.Namespace, func(*config.Object) bool { return true })
}

// choose gives the first visible object that matches: of the client's
// namespace, of the service's, of any.
func choose(objects []*config.Object, client, service string, match func(*config.Object) bool) *config.Object {
	var best *config.Object
	rank := func(o *config.Object) int {
		switch o.Namespace {
		case client:
			return 0
		case service:
			return 1
		}
		return 2
	}
	for _, o := range objects {
		if (best == nil || rank(o) < rank(best)) && registry.Visible(o, client) && match(o) {
			best = o
		}
	}
	return best
}

// objectPath is the form in which Istio tells a proxy which object a resource
// came from.
func objectPath(o *config.Object) string {
	var kind strings.Builder
	for i, r := range o.Kind {
		if i > 0 && 'A' <= r && r <= 'Z' {
			kind.WriteByte('-')
		}
		kind.WriteRune(r)
	}
	return fmt.Sprintf("/apis/networking.istio.io/v1/namespaces/%s/%s/%s", o.Namespace, strings.ToLower(kind.String()), o.Name)
}

// metadataOf builds filter metadata from plain values.
func metadataOf(filters map[string]map[string]any) *corev3.Metadata {
	m := &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{}}
	for filter, values := range filters {
		s, err := structpb.NewStruct(values)
		if err != nil {
			panic(fmt.Sprintf("BUG: metadata of %s: %v", filter, err)) // values are ours; names were validated as UTF-8
		}
		m.FilterMetadata[filter] = s
	}
	return m
}

func clusterName(port uint32, subset, host string) string {
	return fmt.Sprintf("outbound|%d|%s|%s", port, subset, host)
}
