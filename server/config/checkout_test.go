package config

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// git runs Git in a folder, without what the machine's own settings say.
func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// A checkout of Git may be watched: moving between commits, in a worktree as in
// the repository, leads to what the commit says, and what editors leave beside
// the files is not read.
func TestCheckout(t *testing.T) {
	repo, tree := t.TempDir(), filepath.Join(t.TempDir(), "tree")
	git(t, repo, "init", "-q")
	commit := func(tag string, files map[string]string) {
		for name, text := range files {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(repo, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(repo, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git(t, repo, "add", "-A")
		git(t, repo, "commit", "-q", "-m", tag)
		git(t, repo, "tag", tag)
	}
	commit("one", map[string]string{"cinema/a.yaml": vs("a", "1s"), "b.yaml": vs("b", "1s"), "README.md": "not configuration"})
	git(t, repo, "mv", "b.yaml", "cinema/b.yaml")
	commit("two", map[string]string{"cinema/a.yaml": vs("a", "2s"), "c.yaml": vs("c", "2s")})
	git(t, repo, "rm", "-q", "cinema/a.yaml")
	commit("three", map[string]string{"c.yaml": vs("c", "3s")})
	git(t, repo, "worktree", "add", "-q", "--detach", tree, "one")

	_, snapshots := watch(t, tree, 50*time.Millisecond)
	waitFor(t, snapshots, "a=1s b=1s")
	for range 3 {
		git(t, tree, "checkout", "-q", "two")
		waitFor(t, snapshots, "a=2s b=1s c=2s")
		git(t, tree, "checkout", "-q", "three")
		waitFor(t, snapshots, "b=1s c=3s")
		git(t, tree, "checkout", "-q", "one")
		waitFor(t, snapshots, "a=1s b=1s")
	}
	for _, left := range []string{".c.yaml.swp", "c.yaml~", "#c.yaml#", "4913", "c.yaml.orig"} {
		put(t, filepath.Join(tree, left), vs("left", "9s"))
	}
	put(t, filepath.Join(tree, "d.yaml"), vs("d", "1s"))
	waitFor(t, snapshots, "a=1s b=1s d=1s")
}

// Every version in which a kind is served is read, and all mean the same.
func TestServedVersions(t *testing.T) {
	specs := map[string]string{
		KindVirtualService:      "{hosts: [a], http: [{route: [{destination: {host: a}}]}]}",
		KindDestinationRule:     "{host: a}",
		KindServiceEntry:        "{hosts: [a.example], ports: [{number: 80, name: http}], resolution: DNS}",
		KindWorkloadEntry:       "{address: 10.0.0.1}",
		KindGateway:             "{selector: {app: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}",
		KindSidecar:             "{egress: [{hosts: ['./*']}]}",
		KindAuthorizationPolicy: "{rules: [{}]}",
		KindPeerAuthentication:  "{mtls: {mode: STRICT}}",
		KindHTTPRoute:           "{parentRefs: [{group: '', kind: Service, name: a}], rules: [{backendRefs: [{name: a, port: 80}]}]}",
		KindGRPCRoute:           "{parentRefs: [{group: '', kind: Service, name: a}], rules: [{backendRefs: [{name: a, port: 80}]}]}",
		KindTrafficSplit:        "{service: a, backends: [{service: a-v1, weight: 1}]}",
		KindTrafficTarget:       "{destination: {kind: ServiceAccount, name: a}, sources: [{kind: ServiceAccount, name: b}], rules: [{kind: TCPRoute, name: a}]}",
		KindHTTPRouteGroup:      "{matches: [{name: a, pathRegex: /a}]}",
		KindTCPRoute:            "{matches: {ports: [6000]}}",
	}
	for _, k := range apiKinds() {
		if specs[k.kind] == "" {
			t.Errorf("%s has no case here", k.kind)
			continue
		}
		hash := ""
		for _, version := range k.versions {
			text := fmt.Sprintf("apiVersion: %s/%s\nkind: %s\nmetadata: {name: a}\nspec: %s\n", k.group, version, k.kind, specs[k.kind])
			objects, problems := decodeText([]byte(text))
			if len(problems) > 0 || len(objects) != 1 {
				t.Errorf("%s of %s: %v", k.kind, version, problems)
				continue
			}
			if hash != "" && objects[0].Hash != hash {
				t.Errorf("%s of %s is another object than of %s", k.kind, version, k.versions[0])
			}
			hash = objects[0].Hash
		}
	}
	if k, _ := kindOf(KindVirtualService); strings.Join(k.versions, " ") != "v1 v1beta1 v1alpha3" {
		t.Errorf("VirtualService is read in %v", k.versions)
	}
}
