package scrape

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/collector/target"
	"github.com/sidelight-mesh/sidelight/mesh"
)

// The rules that Linkerd's own Prometheus has for its proxies, as far as they
// say whose proxy it is.
const linkerdRules = `
- source_labels: [__meta_kubernetes_pod_container_name, __meta_kubernetes_pod_container_port_name]
  action: keep
  regex: ^linkerd-proxy;linkerd-admin$
- source_labels: [__meta_kubernetes_namespace]
  target_label: namespace
- action: labelmap
  regex: __meta_kubernetes_pod_label_linkerd_io_proxy_(deployment|statefulset|daemonset)
- source_labels: [__address__]
  regex: ([^:]+)(?::\d+)?
  replacement: $1:4191
  target_label: __address__
`

func TestRelabeling(t *testing.T) {
	rules, err := ParseRelabeling([]byte(linkerdRules))
	if err != nil {
		t.Fatal(err)
	}
	pod := func(port string) target.Target {
		return target.FromLabels("10.42.0.9:8080", map[string]string{
			"__meta_kubernetes_pod_container_name": "linkerd-proxy", "__meta_kubernetes_pod_container_port_name": port,
			"__meta_kubernetes_namespace": "emojivoto", "__meta_kubernetes_pod_label_linkerd_io_proxy_deployment": "web", "job": "linkerd",
		})
	}
	got, keep := rules.apply(pod("linkerd-admin"))
	if !keep || got.Address != "10.42.0.9:4191" || got.Workload.Namespace != "emojivoto" {
		t.Errorf("kept %v, %+v", keep, got)
	}
	if diff := cmp.Diff(map[string]string{"deployment": "web", "namespace": "emojivoto", "job": "linkerd"}, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if _, keep := rules.apply(pod("http")); keep {
		t.Error("kept what is to be dropped")
	}
	// Without rules nothing changes, also not what was put together by hand.
	own := target.Target{Address: "a:1", Node: "n", Workload: mesh.Workload{Namespace: "x", Name: "y"}}
	if got, keep := Relabeling(nil).apply(own); !keep || got.Node != "n" || got.Workload.Name != "y" {
		t.Errorf("without rules: %v, %+v", keep, got)
	}
}

func TestRelabelingRefused(t *testing.T) {
	for text, want := range map[string]string{
		"- action: keeep":                         "keeep",
		"- {action: keep, regex: '('}":            "missing",
		"- {action: replace, source_labels: [a]}": "target_label",
		"{}":    "relabeling",
		"- ":    "rule 1 is empty",
		"nope:": "relabeling",
	} {
		if _, err := ParseRelabeling([]byte(text)); !errors.Is(err, mesh.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whatever stands in a file of rules, it is refused with the reason or does
// what it does to any target.
func FuzzRelabeling(f *testing.F) {
	f.Add("- source_labels: [__address__]\n  regex: '(.*):\\d+'\n  target_label: node\n")
	f.Add("- {action: labelmap, regex: __meta_(.+)}\n- {action: hashmod, source_labels: [a], modulus: 2, target_label: __tmp}")
	f.Add("- action: drop\n- null")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := ParseRelabeling([]byte(text))
		if err != nil {
			if !errors.Is(err, mesh.ErrInvalid) {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		rules.apply(target.Target{Address: "10.0.0.1:15020", Meta: map[string]string{"__meta_x": "y"}, Labels: map[string]string{"a": "b"}})
	})
}
