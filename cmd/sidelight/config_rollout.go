package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sidelight-mesh/sidelight/server/rollout"
)

// rolloutFlags say which nodes get a revision first.
type rolloutFlags struct {
	canary string
	watch  time.Duration
}

func (r *rolloutFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&r.canary, "rollout-canary", "", "who gets a revision first: a share of the nodes, as 10%, or node IDs, as a,b; empty: everybody at once")
	flags.DurationVar(&r.watch, "rollout-watch", 30*time.Second, "how long the canary must be well before the others get it")
}

// policy reads the flags.
func (r *rolloutFlags) policy() (rollout.Policy, error) {
	p := rollout.Policy{Watch: r.watch}
	if r.watch < time.Second {
		return p, usageError{fmt.Errorf("--rollout-watch %s: want at least 1s", r.watch)}
	}
	switch share, isShare := strings.CutSuffix(r.canary, "%"); {
	case r.canary == "":
	case isShare:
		n, err := strconv.Atoi(share)
		if err != nil || n < 1 || n > 99 {
			return p, usageError{fmt.Errorf("--rollout-canary %s: want 1%% to 99%%", r.canary)}
		}
		p.Percent = n
	default:
		for id := range strings.SplitSeq(r.canary, ",") {
			if id = strings.TrimSpace(id); id != "" {
				p.Nodes = append(p.Nodes, id)
			}
		}
	}
	return p, nil
}

func configRolloutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollout",
		Short: "Show how far the newest revision has gone; hold it, or let it go on",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var why string
	hold := rolloutAction("hold", "Keep the nodes beyond the canary at what they have", http.MethodPost, "/hold", func() url.Values {
		if why == "" {
			return nil
		}
		return url.Values{"reason": {why}}
	})
	hold.Flags().StringVar(&why, "reason", "", "why, for those who look at it")
	cmd.AddCommand(
		rolloutAction("status", "Show how far the newest revision has gone; exit code 1 when it is held", http.MethodGet, "", nil), hold,
		rolloutAction("resume", "Let all nodes have the newest revision", http.MethodPost, "/resume", nil))
	return cmd
}

func rolloutAction(name, short, method, path string, params func() url.Values) *cobra.Command {
	var (
		c   client
		out output
	)
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var (
				state rollout.State
				query url.Values
			)
			if params != nil {
				query = params()
			}
			if err := c.do(cmd.Context(), method, "/api/v1/config/rollout"+path, query, nil, &state); err != nil {
				return err
			}
			var err error
			if out.json() {
				err = out.writeJSON(cmd.OutOrStdout(), state)
			} else {
				err = writeStages(cmd.OutOrStdout(), state)
			}
			if err == nil && name == "status" && state.Stopped() {
				err = fmt.Errorf("the roll-out of revision %d is held", state.Target)
			}
			return err
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	return cmd
}

func writeStages(w io.Writer, s rollout.State) error {
	ratio := func(r *float64) string {
		if r == nil {
			return ""
		}
		return percent(*r)
	}
	base := ""
	if s.Phase != rollout.Done {
		base = "revision " + strconv.FormatUint(s.Base, 10)
	}
	paused := ""
	if s.Paused {
		paused = "by " + printable(s.By) + ": later revisions go no further than the canary, until `sidelight config rollout resume`"
	}
	return pairs(w,
		[2]string{"phase", s.Phase + " since " + s.Since.Local().Format("15:04:05")},
		[2]string{"revision", strconv.FormatUint(s.Target, 10)},
		[2]string{"others keep", base},
		[2]string{"canary", printable(strings.Join(s.Canary, " "))},
		[2]string{"errors before", ratio(s.Before)},
		[2]string{"errors now", ratio(s.Now)},
		[2]string{"errors of the others", ratio(s.Others)},
		[2]string{"why", printable(s.Reason)},
		[2]string{"paused", paused},
	)
}
