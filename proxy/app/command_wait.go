package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// waitCommand gives the command that an app is started behind.
func waitCommand() *cobra.Command {
	var health string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "wait",
		Short: "Wait until the sidecar beside this app serves",
		Long: `Wait until the sidecar has configuration and takes traffic, then exit with 0.
Start the app behind it where the app needs the network at once:

  sidelight-proxy wait && exec my-app`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAddress(health); err != nil {
				return flagError{fmt.Errorf("--health: %w", err)}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), limit)
			defer cancel()
			why := waitUntilServing(ctx, health)
			if why == "" {
				return nil
			}
			return fmt.Errorf("the sidecar at %s does not serve after %s: %s; its log says more, and --timeout gives it longer", health, limit, why)
		},
	}
	cmd.Flags().StringVar(&health, "health", "127.0.0.1:15021", "the sidecar's --health `address`")
	cmd.Flags().DurationVar(&limit, "timeout", time.Minute, "how long to wait")
	return cmd
}

const waitPoll = 100 * time.Millisecond

// waitUntilServing gives "" or why not yet.
func waitUntilServing(ctx context.Context, address string) string {
	why := "nothing was asked"
	for {
		// Each try is short, or one that hangs would be the last.
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		answer, err := ask(try, "http://"+address+"/healthz/serving")
		cancel()
		if err == nil {
			return ""
		}
		if answer != "" || ctx.Err() == nil {
			why = err.Error()
		}
		select {
		case <-ctx.Done():
			return why
		case <-time.After(waitPoll):
		}
	}
}

// ask gives what was answered, and an error unless it was 200.
func ask(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	text := strings.TrimSpace(string(body))
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(text)
	}
	return text, err
}
