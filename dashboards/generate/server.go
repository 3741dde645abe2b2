package main

func serverBoard() board {
	const (
		own     = `job="sidelight"`
		running = "up{" + own + "} == 1"
	)
	return board{
		uid: "sidelight-server", title: "Sidelight / Server",
		about: "The server itself: its API, live views, tap, graph, and what the process takes.",
		sections: []section{
			{"Now", []chart{
				{kind: stat, title: "API requests", unit: "reqps", about: "Requests to the HTTP API.", queries: []query{{"sum(" + rated("sidelight_server_api_requests_total", own) + ")", "requests"}}},
				{kind: stat, title: "API errors", unit: "reqps", about: "Answers of the API with a 5xx.", steps: none(), queries: []query{{orZero("sum("+rated("sidelight_server_api_requests_total", `code=~"5..",`+own)+")", running), "errors"}}},
				{kind: stat, title: "Live sockets", unit: "short", about: "Pages and command lines that watch.", queries: []query{{"sum(sidelight_server_live_sockets)", "sockets"}}},
				{kind: stat, title: "Edges in the graph", unit: "short", about: "Distinct edges that the graph holds; at 50,000 new ones are refused.", steps: above(40000, 50000), queries: []query{{"sum(sidelight_server_graph_edges)", "edges"}}},
				{kind: stat, title: "Configuration streams", unit: "short", about: "Nodes with a configuration stream.", queries: []query{{"sum(sidelight_xds_connected_nodes)", "nodes"}}},
				{kind: stat, title: "Lost by the server", unit: "short", about: "Everything that was dropped in the range shown, but for traces that were sampled out; the ledger in /api/v1/status has the reasons.", steps: none(), queries: []query{{orZero("sum(increase(sidelight_server_lost_total{"+unmeant+"}[$__range]))", running), "losses"}}},
			}},
			{"API and live views", []chart{
				{
					kind: lines, title: "API requests by route", unit: "reqps", about: "Which parts of the API are used.", stack: true,
					queries: []query{{"sum by (route) (" + rated("sidelight_server_api_requests_total", own) + ")", "{{route}}"}},
				},
				{
					kind: lines, title: "API p95 by route", unit: "s", about: "Time to answer.",
					queries: []query{{"histogram_quantile(0.95, sum by (route, le) (" + rated("sidelight_server_api_request_seconds_bucket", own) + ")) >= 0", "{{route}}"}},
				},
				{
					kind: lines, title: "Live views", w: 8, unit: "short", about: "Distinct views that are computed once a second, the sockets they go to, and taps that are open.",
					queries: []query{{"sum(sidelight_server_live_views)", "views"}, {"sum(sidelight_server_live_sockets)", "sockets"}, {"sum(sidelight_server_tap_sessions)", "taps"}},
				},
				{
					kind: lines, title: "Frames lost", w: 8, unit: "cps", about: "State frames that slow clients did not get, and clients that were closed because they did not read.", steps: none(),
					queries: []query{{"sum(" + rated("sidelight_server_live_frames_lost_total", own) + ")", "frames"}, {"sum(" + rated("sidelight_server_live_stalled_total", own) + ")", "closed"}},
				},
				{
					kind: lines, title: "Tap", w: 8, unit: "cps", about: "Live requests that sidecars sent because somebody taps.",
					queries: []query{{"sum(" + rated("sidelight_server_tap_events_total", own) + ")", "events"}},
				},
			}},
			{"Graph and nodes", []chart{
				{
					kind: lines, title: "Scrapes taken into the graph", w: 8, unit: "cps", about: "Batches a second; one for each scrape of each sidecar.",
					queries: []query{{"sum(" + rated("sidelight_server_edge_batches_total", own) + ")", "batches"}},
				},
				{
					kind: lines, title: "Streams of sidecars", w: 8, unit: "short", about: "Configuration and agent streams.",
					queries: []query{{"sum(sidelight_xds_connected_nodes)", "configuration"}, {"sum(sidelight_xds_agent_streams)", "agent"}},
				},
				{
					kind: lines, title: "Turned away", w: 8, unit: "cps", about: "Streams and nodes refused, messages dropped because a queue was full.", steps: none(),
					queries: []query{{orNone("reason", "sum by (reason) ("+rated("sidelight_xds_refused_total", own)+")", running), "{{reason}}"}, {"sum(" + rated("sidelight_xds_agent_messages_dropped_total", own) + ")", "agent messages"}},
				},
			}},
			{"Process", []chart{
				{kind: lines, title: "CPU of the server", w: 8, unit: cores, about: "Cores in use.", queries: []query{{"sum by (instance) (" + rated("process_cpu_seconds_total", own) + ")", "{{instance}}"}}},
				{
					kind: lines, title: "Memory of the server", w: 8, unit: "decbytes", about: "Resident memory, and Go's heap in it.",
					queries: []query{{"sum by (instance) (process_resident_memory_bytes{" + own + "})", "resident {{instance}}"}, {"sum by (instance) (go_memstats_heap_inuse_bytes{" + own + "})", "heap {{instance}}"}},
				},
				{
					kind: lines, title: "Goroutines of the server", w: 8, unit: "short", about: "Some per stream and socket; a line that only climbs is a leak.",
					queries: []query{{"sum by (instance) (go_goroutines{" + own + "})", "{{instance}}"}},
				},
				{
					kind: table, title: "What was lost", h: 6, about: "The ledger of losses.", sort: "Count",
					queries: []query{{orNone("what", "sum by (where, what) (sidelight_server_lost_total)", running), ""}},
					columns: []column{{"where", "Where", ""}, {"what", "What", ""}, {"A", "Count", "short"}},
				},
			}},
		},
	}
}
