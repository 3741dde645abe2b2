package main

const (
	byService  = "reporter, destination_service, destination_service_name, destination_service_namespace"
	byWorkload = "reporter, destination_workload, destination_workload_namespace"
	callers    = "{" + fromCallers + "}"
	called     = "{" + fromCalled + "}"
)

func trafficRules() ruleFile {
	return ruleFile{
		name: "traffic.yaml",
		about: `Traffic, by Istio's standard metrics: these rules work on any mesh that has
them. Failed is a 5xx, a gRPC error, or no answer at all (code 0).

The series are by reporter: "source" is what callers see, "destination" what
the called see, "waypoint" what stands between them in an ambient mesh, where
nobody else counts requests. The Mesh dashboard reads nothing but these.`,
		groups: []ruleGroup{
			{Name: "sidelight-traffic", Interval: "15s", Rules: trafficSeries()},
			{Name: "sidelight-traffic-alerts", Interval: "15s", Rules: trafficAlerts()},
		},
	}
}

func trafficSeries() []rule {
	perMinute := func(by, metric string) string { return "sum by (" + by + ") (rate(" + metric + "[1m]))" }
	errors := func(by, all string) string {
		return "sum by (" + by + `) (
  rate(istio_requests_total{response_code=~"0|5.."}[1m])
  or rate(istio_requests_total{response_code!~"0|5..",grpc_response_status!~"|0"}[1m])
) or ` + all + " * 0"
	}
	latency := func(q string) string {
		return "histogram_quantile(" + q + ", " + perMinute(byService+", le", "istio_request_duration_milliseconds_bucket") + ") >= 0"
	}
	var series []rule
	record := func(name, expr string) { series = append(series, rule{Record: name, Expr: expr}) }
	record("service:istio_requests:rate1m", perMinute(byService, "istio_requests_total"))
	record("service:istio_request_errors:rate1m", errors(byService, "service:istio_requests:rate1m"))
	record("service:istio_request_errors:ratio1m", "service:istio_request_errors:rate1m / (service:istio_requests:rate1m > 0)")
	record("service:istio_request_duration_milliseconds:p50_1m", latency("0.5"))
	record("service:istio_request_duration_milliseconds:p95_1m", latency("0.95"))
	record("service:istio_request_duration_milliseconds:p99_1m", latency("0.99"))
	record("service:istio_tcp_bytes:rate1m", perMinute(byService, "istio_tcp_sent_bytes_total")+"\n+ "+perMinute(byService, "istio_tcp_received_bytes_total"))
	record("workload:istio_requests:rate1m", perMinute(byWorkload, "istio_requests_total"))
	record("workload:istio_request_errors:rate1m", errors(byWorkload, "workload:istio_requests:rate1m"))
	record("workload:istio_requests_sent:rate1m", perMinute("reporter, source_workload, source_workload_namespace", "istio_requests_total"))

	both := len(series)
	record("workload:istio_requests:reporters", "count by (namespace, workload) (\n  "+
		asWorkload("workload:istio_requests:rate1m", "destination")+"\n  or "+asWorkload("workload:istio_requests_sent:rate1m", "source")+"\n)")
	series[both].about = `All workloads that call or are called, under labels that do not say which:
the choice of the Workload dashboard.`

	ten := len(series)
	for _, of := range []struct{ series, namespace string }{
		{"service:istio_requests:rate1m", "destination_service_namespace"},
		{"service:istio_request_errors:ratio1m", "destination_service_namespace"},
		{"service:istio_request_duration_milliseconds:p95_1m", "destination_service_namespace"},
		{"workload:istio_requests:rate1m", "destination_workload_namespace"},
		{"workload:istio_request_errors:rate1m", "destination_workload_namespace"},
	} {
		record(of.series+"_top10", "topk by (reporter, "+of.namespace+") (10, "+of.series+")")
	}
	series[ten].about = `Which are the busiest, the worst and the slowest is found here once, ten of
each namespace: over a range it would be found anew at each step.`

	namespace := func(name string) {
		record("namespace:"+name, "sum by (reporter, destination_service_namespace) (service:"+name+")")
	}
	namespace("istio_requests:rate1m")
	namespace("istio_request_errors:rate1m")
	namespace("istio_tcp_bytes:rate1m")
	record("namespace:services_called:count", "count by (reporter, destination_service_namespace) (service:istio_requests:rate1m > 0)")
	record("namespace:istio_request_duration_milliseconds_bucket:rate1m",
		perMinute("reporter, destination_service_namespace, le", "istio_request_duration_milliseconds_bucket"))
	return series
}

// asWorkload gives the workloads of one side of requests as "workload" and "namespace".
func asWorkload(series, side string) string {
	return `label_replace(label_replace(` + series + `, "workload", "$1", "` + side + `_workload", "(.+)"), "namespace", "$1", "` + side + `_workload_namespace", "(.+)")`
}

func trafficAlerts() []rule {
	// One of three requests in a night is a third of them, and no reason to wake anybody.
	const busy = "\nand service:istio_requests:rate1m" + callers + " > 0.1"
	return []rule{
		{
			Alert: "SidelightServiceFails", For: "2m", Labels: critical(),
			Expr: "service:istio_request_errors:ratio1m" + callers + " > 0.05" + busy,
			Annotations: &annotations{
				Summary:     "{{ $value | humanizePercentage }} of requests to {{ $labels.destination_service }} fail",
				Description: "Its callers see them fail. Open the edge in the graph: it says which sidecar answered, why, and which configuration object is behind it.",
				Runbook:     "docs/troubleshooting.md#an-error-on-an-edge",
			},
		},
		{
			Alert: "SidelightRequestsLostOnTheWay", For: "2m", Labels: warning(),
			Expr: "service:istio_request_errors:ratio1m" + callers + `
  - on (destination_service) group_left ()
max by (destination_service) (service:istio_request_errors:ratio1m` + called + ") > 0.05" + busy,
			Annotations: &annotations{
				Summary:     "Callers of {{ $labels.destination_service }} see more errors than it makes",
				Description: "{{ $value | humanizePercentage }} of requests fail before or after the service: routes, subsets, connections, limits. Look at the callers' sidecars.",
				Runbook:     "docs/troubleshooting.md#an-error-on-an-edge",
			},
		},
		{
			Alert: "SidelightServiceSlow", For: "5m", Labels: warning(),
			Expr: "service:istio_request_duration_milliseconds:p95_1m" + callers + " > 1000" + busy,
			Annotations: &annotations{
				Summary:     `{{ $labels.destination_service }} is slow: p95 {{ $value | printf "%.0f" }} ms`,
				Description: "Find the slow part in a trace of the service, or compare its workloads on the Service dashboard.",
				Runbook:     "docs/troubleshooting.md#alerts",
			},
		},
		{
			Alert: "SidelightRetriesHideFailures", For: "5m", Labels: warning(),
			Expr: "sum by (destination_service) (rate(sidelight_upstream_attempts_total" + callers + `[5m]))
  / (sum by (destination_service) (rate(sidelight_responses_total` + callers + "[5m])) > 0.1) > 1.2",
			Annotations: &annotations{
				Summary:     `{{ $value | printf "%.2f" }} attempts per request to {{ $labels.destination_service }}`,
				Description: "Retries hide that tries fail, and multiply the load on the service. sidelight tap -w 'attempts > 1' -o wide shows which tries fail, and how.",
				Runbook:     "docs/troubleshooting.md#alerts",
			},
		},
		{
			Alert: "SidelightCircuitBreakerOpen", For: "1m", Labels: warning(),
			Expr: "max by (node, cluster, breaker) (sidelight_circuit_breaker_open) > 0",
			Annotations: &annotations{
				Summary:     "{{ $labels.node }} is at its limit of {{ $labels.breaker }} to {{ $labels.cluster }}",
				Description: "Requests over the limit are refused with UO. Is the limit in the DestinationRule meant, or is the service too slow?",
				Runbook:     "docs/troubleshooting.md#alerts",
			},
		},
	}
}
