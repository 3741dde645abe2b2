package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/deploy/demo"
)

func demoCommand() *cobra.Command {
	var (
		opts      demo.Options
		out       output
		scenario  string
		noBrowser bool
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run an online cinema with real sidecars under real load, and show it",
		Long: `Demo runs an online cinema: every service, every sidecar and the load are real
processes on loopback. It prints the URL when the graph is live. Ctrl-C ends
everything and leaves neither a process nor a file behind.

Scenarios:
  canary           catalog moves from v1 to v2, step by step
  skew             one sidecar stops taking configuration
  nack             one sidecar refuses what it is sent
  slow-plane       the control plane is slow, and one sidecar is too
  never-connected  one sidecar never reached the control plane
  drift            one sidecar runs other than it acknowledged
  mixed-builds     two sidecars of an older build cannot run a change
  denied           catalog lets web alone in; other callers are refused
  lost-trace       tickets does not pass trace headers on
  breaker          one instance of tickets fails, and is taken out
  mirror           requests are copied to another version
  retry-storm      retries hide failures, and multiply them
  egress           an application calls a host outside of the mesh
  restart          a sidecar is restarted beside its application

Several may be played at the same time, with commas between them, when they
change nothing in common.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if opts.Scenario, err = demo.FindScenario(scenario); err != nil {
				return usageError{err}
			}
			switch {
			case opts.Duration < 0:
				return usageError{fmt.Errorf("--duration %s: want a time from now on, or 0 to end at Ctrl-C", opts.Duration)}
			case opts.Port < 0 || opts.Port > 65535:
				return usageError{fmt.Errorf("--port %d: want 1 to 65535, or 0 for the first free one", opts.Port)}
			case opts.Rate <= 0:
				return usageError{fmt.Errorf("--rate %g: want more than 0 visitors a second", opts.Rate)}
			}
			if out.json() && opts.Duration == 0 {
				return usageError{fmt.Errorf("-o json prints its counts at the end: say when that is with --duration, as in --duration 30s")}
			}
			return runDemo(cmd, opts, out, noBrowser)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&scenario, "scenario", "", "story to play, or several with commas between them: "+strings.Join(demo.ScenarioNames(), ", "))
	flags.DurationVar(&opts.Duration, "duration", 0, "end after this time; 0 = at Ctrl-C")
	flags.IntVar(&opts.Port, "port", 0, "port of the UI and API; 0 = the first free one from 8430 on")
	flags.Float64Var(&opts.Rate, "rate", 20, "visitors a second")
	flags.BoolVar(&noBrowser, "no-browser", false, "don't open a browser")
	flags.StringVar(&opts.LoadStats, "load-stats", "", "file that the load generator adds its own counts to")
	_ = flags.MarkHidden("load-stats")
	out.bind(cmd)
	cmd.AddCommand(demoServiceCommand(), demoJanitorCommand())
	return cmd
}

func runDemo(cmd *cobra.Command, opts demo.Options, out output, noBrowser bool) error {
	var err error
	if opts.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program's own file: %w", err)
	}
	if sidecar := filepath.Join(filepath.Dir(opts.Program), "sidelight-proxy"); executable(sidecar) {
		opts.Sidecar = sidecar
	}
	// With -o json the standard output belongs to the one object at the end.
	say := cmd.OutOrStdout()
	if out.json() {
		say = cmd.ErrOrStderr()
	}
	opts.Say = func(text string) { fmt.Fprintln(say, " ", time.Now().Format("15:04:05"), text) }
	opts.Ready = func(url string) {
		fmt.Fprintf(say, "\n  Open  %s\n\n  Story: %s\n  Look at: %s\n\n", url, opts.Scenario.Story, opts.Scenario.Look)
		if opts.Duration == 0 {
			fmt.Fprintln(say, "  Ctrl-C ends everything.")
		}
		if !noBrowser && !out.json() {
			openBrowser(cmd.Context(), url)
		}
	}
	opts.Counts = out.json()
	fmt.Fprintln(say, "Sidelight demo: an online cinema, each service and each sidecar a process of its own")
	counts, err := demo.Run(cmd.Context(), opts)
	if err != nil {
		if cmd.Context().Err() != nil {
			return nil
		}
		return err
	}
	if counts != nil {
		return out.writeJSON(cmd.OutOrStdout(), counts)
	}
	return nil
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// openBrowser shows url where there is a desktop to show it on. That it could
// not is no failure: the URL is printed, too.
func openBrowser(ctx context.Context, url string) {
	switch {
	case runtime.GOOS == "darwin":
		_ = exec.CommandContext(ctx, "open", url).Start()
	case os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "":
		_ = exec.CommandContext(ctx, "xdg-open", url).Start()
	}
}

func demoServiceCommand() *cobra.Command {
	var opts demo.ServiceOptions
	cmd := &cobra.Command{
		Use:    "service",
		Short:  "Run one application of the cinema",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo.ServiceMain(cmd.Context(), opts, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Role, "role", "", "which application")
	flags.StringVar(&opts.Version, "version", "v1", "version that it says it is")
	flags.StringVar(&opts.Listen, "listen", "", "its own address")
	flags.StringVar(&opts.Sidecar, "sidecar", "", "outbound address of the sidecar beside it")
	flags.StringVar(&opts.TCP, "tcp", "", "the sidecar's address for the TCP service it calls")
	flags.StringVar(&opts.Direct, "direct", "", "address that is called past all sidecars")
	flags.StringVar(&opts.Stats, "stats", "", "file for the load generator's counts")
	flags.Float64Var(&opts.Rate, "rate", 20, "visitors a second")
	flags.BoolVar(&opts.Broken, "broken", false, "answer 503 to everything")
	flags.BoolVar(&opts.PhoneHome, "phone-home", false, "report to a vendor outside of the mesh")
	flags.BoolVar(&opts.LoseTrace, "lose-trace", false, "don't pass trace headers on by HTTP")
	return cmd
}

func demoJanitorCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:    "janitor",
		Short:  "Remove a demo's folder once the demo is gone",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE:   func(*cobra.Command, []string) error { return demo.Janitor(dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the demo's folder")
	return cmd
}
