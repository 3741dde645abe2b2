package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// process holds the flags that every long-running command has.
type process struct {
	level  string
	format string
	parent int
	log    *slog.Logger
}

func (p *process) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&p.level, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&p.format, "log-format", "text", "text or json")
	flags.IntVar(&p.parent, "parent-pid", 0, "end when this parent process is gone")
	_ = flags.MarkHidden("parent-pid")
}

// run sets up logging and calls serve with a context that ends by signal, or
// with the parent.
func (p *process) run(cmd *cobra.Command, serve func(context.Context) error) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(p.level)); err != nil {
		return usageError{fmt.Errorf("--log-level %s: want debug, info, warn or error", p.level)}
	}
	opts := &slog.HandlerOptions{Level: level}
	switch strings.ToLower(p.format) {
	case "text":
		p.log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), opts))
	case "json":
		p.log = slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), opts))
	default:
		return usageError{fmt.Errorf("--log-format %s: want text or json", p.format)}
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	if os.Getenv("GOGC") == "" {
		go paceHeap(ctx)
	}
	if p.parent != 0 {
		go endWithParent(ctx, p.parent, cancel)
	}
	return serve(ctx)
}

// listenFlag is a flag that holds an address to listen on.
type listenFlag struct{ name, address string }

// checkListen says which of the addresses cannot be one, before any is bound.
func checkListen(flags ...listenFlag) error {
	for _, f := range flags {
		_, port, err := net.SplitHostPort(f.address)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return usageError{fmt.Errorf("--%s %s: want HOST:PORT, as in 127.0.0.1:8430", f.name, f.address)}
		}
	}
	return nil
}

// endWithParent cancels once this process has another parent than it had.
func endWithParent(ctx context.Context, parent int, cancel context.CancelFunc) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for os.Getppid() == parent {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	cancel()
}
