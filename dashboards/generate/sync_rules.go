package main

func configSyncRules() ruleFile {
	const who = "{{ $labels.node }} ({{ $labels.namespace }}/{{ $labels.workload }})"
	runbook := func(state string) string { return "docs/config-sync.md#" + state }
	return ruleFile{
		name: "config-sync.yaml",
		about: `Alerts on the distribution of configuration. Sidelight evaluates them itself;
they load unchanged in a Prometheus that scrapes the server's /metrics.
The states are explained in docs/config-sync.md.`,
		groups: []ruleGroup{{Name: "sidelight-config-sync", Rules: []rule{
			{
				Alert: "SidelightNodeConfigStale", For: "15s", Labels: warning(),
				Expr: `sidelight_config_node_state{state="stale"} == 1`,
				Annotations: &annotations{
					Summary:     "{{ $labels.node }} does not take the desired configuration",
					Description: "The stream of " + who + " is up, but a change did not arrive within 10 s. What it had runs on. Why, and whether the server or the node is late: sidelight nodes {{ $labels.node }}.",
					Runbook:     runbook("stale"),
				},
			},
			{
				Alert: "SidelightNodeConfigRejected", Labels: critical(),
				Expr: `sidelight_config_node_state{state=~"rejected|unsupported"} == 1`,
				Annotations: &annotations{
					Summary:     "{{ $labels.node }} refused the desired configuration",
					Description: who + " said no ({{ $labels.state }}). What it had runs on; sidelight nodes {{ $labels.node }} has its own words.",
					Runbook:     runbook("rejected"),
				},
			},
			{
				about: `Only while it is news: a node that left with its workload stays in the
inventory for days.`,
				Alert: "SidelightNodeDisconnected", For: "1m", Labels: warning(),
				Expr: `sidelight_config_node_state{state="disconnected"} == 1
and on (node, namespace, workload)
time() - sidelight_config_node_state_start_timestamp_seconds < 3600`,
				Annotations: &annotations{
					Summary:     "{{ $labels.node }} has no connection to the control plane",
					Description: who + " was connected and is not now. If it still runs, it runs what it had last. Is the process there, and does it reach the server?",
					Runbook:     runbook("disconnected"),
				},
			},
			{
				Alert: "SidelightNodeNeverConnected", For: "1m", Labels: warning(),
				Expr: `sidelight_config_node_state{state="never-connected"} == 1`,
				Annotations: &annotations{
					Summary:     "{{ $labels.node }} has never asked for configuration",
					Description: who + " is known from discovery or traffic, but no configuration stream of it has ever come. Is its --server this server?",
					Runbook:     runbook("never-connected"),
				},
			},
			{
				Alert: "SidelightNodeConfigDrifted", Labels: critical(),
				Expr: `sidelight_config_node_state{state="drifted"} == 1`,
				Annotations: &annotations{
					Summary:     "{{ $labels.node }} runs other than it acknowledged",
					Description: who + " acknowledged a version and its own account says that it runs another. Restart it; if that happens again, report it with sidelight nodes {{ $labels.node }} -o json.",
					Runbook:     runbook("drifted"),
				},
			},
			{
				Alert: "SidelightConfigConvergenceSlow", Labels: warning(),
				Expr: "sidelight_config_unconverged_seconds > 30",
				Annotations: &annotations{
					Summary:     "A configuration change is not on all nodes after {{ $value | humanizeDuration }}",
					Description: "The oldest change that not every connected node runs was accepted {{ $value | humanizeDuration }} ago. sidelight nodes lists those that lack it, and whether they wait for the server or are late themselves.",
					Runbook:     runbook("slow-convergence"),
				},
			},
			{
				Alert: "SidelightControlPlaneSlow", For: "30s", Labels: warning(),
				Expr: `histogram_quantile(0.95, sum by (le) (rate(sidelight_config_push_stage_seconds_bucket{stage="queue"}[2m]))) > 2`,
				Annotations: &annotations{
					Summary:     "The control plane takes {{ $value | humanizeDuration }} to send a change",
					Description: "95 % of pushes waited up to {{ $value | humanizeDuration }} in the control plane before they were sent: it is slow, not the nodes. Has the server enough CPU? See the Server dashboard.",
					Runbook:     runbook("slow-convergence"),
				},
			},
			{
				about: `A canary that is not well has stopped the roll-out. Nodes beyond it are
safe with what they have, but nothing goes further by itself.`,
				Alert: "SidelightRolloutHeld", Labels: warning(),
				Expr: `sidelight_rollout_phase{phase="held"} == 1 unless on () sidelight_rollout_paused == 1`,
				Annotations: &annotations{
					Summary:     "The newest configuration is held back: its canary is not well",
					Description: "sidelight config rollout status says what is wrong with it. Correct the change or roll it back: the next revision begins anew. Or let every node have it: sidelight config rollout resume.",
					Runbook:     runbook("held"),
				},
			},
			{
				Alert: "SidelightRolloutPaused", For: "1h", Labels: warning(),
				Expr: "sidelight_rollout_paused == 1",
				Annotations: &annotations{
					Summary:     "A person has held configuration back for an hour",
					Description: "Changes reach the canary at most. sidelight config rollout status says who holds them and why; sidelight config rollout resume ends it.",
					Runbook:     runbook("held"),
				},
			},
		}}},
	}
}
