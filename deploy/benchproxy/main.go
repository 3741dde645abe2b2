package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	if len(os.Args) > 2 {
		switch os.Args[1] { // roles that this program plays for itself
		case "backend":
			fail(serveBackend(os.Args[2], os.Args[3]))
			return
		case "reverseproxy":
			fail(serveReverseProxy(os.Args[2], os.Args[3]))
			return
		}
	}
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "folder of sidelight and sidelight-proxy")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds in which every proxy has its turn")
	flag.DurationVar(&o.turn, "turn", 3*time.Second, "how long a turn's load lasts")
	flag.StringVar(&o.only, "only", "", "only this question: http1, grpc, tcp, latency, memory, tap or config")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fail(run(ctx, o))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-proxy:", err)
		os.Exit(1)
	}
}

type options struct {
	bin    string
	rounds int
	turn   time.Duration
	only   string
}

// bench is one run: its processes and what it has found.
type bench struct {
	options
	dir   string
	procs []*process
	goals []goal
	mesh  *mesh
}

func run(ctx context.Context, o options) error {
	for _, program := range []string{"wrk", "h2load", "haproxy", "nginx"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed; `make bench-proxy` as root on Debian installs it", program)
		}
	}
	dir, err := os.MkdirTemp("", "sidelight-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	b := &bench{options: o, dir: dir}
	defer b.stop()
	if err := b.setUp(ctx); err != nil {
		return err
	}
	for _, q := range []struct {
		name string
		ask  func(context.Context) error
	}{
		{"http1", b.http1},
		{"grpc", b.grpc},
		{"tcp", b.tcp},
		{"latency", b.latency},
		{"tap", b.tap},
		{"memory", b.memory},
		{"config", b.configChange},
	} {
		if o.only != "" && o.only != q.name {
			continue
		}
		if err := q.ask(ctx); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	b.printGoals()
	return nil
}
