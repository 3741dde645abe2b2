package kubernetes

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const proxied = `
apiVersion: v1
kind: Pod
metadata:
  name: web-5d9c-x2x
  namespace: shop
  labels: {app: web, app.kubernetes.io/version: "7", pod-template-hash: 5d9c}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-5d9c, controller: true, uid: u1}]
spec:
  nodeName: node-1
  initContainers:
  - {name: istio-proxy, restartPolicy: Always, ports: [{containerPort: 15090, name: http-envoy-prom, protocol: TCP}]}
  containers:
  - {name: app, ports: [{containerPort: 8080, name: http}, {containerPort: 9090, name: metrics}]}
status: {podIP: "fd00::7", phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: cart, controller: true, uid: u2}]}
spec: {containers: [{name: linkerd-proxy, ports: [{containerPort: 4143, name: linkerd-proxy}, {containerPort: 4191, name: linkerd-admin}]}]}
status: {podIP: 10.0.0.8, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: over, namespace: shop}
spec: {containers: [{name: linkerd-proxy, ports: [{containerPort: 4191, name: linkerd-admin}]}]}
status: {podIP: 10.0.0.9, phase: Succeeded}
---
apiVersion: v1
kind: Pod
metadata: {name: waiting, namespace: shop}
spec: {containers: [{name: linkerd-proxy, ports: [{containerPort: 4191, name: linkerd-admin}]}]}
status: {phase: Pending}
`

// The proxies of pods that run are told, with what Prometheus would say of them,
// and again once others are there.
func TestProxies(t *testing.T) {
	s, err := New(Options{Kubeconfig: kubeconfig(t, "http://127.0.0.1:1")})
	if err != nil {
		t.Fatal(err)
	}
	pods := parse(t, []byte(proxied))
	for _, o := range pods {
		s.podList.set(keyOf(o), readPod(o))
	}
	told := make(chan []Proxy)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.WatchProxies(ctx, func(p []Proxy) { told <- p }) }()
	want := []Proxy{
		{
			Address: "10.0.0.8:4191", Path: "/metrics", Workload: mesh.Workload{Namespace: "shop", Name: "cart", App: "cart"},
			Meta: map[string]string{
				"__meta_kubernetes_namespace": "shop", "__meta_kubernetes_pod_name": "cart-0", "__meta_kubernetes_pod_ip": "10.0.0.8",
				"__meta_kubernetes_pod_node_name": "", "__meta_kubernetes_pod_container_name": "linkerd-proxy",
				"__meta_kubernetes_pod_container_port_name": "linkerd-admin", "__meta_kubernetes_pod_container_port_number": "4191",
			},
		},
		{
			Address: "[fd00::7]:15090", Path: "/stats/prometheus", Workload: mesh.Workload{Namespace: "shop", Name: "web", App: "web", Version: "7"},
			Meta: map[string]string{
				"__meta_kubernetes_namespace": "shop", "__meta_kubernetes_pod_name": "web-5d9c-x2x", "__meta_kubernetes_pod_ip": "fd00::7",
				"__meta_kubernetes_pod_node_name": "node-1", "__meta_kubernetes_pod_container_name": "istio-proxy",
				"__meta_kubernetes_pod_container_port_name": "http-envoy-prom", "__meta_kubernetes_pod_container_port_number": "15090",
				"__meta_kubernetes_pod_label_app": "web", "__meta_kubernetes_pod_label_app_kubernetes_io_version": "7",
				"__meta_kubernetes_pod_label_pod_template_hash": "5d9c",
			},
		},
	}
	if diff := cmp.Diff(want, <-told); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	s.podList.remove(keyOf(pods[0]))
	if diff := cmp.Diff(want[:1], <-told); diff != "" {
		t.Errorf("after one is gone (-want +got)\n%s", diff)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
