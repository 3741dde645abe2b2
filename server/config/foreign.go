package config

// foreign are kinds that people bring and that are not read, with what to do
// instead.
var foreign = map[string]string{
	"EnvoyFilter":           "sidecars take no patches: say what it is for by VirtualService, DestinationRule or AuthorizationPolicy",
	"WasmPlugin":            "sidecars run no Wasm: do it in the app, or by VirtualService and AuthorizationPolicy",
	"ProxyConfig":           "set it by flags or SIDELIGHT_… variables of sidelight-proxy",
	"Telemetry":             "spans, metrics and access logs are set by flags of sidelight-proxy: --sampling, --metrics, --access-log",
	"WorkloadGroup":         "write a WorkloadEntry for each instance",
	"TCPRoute":              "write it as the tcp routes of a VirtualService",
	"TLSRoute":              "write a ServiceEntry with a port of protocol TLS",
	"ReferenceGrant":        "leave it out: exportTo of a ServiceEntry says which namespaces see a service",
	"GatewayClass":          "leave it out",
	"BackendTLSPolicy":      "write it as trafficPolicy.tls of a DestinationRule",
	"XBackendTrafficPolicy": "write it as trafficPolicy of a DestinationRule",
	"RequestAuthentication": "judge by certificates: AuthorizationPolicy with source.principals; tokens of end users are not read",
	"UDPRoute":              "leave it out: sidecars carry TCP and what is on it",
	"Service":               "write a ServiceEntry with the host, the ports and a workloadSelector",
	"Endpoints":             "write the endpoints of a ServiceEntry",
	"EndpointSlice":         "write the endpoints of a ServiceEntry",
	"Namespace":             "leave it out: a namespace exists where an object names it",
	"Deployment":            "leave it out: it is for Kubernetes, and not about the mesh",
	"Pod":                   "write a WorkloadEntry with its address and labels",
	"ServiceAccount":        "leave it out: a WorkloadEntry's serviceAccount names it",
	"ConfigMap":             "leave it out: settings of the mesh are flags of sidelight",
	"Secret":                "leave it out: certificates come from the mesh's own authority",
	"Kustomization":         "leave it out: write the objects that it would make",
	"List":                  "write its items as documents of their own, with --- between",
}
