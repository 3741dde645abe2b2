package metrics

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/rules"
)

// The shapes of Prometheus' /api/v1/rules and /api/v1/alerts, with every field
// that Grafana's list of alert rules reads.

type apiGroup struct {
	Name           string    `json:"name"`
	File           string    `json:"file"`
	Rules          []apiRule `json:"rules"`
	Interval       float64   `json:"interval"` // s
	Limit          int       `json:"limit"`
	EvaluationTime float64   `json:"evaluationTime"` // s
	LastEvaluation time.Time `json:"lastEvaluation"`
}

type apiRule struct {
	State          string            `json:"state,omitempty"` // of alerts: firing | pending | inactive
	Name           string            `json:"name"`
	Query          string            `json:"query"`
	Duration       *float64          `json:"duration,omitempty"` // s
	KeepFiringFor  *float64          `json:"keepFiringFor,omitempty"`
	Labels         map[string]string `json:"labels"`
	Annotations    map[string]string `json:"annotations,omitempty"`
	Alerts         []apiAlert        `json:"alerts,omitempty"`
	Health         string            `json:"health"`
	LastError      string            `json:"lastError,omitempty"`
	EvaluationTime float64           `json:"evaluationTime"`
	LastEvaluation time.Time         `json:"lastEvaluation"`
	Type           string            `json:"type"` // alerting | recording
}

type apiAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	ActiveAt    time.Time         `json:"activeAt"`
	Value       string            `json:"value"`
}

// ruleGroups lists the rules that are evaluated over this store: none where
// nobody does. Of a file, group, name or type that is asked for, only those.
func (s *Store) ruleGroups(r *http.Request) (answer, error) {
	kind := r.FormValue("type")
	switch kind {
	case "", "alert", "record":
	default:
		return answer{}, badParam("type", fmt.Errorf("not supported value %q", kind))
	}
	bare, err := boolParam(r, "exclude_alerts")
	if err != nil {
		return answer{}, err
	}
	wanted := func(param, value string) bool {
		return len(r.Form[param]) == 0 || slices.Contains(r.Form[param], value)
	}
	filtered := kind != "" || len(r.Form["rule_name[]"]) > 0
	groups := []apiGroup{}
	for _, g := range s.evaluated() {
		if !wanted("file[]", g.File()) || !wanted("rule_group[]", g.Name()) {
			continue
		}
		out := apiGroup{
			Name: g.Name(), File: g.File(), Interval: g.Interval().Seconds(), Limit: g.Limit(), Rules: []apiRule{},
			EvaluationTime: g.GetEvaluationTime().Seconds(), LastEvaluation: g.GetLastEvaluation(),
		}
		for _, rule := range g.Rules() {
			shown := apiRuleOf(rule)
			if kind != "" && shown.Type != kind+"ing" || !wanted("rule_name[]", shown.Name) {
				continue
			}
			if bare {
				shown.Alerts = nil
			}
			out.Rules = append(out.Rules, shown)
		}
		if !filtered || len(out.Rules) > 0 {
			groups = append(groups, out)
		}
	}
	return jsonAnswer(map[string]any{"groups": groups})
}

// alerts lists what is pending or fires.
func (s *Store) alerts(*http.Request) (answer, error) {
	all := []apiAlert{}
	for _, g := range s.evaluated() {
		for _, rule := range g.AlertingRules() {
			all = append(all, apiAlertsOf(rule)...)
		}
	}
	return jsonAnswer(map[string]any{"alerts": all})
}

func (s *Store) evaluated() []*rules.Group {
	if r := s.rules.Load(); r != nil {
		return r.manager.RuleGroups()
	}
	return nil
}

func apiRuleOf(rule rules.Rule) apiRule {
	out := apiRule{
		Name: rule.Name(), Query: rule.Query().String(), Labels: rule.Labels().Map(), Health: string(rule.Health()),
		EvaluationTime: rule.GetEvaluationDuration().Seconds(), LastEvaluation: rule.GetEvaluationTimestamp(), Type: "recording",
	}
	if err := rule.LastError(); err != nil {
		out.LastError = err.Error()
	}
	if a, ok := rule.(*rules.AlertingRule); ok {
		out.Type, out.State = "alerting", a.State().String()
		out.Duration, out.KeepFiringFor = new(a.HoldDuration().Seconds()), new(a.KeepFiringFor().Seconds())
		out.Annotations, out.Alerts = a.Annotations().Map(), apiAlertsOf(a)
	}
	return out
}

func apiAlertsOf(rule *rules.AlertingRule) []apiAlert {
	var out []apiAlert
	for _, a := range rule.ActiveAlerts() {
		out = append(out, apiAlert{
			Labels: a.Labels.Map(), Annotations: a.Annotations.Map(), State: a.State.String(),
			ActiveAt: a.ActiveAt, Value: strconv.FormatFloat(a.Value, 'e', -1, 64),
		})
	}
	return out
}
