package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/config"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Read, check and change the desired configuration",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(configApplyCommand(), configGetCommand(), configValidateCommand(), configDeleteCommand(),
		configRevisionsCommand(), configDiffCommand(), configRollbackCommand(), configExplainCommand(), configWaitCommand(), configRolloutCommand())
	return cmd
}

// applied is the API's answer to a change.
type applied struct {
	Revision *mesh.Revision   `json:"revision"`
	Objects  []config.Key     `json:"objects"`
	Warnings []config.Problem `json:"warnings"`
}

func configApplyCommand() *cobra.Command {
	var (
		c     client
		out   output
		files []string
	)
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Add or change objects; all of them or none",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			input, err := readManifest(files, cmd.InOrStdin())
			if err != nil {
				return err
			}
			var answer applied
			if err := c.do(cmd.Context(), http.MethodPut, "/api/v1/config/objects", nil, input.yaml, &answer); err != nil {
				return explained(cmd.ErrOrStderr(), err, input)
			}
			input.locate(answer.Warnings)
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), answer)
			}
			writeProblems(cmd.ErrOrStderr(), answer.Warnings)
			return writeApplied(cmd.OutOrStdout(), answer)
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "file, folder, or - for standard input; may be given more than once")
	return cmd
}

func writeApplied(w io.Writer, a applied) error {
	if a.Revision == nil {
		_, err := fmt.Fprintln(w, "nothing changed")
		return err
	}
	for _, ch := range a.Revision.Objects {
		fmt.Fprintf(w, "%s %s %s/%s\n", ch.Op, ch.Kind, ch.Namespace, ch.Name)
	}
	_, err := fmt.Fprintf(w, "revision %d\n", a.Revision.Number)
	return err
}

// explained prints a refused configuration problem by problem, as compilers
// do, and gives the error that ends the command.
func explained(w io.Writer, err error, input *manifest) error {
	var invalid problemsError
	if !errors.As(err, &invalid) {
		return err
	}
	var problems []config.Problem
	if json.Unmarshal(invalid.problems, &problems) != nil {
		return fmt.Errorf("%w; nothing was applied", err)
	}
	input.locate(problems)
	writeProblems(w, problems)
	return notValid("nothing was applied", problems)
}

// notValid ends a command whose problems are printed already.
func notValid(what string, problems []config.Problem) error {
	n := 0
	for _, p := range problems {
		if p.Severity == config.SeverityError {
			n++
		}
	}
	if n == 1 {
		return refused{what + ": 1 error", mesh.ErrInvalid}
	}
	return refused{fmt.Sprintf("%s: %d errors", what, n), mesh.ErrInvalid}
}

func writeProblems(w io.Writer, problems []config.Problem) {
	for _, p := range problems {
		fmt.Fprintln(w, printable(p.String()))
	}
}

func configValidateCommand() *cobra.Command {
	var (
		c     client
		out   output
		files []string
	)
	cmd := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check objects against the server's rules and registry; change nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			input, err := readManifest(files, cmd.InOrStdin())
			if err != nil {
				return err
			}
			var answer struct {
				Problems []config.Problem `json:"problems"`
			}
			if err := c.do(cmd.Context(), http.MethodPost, "/api/v1/config/validate", nil, input.yaml, &answer); err != nil {
				return err
			}
			input.locate(answer.Problems)
			if out.json() {
				if err := out.writeJSON(cmd.OutOrStdout(), answer); err != nil {
					return err
				}
			} else {
				writeProblems(cmd.OutOrStdout(), answer.Problems)
			}
			if config.HasErrors(answer.Problems) {
				return notValid("not valid", answer.Problems)
			}
			if !out.json() {
				fmt.Fprintln(cmd.OutOrStdout(), "valid")
			}
			return nil
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().StringArrayVarP(&files, "filename", "f", nil, "file, folder, or - for standard input; may be given more than once")
	return cmd
}

func configGetCommand() *cobra.Command {
	var (
		c         client
		out       output
		namespace string
	)
	cmd := &cobra.Command{
		Use:        "get [KIND [NAMESPACE/NAME]]",
		SuggestFor: []string{"list", "ls", "show"},
		Short:      "List objects, or print one as it was written",
		Args:       cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return getObject(cmd, &c, out, args[0], args[1])
			}
			query := url.Values{}
			if len(args) == 1 {
				query.Set("kind", args[0])
			}
			if namespace != "" {
				query.Set("namespace", namespace)
			}
			return listObjects(cmd, &c, out, query)
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "only objects of this namespace")
	return cmd
}

func getObject(cmd *cobra.Command, c *client, out output, kind, name string) error {
	path, err := objectPath(kind, name)
	if err != nil {
		return err
	}
	var object config.Object
	if err := c.get(cmd.Context(), path, nil, &object); err != nil {
		return err
	}
	if out.json() {
		return out.writeJSON(cmd.OutOrStdout(), &object)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "# %s:%d, revision %d\n%s\n", object.Source, object.Line, object.Revision, strings.TrimSpace(object.YAML))
	return err
}

func objectPath(kind, name string) (string, error) {
	namespace, name, ok := strings.Cut(name, "/")
	if !ok {
		return "", usageError{fmt.Errorf("want NAMESPACE/NAME, as in `sidelight config get VirtualService booking/payments`, not %q", namespace)}
	}
	return "/api/v1/config/objects/" + url.PathEscape(kind) + "/" + url.PathEscape(namespace) + "/" + url.PathEscape(name), nil
}

func listObjects(cmd *cobra.Command, c *client, out output, query url.Values) error {
	var answer struct {
		Objects []*config.Object `json:"objects"`
	}
	if err := c.get(cmd.Context(), "/api/v1/config/objects", query, &answer); err != nil {
		return err
	}
	if out.json() {
		return out.writeJSON(cmd.OutOrStdout(), answer)
	}
	problems, err := fetchProblems(cmd.Context(), c)
	if err != nil {
		return err
	}
	t := newTable("KIND", "NAMESPACE", "NAME", "REVISION>", "SOURCE")
	for _, o := range answer.Objects {
		t.add(o.Kind, o.Namespace, o.Name, strconv.FormatUint(o.Revision, 10), fmt.Sprintf("%s:%d", o.Source, o.Line))
	}
	if err := t.write(cmd.OutOrStdout()); err != nil {
		return err
	}
	writeProblems(cmd.ErrOrStderr(), problems)
	return nil
}

func fetchProblems(ctx context.Context, c *client) ([]config.Problem, error) {
	var answer struct {
		Problems []config.Problem `json:"problems"`
	}
	err := c.get(ctx, "/api/v1/config/problems", nil, &answer)
	return answer.Problems, err
}

func configDeleteCommand() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use:   "delete KIND NAMESPACE/NAME",
		Short: "Remove one object",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := objectPath(args[0], args[1])
			if err != nil {
				return err
			}
			var answer applied
			if err := c.do(cmd.Context(), http.MethodDelete, path, nil, nil, &answer); err != nil {
				return explained(cmd.ErrOrStderr(), err, &manifest{})
			}
			return writeApplied(cmd.OutOrStdout(), answer)
		},
	}
	c.bind(cmd)
	return cmd
}

func configRevisionsCommand() *cobra.Command {
	var (
		c     client
		out   output
		limit int
	)
	cmd := &cobra.Command{
		Use:   "revisions",
		Short: "List what changed, when and by whom, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct {
				Revisions []mesh.Revision `json:"revisions"`
			}
			if err := c.get(cmd.Context(), "/api/v1/config/revisions", url.Values{"limit": {strconv.Itoa(limit)}}, &answer); err != nil {
				return err
			}
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), answer)
			}
			t := newTable("REVISION>", "AT", "BY", "SOURCE", "WHAT")
			for _, r := range answer.Revisions {
				t.add(strconv.FormatUint(r.Number, 10), r.At.Local().Format("2006-01-02 15:04:05"), r.By, r.Source, r.Summary)
			}
			return t.write(cmd.OutOrStdout())
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().IntVar(&limit, "limit", 20, "how many")
	return cmd
}
