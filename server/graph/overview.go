package graph

// NamespaceSummary is one namespace in the overview.
type NamespaceSummary struct {
	Name       string  `json:"name"`
	Health     Health  `json:"health"`
	Workloads  int     `json:"workloads"`
	Meshed     int     `json:"meshed"`
	RPS        float64 `json:"rps"`
	ErrorRatio float64 `json:"error_ratio"`
}

// ServiceSummary is one service in the overview.
type ServiceSummary struct {
	ID         string    `json:"id"`
	Namespace  string    `json:"namespace"`
	Name       string    `json:"name"`
	Health     Health    `json:"health"`
	RPS        float64   `json:"rps"`
	ErrorRatio float64   `json:"error_ratio"`
	P95MS      *float64  `json:"p95_ms"`
	RPSSeries  []float64 `json:"rps_series"`
}

// Coverage says which workloads have no sidecar.
type Coverage struct {
	Workloads int      `json:"workloads"`
	Meshed    int      `json:"meshed"`
	Unmeshed  []string `json:"unmeshed"` // IDs
}

// Finding is one sentence about what is wrong.
type Finding struct {
	Severity HealthState `json:"severity"`
	Text     string      `json:"text"`
	Link     string      `json:"link"` // a path in the UI
}

// Namespaces sums a workload view up, worst first.
func Namespaces(workloads View) []NamespaceSummary { return []NamespaceSummary{} }

// Services lists the services of a service view, failing first.
func Services(services View) []ServiceSummary { return []ServiceSummary{} }

// ErrorEdges gives the n edges with most errors a second.
func ErrorEdges(workloads View, n int) []Edge { return []Edge{} }

// CoverageOf counts the workloads of a workload view.
func CoverageOf(workloads View) Coverage { return Coverage{Unmeshed: []string{}} }

// Findings puts what is wrong in a workload view into sentences, worst first.
func Findings(workloads View) []Finding { return []Finding{} }
