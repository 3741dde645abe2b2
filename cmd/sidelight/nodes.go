package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/observe"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
)

func nodesCommand() *cobra.Command {
	var (
		c     client
		out   output
		check bool
		seen  bool
	)
	cmd := &cobra.Command{
		Use:   "nodes [NODE]",
		Short: "Show which configuration runs on which node, and why one lags",
		Long: `Nodes shows for every sidecar, connected or not, which revision of the
configuration it really runs, compared by content. With a node's name it shows
each resource: desired, sent, acknowledged, applied.

With --observed it shows what the sources of --observe say instead: proxies of
other control planes, in the same states.

With --check the exit code is 1 unless every node runs what it should.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if seen {
				return observedNodes(cmd, &c, out, check)
			}
			if len(args) == 1 {
				return oneNode(cmd, &c, out, args[0], check)
			}
			return allNodes(cmd, &c, out, check)
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "exit with 1 unless all are synced")
	cmd.Flags().BoolVar(&seen, "observed", false, "show the proxies of other control planes, of --observe")
	return cmd
}

func allNodes(cmd *cobra.Command, c *client, out output, check bool) error {
	var view skew.NodesView
	if err := c.get(cmd.Context(), "/api/v1/nodes", nil, &view); err != nil {
		return err
	}
	if out.json() {
		if err := out.writeJSON(cmd.OutOrStdout(), view); err != nil {
			return err
		}
	} else {
		var stages rollout.State
		if err := c.get(cmd.Context(), "/api/v1/config/rollout", nil, &stages); err != nil {
			return err
		}
		if err := writeNodes(cmd.OutOrStdout(), view, stages, out.wide()); err != nil {
			return err
		}
	}
	if behind := view.Summary.Nodes - view.Summary.Synced; check && behind > 0 {
		return fmt.Errorf("%d of %d nodes do not run the desired configuration", behind, view.Summary.Nodes)
	}
	return nil
}

func observedNodes(cmd *cobra.Command, c *client, out output, check bool) error {
	var answer struct {
		Nodes   []observe.Node   `json:"nodes"`
		Sources []observe.Source `json:"sources"`
	}
	if err := c.get(cmd.Context(), "/api/v1/observed", nil, &answer); err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if out.json() {
		if err := out.writeJSON(w, answer); err != nil {
			return err
		}
	} else {
		if len(answer.Sources) == 0 {
			fmt.Fprintln(w, "No source is observed. Start the server with --observe http://ISTIOD:15014/debug/syncz, for each replica.")
		}
		for _, s := range answer.Sources {
			if s.Error != "" {
				fmt.Fprintf(w, "%s cannot be read: %s\n", printable(s.URL), printable(s.Error))
			}
		}
		t := newTable("NODE", "STATE", "SINCE", "VERSION", "WHY", "SOURCE")
		for _, n := range answer.Nodes {
			t.add(printable(n.ID), string(n.State), n.Since.Local().Format("15:04:05"), dash(printable(n.Version)), printable(n.Reason), printable(n.Source))
		}
		if len(answer.Nodes) > 0 {
			if err := t.write(w); err != nil {
				return err
			}
		}
	}
	behind := 0
	for _, n := range answer.Nodes {
		if n.State != skew.Synced {
			behind++
		}
	}
	if check && behind > 0 {
		return fmt.Errorf("%d of %d observed nodes are not synced", behind, len(answer.Nodes))
	}
	return nil
}

func writeNodes(w io.Writer, view skew.NodesView, stages rollout.State, wide bool) error {
	if view.Desired != nil {
		fmt.Fprintf(w, "desired: revision %d, %s by %s: %s\n", view.Desired.Number, view.Desired.At.Local().Format("15:04:05"), view.Desired.By, view.Desired.Summary)
	}
	if stages.Phase == rollout.Canary || stages.Phase == rollout.Held {
		fmt.Fprintf(w, "roll-out: %s, the others keep revision %d: %s\n", stages.Phase, stages.Base, printable(stages.Reason))
		fmt.Fprintf(w, "%d of %d nodes run what they should\n", view.Summary.Synced, view.Summary.Nodes)
	} else {
		fmt.Fprintf(w, "%d of %d nodes run it\n", view.Summary.Synced, view.Summary.Nodes)
	}
	waiting := map[string]int{}
	for _, n := range view.Nodes {
		waiting[n.WaitsOn]++
	}
	if plane, node := waiting[skew.OnControlPlane], waiting[skew.OnNode]; plane+node > 0 {
		fmt.Fprintf(w, "%d wait for the control plane to send, %d have it and are late themselves\n", plane, node)
	}
	if len(view.Traffic) > 1 { // with one revision there is nothing to compare
		for _, t := range view.Traffic {
			fmt.Fprintf(w, "revision %d: %s errors, p95 %s, %s requests/s on %d %s\n", t.Revision, percent(t.ErrorRatio), millis(t.P95MS), perSecond(t.RPS), t.Nodes, plural(t.Nodes, "node"))
		}
	}
	fmt.Fprintln(w)
	if len(view.Nodes) == 0 {
		_, err := fmt.Fprintln(w, "No sidecar has connected yet. Start one with --server set to this server's configuration address.")
		return err
	}
	head := []string{"NODE", "STATE", "RUNS>", "BEHIND>", "LAG>", "APPLIED IN>", "BUILD", "WHY"}
	if wide {
		head = append(head, "WAITS ON", "WORKLOAD", "KIND", "SINCE", "ADDRESS")
	}
	t := newTable(head...)
	for _, n := range view.Nodes {
		why := n.Reason
		if n.State == skew.Synced {
			why = ""
		}
		row := []string{printable(n.ID), string(n.State), revisionText(n.Revision), strconv.Itoa(n.Behind), age(n.LagS), millis(n.Push.AppliedMS), printable(n.Build), printable(why)}
		if wide {
			row = append(row, dash(n.WaitsOn), printable(n.Workload.ID()), n.Kind, n.Since.Local().Format("15:04:05"), dash(n.Address))
		}
		t.add(row...)
	}
	return t.write(w)
}

// writeLives tells the order in which the sidecar and its application came and
// went, newest first.
func writeLives(w io.Writer, lives []skew.Life) error {
	if len(lives) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable("STARTED", "SERVES AFTER>", "APP READY AFTER>", "DRAINS", "APP GONE AFTER>", "LEFT AFTER>", "WHAT WAS WRONG")
	for _, l := range lives {
		t.add(l.StartedAt.Local().Format("15:04:05.000"), since(l.StartedAt, l.ServingAt), since(l.StartedAt, l.AppAt),
			dash(clockOf(l.DrainingAt)), since(l.DrainingAt, l.AppGoneAt), since(l.DrainingAt, l.EndedAt), dash(printable(strings.Join(l.Problems, "; "))))
	}
	return t.write(w)
}

// since is the time from one event to another, "-" when one of them is not known.
func since(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "-"
	}
	ms := float64(to.Sub(from)) / 1e6
	return millis(&ms)
}

func clockOf(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Local().Format("15:04:05.000")
}

func revisionText(n uint64) string {
	if n == 0 {
		return "none"
	}
	return strconv.FormatUint(n, 10)
}

func oneNode(cmd *cobra.Command, c *client, out output, id string, check bool) error {
	var node skew.NodeDetail
	if err := c.get(cmd.Context(), "/api/v1/nodes/"+url.PathEscape(id), nil, &node); err != nil {
		return err
	}
	if out.json() {
		if err := out.writeJSON(cmd.OutOrStdout(), node); err != nil {
			return err
		}
	} else if err := writeNode(cmd.OutOrStdout(), node); err != nil {
		return err
	}
	if check && node.State != skew.Synced {
		return fmt.Errorf("%s is %s: %s", node.ID, node.State, node.Reason)
	}
	return nil
}

// wayText tells how a node gets its configuration.
func wayText(pullS float64) string {
	if pullS > 0 {
		return "asked for every " + age(pullS)
	}
	return "over a stream"
}

func certificateText(id *mesh.Identity, now time.Time) string {
	switch {
	case id == nil:
		return "none: it speaks plain text only"
	case id.Principal == "":
		return "none yet: it is told to speak mutual TLS and cannot"
	case id.NotAfter.Before(now):
		return fmt.Sprintf("%s, ENDED %s ago", printable(id.Principal), age(now.Sub(id.NotAfter).Seconds()))
	}
	return fmt.Sprintf("%s, ends in %s", printable(id.Principal), age(id.NotAfter.Sub(now).Seconds()))
}

func writeNode(w io.Writer, n skew.NodeDetail) error {
	rows := [][2]string{
		{"node", printable(n.ID)},
		{"workload", printable(n.Workload.ID())},
		{"build", printable(n.Build)},
		{"state", string(n.State) + " since " + n.Since.Local().Format("15:04:05")},
		{"why", printable(n.Reason)},
		{"runs", fmt.Sprintf("revision %s, %d behind, lag %s", revisionText(n.Revision), n.Behind, age(n.LagS))},
		{"configuration", wayText(n.PullS)},
		{"certificate", certificateText(n.Identity, time.Now())},
	}
	if id := n.Identity; id != nil && id.Failure != nil {
		f := id.Failure
		rows = append(rows,
			[2]string{"no new one", fmt.Sprintf("since %s: %s", f.Since.Local().Format("15:04:05"), printable(f.Error))},
			[2]string{"to do", printable(f.Remedy)})
	}
	err := pairs(w, rows...)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	t := newTable("TYPE", "RESOURCE", "STATE", "DESIRED", "SENT", "ACKED", "APPLIED", "ERROR")
	for _, r := range n.Resources {
		t.add(r.Type, fit(printable(r.Name), 60), string(r.State), dash(r.Desired), dash(r.Sent), dash(r.Acked), dash(r.Applied), printable(r.Error))
	}
	if err := t.write(w); err != nil {
		return err
	}
	if err := writeLives(w, n.Lives); err != nil {
		return err
	}
	fmt.Fprintln(w)
	h := newTable("SINCE", "STATE", "RAN>", "NOTE")
	for _, tr := range n.History {
		h.add(tr.At.Local().Format("15:04:05.000"), string(tr.State), revisionText(tr.Revision), printable(tr.Note))
	}
	return h.write(w)
}
