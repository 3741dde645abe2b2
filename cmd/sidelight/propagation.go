package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/server/trace"
)

func tracePropagationCommand() *cobra.Command {
	var (
		c        client
		out      output
		workload string
		since    time.Duration
		limit    int
		check    bool
	)
	cmd := &cobra.Command{
		Use:   "propagation",
		Short: "Say which workloads lose traces: they do not pass trace headers on",
		Long: `Propagation reads the newest traces and says of each workload that calls others
whether its calls belong to the requests that it serves. A call that begins a
trace of its own while a request waits for it is a trace that was torn: the
application did not hand traceparent (or b3) to its client.

With --check the exit code is 1 when a workload loses traces.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if workload != "" {
				query.Set("workload", workload)
			}
			if since > 0 {
				query.Set("from", time.Now().Add(-since).Format(time.RFC3339Nano))
			}
			var found trace.Propagation
			if err := c.get(cmd.Context(), "/api/v1/traces/propagation", query, &found); err != nil {
				return err
			}
			var err error
			if out.json() {
				err = out.writeJSON(cmd.OutOrStdout(), found)
			} else {
				err = writePropagation(cmd.OutOrStdout(), found)
			}
			if err != nil || !check {
				return err
			}
			return checkPropagation(found)
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	flags := cmd.Flags()
	flags.StringVar(&workload, "workload", "", "only this NAMESPACE/WORKLOAD, by its own traces")
	flags.DurationVar(&since, "since", 0, "only traces that began within this time")
	flags.IntVar(&limit, "limit", 500, "how many of the newest traces are read")
	flags.BoolVar(&check, "check", false, "exit with 1 when a workload loses traces")
	return cmd
}

func checkPropagation(p trace.Propagation) error {
	n := 0
	for _, w := range p.Workloads {
		if w.State == trace.Loses {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d workloads do not pass trace headers on", n, len(p.Workloads))
}

func writePropagation(w io.Writer, p trace.Propagation) error {
	if p.Traces == 0 {
		_, err := fmt.Fprintln(w, "No trace to judge by. Check that sidecars send spans: `sidelight nodes`.")
		return err
	}
	fmt.Fprintf(w, "%d traces of %s to %s\n\n", p.Traces, p.From.Local().Format("15:04:05"), p.To.Local().Format("15:04:05"))
	t := newTable("WORKLOAD", "CALLS", "STATE", "WITHIN A TRACE>", "BEGAN ONE>", "LOST>", "A TRACE THAT STOPS", "GOES ON AS")
	for _, p := range p.Workloads {
		for _, c := range p.Calls {
			stops, goesOn := "", ""
			if len(c.Evidence) > 0 {
				stops, goesOn = c.Evidence[0].Received, c.Evidence[0].Begun
			}
			t.add(printable(p.Workload), printable(c.Destination), c.State, strconv.Itoa(c.Continued), strconv.Itoa(c.Begun), strconv.Itoa(c.Lost), stops, goesOn)
		}
	}
	if err := t.write(w); err != nil {
		return err
	}
	for _, p := range p.Workloads {
		if p.State == trace.Loses {
			fmt.Fprintf(w, "\n%s: %s.\n", printable(p.Workload), printable(p.Why))
		}
	}
	return nil
}
