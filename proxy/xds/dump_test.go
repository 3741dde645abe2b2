package xds

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
)

var writeGolden = flag.Bool("update", false, "write the golden files anew")

// varying is what differs from run to run: times, and versions, which are
// hashes of the control plane's choosing.
var varying = regexp.MustCompile(`("(?:last_updated|last_update_attempt|version_info)": )"[^"]+"`)

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	got = varying.ReplaceAll(got, []byte(`$1"…"`))
	file := filepath.Join("testdata", name)
	if *writeGolden {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", file, diff)
	}
}

// refusing is a sidecar that runs a small mesh and refuses a part of the next
// configuration.
func refusing(t *testing.T) *sidecar {
	t.Helper()
	cp := startControlPlane(t, "")
	cp.set(t, "1", listener("outbound", "main"), routes("main", "catalog"), edsCluster("catalog"), endpoints("catalog", 8080))
	s := startSidecar(t, Options{Servers: []string{cp.address}})
	s.runtime.wantShape(t, catalogShape)
	cp.set(t, "2", listener("outbound", "main"), badRoutes("main"), edsCluster("catalog"), endpoints("catalog", 8080), badCluster("bad"))
	eventually(t, "two refusals", func() bool { return len(cp.nacks()) == 2 })
	return s
}

func TestConfigDump(t *testing.T) {
	t.Parallel()
	s := refusing(t)
	for name, query := range map[string]string{
		"config_dump.json":     "include_eds",
		"config_dump_one.json": "resource=dynamic_active_clusters&name_regex=b.d",
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.Dump().ConfigDump(q)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, text)
	}
	text, err := s.Dump().ConfigDump(nil)
	if err != nil || strings.Contains(string(text), "EndpointsConfigDump") {
		t.Errorf("without include_eds there are endpoints, or %v", err)
	}
	for query, want := range map[string]string{
		"mask=bootstrap":            "mask: not supported",
		"resource=listeners":        "there are bootstrap, dynamic_active_clusters",
		"name_regex=(":              "name_regex",
		"include_eds&pretty":        "pretty: no such parameter",
		"resource=static_listeners": "",
	} {
		q, _ := url.ParseQuery(query)
		_, err := s.Dump().ConfigDump(q)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", query, err, want)
		}
	}
}

func TestConfigDumpOfABootstrapFile(t *testing.T) {
	b, err := ReadBootstrap([]byte(edgeBootstrap), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	text, err := b.Dump.ConfigDump(nil)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "config_dump_static.json", text)
}

func TestClientStatus(t *testing.T) {
	t.Parallel()
	s := refusing(t)
	_, address := serve(t, "", func(g *grpc.Server) { RegisterClientStatus(g, s.Dump) })
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := statusv3.NewClientStatusDiscoveryServiceClient(conn)
	stream, err := client.StreamClientStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, without := range []bool{false, true} {
		if err := stream.Send(&statusv3.ClientStatusRequest{ExcludeResourceContents: without}); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.GetConfig()) != 1 || resp.GetConfig()[0].GetNode().GetId() != testNode {
			t.Fatalf("got %v", resp)
		}
		var got []string
		for _, x := range resp.GetConfig()[0].GetGenericXdsConfigs() {
			line := mesh.TypeName(x.GetTypeUrl()) + " " + x.GetName() + " " + x.GetClientStatus().String() + " " + x.GetConfigStatus().String()
			if x.GetXdsConfig() != nil {
				line += " with content"
			}
			if e := x.GetErrorState(); e != nil {
				line += ": " + e.GetDetails()
			}
			got = append(got, line)
		}
		want := []string{
			"cluster bad NACKED ERROR: lb_policy: CLUSTER_PROVIDED is for clusters of type ORIGINAL_DST",
			"cluster catalog ACKED SYNCED with content",
			"endpoint catalog ACKED SYNCED with content",
			"listener outbound ACKED SYNCED with content",
		}
		for i := range want {
			if without {
				want[i] = strings.TrimSuffix(want[i], " with content")
			}
		}
		if len(got) != 5 || !strings.HasPrefix(got[4], "route main NACKED ERROR") {
			t.Fatalf("got %q", got)
		}
		if diff := cmp.Diff(want, got[:4]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	_, err = client.FetchClientStatus(t.Context(), &statusv3.ClientStatusRequest{NodeMatchers: []*matcherv3.NodeMatcher{{}}})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("node matchers: %v", err)
	}
}
