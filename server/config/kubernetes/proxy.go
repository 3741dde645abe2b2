package kubernetes

import (
	"cmp"
	"context"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// metricsPaths says by the name of a pod's port that the proxy of another mesh tells
// its metrics there, and at which path.
var metricsPaths = map[string]string{
	"http-envoy-prom": "/stats/prometheus", // Istio's sidecars, gateways and waypoints
	"ztunnel-stats":   "/stats/prometheus",
	"linkerd-admin":   "/metrics",
	"hubble-metrics":  "/metrics",
}

// Proxy is a proxy of another mesh in a pod that runs, by its metrics.
type Proxy struct {
	Address  string // host:port
	Path     string
	Workload mesh.Workload
	// Meta is what Prometheus' discovery of pods would say, by its names.
	Meta map[string]string
}

// proxies finds the proxies of a pod. A sidecar may be an init container that stays.
func (s *podSpec) proxies(o metav1.Object, status podStatus, workload string) []Proxy {
	address, err := netip.ParseAddr(status.PodIP)
	if err != nil || status.Phase != "Running" {
		return nil
	}
	var out []Proxy
	for _, c := range slices.Concat(s.InitContainers, s.Containers) {
		for _, p := range c.Ports {
			path, known := metricsPaths[p.Name]
			if !known {
				continue
			}
			labels := o.GetLabels()
			proxy := Proxy{
				Address: net.JoinHostPort(address.String(), strconv.FormatInt(p.ContainerPort, 10)), Path: path,
				Workload: mesh.Workload{
					Namespace: o.GetNamespace(), Name: workload,
					App:     cmp.Or(labels["service.istio.io/canonical-name"], labels["app.kubernetes.io/name"], labels["app"], workload),
					Version: cmp.Or(labels["service.istio.io/canonical-revision"], labels["app.kubernetes.io/version"], labels["version"]),
				},
				Meta: map[string]string{
					"__meta_kubernetes_namespace": o.GetNamespace(), "__meta_kubernetes_pod_name": o.GetName(),
					"__meta_kubernetes_pod_ip": status.PodIP, "__meta_kubernetes_pod_node_name": s.NodeName,
					"__meta_kubernetes_pod_container_name": c.Name, "__meta_kubernetes_pod_container_port_name": p.Name,
					"__meta_kubernetes_pod_container_port_number": strconv.FormatInt(p.ContainerPort, 10),
				},
			}
			for name, value := range labels {
				proxy.Meta["__meta_kubernetes_pod_label_"+notInLabels.ReplaceAllString(name, "_")] = value
			}
			out = append(out, proxy)
		}
	}
	return out
}

var notInLabels = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// WatchProxies calls update with the proxies of all pods, now and when they changed,
// until ctx ends. The pods are those that Watch reads.
func (s *Source) WatchProxies(ctx context.Context, update func([]Proxy)) error {
	var last []Proxy
	for first := true; ; first = false {
		pods := s.podList.snapshot()
		now := []Proxy{}
		for _, name := range slices.Sorted(maps.Keys(pods)) {
			now = append(now, pods[name].proxies...)
		}
		if first || !reflect.DeepEqual(now, last) {
			last = now
			update(now)
		}
		select {
		case <-s.pods:
		case <-ctx.Done():
			return nil
		}
		pause(ctx, quiet)
	}
}
