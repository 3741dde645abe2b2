package main

func workloadBoard() board {
	const (
		sent = `source_workload_namespace=~"$namespace",source_workload=~"$workload"`
		in   = fromCalled + `,destination_workload_namespace=~"$namespace",destination_workload=~"$workload"`
		out  = fromCallers + `,` + sent
		tcp  = `reporter="source",` + sent
		own  = `namespace=~"$namespace",workload=~"$workload"`

		running = "up{" + own + "} == 1"

		// Those with a sidecar of ours, and on any mesh those that calls are seen of.
		seen = `__name__=~"sidelight_config_applied_revision|workload:istio_requests:reporters"`
	)
	return board{
		uid: "sidelight-workload", title: "Sidelight / Workload",
		about: "One workload: what it is asked, what it asks of others, and what its sidecars cost.",
		variables: []variable{
			choice("namespace", "Namespace", "label_values({"+seen+"}, namespace)"),
			choice("workload", "Workload", "label_values({"+seen+`,namespace=~"$namespace"}, workload)`),
		},
		sections: []section{
			{"Now", []chart{
				{
					kind: stat, title: "Inbound requests", unit: "reqps", about: "Requests a second that it is asked.",
					queries: []query{{orZero("sum("+rated("istio_requests_total", in)+")", running), "requests"}},
				},
				{
					kind: stat, title: "Inbound errors", unit: "percentunit", about: "Share of its own answers that are errors.", steps: above(.01, .05),
					queries: []query{{errorRatio("", in), "errors"}},
				},
				{
					kind: stat, title: "Inbound p95", unit: "ms", about: "Its own time to answer.",
					queries: []query{{quantile("0.95", "", in), "p95"}},
				},
				{
					kind: stat, title: "Outbound requests", unit: "reqps", about: "Requests a second that it sends.",
					queries: []query{{orZero("sum("+rated("istio_requests_total", out)+")", running), "requests"}},
				},
				{
					kind: stat, title: "Outbound errors", unit: "percentunit", about: "Share of what it sent that failed.", steps: above(.01, .05),
					queries: []query{{errorRatio("", out), "errors"}},
				},
				{
					kind: stat, title: "Instances", unit: "short", about: "Its sidecars that answered the last scrape.",
					queries: []query{{"count(up{" + own + "} == 1)", "instances"}},
				},
			}},
			{"Inbound", []chart{
				{
					kind: lines, title: "Inbound by caller", unit: "reqps", about: "Who asks it; unknown is a caller without a sidecar.", stack: true,
					queries: []query{{"sum by (source_workload, source_workload_namespace) (" + rated("istio_requests_total", in) + ")", "{{source_workload}}.{{source_workload_namespace}}"}},
				},
				{
					kind: lines, title: "Inbound by answer", unit: "reqps", about: "Status and gRPC status of its answers.", stack: true,
					queries: []query{{"sum by (response_code, grpc_response_status) (" + rated("istio_requests_total", in) + ")", "{{response_code}} {{grpc_response_status}}"}},
				},
				{
					kind: lines, title: "Inbound latency", unit: "ms", about: "Median, 95th and 99th percentile of its own time to answer.",
					queries: []query{{quantile("0.5", "", in), "p50"}, {quantile("0.95", "", in), "p95"}, {quantile("0.99", "", in), "p99"}},
				},
				{
					kind: heatmap, title: "Inbound latency, spread", unit: "ms", about: "How many requests took how long.",
					queries: []query{{"sum by (le) (" + rated("istio_request_duration_milliseconds_bucket", in) + ")", "{{le}}"}},
				},
			}},
			{"Outbound", []chart{
				{
					kind: lines, title: "Outbound by service", unit: "reqps", about: "Whom it asks.", stack: true,
					queries: []query{{"sum by (destination_service_name, destination_service_namespace) (" + rated("istio_requests_total", out) + ")", "{{destination_service_name}}.{{destination_service_namespace}}"}},
				},
				{
					kind: lines, title: "Outbound error share", unit: "percentunit", about: "Which of its dependencies fails it.", steps: above(.01, .05),
					queries: []query{{errorRatio("destination_service_name, destination_service_namespace", out), "{{destination_service_name}}.{{destination_service_namespace}}"}},
				},
				{
					kind: lines, title: "Outbound p95", unit: "ms", about: "Which of its dependencies makes it wait.",
					queries: []query{{quantile("0.95", "destination_service_name, destination_service_namespace", out), "{{destination_service_name}}.{{destination_service_namespace}}"}},
				},
				{
					kind: lines, title: "TCP bytes", unit: "Bps", about: "Bytes of its TCP connections, sent as requests and received as answers.",
					queries: []query{
						{orZero("sum("+rated("istio_tcp_received_bytes_total", tcp)+")", running), "sent"},
						{orZero("sum("+rated("istio_tcp_sent_bytes_total", tcp)+")", running), "received"},
					},
				},
			}},
			{"What its sidecars cost", []chart{
				{
					kind: lines, title: "CPU of its sidecars", w: 8, unit: cores, about: "Cores in use, by instance.",
					queries: []query{{"sum by (node) (" + rated("process_cpu_seconds_total", own) + ")", "{{node}}"}},
				},
				{
					kind: lines, title: "Memory of its sidecars", w: 8, unit: "decbytes", about: "Resident memory, by instance.",
					queries: []query{{"sum by (node) (process_resident_memory_bytes{" + own + "})", "{{node}}"}},
				},
				{
					kind: lines, title: "Latency its sidecars add", w: 8, unit: "s", about: "The sidecars' own share of the time to the first byte.",
					queries: []query{
						{"histogram_quantile(0.5, sum by (le) (" + rated("sidelight_proxy_added_seconds_bucket", own) + "))", "p50"},
						{"histogram_quantile(0.99, sum by (le) (" + rated("sidelight_proxy_added_seconds_bucket", own) + "))", "p99"},
					},
				},
			}},
		},
	}
}
