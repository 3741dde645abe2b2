package main

// unmeant leaves out of the ledgers of losses what was lost on purpose: of hours
// that are over, a share of the ordinary traces is kept.
const unmeant = `what!="ordinary traces sampled out"`

func telemetryRules() ruleFile {
	return ruleFile{
		name: "telemetry.yaml",
		about: `The mesh's own health: sidecars that vanish, telemetry that gets lost. What
is lost here makes every other figure doubtful.`,
		groups: []ruleGroup{{Name: "sidelight-telemetry", Interval: "15s", Rules: []rule{
			{
				Alert: "SidelightSidecarDown", For: "1m", Labels: warning(),
				Expr: `up{node!=""} == 0`,
				Annotations: &annotations{
					Summary:     "Sidecar {{ $labels.node }} does not answer scrapes",
					Description: "Its figures are stale. If its node is disconnected too, the process is gone; see the Nodes page.",
					Runbook:     "docs/troubleshooting.md#alerts",
				},
			},
			{
				Alert: "SidelightSidecarAddsLatency", For: "5m", Labels: warning(),
				Expr: "histogram_quantile(0.99, sum by (node, le) (rate(sidelight_proxy_added_seconds_bucket[5m]))) > 0.05",
				Annotations: &annotations{
					Summary:     "{{ $labels.node }} adds {{ $value | humanizeDuration }} to one in a hundred requests",
					Description: "The sidecar lacks CPU, or its memory is at the limit: see the Proxy dashboard.",
					Runbook:     "docs/troubleshooting.md#alerts",
				},
			},
			{
				Alert: "SidelightSpansLost", For: "5m", Labels: warning(),
				Expr: "sum by (node, reason) (rate(sidelight_spans_dropped_total[5m])) > 0",
				Annotations: &annotations{
					Summary:     `{{ $labels.node }} drops {{ $value | printf "%.1f" }} spans a second: {{ $labels.reason }}`,
					Description: "Traces have holes. The collector is not reached, or not fast enough.",
					Runbook:     "docs/troubleshooting.md#losses",
				},
			},
			{
				Alert: "SidelightSpansRefused", For: "5m", Labels: warning(),
				Expr: `sum by (protocol, result) (rate(sidelight_collector_spans_total{result!="stored"}[5m])) > 0`,
				Annotations: &annotations{
					Summary:     `The collector turns away {{ $value | printf "%.1f" }} spans a second: {{ $labels.result }}`,
					Description: "Senders are told to slow down, or sent spans that nobody can read: see the collector's log.",
					Runbook:     "docs/troubleshooting.md#losses",
				},
			},
			{
				Alert: "SidelightCollectorLoses", Labels: warning(),
				Expr: "sum by (where, what) (increase(sidelight_collector_lost_total{" + unmeant + "}[5m])) > 0",
				Annotations: &annotations{
					Summary:     `{{ $labels.where }} lost {{ $value | printf "%.0f" }}: {{ $labels.what }}`,
					Description: "GET /api/v1/status has the ledger with what to do about each.",
					Runbook:     "docs/troubleshooting.md#losses",
				},
			},
			{
				about: `What the collector and the stores lose has its own alert; what a viewer of
live requests did not get is told to the viewer.`,
				Alert: "SidelightServerLoses", Labels: warning(),
				Expr: `sum by (where, what) (increase(sidelight_server_lost_total{where!~"collector.*|store.*|server/tap"}[5m])) > 0`,
				Annotations: &annotations{
					Summary:     `{{ $labels.where }} lost {{ $value | printf "%.0f" }}: {{ $labels.what }}`,
					Description: "GET /api/v1/status has the ledger with what to do about each.",
					Runbook:     "docs/troubleshooting.md#losses",
				},
			},
			{
				Alert: "SidelightAPIFails", For: "5m", Labels: warning(),
				Expr: `sum by (route) (rate(sidelight_server_api_requests_total{code=~"5.."}[5m])) > 0`,
				Annotations: &annotations{
					Summary:     "The API fails at {{ $labels.route }}",
					Description: "See the server's log. A 503 names the store that does not answer.",
					Runbook:     "docs/troubleshooting.md#alerts",
				},
			},
			{
				Alert: "SidelightGraphFull", For: "5m", Labels: warning(),
				Expr: "sidelight_server_graph_edges > 45000",
				Annotations: &annotations{
					Summary:     `The live graph holds {{ $value | printf "%.0f" }} of 50,000 edges`,
					Description: "Beyond the limit new edges are not shown. Is there a label that never repeats among the workloads' names?",
					Runbook:     "docs/troubleshooting.md#alerts",
				},
			},
		}}},
	}
}
