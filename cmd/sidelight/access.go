package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/server/auth"
)

func accessCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "access",
		Short: "Make tokens by which people and programs show who they are",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(accessTokenCommand())
	return cmd
}

func accessTokenCommand() *cobra.Command {
	var (
		out    output
		groups []string
	)
	cmd := &cobra.Command{
		Use:   "token NAME",
		Short: "Make a token for a user of the API, and the line that the --access file needs",
		Long: `Make a token for a user of the API, and print it with the line that the server's
--access file needs to know it: a hash, from which nobody gets the token back. No
server is asked. People sign in with the token in the browser, programs send it as
"Authorization: Bearer TOKEN".`,
		Example: `  sidelight access token ann --group sre
  sidelight access token grafana -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, hash := auth.NewToken()
			line := fmt.Sprintf("- {name: %q, sha256: %s}", args[0], hash)
			if len(groups) > 0 {
				line = fmt.Sprintf("- {name: %q, sha256: %s, groups: [%s]}", args[0], hash, strings.Join(groups, ", "))
			}
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), map[string]any{"name": args[0], "groups": append([]string{}, groups...), "token": secret, "sha256": hash})
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Below tokens in the --access file:\n\n%s\n\nThe token, shown this once:\n\n", line)
			_, err := fmt.Fprintln(cmd.OutOrStdout(), secret)
			return err
		},
	}
	out.bind(cmd)
	cmd.Flags().StringSliceVar(&groups, "group", nil, "a group of the user, for rules")
	return cmd
}
