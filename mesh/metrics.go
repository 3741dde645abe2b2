package mesh

// Names of metrics that cross process borders: exported by the sidecar, read
// by the collector, used by dashboards.
//
// The istio_* names and labels are Istio's, to the letter, so that its Grafana
// dashboards and Kiali work on a Sidelight mesh unchanged. What they cannot
// say goes to sidelight_*.
const (
	MetricRequests         = "istio_requests_total"
	MetricDuration         = "istio_request_duration_milliseconds"
	MetricRequestBytes     = "istio_request_bytes"
	MetricResponseBytes    = "istio_response_bytes"
	MetricTCPOpened        = "istio_tcp_connections_opened_total"
	MetricTCPClosed        = "istio_tcp_connections_closed_total"
	MetricTCPSentBytes     = "istio_tcp_sent_bytes_total"
	MetricTCPReceivedBytes = "istio_tcp_received_bytes_total"
	MetricRequestMessages  = "istio_request_messages_total"
	MetricResponseMessages = "istio_response_messages_total"
	MetricBuild            = "istio_build"

	// MetricResponses counts what istio_requests_total counts, by who answered:
	// EdgeLabels plus response_code, grpc_response_status, response_flags,
	// response_source, response_code_details, config_object.
	MetricResponses = "sidelight_responses_total"
	// MetricAttempts counts upstream tries: EdgeLabels, attempt and outcome.
	MetricAttempts = "sidelight_upstream_attempts_total"
	// MetricUpstreamConnections counts upstream connections opened: EdgeLabels.
	MetricUpstreamConnections = "sidelight_upstream_connections_opened_total"
	// MetricActiveConnections is the level of open TCP connections: EdgeLabels.
	MetricActiveConnections = "sidelight_tcp_connections_active"
	// MetricProxyAdded is the sidecar's own share of each request's time, in
	// seconds, as a histogram by reporter.
	MetricProxyAdded = "sidelight_proxy_added_seconds"
	// MetricEjectionsActive is the level of endpoints that outlier detection has
	// taken out, MetricEjections counts how often it did: by cluster.
	MetricEjectionsActive = "sidelight_outlier_ejections_active"
	MetricEjections       = "sidelight_outlier_ejections_total"
	// MetricBreakerOpen is 1 while a limit of a cluster is reached: by cluster and
	// breaker (connections, pending, requests, retries).
	MetricBreakerOpen = "sidelight_circuit_breaker_open"
	// MetricBreakerInUse is how much of a limit is taken, MetricBreakerLimit the
	// limit: by cluster and breaker, where a limit is set.
	MetricBreakerInUse = "sidelight_circuit_breaker_in_use"
	MetricBreakerLimit = "sidelight_circuit_breaker_limit"
	// MetricUpstreamRequestsActive and MetricUpstreamRequestsPending are levels by
	// cluster: tries under way, and of those the ones that wait for a connection.
	MetricUpstreamRequestsActive  = "sidelight_upstream_requests_active"
	MetricUpstreamRequestsPending = "sidelight_upstream_requests_pending"
	// MetricMirrorsDropped counts mirrored requests that were not sent.
	MetricMirrorsDropped = "sidelight_mirrored_requests_dropped_total"
	// MetricDNSLookups counts lookups of names in DNS clusters, by result: ok or
	// failed.
	MetricDNSLookups = "sidelight_dns_lookups_total"
	// MetricNodeInfo is 1, with node, workload, namespace, build and the applied
	// configuration revision.
	MetricNodeInfo = "sidelight_node_info"
	// MetricCertificateExpiry is when the certificate of a sidecar ends, in Unix
	// seconds; 0 while it has none.
	MetricCertificateExpiry = "sidelight_proxy_certificate_expiry_timestamp_seconds"
	// MetricCertificateReceived is when that certificate was taken into use. The
	// next one is due when half of the time between the two is over.
	MetricCertificateReceived = "sidelight_proxy_certificate_received_timestamp_seconds"
	// MetricCertificateFailing is since when a sidecar tries in vain to get a newer
	// one, by reason; it is there only as long.
	MetricCertificateFailing = "sidelight_proxy_certificate_failing_timestamp_seconds"
	// MetricDryRunDenied counts what an AuthorizationPolicy on trial would have
	// denied: by policy, "ns[cinema]-policy[web-only]-rule[0]", or "none" where no
	// rule would have allowed it.
	MetricDryRunDenied = "sidelight_authorization_dry_run_denied_total"
	// MetricConfigRevision is the applied configuration revision.
	MetricConfigRevision = "sidelight_config_applied_revision"
	// MetricSpansDropped counts spans that did not reach the collector, by reason.
	MetricSpansDropped = "sidelight_spans_dropped_total"
)

// Labels that identify an edge, in the order of Istio's own exporter. All
// istio_* request and TCP metrics carry them; so do the sidelight_* metrics
// whose comment says EdgeLabels.
const (
	LabelReporter              = "reporter"
	LabelSourceWorkload        = "source_workload"
	LabelSourceCanonical       = "source_canonical_service"
	LabelSourceRevision        = "source_canonical_revision"
	LabelSourceNamespace       = "source_workload_namespace"
	LabelSourcePrincipal       = "source_principal"
	LabelSourceApp             = "source_app"
	LabelSourceVersion         = "source_version"
	LabelSourceCluster         = "source_cluster"
	LabelDestWorkload          = "destination_workload"
	LabelDestWorkloadNamespace = "destination_workload_namespace"
	LabelDestPrincipal         = "destination_principal"
	LabelDestApp               = "destination_app"
	LabelDestVersion           = "destination_version"
	LabelDestService           = "destination_service"
	LabelDestCanonical         = "destination_canonical_service"
	LabelDestRevision          = "destination_canonical_revision"
	LabelDestServiceName       = "destination_service_name"
	LabelDestServiceNamespace  = "destination_service_namespace"
	LabelDestCluster           = "destination_cluster"
	LabelProtocol              = "request_protocol"
	LabelCode                  = "response_code"
	LabelGRPCStatus            = "grpc_response_status"
	LabelFlags                 = "response_flags"
	LabelSecurity              = "connection_security_policy"

	LabelResponseSource = "response_source"       // upstream | proxy
	LabelDetails        = "response_code_details" // "via_upstream" for upstream
	LabelConfigObject   = "config_object"         // "VirtualService cinema/tickets"

	LabelAttempt = "attempt" // 1 for the first try; 5 for the fifth and all later ones
	LabelOutcome = "outcome" // ok | failed, of one try: no answer, a 5xx or a gRPC error

	LabelCluster = "cluster" // "outbound|8080|v1|catalog.cinema.svc.cluster.local"
	LabelBreaker = "breaker" // connections | pending | requests | retries
)

// EdgeLabels are the labels that say who talked to whom.
func EdgeLabels() []string {
	return []string{
		LabelReporter,
		LabelSourceWorkload, LabelSourceCanonical, LabelSourceRevision, LabelSourceNamespace,
		LabelSourcePrincipal, LabelSourceApp, LabelSourceVersion, LabelSourceCluster,
		LabelDestWorkload, LabelDestWorkloadNamespace, LabelDestPrincipal, LabelDestApp, LabelDestVersion,
		LabelDestService, LabelDestCanonical, LabelDestRevision, LabelDestServiceName,
		LabelDestServiceNamespace, LabelDestCluster,
		LabelProtocol, LabelSecurity,
	}
}
