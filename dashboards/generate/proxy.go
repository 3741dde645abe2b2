package main

func proxyBoard() board {
	const (
		node    = `node=~"$node"`
		running = "up{" + node + "} == 1"

		// Who has left is not scraped any more, and would not be missed.
		silent = "count by (node) (up{" + node + `} == 0) or count by (node) (sidelight_config_node_state{state="disconnected",` + node + `} == 1
			and on (node, namespace, workload) time() - sidelight_config_node_state_start_timestamp_seconds{` + node + "} < 3600)"
	)
	return board{
		uid: "sidelight-proxy", title: "Sidelight / Proxy",
		about:     "Sidecars as processes: load, limits, connections, certificates, configuration, telemetry that got lost.",
		variables: []variable{choice("node", "Node", "label_values(sidelight_config_applied_revision, node)")},
		sections: []section{
			{"Now", []chart{
				{
					kind: stat, title: "Sidecars up", unit: "short", about: "Sidecars that answered the last scrape.",
					queries: []query{{"count(up{" + node + "} == 1)", "up"}},
				},
				{
					kind: stat, title: "Sidecars down", unit: "short", about: "Sidecars that do not answer scrapes, or lost their connection to the server within the last hour.", steps: none(),
					queries: []query{{orZero("count("+silent+")", "up{"+node+"}"), "down"}},
				},
				{
					kind: stat, title: "Requests under way", unit: "short", about: "Requests that all of them handle at this moment.",
					queries: []query{{"sum(sidelight_downstream_requests_active{" + node + "})", "requests"}},
				},
				{
					kind: stat, title: "Open connections", unit: "short", about: "Client connections open now.",
					queries: []query{{"sum(sidelight_downstream_connections_active{" + node + "})", "connections"}},
				},
				{
					kind: stat, title: "Added latency p99", unit: "s", about: "The sidecar's own share of the time to the first byte.", steps: above(.005, .025),
					queries: []query{{"histogram_quantile(0.99, sum by (le) (" + rated("sidelight_proxy_added_seconds_bucket", node) + "))", "p99"}},
				},
				{
					kind: stat, title: "Cut off from the server", unit: "short", about: "Sidecars without a configuration stream. They serve on with what they have.", steps: none(),
					queries: []query{{orZero(`count(sidelight_xds_connected{stream="ads",`+node+"} == 0)", running), "sidecars"}},
				},
			}},
			{"Load", []chart{
				{kind: lines, title: "CPU", unit: cores, about: "Cores in use.", queries: []query{{"sum by (node) (" + rated("process_cpu_seconds_total", node) + ")", "{{node}}"}}},
				{kind: lines, title: "Memory", unit: "decbytes", about: "Resident memory.", queries: []query{{"sum by (node) (process_resident_memory_bytes{" + node + "})", "{{node}}"}}},
				{kind: lines, title: "Goroutines", unit: "short", about: "Some per connection; a line that only climbs is a leak.", queries: []query{{"sum by (node) (go_goroutines{" + node + "})", "{{node}}"}}},
				{
					kind: lines, title: "Added latency", unit: "s", about: "Median and 99th percentile by the side of the connection that the sidecar stands on.",
					queries: []query{
						{"histogram_quantile(0.5, sum by (reporter, le) (" + rated("sidelight_proxy_added_seconds_bucket", node) + "))", "p50 {{reporter}}"},
						{"histogram_quantile(0.99, sum by (reporter, le) (" + rated("sidelight_proxy_added_seconds_bucket", node) + "))", "p99 {{reporter}}"},
					},
				},
			}},
			{"Connections and limits", []chart{
				{
					kind: lines, title: "Connections accepted and refused", w: 8, unit: "cps", about: "Refused: over the limit of connections, or nothing is configured at that address.",
					queries: []query{
						{"sum(" + rated("sidelight_downstream_connections_accepted_total", node) + ")", "accepted"},
						{"sum(" + rated("sidelight_downstream_connections_refused_total", node) + ")", "refused"},
						{"sum(" + rated("sidelight_downstream_unreadable_requests_total", node) + ")", "unreadable requests"},
					},
				},
				{
					kind: lines, title: "New upstream connections", w: 8, unit: "cps", about: "Near the rate of requests: connections are not reused.",
					queries: []query{{`sum by (node) (` + rated("sidelight_upstream_connections_opened_total", `reporter="source",`+node) + ")", "{{node}}"}},
				},
				{
					kind: lines, title: "Retries", w: 8, unit: "cps", about: "Attempts beyond the first.",
					queries: []query{{`clamp_min(sum by (node) (` + rated("sidelight_upstream_attempts_total", `reporter="source",`+node) + `) - sum by (node) (` + rated("sidelight_responses_total", `reporter="source",`+node) + "), 0)", "{{node}}"}},
				},
				{
					kind: lines, title: "Open circuit breakers", w: 8, unit: "short", about: "Limits of DestinationRules that are reached now: requests over them are refused.", steps: none(),
					queries: []query{{orNone("breaker", "sum by (cluster, breaker) (sidelight_circuit_breaker_open{"+node+"})", running), "{{cluster}} {{breaker}}"}},
				},
				{
					kind: lines, title: "Ejected endpoints", w: 8, unit: "short", about: "Endpoints that outlier detection has taken out for now.", steps: none(),
					queries: []query{{orNone("cluster", "sum by (cluster) (sidelight_outlier_ejections_active{"+node+"})", running), "{{cluster}}"}},
				},
				{
					kind: lines, title: "Upstream requests, limited clusters", w: 8, unit: "short", about: "Tries under way to clusters with a limit, and those that wait for a connection.",
					queries: []query{
						{orNone("cluster", "sum by (cluster) (sidelight_upstream_requests_active{"+node+"})", running), "{{cluster}}"},
						{orNone("cluster", "sum by (cluster) (sidelight_upstream_requests_pending{"+node+"})", running), "waiting {{cluster}}"},
					},
				},
			}},
			{"Identity and policies", []chart{
				{
					kind: lines, title: "Certificates end in", unit: "s", about: "A certificate is renewed when half of its time is over: a line that falls lower than that has trouble at its authority. Below zero it is refused.",
					queries: []query{{"min by (node) (sidelight_proxy_certificate_expiry_timestamp_seconds{" + node + "} > 0) - time()", "{{node}}"}},
				},
				{
					kind: lines, title: "Requests by security of the connection", unit: "reqps", about: "mutual_tls or none, as the called sidecars saw the connection.", stack: true,
					queries: []query{{"sum by (connection_security_policy) (" + rated("istio_requests_total", `reporter="destination",`+node) + ")", "{{connection_security_policy}}"}},
				},
				{
					kind: lines, title: "Connections kept out by the TLS mode", unit: "cps", about: "Plain text under STRICT, or a handshake that failed: a client outside of the mesh, or one whose certificate nobody vouches for.", steps: none(),
					queries: []query{{"sum by (node) (" + rated("sidelight_downstream_connections_insecure_total", node) + ")", "{{node}}"}},
				},
				{
					kind: lines, title: "Denied on trial", unit: "cps", about: "What policies with the dry-run annotation would have denied.", steps: none(),
					queries: []query{{orNone("policy", "sum by (policy) ("+rated("sidelight_authorization_dry_run_denied_total", node)+")", running), "{{policy}}"}},
				},
			}},
			{"Configuration and telemetry", []chart{
				{
					kind: lines, title: "Configuration received", w: 8, unit: "cps", about: "Responses by what became of them; anything but applied wants a look at the node.",
					queries: []query{{"sum by (type, result) (" + rated("sidelight_xds_updates_total", node) + ")", "{{type}} {{result}}"}},
				},
				{
					kind: lines, title: "Applied revision", w: 8, unit: "none", about: "Lines that do not meet are nodes that lag.",
					queries: []query{{"max by (node) (sidelight_config_applied_revision{" + node + "})", "{{node}}"}},
				},
				{
					kind: lines, title: "Telemetry lost", w: 8, unit: "cps", about: "Spans, access log lines, tap events and mirrored requests that were dropped, and exchanges counted under coarser labels.", steps: none(),
					queries: []query{
						{"sum(" + rated("sidelight_spans_dropped_total", node) + ")", "spans"},
						{"sum(" + rated("sidelight_access_log_dropped_total", node) + ")", "log lines"},
						{"sum(" + rated("sidelight_agent_tap_events_lost_total", node) + ")", "tap events"},
						{"sum(" + rated("sidelight_mirrored_requests_dropped_total", node) + ")", "mirrored requests"},
						{orZero("sum("+rated("sidelight_series_limited_total", node)+")", running), "coarser labels"},
					},
				},
				{
					kind: table, title: "Builds", h: 6, about: "Which builds of the sidecar run.", sort: "Sidecars",
					queries: []query{{"count by (build) (sidelight_node_info{" + node + "})", ""}},
					columns: []column{{"build", "Build", ""}, {"A", "Sidecars", "short"}},
				},
			}},
		},
	}
}
