package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/alert"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

func checkCommand() *cobra.Command {
	var (
		c    client
		out  output
		wait time.Duration
	)
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that the mesh's own parts are in order, and say what to do where not",
		Long: `Check asks a server whether what it runs is in order: its parts, its configuration
and how far that got, the sidecars' builds and certificates, scrapes, losses, and
whether policies hold. How the services behind the sidecars do is not part of it:
that is sidelight edges and sidelight alerts.

The exit code is 1 when a check fails; a warning is none. With --wait it asks
again until none fails, and gives up after that time: for scripts that install.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			found, err := untilWell(ctx, wait, func() ([]finding, error) { return checkAll(ctx, &c) })
			if err != nil {
				return err
			}
			if out.json() {
				err = out.writeJSON(cmd.OutOrStdout(), map[string]any{"checks": found})
			} else {
				writeFindings(cmd.OutOrStdout(), found, out.wide())
			}
			if n := failed(found); err == nil && n > 0 {
				return fmt.Errorf("%d of %d checks failed", n, len(found))
			}
			return err
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().DurationVar(&wait, "wait", 0, "ask again until no check fails, at most this long")
	return cmd
}

// checkAll asks for all that the checks look at. A server that does not answer
// is an error; an answer that is refused fails its check.
func checkAll(ctx context.Context, c *client) ([]finding, error) {
	var f facts
	asked := time.Now()
	if err := c.get(ctx, "/api/v1/session", nil, &f.session); err != nil && (errors.Is(err, mesh.ErrUnavailable) || errors.Is(err, mesh.ErrUnauthenticated)) {
		return nil, err
	}
	if err := c.get(ctx, "/api/v1/status", nil, &f.status); err != nil {
		return nil, err
	}
	f.address, f.asked, f.now = c.address, asked, time.Now()
	var problems struct {
		Problems []config.Problem `json:"problems"`
	}
	var view struct {
		Stale []graph.Stale `json:"stale"`
	}
	var alerts alert.View
	for _, ask := range []struct {
		path  string
		query url.Values
		into  any
	}{
		{"/api/v1/overview", nil, &f.overview},
		{"/api/v1/graph", url.Values{"group": {"namespace"}}, &view},
		{"/api/v1/config/problems", nil, &problems},
		{"/api/v1/config/rollout", nil, &f.rollout},
		{"/api/v1/nodes", nil, &f.nodes},
		{"/api/v1/identity", nil, &f.authority},
		{"/api/v1/alerts", nil, &alerts},
	} {
		// A server may have no authority, and evaluate no rules.
		if err := c.get(ctx, ask.path, ask.query, ask.into); err != nil && !errors.Is(err, mesh.ErrNotFound) {
			return nil, err
		}
	}
	f.stale, f.problems, f.alerts = view.Stale, problems.Problems, alerts.Alerts
	return f.judge(), nil
}

// untilWell asks until no check fails, or the time is over.
func untilWell(ctx context.Context, wait time.Duration, ask func() ([]finding, error)) ([]finding, error) {
	for end := time.Now().Add(wait); ; {
		found, err := ask()
		if err == nil && failed(found) == 0 || !time.Now().Before(end) || errors.Is(err, context.Canceled) {
			return found, err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return found, ctx.Err()
		}
	}
}

// mostDetails is how many lines a check shows of what it found, unless asked
// for all.
const mostDetails = 5

func writeFindings(w io.Writer, found []finding, all bool) {
	for _, f := range found {
		fmt.Fprintf(w, "%-4s  %-14s %s\n", strings.ToUpper(f.State), f.Check, printable(f.Text))
		details := f.Details
		if !all && len(details) > mostDetails {
			details = append(details[:mostDetails:mostDetails], fmt.Sprintf("and %d more: -o wide", len(f.Details)-mostDetails))
		}
		for _, d := range details {
			fmt.Fprintf(w, "%21s%s\n", "", printable(d))
		}
		if f.Hint != "" {
			fmt.Fprintf(w, "%21s→ %s\n", "", f.Hint)
		}
	}
}
