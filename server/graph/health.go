package graph

import "time"

// HealthState is how well a node or edge does.
type HealthState string

// The health states.
const (
	OK          HealthState = "ok"
	Warn        HealthState = "warn"
	Fail        HealthState = "fail"
	Idle        HealthState = "idle"    // no traffic in the window
	UnknownData HealthState = "unknown" // no data
)

// Severity orders health states: more is worse.
func (s HealthState) Severity() int {
	switch s {
	case Fail:
		return 4
	case Warn:
		return 3
	case UnknownData:
		return 2
	case OK:
		return 1
	}
	return 0
}

// Health is a state with its reasons, worst first. It is never without one
// when it is warn, fail or unknown.
type Health struct {
	State   HealthState `json:"state"`
	Reasons []Reason    `json:"reasons"`
}

// Reason says in a plain sentence what is wrong.
type Reason struct {
	Code  string    `json:"code"` // 5xx, 4xx, no_response, grpc, tcp, config, no_data, sides_differ
	Text  string    `json:"text"`
	Since time.Time `json:"since,omitzero"`
}
