package kubernetes

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// service is what is read of a Service.
type service struct {
	namespace, name string
	annotations     map[string]string
	serviceSpec
}

// serviceSpec has the API's fields.
type serviceSpec struct {
	Type         string        `json:"type"`
	ExternalName string        `json:"externalName"`
	ClusterIPs   []string      `json:"clusterIPs"`
	IPFamilies   []string      `json:"ipFamilies"`
	Ports        []servicePort `json:"ports"`
}

type servicePort struct {
	Name        string `json:"name"`
	Protocol    string `json:"protocol"`
	AppProtocol string `json:"appProtocol"`
	Port        int64  `json:"port"`
}

// slice is what is read of an EndpointSlice.
type slice struct {
	service string // "namespace/name"
	endpoints
}

// endpoints has the API's fields.
type endpoints struct {
	AddressType string     `json:"addressType"`
	Endpoints   []endpoint `json:"endpoints"`
	Ports       []struct {
		Name     string `json:"name"`
		Protocol string `json:"protocol"`
		Port     int64  `json:"port"`
	} `json:"ports"`
}

type endpoint struct {
	Addresses  []string `json:"addresses"`
	Conditions struct {
		Ready *bool `json:"ready"`
	} `json:"conditions"`
	NodeName  string `json:"nodeName"`
	Zone      string `json:"zone"`
	TargetRef struct {
		Kind      string `json:"kind"`
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"targetRef"`
}

// exportTo says which namespaces see a Service, as in Istio.
const exportTo = "networking.istio.io/exportTo"

func readService(o metav1.Object) *service {
	s := &service{namespace: o.GetNamespace(), name: o.GetName(), annotations: map[string]string{}}
	for name, value := range o.GetAnnotations() {
		if name == exportTo || strings.HasPrefix(name, "sidelight.io/") {
			s.annotations[name] = value
		}
	}
	if u, ok := o.(*unstructured.Unstructured); ok {
		fill(u.Object["spec"], &s.serviceSpec)
	}
	return s
}

func readSlice(o metav1.Object) *slice {
	s := &slice{}
	if of := o.GetLabels()["kubernetes.io/service-name"]; of != "" {
		s.service = o.GetNamespace() + "/" + of
	}
	if u, ok := o.(*unstructured.Unstructured); ok {
		fill(u.Object, &s.endpoints)
	}
	return s
}

// fill reads the API's fields; what is not as the API says it is stays empty.
func fill(from, into any) {
	if fields, ok := from.(map[string]any); ok {
		_ = runtime.DefaultUnstructuredConverter.FromUnstructured(fields, into)
	}
}

func same[T any](a, b T) bool { return reflect.DeepEqual(a, b) }

// cluster is what Services and their endpoints are made of, all by "namespace/name".
type cluster struct {
	services map[string]*service
	slices   map[string]*slice
	pods     map[string]*pod // nil when they cannot be read
	nodes    map[string]node
}

// translator makes documents of Services. It makes those again only of which
// something changed.
type translator struct {
	made map[string]translation // by Service
}

type translation struct {
	of        parts
	documents map[string]config.Document
}

// parts are what the documents of one Service are made of.
type parts struct {
	service   *service
	slices    []*slice
	instances []instance // of all endpoints, in order
}

// instance is what stands behind an endpoint.
type instance struct {
	pod  *pod // nil when it is none, or pods cannot be read
	node node
	// gone says that its pod is not there: not yet, or not any more.
	gone bool
}

// documents gives the ServiceEntries and WorkloadEntries that all Services are.
func (t *translator) documents(c cluster) map[string]config.Document {
	slicesOf := map[string][]*slice{}
	for _, name := range slices.Sorted(maps.Keys(c.slices)) {
		s := c.slices[name]
		slicesOf[s.service] = append(slicesOf[s.service], s)
	}
	made := make(map[string]translation, len(c.services))
	out := map[string]config.Document{}
	for name, s := range c.services {
		of := parts{service: s, slices: slicesOf[name]}
		for _, slice := range of.slices {
			for _, e := range slice.Endpoints {
				of.instances = append(of.instances, c.instance(e))
			}
		}
		before, ok := t.made[name]
		if !ok || before.of.service != s || !slices.Equal(before.of.slices, of.slices) || !slices.Equal(before.of.instances, of.instances) {
			before = translation{of, of.documents()}
		}
		made[name] = before
		maps.Copy(out, before.documents)
	}
	t.made = made
	return out
}

func (c cluster) instance(e endpoint) instance {
	i := instance{node: c.nodes[e.NodeName]}
	if i.node.zone == "" {
		i.node.zone = e.Zone
	}
	if e.TargetRef.Kind == "Pod" && c.pods != nil {
		i.pod = c.pods[e.TargetRef.Namespace+"/"+e.TargetRef.Name]
		i.gone = i.pod == nil
	}
	return i
}

// documents gives the ServiceEntry of a Service, and a WorkloadEntry for each of
// its endpoints that is ready. A Service without a TCP port is none that sidecars
// carry.
func (p parts) documents() map[string]config.Document {
	s := p.service
	out := map[string]config.Document{}
	ports, names := s.ports()
	if len(ports) == 0 && s.Type != "ExternalName" {
		return out
	}
	spec := map[string]any{
		"hosts": []string{s.name + "." + s.namespace + ".svc.cluster.local"}, "ports": ports,
		"location": "MESH_INTERNAL", "resolution": "STATIC",
		"workloadSelector": map[string]any{"labels": map[string]string{config.LabelService: s.name}},
	}
	if to := s.annotations[exportTo]; to != "" {
		spec["exportTo"] = strings.FieldsFunc(to, func(r rune) bool { return r == ',' || r == ' ' })
	}
	if addresses := slices.DeleteFunc(slices.Clone(s.ClusterIPs), func(a string) bool { return a == "None" }); len(addresses) > 0 {
		spec["addresses"] = addresses
	}
	if s.Type == "ExternalName" {
		// Its name is another for a host outside of the mesh.
		delete(spec, "workloadSelector")
		spec["location"], spec["resolution"] = "MESH_EXTERNAL", "DNS"
		spec["endpoints"] = []any{map[string]any{"address": s.ExternalName}}
	}
	out[s.document("")] = object(config.KindServiceEntry, s.namespace, s.name+".svc", s.ownAnnotations(), spec)
	if s.Type == "ExternalName" {
		return out
	}
	i := 0
	for _, slice := range p.slices {
		for _, e := range slice.Endpoints {
			behind := p.instances[i]
			i++
			if name, entry := s.workloadEntry(slice, e, behind, names); name != "" {
				out[s.document(name)] = object(config.KindWorkloadEntry, s.namespace, s.name+"."+name, nil, entry)
			}
		}
	}
	return out
}

// document names the document of the Service, or of one of its endpoints.
func (s *service) document(endpoint string) string {
	return strings.TrimSuffix(s.namespace+"/Service/"+s.name+"/"+endpoint, "/")
}

func (s *service) ownAnnotations() map[string]string {
	own := maps.Clone(s.annotations)
	delete(own, exportTo)
	return own
}

// ports gives the ports that sidecars carry, and by what name the ServiceEntry has
// a port that the Service calls otherwise: it may leave its only one without.
func (s *service) ports() (ports []any, names map[string]string) {
	names = map[string]string{}
	for _, p := range s.Ports {
		if p.Protocol != "" && p.Protocol != "TCP" {
			continue
		}
		name := p.Name
		if name == "" {
			name = fmt.Sprint("port-", p.Port)
		}
		names[p.Name] = name
		port := map[string]any{"number": p.Port, "name": name}
		if protocol := p.speaks(); protocol != "" {
			port["protocol"] = protocol
		}
		ports = append(ports, port)
	}
	return ports, names
}

// speaks gives what the port is declared to speak, in Istio's spelling; "" leaves
// it to the port's name.
func (p servicePort) speaks() string {
	switch p.AppProtocol {
	case "kubernetes.io/h2c":
		return "HTTP2"
	case "kubernetes.io/ws":
		return "HTTP"
	case "kubernetes.io/wss":
		return "HTTPS"
	}
	if known := config.PortProtocol("", p.AppProtocol); known != "" {
		return known
	}
	if config.PortProtocol("", p.Name) != "" {
		return ""
	}
	switch p.Port {
	case 25, 53, 3306, 27017: // in these protocols the server may speak first
		return "TCP"
	}
	return ""
}

// workloadEntry gives an endpoint that is ready; name is "" for one that is not to
// be called.
func (s *service) workloadEntry(of *slice, e endpoint, behind instance, names map[string]string) (name string, spec map[string]any) {
	if behind.gone || len(e.Addresses) == 0 || e.Conditions.Ready != nil && !*e.Conditions.Ready {
		return "", nil
	}
	// A Service of two families has each pod twice.
	if of.AddressType == "FQDN" || len(s.IPFamilies) > 0 && of.AddressType != s.IPFamilies[0] {
		return "", nil
	}
	address, err := netip.ParseAddr(e.Addresses[0])
	if err != nil {
		return "", nil
	}
	labels := map[string]string{}
	spec = map[string]any{"address": address.String(), "labels": labels}
	name = strings.ReplaceAll(address.StringExpanded(), ":", "-")
	if behind.pod != nil {
		maps.Copy(labels, behind.pod.labels)
		labels["service.istio.io/workload-name"] = behind.pod.workload
		spec["serviceAccount"] = behind.pod.account
	} else {
		labels["service.istio.io/workload-name"] = s.name
	}
	if e.TargetRef.Kind == "Pod" && len(s.name)+len(e.TargetRef.Name) < 250 {
		name = e.TargetRef.Name
	}
	labels[config.LabelService] = s.name
	if where := behind.node; where.zone != "" {
		spec["locality"] = strings.TrimRight(where.region+"/"+where.zone+"/"+where.subZone, "/")
	}
	ports := map[string]int64{}
	for _, p := range of.Ports {
		if own, ok := names[p.Name]; ok && (p.Protocol == "" || p.Protocol == "TCP") && p.Port > 0 {
			ports[own] = p.Port
		}
	}
	if len(ports) > 0 {
		spec["ports"] = ports
	}
	return name, spec
}

func object(kind, namespace, name string, annotations map[string]string, spec map[string]any) config.Document {
	meta := map[string]any{"name": name, "namespace": namespace}
	if len(annotations) > 0 {
		meta["annotations"] = annotations
	}
	return config.Document{Text: write(map[string]any{
		"apiVersion": config.APIGroup(kind) + "/v1", "kind": kind, "metadata": meta, "spec": spec,
	})}
}
