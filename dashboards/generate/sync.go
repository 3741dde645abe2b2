package main

func configSyncBoard() board {
	stageQuantile := func(q string) string {
		return "histogram_quantile(" + q + ", sum by (stage, le) (rate(sidelight_config_push_stage_seconds_bucket[$__range])))"
	}
	const running = "sidelight_config_desired_revision"
	return board{
		uid: "sidelight-config-sync", title: "Sidelight / Configuration sync",
		about: "Does every node run the configuration that was asked for, and if not, which one and since when.",
		sections: []section{
			{"Now", []chart{
				{
					kind: stat, w: 6, h: 3, title: "Nodes in sync", unit: "percentunit", about: "Share of connected nodes that run what they should.", steps: below(.9, 1), max: 1,
					queries: []query{{`sum(sidelight_config_nodes{state="synced"}) / sum(sidelight_config_nodes{state!~"disconnected|never-connected"})`, "in sync"}},
				},
				{
					kind: stat, w: 6, h: 3, title: "Rejected", unit: "short", about: "Nodes that refuse the newest configuration and run the one before. The Nodes page has each one's reason.", steps: none(),
					queries: []query{{`sum(sidelight_config_nodes{state="rejected"})`, "nodes"}},
				},
				{
					kind: stat, w: 6, h: 3, title: "Stale", unit: "short", about: "Nodes that should have taken the newest configuration long ago.", steps: none(),
					queries: []query{{`sum(sidelight_config_nodes{state=~"stale|slow"})`, "nodes"}},
				},
				{
					kind: stat, w: 6, h: 3, title: "Disconnected", unit: "short", about: "Nodes that were here and have no stream now.", steps: none(),
					queries: []query{{`sum(sidelight_config_nodes{state="disconnected"})`, "nodes"}},
				},
				{
					kind: stat, w: 6, h: 3, title: "Unconverged for", unit: "s", about: "Age of the oldest revision that not every connected node runs.", steps: above(10, 60),
					queries: []query{{"max(sidelight_config_unconverged_seconds)", "age"}},
				},
				{
					kind: stat, w: 6, h: 3, title: "Desired revision", unit: "none", about: "Number of the newest accepted revision.",
					queries: []query{{"max(sidelight_config_desired_revision)", "revision"}},
				},
				{
					kind: stat, w: 6, h: 3, title: "Roll-out", unit: "none", about: "How far the newest revision may go: to every node, to the canary, or no further until somebody resumes.",
					steps: above(1, 2), words: []string{"all nodes", "canary", "held"},
					queries: []query{{`max(sidelight_rollout_phase{phase="canary"}) + 2 * max(sidelight_rollout_phase{phase="held"})`, "phase"}},
				},
				{
					kind: stat, w: 6, h: 3, title: "Held back", unit: "short", about: "Connected nodes that keep an older revision because the roll-out has not come to them.", steps: above(1, 1),
					queries: []query{{`sum(sidelight_rollout_nodes{part="held"})`, "nodes"}},
				},
			}},
			{"Nodes", []chart{
				{
					kind: lines, title: "Nodes by state", unit: "short", about: "States that are not synced should be short spikes after a change.", stack: true,
					colors: []hue{
						{"synced", "green"},
						{"in-flight", "blue"},
						{"slow", "yellow"},
						{"stale", "orange"},
						{"rejected", "red"},
						{"drifted", "red"},
						{"unsupported", "orange"},
						{"disconnected", "text"},
						{"never-connected", "text"},
					},
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
					kind: lines, title: "Convergence", unit: "s", about: "From the acceptance of a change until every connected node ran it, of the changes in the range shown.",
					queries: []query{
						{"histogram_quantile(0.5, sum by (le) (rate(sidelight_config_convergence_seconds_bucket[$__range]))) >= 0", "p50"},
						{"histogram_quantile(0.99, sum by (le) (rate(sidelight_config_convergence_seconds_bucket[$__range]))) >= 0", "p99"},
					},
				},
				{
					kind: bars, title: "Where a push spends its time", unit: "s", about: "99th percentile by stage. Compile, queue and send long: the server is slow. Ack and apply long: the nodes are.",
					queries: []query{{stageQuantile("0.99") + " >= 0", "{{stage}}"}},
				},
				{
					kind: lines, title: "Pushes by type", w: 8, unit: "cps", about: "Configuration responses sent.",
					queries: []query{{"sum by (type) (" + rated("pilot_xds_pushes", `job=~".+"`) + ")", "{{type}}"}},
				},
				{
					kind: lines, title: "Rejections by type", w: 8, unit: "cps", about: "Responses that a node refused.", steps: none(),
					queries: []query{{orNone("type", "sum by (type) ("+rated("sidelight_config_rejections_total", `job=~".+"`)+")", running), "{{type}}"}},
				},
				{
					kind: lines, title: "Pushes by cause", w: 8, unit: "cps", about: "What made the server push.",
					queries: []query{{orNone("type", "sum by (type) ("+rated("pilot_push_triggers", `job=~".+"`)+")", running), "{{type}}"}},
				},
				{
					kind: lines, title: "Size of configuration", w: 8, unit: "decbytes", about: "95th percentile of a response, by type.",
					queries: []query{{"histogram_quantile(0.95, sum by (type, le) (rate(pilot_xds_config_size_bytes_bucket[$__range]))) >= 0", "{{type}}"}},
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
