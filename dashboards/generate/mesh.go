package main

// Who counts: the sidecars of callers, those of the called, and in Istio's
// ambient mode waypoints in place of both. There bytes of connections are counted
// by the nodes, as callers and as called: reporter="source" has each once.
const (
	fromCallers = `reporter=~"source|waypoint"`
	fromCalled  = `reporter=~"destination|waypoint"`
)

// failed selects requests that went wrong, in two halves without overlap: by
// HTTP status (0: the client went away) and, behind a 200, by gRPC's.
func failed(metric, selector, window string) string {
	return "(rate(" + metric + "{" + selector + `,response_code=~"0|5.."}[` + window + "]) or rate(" +
		metric + "{" + selector + `,response_code!~"0|5..",grpc_response_status!~"|0"}[` + window + "]))"
}

func rated(metric, selector string) string {
	return "rate(" + metric + "{" + selector + "}[$__rate_interval])"
}

// errorRatio is the failed share of requests by some labels, 0 where none failed.
func errorRatio(by, selector string) string {
	all := "sum by (" + by + ") (" + rated("istio_requests_total", selector) + ")"
	return "(sum by (" + by + ") " + failed("istio_requests_total", selector, "$__rate_interval") + " or " + all + " * 0) / (" + all + " > 0)"
}

func quantile(q, by, selector string) string {
	if by != "" {
		by += ", "
	}
	return "histogram_quantile(" + q + ", sum by (" + by + "le) (" + rated("istio_request_duration_milliseconds_bucket", selector) + "))"
}

// orZero makes a count that has never happened 0: a counter without series is
// no gap in the data. It is one when nobody counts, so the zero stands only while
// there are series of those who would: what stopped, or never was, is not well.
func orZero(expr, counting string) string { return "(" + expr + ") or count(" + counting + ") * 0" }

// orNone does the same where series have a label to be told apart by.
func orNone(label, expr, counting string) string {
	return "(" + expr + `) or on () label_replace(count(` + counting + `) * 0, "` + label + `", "none", "", "")`
}

// named gives a series by service under the name that is shown.
func named(by, series string) string {
	return by + " by (destination_service_name, destination_service_namespace) (" + series + ")"
}

// listed keeps of a series by service those that the table lists, so that it
// stays one that can be read.
func listed(by, series string) string {
	return by + " by (destination_service_name, destination_service_namespace) (" + series +
		" and on (reporter, destination_service) (service:istio_requests:rate1m_top10 or service:istio_request_errors:ratio1m_top10))"
}

// meshBoard reads series that the recording rules made: it looks at everything.
func meshBoard() board {
	const (
		in  = `destination_service_namespace=~"$namespace"`
		of  = fromCallers + "," + in
		tcp = `reporter="source",` + in
	)
	return board{
		uid: "sidelight-mesh", title: "Sidelight / Mesh", every: "15s",
		about:     "All services and workloads: how much, how many errors, how slow. Reads the series of rules/traffic.yaml.",
		variables: []variable{choice("namespace", "Namespace", "label_values(namespace:istio_requests:rate1m, destination_service_namespace)")},
		sections: []section{
			{"Now", []chart{
				{
					kind: stat, title: "Requests", unit: "reqps", about: "Requests a second, as the callers' sidecars count them.",
					queries: []query{{"sum(namespace:istio_requests:rate1m{" + of + "})", "requests"}},
				},
				{
					kind: stat, title: "Errors", unit: "percentunit", about: "Share of requests that ended with a 5xx, a gRPC error, or without an answer.", steps: above(.01, .05),
					queries: []query{{"sum(namespace:istio_request_errors:rate1m{" + of + "}) / sum(namespace:istio_requests:rate1m{" + of + "})", "errors"}},
				},
				{
					kind: stat, title: "p95 latency", unit: "ms", about: "95 of 100 requests were answered within this time.",
					queries: []query{{"histogram_quantile(0.95, sum by (le) (namespace:istio_request_duration_milliseconds_bucket:rate1m{" + of + "}))", "p95"}},
				},
				{
					kind: stat, title: "TCP throughput", unit: "Bps", about: "Bytes of TCP connections in both directions.",
					queries: []query{{orZero("sum(namespace:istio_tcp_bytes:rate1m{"+tcp+"})", "namespace:istio_requests:rate1m{"+of+"}"), "bytes"}},
				},
				{
					kind: stat, title: "Services called", unit: "short", about: "Services that had requests in the last minute.",
					queries: []query{{orZero("sum(max by (destination_service_namespace) (namespace:services_called:count{"+of+"}))", "namespace:istio_requests:rate1m{"+of+"}"), "services"}},
				},
				{
					kind: stat, title: "Sidecars", unit: "short", about: "Sidecars that answered the last scrape.",
					queries: []query{{`count(up{node!=""} == 1)`, "sidecars"}},
				},
			}},
			{"Traffic", []chart{
				{
					kind: lines, title: "Requests by service", unit: "reqps", about: "The ten busiest services.", stack: true,
					queries: []query{{"topk(10, " + named("sum", "service:istio_requests:rate1m_top10{"+of+"}") + ")", "{{destination_service_name}}.{{destination_service_namespace}}"}},
				},
				{
					kind: lines, title: "Error share by service", unit: "percentunit", about: "The ten worst services. Look at their callers: does one of them or do all of them see errors?", steps: above(.01, .05),
					queries: []query{{"topk(10, " + named("max", "service:istio_request_errors:ratio1m_top10{"+of+"}") + ")", "{{destination_service_name}}.{{destination_service_namespace}}"}},
				},
				{
					kind: lines, title: "p95 by service", unit: "ms", about: "The ten slowest services, as their callers see them.",
					queries: []query{{"topk(10, " + named("max", "service:istio_request_duration_milliseconds:p95_1m_top10{"+of+"}") + ")", "{{destination_service_name}}.{{destination_service_namespace}}"}},
				},
				{
					kind: heatmap, title: "Latency, all requests", unit: "ms", about: "How many requests took how long. Two bands are two kinds of answers.",
					queries: []query{{"sum by (le) (namespace:istio_request_duration_milliseconds_bucket:rate1m{" + of + "})", "{{le}}"}},
				},
			}},
			{"Services and workloads", []chart{
				{
					kind: table, title: "Services", h: 10, about: "The ten busiest and the ten worst services of each namespace, by their callers' account.", sort: "Error share",
					queries: []query{
						{listed("sum", "service:istio_requests:rate1m{"+of+"}"), ""},
						{listed("max", "service:istio_request_errors:ratio1m{"+of+"}"), ""},
						{listed("max", "service:istio_request_duration_milliseconds:p50_1m{"+of+"}"), ""},
						{listed("max", "service:istio_request_duration_milliseconds:p95_1m{"+of+"}"), ""},
						{listed("max", "service:istio_request_duration_milliseconds:p99_1m{"+of+"}"), ""},
					},
					columns: []column{
						{"destination_service_name", "Service", ""},
						{"destination_service_namespace", "Namespace", ""},
						{"A", "Requests", "reqps"},
						{"B", "Error share", "percentunit"},
						{"C", "p50", "ms"},
						{"D", "p95", "ms"},
						{"E", "p99", "ms"},
					},
				},
				{
					kind: bars, title: "Busiest workloads", unit: "reqps", about: "The ten workloads that answer most requests.",
					queries: []query{{`topk(10, sum by (destination_workload, destination_workload_namespace) (workload:istio_requests:rate1m_top10{` + fromCalled + `,destination_workload_namespace=~"$namespace"}))`, "{{destination_workload}}.{{destination_workload_namespace}}"}},
				},
				{
					kind: bars, title: "Failing workloads", unit: "reqps", about: "The ten workloads with most failed requests a second.", steps: none(),
					queries: []query{{`topk(10, sum by (destination_workload, destination_workload_namespace) (workload:istio_request_errors:rate1m_top10{` + fromCalled + `,destination_workload_namespace=~"$namespace"}))`, "{{destination_workload}}.{{destination_workload_namespace}}"}},
				},
			}},
		},
	}
}
