package app

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// readBootstrap makes the flags what a bootstrap file says. Flags that were given
// go before it; the ports of a sidecar, which the file has listeners for, are
// not opened.
func (f *flags) readBootstrap() error {
	if f.bootstrap == "" {
		return nil
	}
	for _, flag := range []string{"server", "outbound", "inbound", "tcp-outbound", "intercept", "state-dir"} {
		if f.given(flag) {
			return flagError{fmt.Errorf("--%s: has no meaning with --bootstrap, whose listeners say it", flag)}
		}
	}
	text, err := os.ReadFile(f.bootstrap)
	if err != nil {
		return fmt.Errorf("--bootstrap: %w", err)
	}
	b, err := xds.ReadBootstrap(text, f.Build)
	if err != nil {
		return flagError{fmt.Errorf("--bootstrap %s: %w", f.bootstrap, err)}
	}
	f.Servers, f.outbound, f.Static, f.StaticDump = nil, "", b.Snapshot, b.Dump
	f.NodeID = cmp.Or(f.NodeID, b.NodeID)
	f.Workload.Name = cmp.Or(f.Workload.Name, b.Workload.Name, f.NodeID)
	if !f.given("namespace") {
		f.Workload.Namespace = cmp.Or(b.Workload.Namespace, f.Workload.Namespace)
	}
	f.Workload.App = cmp.Or(f.Workload.App, b.Workload.App)
	f.Workload.Version = cmp.Or(f.Workload.Version, b.Workload.Version)
	f.Workload.Cluster = cmp.Or(f.Workload.Cluster, b.Workload.Cluster)
	if b.Admin != "" && !f.given("admin") {
		f.Admin = b.Admin
	}
	return nil
}

// runCommand is what the command does by itself, under a name.
func runCommand(bare *cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: "run", Short: bare.Short, Long: bare.Long, Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true, RunE: bare.RunE}
	cmd.Flags().AddFlagSet(bare.Flags())
	return cmd
}
