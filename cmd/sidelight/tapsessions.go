package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/server/tap"
)

func tapSessionsCommand() *cobra.Command {
	var (
		c   client
		out output
	)
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "Show who taps and who tapped what, and how much",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var found struct {
				Sessions []tap.Record `json:"sessions"`
			}
			if err := c.get(cmd.Context(), "/api/v1/tap/sessions", nil, &found); err != nil {
				return err
			}
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), found)
			}
			if len(found.Sessions) == 0 {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "Nobody has tapped since the server started.")
				return err
			}
			t := newTable("ID", "OPENED", "CLOSED", "USER", "FILTER", "HEADERS", "MATCHED>", "DELIVERED>", "LOST>", "ENDED BY")
			for _, r := range found.Sessions {
				closed := "open"
				if !r.ClosedAt.IsZero() {
					closed = r.ClosedAt.Local().Format("15:04:05")
				}
				headers := "no"
				if r.Headers {
					headers = "yes"
				}
				t.add(r.ID, r.OpenedAt.Local().Format("15:04:05"), closed, printable(r.User), fit(printable(dash(r.Filter)), 60), headers,
					strconv.FormatUint(r.Ledger.Matched, 10), strconv.FormatUint(r.Ledger.Delivered, 10), strconv.FormatUint(r.Ledger.Lost(), 10), dash(r.Reason))
			}
			return t.write(cmd.OutOrStdout())
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	return cmd
}

func tapStopCommand() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use:   "stop ID",
		Short: "End somebody's tap session",
		Long: `Stop ends an open tap session: its viewer is told by whom. "sidelight tap
sessions" lists the IDs.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := c.do(cmd.Context(), http.MethodDelete, "/api/v1/tap/sessions/"+url.PathEscape(args[0]), nil, nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Session %s has ended.\n", printable(args[0]))
			return err
		},
	}
	c.bind(cmd)
	return cmd
}
