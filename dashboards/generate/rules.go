package main

import (
	"bytes"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// ruleFile is a file of Prometheus' rules. What is written by hand is data in
// traffic_rules.go, telemetry_rules.go …, as the panels are.
type ruleFile struct {
	name   string
	about  string // the file's head
	groups []ruleGroup
}

type ruleGroup struct {
	Name     string `yaml:"name"`
	Interval string `yaml:"interval,omitempty"` // empty: as the evaluator is set
	Rules    []rule `yaml:"rules"`
}

// rule records a series or raises an alert; its fields are Prometheus'.
type rule struct {
	about string // for who reads the file

	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations *annotations      `yaml:"annotations,omitempty"`
}

// annotations are what who is called reads: what is wrong, what that means or
// where to look, and the page with more.
type annotations struct {
	Summary     string `yaml:"summary"`
	Description string `yaml:"description"`
	Runbook     string `yaml:"runbook,omitempty"`
}

func ruleFiles() []ruleFile {
	return []ruleFile{trafficRules(), telemetryRules(), configSyncRules(), identityRules()}
}

// The severities: who is woken by a critical one has something to do now.
func warning() map[string]string  { return map[string]string{"severity": "warning"} }
func critical() map[string]string { return map[string]string{"severity": "critical"} }

// render gives the file's text. What Prometheus would not load is refused.
func (f ruleFile) render() ([]byte, error) {
	var groups yaml.Node
	if err := groups.Encode(map[string][]ruleGroup{"groups": f.groups}); err != nil {
		return nil, fmt.Errorf("rules %s: %w", f.name, err)
	}
	for i, g := range f.groups {
		for j, r := range g.Rules {
			if err := r.check(); err != nil {
				return nil, fmt.Errorf("rules %s: %s%s: %w", f.name, r.Record, r.Alert, err)
			}
			comment(&groups, i, j, r.about)
		}
	}
	var out bytes.Buffer
	out.WriteString(commented(f.about + "\n\nWritten by dashboards/generate (make dashboards)."))
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&groups); err != nil {
		return nil, fmt.Errorf("rules %s: %w", f.name, err)
	}
	return out.Bytes(), encoder.Close()
}

func (r rule) check() error {
	if (r.Record == "") == (r.Alert == "") {
		return fmt.Errorf("want a series to record or an alert to raise, and not both")
	}
	if r.Alert != "" && (r.Annotations == nil || r.Labels["severity"] == "") {
		return fmt.Errorf("an alert needs a severity and annotations")
	}
	return checkExpr(r.Expr)
}

// comment puts text above rule j of group i of an encoded file.
func comment(file *yaml.Node, i, j int, text string) {
	if text == "" {
		return
	}
	group := file.Content[1].Content[i]
	rules := group.Content[len(group.Content)-1]
	rules.Content[j].HeadComment = strings.TrimSuffix(commented(text), "\n")
}

func commented(text string) string {
	var out strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		out.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	return out.String()
}
