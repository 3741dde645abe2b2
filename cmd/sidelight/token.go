package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make and end join tokens, by which sidecars get their certificates",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(tokenCreateCommand(), tokenListCommand(), tokenRevokeCommand())
	return cmd
}

// joinToken is a token as the API tells of it.
type joinToken struct {
	ID             string    `json:"id"`
	Namespace      string    `json:"namespace"`
	ServiceAccount string    `json:"service_account"`
	CreatedAt      time.Time `json:"created_at"`
	ExpiresAt      time.Time `json:"expires_at"`
	Uses           int       `json:"uses"`
	MaxUses        int       `json:"max_uses"`
	Text           string    `json:"token,omitempty"`
}

const tokensPath = "/api/v1/identity/tokens"

func tokenCreateCommand() *cobra.Command {
	var (
		c       client
		out     output
		request struct {
			Namespace      string  `json:"namespace"`
			ServiceAccount string  `json:"service_account"`
			TTL            float64 `json:"ttl_s"`
			Uses           int     `json:"uses"`
		}
		ttl time.Duration
	)
	cmd := &cobra.Command{
		Use:   "create --namespace NAME --service-account NAME",
		Short: "Make a join token and print it",
		Long: `Make a join token and print it, once: the server keeps a hash only. Who has it can
get a certificate of that service account until it ends or is used up; a sidecar
needs it for its first certificate only. It also names the mesh's root, so that
the sidecar knows the server that it has never seen.`,
		Example: `  sidelight token create --namespace cinema --service-account web > web.token
  sidelight-proxy --server tls://127.0.0.1:15012 --join-token-file web.token …`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request.TTL = ttl.Seconds()
			body, err := json.Marshal(request)
			if err != nil {
				return err
			}
			var made joinToken
			if err := c.do(cmd.Context(), http.MethodPost, tokensPath, nil, body, &made); err != nil {
				return err
			}
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), made)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), made.Text)
			return err
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	cmd.Flags().StringVarP(&request.Namespace, "namespace", "n", "default", "the workload's namespace")
	cmd.Flags().StringVar(&request.ServiceAccount, "service-account", "default", "the workload's service account")
	cmd.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long it may be used")
	cmd.Flags().IntVar(&request.Uses, "uses", 1, "how often it may be used")
	return cmd
}

func tokenListCommand() *cobra.Command {
	var (
		c   client
		out output
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the join tokens that may still be used",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct {
				Tokens []joinToken `json:"tokens"`
			}
			if err := c.get(cmd.Context(), tokensPath, nil, &answer); err != nil {
				return err
			}
			if out.json() {
				return out.writeJSON(cmd.OutOrStdout(), answer)
			}
			rows := newTable("ID", "NAMESPACE", "SERVICE ACCOUNT", "USED", "ENDS IN")
			for _, t := range answer.Tokens {
				rows.add(t.ID, t.Namespace, t.ServiceAccount, fmt.Sprintf("%d of %d", t.Uses, t.MaxUses), age(time.Until(t.ExpiresAt).Seconds()))
			}
			return rows.write(cmd.OutOrStdout())
		},
	}
	c.bind(cmd)
	out.bind(cmd)
	return cmd
}

func tokenRevokeCommand() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a join token; certificates that it brought hold until they end",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.do(cmd.Context(), http.MethodDelete, tokensPath+"/"+url.PathEscape(args[0]), nil, nil, nil)
		},
	}
	c.bind(cmd)
	return cmd
}
