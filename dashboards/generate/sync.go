package main

func configSyncBoard() board {
	stageQuantile := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (stage, le) (rate(sidelight_config_push_stage_seconds_bucket[$__range])))"
	}
	return board{
		uid: "sidelight-config-sync", title: "Sidelight / Configuration sync",
		about: "Does every node run the configuration that was asked for, and if not, which one and since when.",
		sections: []section{
			{"Now", []chart{
				{
					kind: stat, title: "Nodes in sync", unit: "percentunit", about: "Share of connected nodes that run what they should.", steps: below(.9, 1), max: 1,
					queries: []query{{`sum(sidelight_config_nodes{state="synced"}) / sum(sidelight_config_nodes{state!~"disconnected|never-connected"})`, "in sync"}},
				},
				{
					kind: stat, title: "Rejected", unit: "short", about: "Nodes that refuse the newest configuration and run the one before. The Nodes page has each one's reason.", steps: none(),
					queries: []query{{`sum(sidelight_config_nodes{state="rejected"})`, "nodes"}},
				},
				{
					kind: stat, title: "Stale", unit: "short", about: "Nodes that should have taken the newest configuration long ago.", steps: none(),
					queries: []query{{`sum(sidelight_config_nodes{state=~"stale|slow"})`, "nodes"}},
				},
				{
					kind: stat, title: "Disconnected", unit: "short", about: "Nodes that were here and have no stream now.", steps: none(),
					queries: []query{{`sum(sidelight_config_nodes{state="disconnected"})`, "nodes"}},
				},
				{
					kind: stat, title: "Unconverged for", unit: "s", about: "Age of the oldest revision that not every connected node runs.", steps: above(10, 60),
					queries: []query{{"max(sidelight_config_unconverged_seconds)", "age"}},
				},
				{
					kind: stat, title: "Desired revision", unit: "none", about: "Number of the newest accepted revision.",
					queries: []query{{"max(sidelight_config_desired_revision)", "revision"}},
				},
			}},
			{"Nodes", []chart{
				{
					kind: lines, title: "Nodes by state", unit: "short", about: "States that are not synced should be short spikes after a change.", stack: true,
					queries: []query{{"sum by (state) (sidelight_config_nodes)", "{{state}}"}},
				},
				{
					kind: lines, title: "Revisions behind", unit: "short", about: "How far the ten nodes that lag most are behind the desired revision.", steps: none(),
					queries: []query{{"topk(10, scalar(max(sidelight_config_desired_revision)) - max by (node) (sidelight_config_node_revision))", "{{node}}"}},
				},
				{
					kind: table, title: "Nodes and their state", h: 9, about: "Each node, the revision that it runs and for how long it has been in its state.", sort: "In this state for",
					queries: []query{
						{"max by (node, namespace, workload, state) (sidelight_config_node_state)", ""},
						{"max by (node, namespace, workload) (sidelight_config_node_revision)", ""},
						{"time() - max by (node, namespace, workload) (sidelight_config_node_state_start_timestamp_seconds)", ""},
					},
					columns: []column{{"node", "Node", ""}, {"namespace", "Namespace", ""}, {"workload", "Workload", ""}, {"state", "State", ""}, {"B", "Revision", "none"}, {"C", "In this state for", "s"}},
				},
			}},
			{"Distribution", []chart{
				{
					kind: lines, title: "Convergence", unit: "s", about: "From the acceptance of a change until every connected node ran it.",
					queries: []query{
						{orZero("histogram_quantile(0.5, sum by (le) (rate(sidelight_config_convergence_seconds_bucket[$__range]))) >= 0"), "p50"},
						{orZero("histogram_quantile(0.99, sum by (le) (rate(sidelight_config_convergence_seconds_bucket[$__range]))) >= 0"), "p99"},
					},
				},
				{
					kind: bars, title: "Where a push spends its time", unit: "s", about: "99th percentile by stage. Compile, queue and send long: the server is slow. Ack and apply long: the nodes are.",
					queries: []query{{orNone("stage", stageQuantile("0.99")+" >= 0"), "{{stage}}"}},
				},
				{
					kind: lines, title: "Pushes by type", w: 8, unit: "cps", about: "Configuration responses sent.",
					queries: []query{{"sum by (type) (" + rated("pilot_xds_pushes", `job=~".+"`) + ")", "{{type}}"}},
				},
				{
					kind: lines, title: "Rejections by type", w: 8, unit: "cps", about: "Responses that a node refused.", steps: none(),
					queries: []query{{orNone("type", "sum by (type) ("+rated("sidelight_config_rejections_total", `job=~".+"`)+")"), "{{type}}"}},
				},
				{
					kind: lines, title: "Pushes by cause", w: 8, unit: "cps", about: "What made the server push.",
					queries: []query{{orNone("type", "sum by (type) ("+rated("pilot_push_triggers", `job=~".+"`)+")"), "{{type}}"}},
				},
				{
					kind: lines, title: "Size of configuration", w: 8, unit: "bytes", about: "95th percentile of a response, by type.",
					queries: []query{{orNone("type", "histogram_quantile(0.95, sum by (type, le) (rate(pilot_xds_config_size_bytes_bucket[$__range]))) >= 0"), "{{type}}"}},
				},
				{
					kind: lines, title: "Problems in the configuration", w: 8, unit: "short", about: "What is wrong in the folder now; errors keep an object out of effect.", steps: none(),
					queries: []query{{"sum by (severity) (sidelight_config_problems)", "{{severity}}"}},
				},
				{
					kind: lines, title: "Objects in effect", w: 8, unit: "short", about: "Configuration objects by kind.",
					queries: []query{{"sum by (kind) (sidelight_config_objects) > 0", "{{kind}}"}},
				},
			}},
		},
	}
}
