package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/explain"
)

func configExplainCommand() *cobra.Command {
	var (
		c              client
		out            output
		from, node     string
		headers        []string
		revision       uint64
		failWhenDiffer bool
	)
	cmd := &cobra.Command{
		Use:   "explain METHOD URL --from NAMESPACE/WORKLOAD",
		Short: "Show step by step what becomes of a request, and the line behind each step",
		Long: `Explain follows a request of a workload's app through its sidecar: listener,
virtual host, route (with the earlier ones that did not take it, and why), split,
cluster, policies, endpoints; then, where it arrives, whether mutual TLS is taken
and which rule of which policy lets it in or denies it; by what the sidecars run now
and by what they should run. Where the two differ it says so.

  sidelight config explain GET http://catalog/movies --from cinema/web
  sidelight config explain GET http://catalog/movies --from cinema/web -H x-tester:yes
  sidelight config explain GET http://catalog/movies --node web-2 --revision 41

With --check the exit code is 1 when what runs decides otherwise than desired.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"method": {args[0]}, "url": {args[1]}, "header": headers}
			for name, value := range map[string]string{"from": from, "node": node} {
				if value != "" {
					query.Set(name, value)
				}
			}
			if from == "" && node == "" {
				return usageError{fmt.Errorf("say who sends the request with --from NAMESPACE/WORKLOAD; `sidelight nodes -o wide` lists them")}
			}
			if revision > 0 {
				query.Set("revision", strconv.FormatUint(revision, 10))
			}
			var answer api.Explanation
			if err := c.get(cmd.Context(), "/api/v1/config/explain", query, &answer); err != nil {
				return err
			}
			if out.json() {
				if err := out.writeJSON(cmd.OutOrStdout(), answer); err != nil {
					return err
				}
			} else {
				writeExplanation(cmd.OutOrStdout(), &answer, out.wide())
			}
			if failWhenDiffer && !answer.Same {
				return fmt.Errorf("what %s runs decides otherwise than desired", answer.Node)
			}
			return nil
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "workload whose app sends the request, as cinema/web")
	flags.StringVar(&node, "node", "", "the sidecar that runs; otherwise one of the workload's")
	flags.StringArrayVarP(&headers, "request-header", "H", nil, "a header of the request that is explained, as name:value; may be given more than once")
	flags.Uint64Var(&revision, "revision", 0, "explain by this revision instead of the newest")
	flags.BoolVar(&failWhenDiffer, "check", false, "exit with 1 when what runs decides otherwise")
	return cmd
}

func writeExplanation(w io.Writer, x *api.Explanation, wide bool) {
	fmt.Fprintf(w, "%s %s from %s\n", x.Method, printable(x.URL), printable(x.From))
	switch {
	case x.Runs == nil:
		fmt.Fprintf(w, "at desired revision %d\n", x.Desired.Revision)
	case x.Same:
		fmt.Fprintf(w, "at %s (%s); for this request it runs what revision %d desires\n", printable(x.Node), x.State, x.Desired.Revision)
	default:
		fmt.Fprintf(w, "at %s (%s); for this request it does NOT run what revision %d desires\n", printable(x.Node), x.State, x.Desired.Revision)
	}
	for _, n := range x.Notes {
		fmt.Fprintln(w, "! "+printable(n))
	}
	shown := &x.Desired
	if x.Runs != nil {
		shown = x.Runs
	}
	writeAccount(w, shown, wide)
	if len(x.Differences) > 0 {
		fmt.Fprintf(w, "\nDesired by revision %d is otherwise:\n", x.Desired.Revision)
		for _, d := range x.Differences {
			fmt.Fprintln(w, "  ≠ "+printable(d))
		}
		fmt.Fprintln(w, "  → "+printable(x.Desired.Outcome))
	}
	var others []string
	for _, n := range x.Nodes {
		if !n.Same && n.ID != x.Node {
			others = append(others, fmt.Sprintf("%s (%s, revision %d)", n.ID, n.State, n.Revision))
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(w, "\nnot at the desired content: %s\n", printable(strings.Join(others, ", ")))
	}
}

func writeAccount(w io.Writer, a *explain.Account, wide bool) {
	fmt.Fprintln(w)
	for _, s := range a.Steps {
		fmt.Fprintf(w, "  %-13s  %s%s\n", strings.ReplaceAll(s.Kind, "_", " "), printable(s.Title), placeText(s.Place, true))
		for _, k := range s.Skipped {
			fmt.Fprintf(w, "  %13s    not %s: %s%s\n", "", printable(k.Name), printable(k.Why), placeText(k.Place, false))
		}
		for i, f := range s.Facts {
			if !wide && s.Kind == explain.KindEndpoints && i == 5 {
				fmt.Fprintf(w, "  %13s    … and %d more; -o wide lists them\n", "", len(s.Facts)-i)
				break
			}
			mark := placeText(f.Place, f.Object != s.Object)
			if f.Default {
				mark = "  (default)"
			}
			fmt.Fprintf(w, "  %13s    %s  %s%s\n", "", printable(f.Name), printable(f.Value), mark)
		}
	}
	fmt.Fprintf(w, "\n→ %s\n", printable(a.Outcome))
}

// placeText is where something stands; the object only where it is not said
// already.
func placeText(p explain.Place, withObject bool) string {
	if p.Object == "" {
		return ""
	}
	text := p.File
	if p.Line > 0 {
		text = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if withObject {
		text = p.Object + ", " + text
	}
	return "  [" + printable(text) + "]"
}
