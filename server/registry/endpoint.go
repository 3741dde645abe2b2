package registry

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// The labels and annotations by which Istio tells what an endpoint is.
const (
	labelWorkloadName      = "service.istio.io/workload-name"
	labelCanonicalName     = "service.istio.io/canonical-name"
	labelCanonicalRevision = "service.istio.io/canonical-revision"
	annotationGroup        = "istio.io/autoRegistrationGroup"
)

// Endpoint is one instance of a service. It is immutable.
type Endpoint struct {
	Address        string            // IP address or host name
	Ports          map[string]uint32 // by the service port's name; missing ones are the service's own
	Labels         map[string]string
	Weight         uint32 // 0: not given, counts as 1
	Locality       Locality
	ServiceAccount string
	Workload       mesh.Workload // zero when it is none; Cluster is not known here
	Object         string        // its WorkloadEntry; "" when it stands in the ServiceEntry
}

// Locality is where an endpoint runs.
type Locality struct{ Region, Zone, SubZone string }

// Port is the endpoint's own port for a port of the service.
func (e Endpoint) Port(p Port) uint32 {
	return cmp.Or(e.Ports[p.Name], p.Target, p.Number)
}

// HasLabels reports whether the endpoint is of a subset.
func (e Endpoint) HasLabels(labels map[string]string) bool { return matches(labels, e.Labels) }

// Selects reports whether a ServiceEntry chooses workloads with some labels.
func Selects(se *networking.ServiceEntry, labels map[string]string) bool {
	selector := se.GetWorkloadSelector().GetLabels()
	return len(selector) > 0 && matches(selector, labels)
}

func matches(selector, labels map[string]string) bool {
	for k, v := range selector {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// serviceEndpoints gives the endpoints of a ServiceEntry and the WorkloadEntries
// that they come from.
func serviceEndpoints(o *config.Object, se *networking.ServiceEntry, workloads []*config.Object) ([]Endpoint, []*config.Object) {
	var endpoints []Endpoint
	var from []*config.Object
	for _, we := range se.Endpoints {
		name := cmp.Or(we.Labels[labelWorkloadName], canonicalName(we.Labels))
		if name == "" && se.Location == networking.ServiceEntry_MESH_INTERNAL {
			name = serviceName(canonical(se.Hosts[0])) // outside the mesh there are no workloads
		}
		endpoints = append(endpoints, newEndpoint(we, o.Namespace, name, we.Labels))
	}
	if selector := se.GetWorkloadSelector().GetLabels(); len(selector) > 0 {
		for _, w := range workloads {
			we := w.WorkloadEntry()
			labels := mergeLabels(w.Labels, we.Labels)
			if !matches(selector, labels) || !usable(se, we.Address) {
				continue
			}
			name := cmp.Or(labels[labelWorkloadName], w.Annotations[annotationGroup], w.Name)
			e := newEndpoint(we, o.Namespace, name, labels)
			e.Object = w.Key().String()
			endpoints = append(endpoints, e)
			from = append(from, w)
		}
		slices.SortFunc(from, func(a, b *config.Object) int { return a.Key().Compare(b.Key()) })
	}
	slices.SortStableFunc(endpoints, func(a, b Endpoint) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), strings.Compare(a.Workload.Name, b.Workload.Name),
			slices.CompareFunc(sortedPorts(a), sortedPorts(b), cmp.Compare[uint32]))
	})
	return endpoints, from
}

// usable reports whether a service can use an address: STATIC looks nothing up.
func usable(se *networking.ServiceEntry, address string) bool {
	return se.Resolution != networking.ServiceEntry_STATIC || isIP(address)
}

func sortedPorts(e Endpoint) []uint32 {
	ports := make([]uint32, 0, len(e.Ports))
	for _, name := range slices.Sorted(maps.Keys(e.Ports)) {
		ports = append(ports, e.Ports[name])
	}
	return ports
}

// mergeLabels: the entry's spec says more than its metadata, as in Istio.
func mergeLabels(metadata, spec map[string]string) map[string]string {
	labels := make(map[string]string, len(metadata)+len(spec))
	maps.Copy(labels, metadata)
	maps.Copy(labels, spec)
	return labels
}

func canonicalName(labels map[string]string) string {
	return cmp.Or(labels[labelCanonicalName], labels["app.kubernetes.io/name"], labels["app"])
}

func newEndpoint(we *networking.WorkloadEntry, namespace, workload string, labels map[string]string) Endpoint {
	locality := strings.SplitN(we.Locality+"//", "/", 4)
	e := Endpoint{
		Address:        we.Address,
		Ports:          we.Ports,
		Labels:         labels,
		Weight:         we.Weight,
		Locality:       Locality{locality[0], locality[1], locality[2]},
		ServiceAccount: we.ServiceAccount,
	}
	if workload != "" {
		e.Workload = mesh.Workload{
			Namespace: namespace,
			Name:      workload,
			App:       cmp.Or(canonicalName(labels), workload),
			Version:   cmp.Or(labels[labelCanonicalRevision], labels["app.kubernetes.io/version"], labels["version"], "latest"),
		}
	}
	return e
}
