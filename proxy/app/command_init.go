package app

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/proxy/intercept"
)

// initTime bounds how long installing a few rules may take.
const initTime = 30 * time.Second

// initFlags are the values of init's command line before they are understood.
type initFlags struct {
	intercept.Options
	mode                                 string
	families                             []string
	uids, gids                           []string
	includePorts, excludePorts           []string
	includeCIDRs, excludeCIDRs, outPorts []string
	dryRun, clean                        bool
}

// initCommand gives the command that sets interception up.
func initCommand() *cobra.Command {
	f := &initFlags{}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the kernel bring a workload's traffic to its sidecar",
		Long: `Install the netfilter rules by which the kernel brings a workload's TCP
connections to its sidecar. Run it in the workload's network namespace, as root
or with CAP_NET_ADMIN, before the sidecar, which then runs with --intercept as
one of the users that are left out. Running it again replaces the rules; other
tables are never touched. --clean takes them away.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.complete(); err != nil {
				return flagError{err}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), initTime)
			defer cancel()
			switch {
			case f.dryRun && f.clean:
				_, err := fmt.Fprint(cmd.OutOrStdout(), intercept.RemovalScript())
				return err
			case f.dryRun:
				_, err := fmt.Fprint(cmd.OutOrStdout(), f.Script())
				return err
			case f.clean:
				return intercept.Remove(ctx)
			}
			return f.Install(ctx)
		},
	}
	p := cmd.Flags()
	p.StringVar(&f.mode, "mode", "redirect", "how inbound connections arrive: redirect, or tproxy, which keeps the address that clients dialled; outbound ones are redirected")
	p.StringSliceVar(&f.families, "family", []string{"ipv4", "ipv6"}, "`families` of addresses to intercept")
	p.Uint16Var(&f.OutboundPort, "outbound-port", 15001, "the sidecar's entrance for what the app sends; 0 to leave that alone")
	p.Uint16Var(&f.InboundPort, "inbound-port", 15006, "the sidecar's entrance for what the app receives; 0 to leave that alone")
	p.StringSliceVar(&f.uids, "exclude-uid", []string{"1337"}, "`users` whose connections are left alone: the sidecar's own")
	p.StringSliceVar(&f.gids, "exclude-gid", nil, "`groups` whose connections are left alone")
	p.StringSliceVar(&f.includePorts, "include-inbound-port", nil, "only these `ports` of the app (default: all)")
	p.StringSliceVar(&f.excludePorts, "exclude-inbound-port", []string{"15020", "15021"}, "`ports` that are left alone: by default the sidecar's metrics and health")
	p.StringSliceVar(&f.includeCIDRs, "include-outbound-cidr", nil, "only these `destinations` (default: all)")
	p.StringSliceVar(&f.excludeCIDRs, "exclude-outbound-cidr", nil, "`destinations` that are left alone")
	p.StringSliceVar(&f.outPorts, "exclude-outbound-port", nil, "`ports` of destinations that are left alone")
	p.StringSliceVar(&f.ExcludeInterfaces, "exclude-interface", nil, "`interfaces` whose inbound connections are left alone")
	p.BoolVar(&f.dryRun, "dry-run", false, "print what would be done, as a shell script, and do nothing")
	p.BoolVar(&f.clean, "clean", false, "take the rules away")
	return cmd
}

// complete turns the flags' texts into options.
func (f *initFlags) complete() error {
	f.Mode = intercept.Mode(f.mode)
	for _, name := range f.families {
		switch strings.ToLower(name) {
		case "ipv4":
			f.IPv4 = true
		case "ipv6":
			f.IPv6 = true
		default:
			return fmt.Errorf("--family: %q is neither ipv4 nor ipv6", name)
		}
	}
	for _, list := range []struct {
		flag  string
		texts []string
		into  *[]uint16
	}{
		{"include-inbound-port", f.includePorts, &f.IncludeInboundPorts},
		{"exclude-inbound-port", f.excludePorts, &f.ExcludeInboundPorts},
		{"exclude-outbound-port", f.outPorts, &f.ExcludeOutboundPorts},
	} {
		for _, text := range list.texts {
			n, err := strconv.ParseUint(text, 10, 16)
			if err != nil || n == 0 {
				return fmt.Errorf("--%s: %q is not a port from 1 to 65535", list.flag, text)
			}
			*list.into = append(*list.into, uint16(n))
		}
	}
	for _, list := range []struct {
		flag  string
		texts []string
		into  *[]uint32
	}{{"exclude-uid", f.uids, &f.ExcludeUIDs}, {"exclude-gid", f.gids, &f.ExcludeGIDs}} {
		for _, text := range list.texts {
			n, err := strconv.ParseUint(text, 10, 32)
			if err != nil {
				return fmt.Errorf("--%s: %q is not a number; names of users and groups differ between containers", list.flag, text)
			}
			*list.into = append(*list.into, uint32(n))
		}
	}
	for _, list := range []struct {
		flag  string
		texts []string
		into  *[]netip.Prefix
	}{{"include-outbound-cidr", f.includeCIDRs, &f.IncludeOutboundCIDRs}, {"exclude-outbound-cidr", f.excludeCIDRs, &f.ExcludeOutboundCIDRs}} {
		for _, text := range list.texts {
			prefix, err := parsePrefix(text)
			if err != nil {
				return fmt.Errorf("--%s: %q is neither an address nor a range such as 10.0.0.0/8", list.flag, text)
			}
			*list.into = append(*list.into, prefix)
		}
	}
	return f.Validate()
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(text)
}
