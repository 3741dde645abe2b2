package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"
)

// The states of an alert.
const (
	Pending  = "pending"  // true for less than the rule's "for"
	Firing   = "firing"   // told to receivers
	Resolved = "resolved" // was firing, is over
)

// View is all that is known of alerts at one time.
type View struct {
	At        time.Time  `json:"at"`
	Counts    Counts     `json:"counts"`
	Alerts    []Alert    `json:"alerts"` // firing before pending, critical first, then the oldest
	Past      []Alert    `json:"past"`   // resolved, the newest first, bounded
	Rules     []Rule     `json:"rules"`
	Receivers []Receiver `json:"receivers"`
	Problems  []string   `json:"problems"` // rule files that could not be read
}

// Counts counts active alerts.
type Counts struct {
	Firing   int `json:"firing"`
	Critical int `json:"critical"` // of those that fire
	Pending  int `json:"pending"`
}

// Alert is one alert.
type Alert struct {
	ID          string            `json:"id"` // the same for the same labels
	Rule        string            `json:"rule"`
	Group       string            `json:"group"`
	State       string            `json:"state"`
	Severity    string            `json:"severity"` // label "severity": critical | warning | info | as the rule says
	Summary     string            `json:"summary"`
	Description string            `json:"description"`
	Runbook     string            `json:"runbook,omitempty"`
	Detail      string            `json:"detail,omitempty"` // what is known of it now, beyond what the rule says
	About       *About            `json:"about"`            // what it speaks of; null: nothing that has a page
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Value       float64           `json:"value"`
	ActiveAt    time.Time         `json:"active_at"`
	FiredAt     time.Time         `json:"fired_at,omitzero"`
	ResolvedAt  time.Time         `json:"resolved_at,omitzero"`
}

// About names a thing of the mesh.
type About struct {
	Kind string `json:"kind"` // node | edge | service | workload | config
	ID   string `json:"id"`   // as the API knows it; "source -> target" of an edge
}

// Rule is how an alerting rule stands.
type Rule struct {
	Name        string    `json:"name"`
	Group       string    `json:"group"`
	File        string    `json:"file"`
	Query       string    `json:"query"`
	ForS        float64   `json:"for_s"`
	Severity    string    `json:"severity"`
	State       string    `json:"state"` // inactive | pending | firing
	Error       string    `json:"error,omitempty"`
	EvaluatedAt time.Time `json:"evaluated_at"`
}

// about finds what an alert speaks of by its labels.
func about(labels map[string]string) *About {
	first := func(names ...string) string {
		for _, n := range names {
			if v := labels[n]; v != "" && v != "unknown" {
				return v
			}
		}
		return ""
	}
	workload := func(name, namespace string) string {
		if labels[name] == "" || labels[name] == "unknown" || labels[namespace] == "" {
			return ""
		}
		return labels[namespace] + "/" + labels[name]
	}
	source := workload("source_workload", "source_workload_namespace")
	target := workload("destination_workload", "destination_workload_namespace")
	switch {
	case first("node") != "":
		return &About{"node", first("node")}
	case source != "" && target != "":
		return &About{"edge", source + " -> " + target}
	case first("service", "destination_service") != "":
		return &About{"service", first("service", "destination_service")}
	case target != "":
		return &About{"workload", target}
	case source != "":
		return &About{"workload", source}
	case workload("workload", "namespace") != "":
		return &About{"workload", workload("workload", "namespace")}
	case first("revision", "object") != "":
		return &About{"config", first("object", "revision")}
	}
	return nil
}

// identity names an alert by all its labels, as the engine does.
func identity(labels map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		h.Write([]byte(name + "\xff" + labels[name] + "\xff"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// severities orders the usual severities; others come between warning and info.
func severityRank(s string) int {
	switch s {
	case "critical", "page":
		return 0
	case "warning":
		return 1
	case "info", "none":
		return 3
	}
	return 2
}
