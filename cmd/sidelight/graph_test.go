package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

var update = flag.Bool("update", false, "write what the commands print into testdata")

// TestGraphTables compares what stat and edges print of one small mesh with
// testdata/graph.golden.
func TestGraphTables(t *testing.T) {
	var got bytes.Buffer
	for _, tc := range []struct {
		title  string
		write  func(*cobra.Command, graph.View, viewFlags) error
		format string
		find   string
		view   graph.View
	}{
		{"stat", writeStat, "table", "", smallMesh()},
		{"stat -o wide", writeStat, "wide", "", smallMesh()},
		{"stat -w 'name = web'", writeStat, "table", "name = web", smallMesh()},
		{"edges", writeEdges, "table", "", smallMesh()},
		{"edges -o wide", writeEdges, "wide", "", smallMesh()},
		{"stat of nothing", writeStat, "table", "", graph.View{Group: graph.ByWorkload}},
		{"edges of nothing", writeEdges, "table", "", graph.View{Group: graph.ByWorkload}},
	} {
		fmt.Fprintf(&got, "$ %s\n", tc.title)
		cmd := &cobra.Command{}
		cmd.SetOut(&got)
		flags := viewFlags{find: tc.find}
		flags.format = tc.format
		if err := tc.write(cmd, tc.view, flags); err != nil {
			t.Fatal(err)
		}
		got.WriteByte('\n')
	}
	compareWith(t, "testdata/graph.golden", got.Bytes())
}

// compareWith holds what commands print against a file.
func compareWith(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got); -update writes it:\n%s", file, d)
	}
}

// smallMesh has what makes rows differ: a failing edge that the proxy
// answered, retries, TCP, a workload without sidecar, one behind, one silent.
func smallMesh() graph.View {
	ms := func(x float64) *float64 { return &x }
	since := time.Date(2026, 11, 3, 3, 0, 0, 0, time.UTC)
	web, pay := "workload:cinema/web", "workload:cinema/payments"
	return graph.View{
		Group: graph.ByWorkload,
		Nodes: []*graph.Node{
			{ID: "external:api.bank.example", Kind: graph.KindExternal, Name: "api.bank.example", Health: graph.Health{State: graph.OK}, In: graph.Traffic{RPS: 2.5, P50MS: ms(40), P95MS: ms(90), P99MS: ms(1500)}},
			{ID: "workload:cinema/cron", Kind: graph.KindWorkload, Namespace: "cinema", Name: "cron", Health: graph.Health{State: graph.Idle}},
			{
				ID: pay, Kind: graph.KindWorkload, Namespace: "cinema", Name: "payments", Meshed: true, Config: &graph.ConfigState{State: "stale", Revision: 41, Behind: 1, Nodes: 1},
				Health: graph.Health{State: graph.Fail, Reasons: []graph.Reason{{Code: "5xx", Text: "25 % of requests to it were answered 5xx", Since: since}}},
				In:     graph.Traffic{RPS: 12, ErrorRatio: 0.25, P50MS: ms(0.7), P95MS: ms(14.7), P99MS: ms(83), SentBytesPerS: 5120, ReceivedBytesPerS: 90, ActiveConnections: 3},
			},
			{
				ID: web, Kind: graph.KindWorkload, Namespace: "cinema", Name: "web", Meshed: true, Match: true, Config: &graph.ConfigState{State: "synced", Revision: 42, Nodes: 2},
				Health: graph.Health{State: graph.OK}, In: graph.Traffic{RPS: 250, P50MS: ms(3), P95MS: ms(9), P99MS: ms(12)},
			},
		},
		Edges: []*graph.Edge{
			{
				ID: "1", Source: web, Target: pay, Protocol: mesh.HTTP, RPS: 12, ErrorRatio: 0.25, P50MS: ms(0.7), P95MS: ms(14.7), P99MS: ms(83), AttemptsPerRequest: 1.33, MTLSRatio: 1,
				Answers:               []graph.Answer{{Code: 503, Flags: "UH", By: mesh.AnsweredByProxy, Object: "DestinationRule cinema/payments", RPS: 3}},
				RequestsPerConnection: ms(24), ClientSide: &graph.Side{RPS: 12, ErrorRatio: 0.25}, ServerSide: &graph.Side{RPS: 9},
			},
			{
				ID: "2", Source: pay, Target: "external:api.bank.example", Protocol: mesh.GRPC, RPS: 2.5, ErrorRatio: 0.1, P50MS: ms(40), P95MS: ms(90), P99MS: ms(1500),
				Answers: []graph.Answer{{Code: 200, GRPC: "14", Flags: "-", By: mesh.AnsweredByUpstream, RPS: 0.25}}, ClientSide: &graph.Side{RPS: 2.5, ErrorRatio: 0.1},
			},
			{ID: "3", Source: "workload:cinema/cron", Target: pay, Protocol: mesh.TCP, ActiveConnections: 3},
			{
				ID: "4", Source: "workload:cinema/cron", Target: web, Protocol: mesh.HTTP, RPS: 2, ErrorRatio: 1,
				Answers: []graph.Answer{{Flags: "NR", By: mesh.AnsweredByProxy, Details: "filter_chain_not_found", Object: "PeerAuthentication cinema/strict", RPS: 2}},
			},
		},
	}
}

// TestNarrow asks a stand-in of the server for what belongs to a name.
func TestNarrow(t *testing.T) {
	asked := make(chan url.Values, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Query()
		fmt.Fprint(w, "{}")
	}))
	defer server.Close()
	for _, tc := range []struct {
		args          []string
		namespaces, q string
	}{
		{[]string{"edges", "cinema"}, "cinema", ""},
		{[]string{"edges", "cinema/web"}, "", `from = "cinema/web" or to = "cinema/web"`},
		{[]string{"edges", "cinema/web", "-w", "p95 > 1s or error"}, "", `(from = "cinema/web" or to = "cinema/web") and (p95 > 1s or error)`},
		{[]string{"stat", "cinema/web"}, "", `namespace = "cinema" and name = "web"`},
		{[]string{"stat", "cinema", "-n", "bank"}, "bank,cinema", ""},
	} {
		root := rootCommand()
		root.SetOut(io.Discard)
		root.SetArgs(append(tc.args, "--address", server.URL))
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(tc.args, err)
		}
		q := <-asked
		if q.Get("namespaces") != tc.namespaces || q.Get("q") != tc.q {
			t.Errorf("%v asks for %v", tc.args, q)
		}
	}
}
