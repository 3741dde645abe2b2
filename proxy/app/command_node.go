package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"
)

// ofProcess are flags that are one for all workloads of a process, perWorkload
// those that would be wrong for two: each workload that wants them names its own.
var (
	ofProcess   = []string{"workloads", "placement", "gateway-address", "log-level", "parent-pid"}
	perWorkload = []string{
		"workload", "app-name", "version", "service-account", "label", "bootstrap", "outbound", "inbound", "tcp-outbound",
		"capture-outbound", "capture-inbound", "admin", "metrics", "health", "app-probe", "join-token", "cert-file", "key-file",
	}
)

// workloadsFile is what --workloads names: for each workload the flags that a
// sidecar of its own would have, without the dashes.
type workloadsFile struct {
	Workloads []map[string]any `json:"workloads"`
}

// workloads reads the file and gives the flags of each workload: those of the
// command line, with the workload's own over them.
func (f *flags) workloads(command *pflag.FlagSet) ([]*flags, error) {
	bad := func(format string, args ...any) ([]*flags, error) {
		return nil, flagError{fmt.Errorf("--workloads %s: %w", f.workloadsFile, fmt.Errorf(format, args...))}
	}
	text, err := os.ReadFile(f.workloadsFile)
	if err != nil {
		return nil, fmt.Errorf("--workloads: %w", err)
	}
	var file workloadsFile
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return bad("%w", err)
	}
	if len(file.Workloads) == 0 {
		return bad("workloads: is empty")
	}
	for _, name := range perWorkload {
		if command.Changed(name) {
			return nil, flagError{fmt.Errorf("--%s: stands in the file of --workloads, for each workload", name)}
		}
	}
	seen := map[string]bool{}
	var out []*flags
	for i, own := range file.Workloads {
		w, err := f.workload(command, own)
		if err != nil {
			return bad("workloads[%d]: %w", i, err)
		}
		if seen[w.NodeID] && w.NodeID != "" {
			return bad("workloads[%d]: node-id %s is given twice", i, w.NodeID)
		}
		seen[w.NodeID] = true
		w.Guest = i > 0
		out = append(out, w)
	}
	return out, nil
}

// workload lays a workload's own flags over those of the command line.
func (f *flags) workload(command *pflag.FlagSet, own map[string]any) (*flags, error) {
	w, cmd := &flags{}, &cobra.Command{}
	w.register(cmd)
	set := cmd.Flags()
	w.Build, w.ParentPID, w.placement, w.logLevel = f.Build, f.ParentPID, "sidecar", f.logLevel
	w.given = set.Changed
	w.outboundSet = func() bool { return set.Changed("outbound") }
	for _, name := range []string{"outbound", "admin", "metrics", "health"} {
		if err := set.Lookup(name).Value.Set("off"); err != nil { // all at one address would be in each other's way
			return nil, err
		}
	}
	var err error
	command.Visit(func(shared *pflag.Flag) {
		if slices.Contains(ofProcess, shared.Name) || err != nil {
			return
		}
		to := set.Lookup(shared.Name)
		if list, ok := shared.Value.(pflag.SliceValue); ok {
			err = to.Value.(pflag.SliceValue).Replace(list.GetSlice())
			return
		}
		err = to.Value.Set(shared.Value.String())
	})
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if set.Lookup(name) == nil || slices.Contains(ofProcess, name) {
			return nil, fmt.Errorf("%s: is no flag of one workload", name)
		}
		for _, value := range texts(own[name]) {
			if err := set.Set(name, value); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	name := cmp.Or(w.Workload.Name, strings.TrimSuffix(filepath.Base(w.bootstrap), filepath.Ext(w.bootstrap)))
	if f.NodeID != "" && !set.Changed("node-id") {
		w.NodeID = f.NodeID + "." + name
	}
	if f.StateDir != "" && !set.Changed("state-dir") {
		w.StateDir = filepath.Join(f.StateDir, name)
	}
	return w, nil
}

// texts gives a value of the file as one would write it on a command line, once
// for each time.
func texts(value any) []string {
	switch v := value.(type) {
	case []any:
		var out []string
		for _, one := range v {
			out = append(out, texts(one)...)
		}
		return out
	case map[string]any:
		var out []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = append(out, key+"="+fmt.Sprint(v[key]))
		}
		return out
	}
	return []string{fmt.Sprint(value)}
}

// runNode serves several workloads in one process, each with its own ports,
// configuration and identity, as if it had a sidecar of its own. All start, or
// none; the process ends with the first of them.
func (f *flags) runNode(ctx context.Context, command *pflag.FlagSet, stderr io.Writer) error {
	list, err := f.workloads(command)
	if err != nil {
		return err
	}
	var apps []*App
	defer func() {
		for _, a := range apps { // those that did not run
			a.release()
		}
	}()
	for i, w := range list {
		closeLog, err := w.complete(stderr)
		defer closeLog()
		if err == nil {
			w.Tidy, w.Logger = i == 0, w.Logger.With("sidecar", w.NodeID)
			var a *App
			if a, err = New(w.Options); err == nil {
				apps = append(apps, a)
			}
		}
		if err != nil {
			return fmt.Errorf("--workloads %s: workloads[%d]: %w", f.workloadsFile, i, err)
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(apps))
	var running sync.WaitGroup
	for i, a := range apps {
		running.Go(func() {
			defer stop()
			errs[i] = a.Run(ctx)
		})
	}
	running.Wait()
	apps = nil
	return errors.Join(errs...)
}
