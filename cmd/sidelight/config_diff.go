package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/api"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// diffAnswer is the API's answer to what differs.
type diffAnswer struct {
	From    *mesh.Revision      `json:"from"`
	To      *mesh.Revision      `json:"to"`
	Objects []config.ObjectDiff `json:"objects"`
}

func configDiffCommand() *cobra.Command {
	var (
		c        client
		out      output
		files    []string
		node     string
		against  string
		exitCode bool
	)
	cmd := &cobra.Command{
		Use:   "diff [FROM [TO]] | -f FILE | --node NODE [--against NODE]",
		Short: "Show what differs between two revisions, files and what is in effect, or what a node runs and should",
		Long: `Diff compares by meaning: the order of lists counts only where the first match
wins, and a default that is written out is no difference. Each difference shows
the file and line of both forms.

  sidelight config diff            the newest revision against the one before
  sidelight config diff 41         revision 41 against the newest
  sidelight config diff 38 41      revision 38 against revision 41
  sidelight config diff -f a.yaml  what applying the file would change
  sidelight config diff --node web-1                  what it runs against what it should run
  sidelight config diff --node web-1 --against web-2  against what the other one runs

With --exit-code the exit code is 1 when something differs.`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if node != "" || against != "" {
				if node == "" || len(files)+len(args) > 0 {
					return usageError{fmt.Errorf("--against goes with --node, and --node with neither revisions nor files")}
				}
				return nodeDiff(cmd, &c, out, node, against, exitCode)
			}
			answer, input, err := askDiff(cmd, &c, files, args)
			if err != nil {
				return err
			}
			if out.json() {
				err = out.writeJSON(cmd.OutOrStdout(), answer)
			} else {
				err = writeDiff(cmd.OutOrStdout(), answer, input)
			}
			if err == nil && exitCode && len(answer.Objects) > 0 {
				return fmt.Errorf("%d objects differ", len(answer.Objects))
			}
			return err
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "compare this file, folder, or - for standard input, with what is in effect")
	cmd.Flags().StringVar(&node, "node", "", "compare the resources that this node runs with those that it should run")
	cmd.Flags().StringVar(&against, "against", "", "compare them with those that this node runs")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 1 when something differs")
	return cmd
}

func nodeDiff(cmd *cobra.Command, c *client, out output, node, against string, exitCode bool) error {
	query := url.Values{}
	if against != "" {
		query.Set("against", against)
	}
	var answer api.NodeDifference
	if err := c.get(cmd.Context(), "/api/v1/nodes/"+url.PathEscape(node)+"/diff", query, &answer); err != nil {
		return err
	}
	if out.json() {
		if err := out.writeJSON(cmd.OutOrStdout(), answer); err != nil {
			return err
		}
	} else {
		writeNodeDiff(cmd.OutOrStdout(), &answer)
	}
	if exitCode && len(answer.Resources) > 0 {
		return fmt.Errorf("%d resources differ", len(answer.Resources))
	}
	return nil
}

func writeNodeDiff(w io.Writer, x *api.NodeDifference) {
	other := fmt.Sprintf("what it should run by revision %d", x.Revision)
	if x.Against != "" {
		other = "what " + printable(x.Against) + " runs"
	}
	fmt.Fprintf(w, "- what %s runs\n+ %s\n", printable(x.Node), other)
	for _, n := range x.Notes {
		fmt.Fprintln(w, "! "+printable(n))
	}
	if len(x.Resources) == 0 {
		fmt.Fprintln(w, "nothing differs")
	}
	for _, r := range x.Resources {
		fmt.Fprintf(w, "\n%s %s %s  %s → %s\n", r.Op, r.Type, printable(r.Name), dash(r.Runs), dash(r.Should))
		if len(r.Objects) > 0 {
			fmt.Fprintf(w, "  of %s\n", printable(strings.Join(r.Objects, ", ")))
		}
		for _, f := range r.Fields {
			writeField(w, &config.ObjectDiff{}, f)
		}
	}
}

func askDiff(cmd *cobra.Command, c *client, files, args []string) (diffAnswer, *manifest, error) {
	var answer diffAnswer
	input := &manifest{}
	if len(files) > 0 {
		if len(args) > 0 {
			return answer, input, usageError{fmt.Errorf("give revisions or -f, not both")}
		}
		var err error
		if input, err = readManifest(files, cmd.InOrStdin()); err != nil {
			return answer, input, err
		}
		err = c.do(cmd.Context(), http.MethodPost, "/api/v1/config/diff", nil, input.yaml, &answer)
		if err != nil {
			return answer, input, explained(cmd.ErrOrStderr(), err, input)
		}
		return answer, input, nil
	}
	query := url.Values{}
	for i, name := range []string{"from", "to"} {
		if i >= len(args) {
			continue
		}
		if _, err := revisionNumber(args[i]); err != nil {
			return answer, input, err
		}
		query.Set(name, args[i])
	}
	if len(args) == 1 {
		var newest struct {
			Revisions []mesh.Revision `json:"revisions"`
		}
		if err := c.get(cmd.Context(), "/api/v1/config/revisions", url.Values{"limit": {"1"}}, &newest); err != nil {
			return answer, input, err
		}
		if len(newest.Revisions) > 0 {
			query.Set("to", strconv.FormatUint(newest.Revisions[0].Number, 10))
		}
	}
	return answer, input, c.get(cmd.Context(), "/api/v1/config/diff", query, &answer)
}

func revisionNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, usageError{fmt.Errorf("%q is not the number of a revision; `sidelight config revisions` lists them", text)}
	}
	return n, nil
}

func writeDiff(w io.Writer, answer diffAnswer, input *manifest) error {
	if answer.From != nil && answer.To != nil {
		for _, r := range []struct {
			sign string
			*mesh.Revision
		}{{"-", answer.From}, {"+", answer.To}} {
			fmt.Fprintf(w, "%s revision %d, %s by %s: %s\n", r.sign, r.Number, r.At.Local().Format("2006-01-02 15:04:05"), printable(r.By), printable(r.Summary))
		}
	}
	if len(answer.Objects) == 0 {
		_, err := fmt.Fprintln(w, "nothing differs")
		return err
	}
	for i := range answer.Objects {
		d := &answer.Objects[i]
		input.locateDiff(d)
		fmt.Fprintf(w, "\n%s %s  %s\n", d.Op, d.Key(), places(d))
		if d.Op == "changed" && len(d.Fields) == 0 {
			fmt.Fprintln(w, "    written otherwise, means the same")
		}
		for _, f := range d.Fields {
			writeField(w, d, f)
		}
		writeBlock(w, map[string]string{"added": "+", "removed": "-"}[d.Op], strings.TrimRight(d.YAML, "\n"))
	}
	return nil
}

func places(d *config.ObjectDiff) string {
	switch {
	case d.Before == nil && d.After == nil:
		return ""
	case d.Before == nil:
		return place(d.After, 0)
	case d.After == nil:
		return place(d.Before, 0)
	case d.Before.File != d.After.File:
		return d.Before.File + " → " + d.After.File
	}
	return d.After.File
}

func place(p *config.Place, line int) string {
	if line == 0 {
		line = p.Line
	}
	return fmt.Sprintf("%s:%d", printable(p.File), line)
}

func writeField(w io.Writer, d *config.ObjectDiff, f config.FieldDiff) {
	sign := map[string]string{"added": "+", "removed": "-", "moved": ">", "changed": "~"}[f.Op]
	var at []string
	if f.BeforeLine > 0 && d.Before != nil {
		at = append(at, place(d.Before, f.BeforeLine))
	}
	if f.AfterLine > 0 && d.After != nil && (f.AfterLine != f.BeforeLine || d.Before.File != d.After.File) {
		at = append(at, place(d.After, f.AfterLine))
	}
	where := ""
	if len(at) > 0 {
		where = "  (" + strings.Join(at, " → ") + ")"
	}
	fmt.Fprintf(w, "  %s %s%s\n", sign, printable(f.Path), where)
	if before, after := f.Before, f.After; !strings.Contains(before+after, "\n") && f.Op != "added" && f.Op != "removed" {
		fmt.Fprintf(w, "      %s → %s\n", printable(before), printable(after))
		return
	}
	writeBlock(w, "-", f.Before)
	writeBlock(w, "+", f.After)
}

func writeBlock(w io.Writer, sign, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(w, "    %s %s\n", sign, printable(strings.TrimRight(line, "\n")))
	}
}

// locateDiff turns lines of the whole text that was sent into places in files.
func (m *manifest) locateDiff(d *config.ObjectDiff) {
	if d.After == nil || len(m.parts) == 0 {
		return
	}
	places := make([]config.Problem, 0, 1+len(d.Fields))
	places = append(places, config.Problem{Line: d.After.Line})
	for _, f := range d.Fields {
		places = append(places, config.Problem{Line: f.AfterLine})
	}
	m.locate(places)
	d.After.File, d.After.Line = places[0].File, places[0].Line
	for i := range d.Fields {
		d.Fields[i].AfterLine = places[i+1].Line
	}
}

func configRollbackCommand() *cobra.Command {
	var (
		c   client
		out output
	)
	cmd := &cobra.Command{
		Use:   "rollback REVISION",
		Short: "Write the files back as an earlier revision had them",
		Long: `Rollback changes the watched files so that the objects are those of an earlier
revision, and makes a new revision of it. What stands around the objects in the
files stays. See what it would do with: sidelight config diff NEWEST REVISION`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := revisionNumber(args[0])
			if err != nil {
				return err
			}
			var answer applied
			path := fmt.Sprintf("/api/v1/config/revisions/%d/rollback", n)
			if err := c.do(cmd.Context(), http.MethodPost, path, nil, nil, &answer); err != nil {
				return explained(cmd.ErrOrStderr(), err, &manifest{})
			}
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), answer)
			}
			if answer.Revision == nil {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "nothing changed: what is in effect is what revision %d had\n", n)
				return err
			}
			if err := writeApplied(cmd.OutOrStdout(), answer); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the files are as revision %d had them; undo with: sidelight config rollback %d\n", n, answer.Revision.Number-1)
			return err
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	return cmd
}
