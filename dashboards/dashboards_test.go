package dashboards

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestAll(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, d := range all {
		titles = append(titles, d.Title)
		if d.UID == "" || d.Description == "" || d.Panels < 8 || !json.Valid(d.JSON) {
			t.Errorf("%s: %+v", d.Title, d)
		}
	}
	if want := []string{"Mesh", "Service", "Workload", "Proxy", "Configuration sync", "Collector", "Server"}; !slices.Equal(titles, want) {
		t.Errorf("titles %v, want %v", titles, want)
	}
	if files, _ := filepath.Glob("json/*.json"); len(files) != len(all) {
		t.Errorf("%d files, %d dashboards: order lacks one", len(files), len(all))
	}
}

// promtool is Prometheus' own judge of rules.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is missing: run deploy/install-for-tests, or put Prometheus' promtool into the path")
	}
	if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Every rule file is right, has a test file, and each of its alerts is seen
// there to fire and not to fire.
func TestRules(t *testing.T) {
	rules, err := Rules()
	if err != nil || len(rules) == 0 {
		t.Fatalf("rules: %v", err)
	}
	for name, content := range rules {
		promtool(t, "check", "rules", filepath.Join("rules", name))
		cases := filepath.Join("rules", "testdata", name)
		promtool(t, "test", "rules", cases)
		fires, silent := mentioned(t, cases)
		for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllSubmatch(content, -1) {
			if alert := string(m[1]); !fires[alert] || !silent[alert] {
				t.Errorf("%s: %s fires in a case: %v, does not in another: %v; want both", cases, alert, fires[alert], silent[alert])
			}
		}
	}
}

// mentioned tells which alerts the cases expect, and expect not to be.
func mentioned(t *testing.T, cases string) (fires, silent map[string]bool) {
	t.Helper()
	content, err := os.ReadFile(cases)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			Alerts []struct {
				Name     string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatalf("%s: %v", cases, err)
	}
	fires, silent = map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, a := range test.Alerts {
			if len(a.Expected) > 0 {
				fires[a.Name] = true
			} else {
				silent[a.Name] = true
			}
		}
	}
	return fires, silent
}
