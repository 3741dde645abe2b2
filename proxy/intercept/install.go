package intercept

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// command is a program to run, with what it reads.
type command struct {
	args  []string
	stdin string
	// missing is part of what the program says when there is nothing to do,
	// which is no failure.
	missing string
}

// String gives the command as one would type it.
func (c command) String() string {
	if c.stdin == "" {
		return strings.Join(c.args, " ")
	}
	return strings.Join(c.args, " ") + " <<'EOF'\n" + c.stdin + "EOF"
}

// Script gives what Install would do, as a shell script.
func (o *Options) Script() string { return script(o.commands()) }

// Install makes the options hold in this network namespace, whatever was there
// of ours before. It needs CAP_NET_ADMIN and the programs nft and, for TPROXY,
// ip.
func (o *Options) Install(ctx context.Context) error {
	if err := o.Validate(); err != nil {
		return err
	}
	return runAll(ctx, o.commands())
}

// RemovalScript gives what Remove would do.
func RemovalScript() string { return script(removal()) }

// Remove takes away everything that Install may have made. It is no error when
// there is nothing.
func Remove(ctx context.Context) error { return runAll(ctx, removal()) }

// commands lists the routes first: packets must not be marked before there is a
// route for the mark. Routes of an earlier installation are taken away before.
func (o *Options) commands() []command {
	list := unroute()
	if o.Mode == TProxy && o.InboundPort != 0 {
		for _, f := range []struct {
			wanted    bool
			flag, all string
		}{{o.IPv4, "-4", "0.0.0.0/0"}, {o.IPv6, "-6", "::/0"}} {
			if f.wanted {
				list = append(list,
					command{args: words("ip %s rule add fwmark %d lookup %d", f.flag, mark, routes)},
					command{args: words("ip %s route add local %s dev lo table %d", f.flag, f.all, routes)})
			}
		}
	}
	return append(list, command{args: words("nft -f -"), stdin: o.Rules()})
}

func removal() []command {
	return append([]command{{args: words("nft -f -"), stdin: Removal()}}, unroute()...)
}

// unroute takes TPROXY's routes away. Only ip can tell whether there are any.
func unroute() []command {
	var list []command
	for _, family := range []string{"-4", "-6"} {
		list = append(list,
			command{args: words("ip %s rule del fwmark %d lookup %d", family, mark, routes), missing: "No such file or directory"},
			command{args: words("ip %s route flush table %d", family, routes), missing: "table does not exist"})
	}
	return list
}

func words(format string, args ...any) []string { return strings.Fields(fmt.Sprintf(format, args...)) }

func script(list []command) string {
	var b strings.Builder
	for _, c := range list {
		if c.missing != "" {
			fmt.Fprintf(&b, "%s 2>/dev/null || true\n", c)
			continue
		}
		fmt.Fprintln(&b, c)
	}
	return b.String()
}

func runAll(ctx context.Context, list []command) error {
	for _, c := range list {
		if err := c.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c command) run(ctx context.Context) error {
	path, err := exec.LookPath(c.args[0])
	if err != nil {
		if c.missing != "" {
			return nil // without the program nothing was made with it
		}
		pkg := map[string]string{"nft": "nftables", "ip": "iproute2"}[c.args[0]]
		return fmt.Errorf("%s is not installed; install the package %s, or run what --dry-run prints elsewhere in the same network namespace", c.args[0], pkg)
	}
	cmd := exec.CommandContext(ctx, path, c.args[1:]...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &out, &out
	err = cmd.Run()
	said := strings.TrimSpace(out.String())
	switch {
	case err == nil:
		return nil
	case c.missing != "" && strings.Contains(said, c.missing):
		return nil
	case strings.Contains(said, "Operation not permitted"):
		return fmt.Errorf("%s: not permitted; run it as root or with CAP_NET_ADMIN, in the workload's network namespace", strings.Join(c.args, " "))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer in time: %w", strings.Join(c.args, " "), ctx.Err())
	}
	return fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, said)
}
