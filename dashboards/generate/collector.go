package main

func collectorBoard() board {
	const running = `up{job="sidelight"} == 1`
	return board{
		uid: "sidelight-collector", title: "Sidelight / Collector",
		about: "Does the telemetry itself arrive: scrapes, spans, stores, and every loss.",
		sections: []section{
			{"Now", []chart{
				{kind: stat, title: "Targets up", unit: "short", about: "Targets that answered the last scrape.", queries: []query{{`count(up{job="mesh"} == 1)`, "up"}}},
				{kind: stat, title: "Targets down", unit: "short", about: "Targets that did not.", steps: none(), queries: []query{{orZero(`count(up{job="mesh"} == 0)`, `up{job="mesh"}`), "down"}}},
				{kind: stat, title: "Series in memory", unit: "short", about: "Series that the metric store holds in memory.", queries: []query{{"sum(prometheus_tsdb_head_series)", "series"}}},
				{kind: stat, title: "Spans a second", unit: "cps", about: "Spans that were stored.", queries: []query{{`sum(` + rated("sidelight_collector_spans_total", `result="stored"`) + ")", "spans"}}},
				{kind: stat, title: "Size of the trace store", unit: "decbytes", about: "Spans on disk.", queries: []query{{"sum(sidelight_collector_trace_store_bytes)", "bytes"}}},
				{kind: stat, title: "Lost", unit: "short", about: "Everything that the collector lost in the range shown, but for traces that were sampled out.", steps: none(), queries: []query{{orZero("sum(increase(sidelight_collector_lost_total{"+unmeant+"}[$__range]))", running), "losses"}}},
			}},
			{"Scrapes", []chart{
				{
					kind: lines, title: "Scrape duration", unit: "s", about: "The ten slowest targets. Longer than the interval: figures get gaps.",
					queries: []query{{`topk(10, max by (node, instance) (scrape_duration_seconds{job="mesh"}))`, "{{node}} {{instance}}"}},
				},
				{
					kind: lines, title: "Samples per scrape", unit: "short", about: "The ten largest targets; at 50,000 a scrape is refused.",
					queries: []query{{`topk(10, max by (node, instance) (scrape_samples_scraped{job="mesh"}))`, "{{node}} {{instance}}"}},
				},
				{
					kind: lines, title: "Samples stored", unit: "cps", about: "Samples a second that went into the metric store.",
					queries: []query{{"sum by (type) (" + rated("prometheus_tsdb_head_samples_appended_total", `job=~".+"`) + ")", "{{type}}"}},
				},
				{
					kind: lines, title: "Series created and removed", unit: "cps", about: "Churn: many of both are workloads that come and go, or labels that never repeat.",
					queries: []query{
						{"sum(" + rated("prometheus_tsdb_head_series_created_total", `job=~".+"`) + ")", "created"},
						{"sum(" + rated("prometheus_tsdb_head_series_removed_total", `job=~".+"`) + ")", "removed"},
					},
				},
			}},
			{"Spans", []chart{
				{
					kind: lines, title: "Spans by protocol", w: 8, unit: "cps", about: "Spans received, by what became of them.",
					queries: []query{{"sum by (protocol, result) (" + rated("sidelight_collector_spans_total", `job=~".+"`) + ")", "{{protocol}} {{result}}"}},
				},
				{
					kind: lines, title: "Span requests refused", w: 8, unit: "cps", about: "OTLP requests refused whole: senders are told to slow down, or sent what nobody can read.", steps: none(),
					queries: []query{{orNone("status", "sum by (status) ("+rated("sidelight_collector_span_requests_refused_total", `job=~".+"`)+")", running), "{{status}}"}},
				},
				{
					kind: lines, title: "Calls between services", w: 8, unit: "cps", about: "The ten busiest edges of the service graph that Grafana's node graph draws.",
					queries: []query{{"topk(10, sum by (client, server) (" + rated("traces_service_graph_request_total", `job=~".+"`) + "))", "{{client}} → {{server}}"}},
				},
			}},
			{"Stores and queries", []chart{
				{
					kind: lines, title: "Query time", w: 8, unit: "s", about: "PromQL by phase, 90th percentile. queue_time grows: more queries at once than there are places.",
					queries: []query{{`max by (slice) (prometheus_engine_query_duration_seconds{quantile="0.9"}) >= 0`, "{{slice}}"}},
				},
				{
					kind: lines, title: "Store on disk", w: 8, unit: "decbytes", about: "Blocks of the metric store, and the trace store.",
					queries: []query{{"sum(prometheus_tsdb_storage_blocks_bytes)", "metrics"}, {"sum(sidelight_collector_trace_store_bytes)", "traces"}},
				},
				{
					kind: lines, title: "Losses", w: 8, unit: "cps", about: "What was lost, where: the name says which limit or which disk.", steps: none(),
					queries: []query{{orNone("what", "sum by (where, what) ("+rated("sidelight_collector_lost_total", `job=~".+"`)+")", running), "{{where}} {{what}}"}},
				},
			}},
		},
	}
}
