// Command sidelight is the whole product in one binary: the server, the
// collector, the sidecar, the demo, and the command line that shows in a
// terminal what the UI shows in a browser.
//
// Each subcommand stands in a file of its own and holds flags, wiring and
// exit codes; what it does stands in the packages it wires.
//
// Exit codes: 0 done, 1 it failed, 2 the command line is wrong, 3 what was
// asked for does not exist, 4 the server or a part of it does not answer, 5 what
// is waited for was refused.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one command line and gives its exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "sidelight:", err)
	return exitCode(err)
}

// usageError is a command line that cannot be meant.
type usageError struct{ error }

func exitCode(err error) int {
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return 2
	case errors.Is(err, mesh.ErrNotFound):
		return 3
	case errors.Is(err, mesh.ErrUnavailable):
		return 4
	case errors.Is(err, errRefusedByNodes):
		return 5
	}
	return 1
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "sidelight",
		Short: "Sidelight shows a service mesh while it runs",
		Long: `Sidelight shows a service mesh while it runs: the live service graph, which
configuration runs on which node and why, live requests, and traces.

  sidelight demo     an online cinema with real sidecars, to look at
  sidelight run      server and collector in one process: the usual install
  sidelight edges    who talks to whom, now

Every flag can also be set by environment: --scrape-interval is
SIDELIGHT_SCRAPE_INTERVAL.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return flagsFromEnvironment(cmd.Flags(), os.LookupEnv)
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "look", Title: "Look:"},
		&cobra.Group{ID: "change", Title: "Change:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("run", demoCommand(), runCommand(), serverCommand(), collectorCommand(), proxyCommand())
	add("look", checkCommand(), statCommand(), edgesCommand(), nodesCommand(), alertsCommand(), tapCommand(), topCommand(), traceCommand())
	add("change", accessCommand(), tokenCommand(), configCommand())
	root.AddCommand(versionCommand())
	strictArguments(root)
	return root
}

// strictArguments turns cobra's complaints about arguments into usage errors.
func strictArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil {
				return nil
			}
			if cmd.SuggestionsMinimumDistance = 2; cmd.HasSubCommands() {
				if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
					err = fmt.Errorf("%w (did you mean %q?)", err, near[0])
				}
			}
			return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
		}
	}
	for _, sub := range cmd.Commands() {
		strictArguments(sub)
	}
}

// flagsFromEnvironment sets each flag that the command line left alone from
// SIDELIGHT_FLAG_NAME.
func flagsFromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var wrong []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "SIDELIGHT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := lookup(name)
		if !ok || f.Changed || f.Name == "help" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			wrong = append(wrong, usageError{fmt.Errorf("%s=%s: %w", name, value, err)})
		}
	})
	return errors.Join(wrong...)
}
