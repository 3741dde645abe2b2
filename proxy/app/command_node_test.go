package app_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/proxy/app"
)

func TestWorkloadsFlags(t *testing.T) {
	for _, tt := range []struct{ args, file, want string }{
		{"--placement node", "", "needs --workloads"},
		{"--placement gateway --workloads FILE", "workloads: [{workload: a}]", "is for --placement node"},
		{"--workloads /nonexistent/file", "", "--workloads: open"},
		{"--workloads FILE", "workloads: {", "--workloads"},
		{"--workloads FILE", "workload: [{workload: a}]", `unknown field "workload"`},
		{"--workloads FILE", "workloads: []", "workloads: is empty"},
		{"--workloads FILE", "workloads: [{workload: a, inbuond: b}]", "workloads[0]: inbuond: is no flag of one workload"},
		{"--workloads FILE", "workloads: [{workload: a, log-level: debug}]", "workloads[0]: log-level: is no flag of one workload"},
		{"--workloads FILE", "workloads: [{workload: a, sampling: x}]", "workloads[0]: sampling: "},
		{"--workloads FILE", "workloads: [{workload: a, inbound: [x]}]", `workloads[0]: --inbound: "x" is not ADDR=`},
		{"--workloads FILE", "workloads: [{workload: a}]", "workloads[0]: --node-id: must be set"},
		{"--workloads FILE --metrics 127.0.0.1:0", "workloads: [{workload: a}]", "--metrics: stands in the file of --workloads"},
		{"--workloads FILE --node-id n", "workloads: [{workload: a}, {workload: b, node-id: n.a}]", "workloads[1]: node-id n.a is given twice"},
		{"--workloads FILE --node-id n", "workloads: [{workload: a, outbound: '127.0.0.1:0'}, {workload: b, admin: '10.0.0.1:1'}]", "workloads[1]: --admin: 10.0.0.1:1 is not a loopback address"},
	} {
		file := filepath.Join(t.TempDir(), "workloads.yaml")
		if err := os.WriteFile(file, []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := app.Command("test")
		cmd.SetArgs(strings.Fields(strings.ReplaceAll(tt.args, "FILE", file)))
		cmd.SetErr(io.Discard)
		if err := cmd.ExecuteContext(context.Background()); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s with %s: got %v, want %q", tt.args, tt.file, err, tt.want)
		}
	}
}

// The file that the guide shows is taken; that its addresses are not this
// machine's is the first thing that is wrong.
func TestWorkloadsOfDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/sidecar.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```yaml\nworkloads:\n")
	text, _, _ := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/sidecar.md has no such example")
	}
	file := filepath.Join(t.TempDir(), "workloads.yaml")
	if err := os.WriteFile(file, []byte("workloads:\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := app.Command("test")
	cmd.SetArgs([]string{"--placement", "node", "--workloads", file, "--node-id", "node-7", "--server", "tls://sidelight:15012"})
	cmd.SetErr(io.Discard)
	if err := cmd.ExecuteContext(context.Background()); err == nil || !strings.Contains(err.Error(), "cannot assign requested address") &&
		!strings.Contains(err.Error(), "no such address") {
		t.Errorf("got %v", err)
	}
}
