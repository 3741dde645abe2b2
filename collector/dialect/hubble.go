package dialect

import (
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Hubble is the HTTP metrics (httpV2) of Cilium's agents. They see both ends
// where labelsContext says so (source_workload, source_namespace and the
// same of the destination), or sourceContext and destinationContext name
// workloads ("namespace/name"). There are neither bytes nor connections by
// edge in them.
func Hubble() *Dialect {
	requests := metric{field: Requests, scale: 1, when: hubbleNames, key: hubbleKey, outcome: func(l Labels) mesh.Outcome {
		return mesh.Outcome{Code: code(l("status")), Flags: string(mesh.FlagNone)}
	}}
	return &Dialect{Name: "hubble", metrics: map[string]metric{
		"hubble_http_requests_total":           requests,
		"hubble_http_request_duration_seconds": {field: Latency, scale: 1000, histogram: true, when: hubbleNames, key: hubbleKey},
	}}
}

func hubbleNames(l Labels) bool {
	return hubbleWorkload(l, "source").Name != "" || hubbleWorkload(l, "destination").Name != ""
}

func hubbleKey(l Labels) mesh.EdgeKey {
	k := mesh.EdgeKey{
		Reporter: mesh.FromDestination, Protocol: mesh.HTTP, Security: mesh.Unknown,
		Source: hubbleWorkload(l, "source"), Target: hubbleWorkload(l, "destination"),
		Service: mesh.Service{Name: known(l("destination_service")), Namespace: known(l("destination_namespace"))},
	}
	if l("reporter") == "client" {
		k.Reporter = mesh.FromSource
	}
	if k.Service.Name != "" {
		k.Service.Host = k.Service.Name + "." + k.Service.Namespace + ".svc.cluster.local"
	} else {
		k.Service = mesh.Service{}
	}
	return k
}

func hubbleWorkload(l Labels, side string) mesh.Workload {
	w := mesh.Workload{Namespace: known(l(side + "_namespace")), Name: known(l(side + "_workload")), App: known(l(side + "_app"))}
	if w.Name == "" {
		if ns, name, ok := strings.Cut(known(l(side)), "/"); ok {
			w.Namespace, w.Name = ns, name
		}
	}
	if w.Name == "" {
		return mesh.Workload{}
	}
	return w
}
