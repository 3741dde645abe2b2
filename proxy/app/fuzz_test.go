package app

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/spf13/cobra"
)

// FuzzFlags reads what the command line may hold: what is taken is whole.
func FuzzFlags(f *testing.F) {
	for _, text := range []string{
		"127.0.0.1:15006=127.0.0.1:8080/http/80", "127.0.0.1:9000=db:5432", "api/readyz=http://127.0.0.1:8080/ready",
		"livez=grpc://[::1]:9090/shop", "nack=.*", "10.0.0.0/8", "=/", "a=b/http/99999", "[::1]:1=[::1]:2/tcp",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if in, err := parseInbound(text); err == nil && (in.ServicePort < 1 || in.ServicePort > 65535 || in.Protocol == "") {
			t.Errorf("--inbound %q: %+v", text, in)
		}
		if out, err := parseTCPOutbound(text); err == nil {
			if _, err := strconv.ParseUint(strconv.Itoa(out.Port), 10, 16); err != nil || out.Host == "" {
				t.Errorf("--tcp-outbound %q: %+v", text, out)
			}
		}
		if p, err := parseProbe(text); err == nil && (p.path() == "" || p.Target == "") {
			t.Errorf("--app-probe %q: %+v", text, p)
		}
		if p, err := parsePrefix(text); err == nil && !p.IsValid() {
			t.Errorf("range %q: %v", text, p)
		}
		if err := checkAddress(text); err == nil {
			if _, _, err := net.SplitHostPort(text); err != nil {
				t.Errorf("address %q: %v", text, err)
			}
		}
		_, _, _ = parseFault(text)
	})
}

// FuzzWorkloads reads what the file of --workloads may hold: each workload that
// is taken is a node of its own.
func FuzzWorkloads(f *testing.F) {
	for _, text := range []string{
		"workloads: [{workload: a, namespace: b, inbound: ['127.0.0.1:1=127.0.0.1:2/http/80']}, {workload: c, outbound: '127.0.0.1:3'}]",
		"workloads: [{workload: a, sampling: 0.5, label: [x=y], no-error-spans: true}]",
		"workloads: [{workload: a, label: {x: y}}, null, 1]", "workloads: {", "workloads: [{node-id: a}, {node-id: a}]", "workloads:\n- &a {workload: *a}",
	} {
		f.Add([]byte(text))
	}
	file := filepath.Join(f.TempDir(), "workloads.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		all, cmd := &flags{}, &cobra.Command{}
		all.register(cmd)
		all.workloadsFile = file
		list, err := all.workloads(cmd.Flags())
		seen := map[string]bool{}
		for _, w := range list {
			if seen[w.NodeID] && w.NodeID != "" || err != nil {
				t.Errorf("%q: node %s, %v", text, w.NodeID, err)
			}
			seen[w.NodeID] = true
		}
	})
}
