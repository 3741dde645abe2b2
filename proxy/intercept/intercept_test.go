package intercept_test

import (
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/proxy/intercept"
)

var update = flag.Bool("update", false, "write testdata anew")

func usual() intercept.Options {
	return intercept.Options{
		Mode: intercept.Redirect, OutboundPort: 15001, InboundPort: 15006, ExcludeUIDs: []uint32{1337},
		ExcludeInboundPorts: []uint16{15021, 15020, 15020}, IPv4: true, IPv6: true,
	}
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, t := range texts {
		list = append(list, netip.MustParsePrefix(t))
	}
	return list
}

func options() map[string]intercept.Options {
	all := map[string]intercept.Options{"redirect": usual()}
	tproxy := usual()
	tproxy.Mode = intercept.TProxy
	all["tproxy"] = tproxy

	picky := usual()
	picky.IPv6 = false
	picky.ExcludeGIDs = []uint32{7}
	picky.IncludeInboundPorts = []uint16{9000, 8080}
	picky.IncludeOutboundCIDRs = prefixes("10.0.0.0/8", "10.1.0.0/16", "fd00::/8")
	picky.ExcludeOutboundCIDRs = prefixes("10.2.3.4/32")
	picky.ExcludeOutboundPorts = []uint16{22}
	picky.ExcludeInterfaces = []string{"docker0"}
	all["picky"] = picky

	none := usual()
	none.InboundPort = 0
	none.IncludeOutboundCIDRs = prefixes("0.0.0.0/0")
	none.ExcludeOutboundCIDRs = prefixes("::/0")
	all["outbound"] = none
	return all
}

// The rules are what an operator reads with --dry-run, so they are held as text.
func TestScripts(t *testing.T) {
	for name, o := range options() {
		t.Run(name, func(t *testing.T) {
			if err := o.Validate(); err != nil {
				t.Fatal(err)
			}
			got, file := o.Script(), filepath.Join("testdata", name+".sh")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update if this is meant (-want +got):\n%s", diff)
			}
		})
	}
}

// The kernel's own parser takes every one of them. It needs no namespace: -c
// checks and changes nothing.
func TestNftTakesTheRules(t *testing.T) {
	nft, err := exec.LookPath("nft")
	if err != nil || os.Getuid() != 0 {
		t.Skip("needs root and nft (Debian's nftables)")
	}
	for name, o := range options() {
		cmd := exec.Command(nft, "-c", "-f", "-")
		cmd.Stdin = strings.NewReader(o.Rules())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*intercept.Options)
		want   string
	}{
		{"mode", func(o *intercept.Options) { o.Mode = "ebpf" }, `mode "ebpf"`},
		{"family", func(o *intercept.Options) { o.IPv4, o.IPv6 = false, false }, "neither IPv4 nor IPv6"},
		{"nothing", func(o *intercept.Options) { o.InboundPort, o.OutboundPort = 0, 0 }, "at least one port"},
		{"a loop", func(o *intercept.Options) { o.ExcludeUIDs = nil }, "would come back to it"},
		{"own port", func(o *intercept.Options) { o.IncludeInboundPorts = []uint16{15006} }, "own entrance"},
		{"injection", func(o *intercept.Options) { o.ExcludeInterfaces = []string{`eth0" accept; #`} }, "no name of an interface"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := usual()
			tt.change(&o)
			if err := o.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
