package main

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/server/graph"
)

// viewFlags are what the commands that read the graph have in common.
type viewFlags struct {
	client
	output
	namespaces []string
	window     time.Duration
	find       string
	at         string
}

func (v *viewFlags) bind(cmd *cobra.Command) {
	v.client.bind(cmd)
	v.output.bind(cmd)
	flags := cmd.Flags()
	flags.StringSliceVarP(&v.namespaces, "namespace", "n", nil, "only these namespaces")
	flags.DurationVarP(&v.window, "window", "t", 30*time.Second, "time over which rates and quantiles are taken")
	flags.StringVarP(&v.find, "where", "w", "", "only what matches, as in 'errors > 1% or p95 > 250ms'")
	flags.StringVar(&v.at, "at", "", "as it was at this time (RFC 3339); now without it")
}

// narrow restricts the view to a namespace, or to one name in it.
func (v *viewFlags) narrow(to string, about func(namespace, name string) string) error {
	namespace, name, named := strings.Cut(to, "/")
	switch {
	case namespace == "" || named && name == "":
		return usageError{fmt.Errorf("%q is not NAMESPACE or NAMESPACE/NAME; sidelight stat lists them", to)}
	case !named:
		v.namespaces = append(v.namespaces, namespace)
		return nil
	}
	only := about(namespace, name)
	if v.find != "" {
		only = "(" + only + ") and (" + v.find + ")"
	}
	v.find = only
	return nil
}

func (v *viewFlags) fetch(cmd *cobra.Command, group string) (graph.View, error) {
	query := url.Values{"group": {group}, "window": {v.window.String()}}
	if len(v.namespaces) > 0 {
		query.Set("namespaces", strings.Join(v.namespaces, ","))
	}
	if v.find != "" {
		if _, err := graph.ParseFind(v.find); err != nil {
			return graph.View{}, usageError{fmt.Errorf("--where %s: %w", v.find, err)}
		}
		query.Set("q", v.find)
	}
	if v.at != "" {
		query.Set("at", v.at)
	}
	var view graph.View
	err := v.get(cmd.Context(), "/api/v1/graph", query, &view)
	return view, err
}

// noteStale says on standard error what the figures leave out.
func noteStale(cmd *cobra.Command, view graph.View) {
	for _, s := range view.Stale {
		name := s.Node
		if name == "" {
			name = s.Source
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "no data from %s since %s: %s\n", name, s.Since.Local().Format("15:04:05"), s.Reason)
	}
}

func statCommand() *cobra.Command {
	return graphCommand("stat", "Show what each workload receives: success, rate, latency, configuration", writeStat,
		func(namespace, name string) string {
			return fmt.Sprintf("namespace = %q and name = %q", namespace, name)
		})
}

// graphCommand makes a command that prints one view of the graph; about is the
// expression for what concerns a name in a namespace.
func graphCommand(use, short string, write func(*cobra.Command, graph.View, viewFlags) error, about func(namespace, name string) string) *cobra.Command {
	var (
		view  viewFlags
		group string
	)
	cmd := &cobra.Command{
		Use:   use + " [NAMESPACE[/NAME]]",
		Short: short,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := view.narrow(args[0], about); err != nil {
					return err
				}
			}
			if !slices.Contains(graph.Groups(), graph.Group(group)) {
				return usageError{fmt.Errorf("--group %s: want one of %v", group, graph.Groups())}
			}
			v, err := view.fetch(cmd, group)
			if err != nil {
				return err
			}
			if view.json() {
				return view.writeJSON(cmd.OutOrStdout(), v)
			}
			noteStale(cmd, v)
			return write(cmd, v, view)
		},
	}
	view.bind(cmd)
	cmd.Flags().StringVar(&group, "group", "workload", "workload, versioned, app, service or namespace")
	return cmd
}

func writeStat(cmd *cobra.Command, v graph.View, flags viewFlags) error {
	head := []string{"NAMESPACE", "NAME", "MESHED", "SUCCESS>", "RPS>", "P50>", "P95>", "P99>", "TCP CONN>"}
	if flags.wide() {
		head = append(head, "READ B/S>", "WRITTEN B/S>")
	}
	t := newTable(append(head, "HEALTH", "CONFIG")...)
	for _, n := range v.Nodes {
		if flags.find != "" && !n.Match {
			continue
		}
		success := "-"
		if n.In.RPS > 0 {
			success = percent(1 - n.In.ErrorRatio)
		}
		meshed := "no"
		switch {
		case n.Meshed:
			meshed = "yes"
		case n.Kind == graph.KindService && v.Group != graph.ByService:
			meshed = "-" // workloads have sidecars, services have workloads
		}
		row := []string{
			dash(printable(n.Namespace)), printable(ownName(n, v.Group)), meshed, success, perSecond(n.In.RPS),
			millis(n.In.P50MS), millis(n.In.P95MS), millis(n.In.P99MS), fmt.Sprintf("%.0f", n.In.ActiveConnections),
		}
		if flags.wide() { // what callers sent is what it read
			row = append(row, perSecond(n.In.SentBytesPerS), perSecond(n.In.ReceivedBytesPerS))
		}
		t.add(append(row, healthText(n.Health), configText(n.Config))...)
	}
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "Nothing to show: no traffic was seen, or nothing matches.")
		return err
	}
	return t.write(cmd.OutOrStdout())
}

func healthText(h graph.Health) string {
	if len(h.Reasons) == 0 {
		return string(h.State)
	}
	return string(h.State) + ": " + h.Reasons[0].Text
}

func configText(c *graph.ConfigState) string {
	if c == nil {
		return "-"
	}
	s := c.State + " " + strconv.FormatUint(c.Revision, 10)
	if c.Behind > 0 {
		s += fmt.Sprintf(" (%d behind)", c.Behind)
	}
	return s
}
