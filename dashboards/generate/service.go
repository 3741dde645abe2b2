package main

func serviceBoard() board {
	const (
		ns     = `destination_service_namespace=~"$namespace",destination_service_name=~"$service"`
		client = fromCallers + "," + ns
		server = fromCalled + "," + ns
	)
	return board{
		uid: "sidelight-service", title: "Sidelight / Service",
		about: "One service, from both sides: what its callers see, and what its workloads answer.",
		variables: []variable{
			choice("namespace", "Namespace", "label_values(istio_requests_total, destination_service_namespace)"),
			choice("service", "Service", `label_values(istio_requests_total{destination_service_namespace=~"$namespace"}, destination_service_name)`),
		},
		sections: []section{
			{"Now", []chart{
				{
					kind: stat, title: "Requests, callers' side", w: 6, unit: "reqps", about: "Requests a second that callers with a sidecar sent.",
					queries: []query{{"sum(" + rated("istio_requests_total", client) + ")", "requests"}},
				},
				{
					kind: stat, title: "Errors, callers' side", w: 6, unit: "percentunit", about: "Share of requests that callers saw fail. Higher than the service's own: it is lost on the way.", steps: above(.01, .05),
					queries: []query{{errorRatio("", client), "errors"}},
				},
				{
					kind: stat, title: "Errors, service's side", w: 6, unit: "percentunit", about: "Share of requests that the service's own sidecars saw fail.", steps: above(.01, .05),
					queries: []query{{errorRatio("", server), "errors"}},
				},
				{
					kind: stat, title: "p99 latency", w: 6, unit: "ms", about: "99 of 100 requests were answered within this time, as callers see it.",
					queries: []query{{quantile("0.99", "", client), "p99"}},
				},
			}},
			{"Callers' side", []chart{
				{
					kind: lines, title: "Requests by answer", unit: "reqps", about: "Status, gRPC status and response flags of the answers. Flags other than - say that a sidecar answered.", stack: true,
					queries: []query{{"sum by (response_code, grpc_response_status, response_flags) (" + rated("istio_requests_total", client) + ")", "{{response_code}} {{grpc_response_status}} {{response_flags}}"}},
				},
				{
					kind: lines, title: "Latency", unit: "ms", about: "Median, 95th and 99th percentile, as callers see them.",
					queries: []query{{quantile("0.5", "", client), "p50"}, {quantile("0.95", "", client), "p95"}, {quantile("0.99", "", client), "p99"}},
				},
				{
					kind: lines, title: "Error share by caller", unit: "percentunit", about: "One caller alone with errors: look at its own sidecar and configuration first.", steps: above(.01, .05),
					queries: []query{{errorRatio("source_workload, source_workload_namespace", client), "{{source_workload}}.{{source_workload_namespace}}"}},
				},
				{
					kind: lines, title: "Requests by caller", unit: "reqps", about: "Who calls.", stack: true,
					queries: []query{{"sum by (source_workload, source_workload_namespace) (" + rated("istio_requests_total", client) + ")", "{{source_workload}}.{{source_workload_namespace}}"}},
				},
			}},
			{"Service's side", []chart{
				{
					kind: lines, title: "Requests by workload", unit: "reqps", about: "Which workload answers how much: the split as it really is.", stack: true,
					queries: []query{{"sum by (destination_workload, destination_version) (" + rated("istio_requests_total", server) + ")", "{{destination_workload}} {{destination_version}}"}},
				},
				{
					kind: lines, title: "p95 by workload", unit: "ms", about: "One version slower than the others is that version's fault.",
					queries: []query{{quantile("0.95", "destination_workload, destination_version", server), "{{destination_workload}} {{destination_version}}"}},
				},
				{
					kind: lines, title: "Error share by workload", unit: "percentunit", about: "Errors as the workloads' own sidecars saw them.", steps: above(.01, .05),
					queries: []query{{errorRatio("destination_workload, destination_version", server), "{{destination_workload}} {{destination_version}}"}},
				},
				{
					kind: heatmap, title: "Latency of the service itself", unit: "ms", about: "How many requests took how long, without the way there and back.",
					queries: []query{{"sum by (le) (" + rated("istio_request_duration_milliseconds_bucket", server) + ")", "{{le}}"}},
				},
			}},
			{"Sizes, security, retries", []chart{
				{
					kind: lines, title: "Size of requests and answers", w: 8, unit: "decbytes", about: "95th percentile with headers, as callers send and get them.",
					queries: []query{
						{"histogram_quantile(0.95, sum by (le) (" + rated("istio_request_bytes_bucket", client) + "))", "requests"},
						{"histogram_quantile(0.95, sum by (le) (" + rated("istio_response_bytes_bucket", client) + "))", "answers"},
					},
				},
				{
					kind: lines, title: "Attempts per request", w: 8, unit: "short", about: "More than 1: retries hide failures of the service.",
					queries: []query{{"sum(" + rated("sidelight_upstream_attempts_total", client) + ") / sum(" + rated("sidelight_responses_total", client) + ")", "attempts"}},
				},
				{
					kind: lines, title: "Requests by security", w: 8, unit: "reqps", about: "mutual_tls or none, as the service's sidecars saw the connection.", stack: true,
					queries: []query{{"sum by (connection_security_policy) (" + rated("istio_requests_total", server) + ")", "{{connection_security_policy}}"}},
				},
				{
					kind: table, title: "Who answers errors, and why", about: "Errors that a sidecar made itself name the reason and the configuration object behind it.", sort: "Errors a second",
					queries: []query{{"sum by (source_workload, response_code, grpc_response_status, response_flags, response_source, response_code_details, config_object) " + failed("sidelight_responses_total", client, "$__rate_interval") + " > 0", ""}},
					columns: []column{{"source_workload", "Caller", ""}, {"response_code", "Status", ""}, {"grpc_response_status", "gRPC", ""}, {"response_flags", "Flags", ""}, {"response_source", "Answered by", ""}, {"response_code_details", "Details", ""}, {"config_object", "Object", ""}, {"A", "Errors a second", "reqps"}},
				},
			}},
		},
	}
}
