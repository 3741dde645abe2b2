package skew

// State says how a node, or one of its resources, stands to what is desired.
type State string

// The states. How long a thing may be in flight or slow is set by Options.
const (
	Synced         State = "synced"          // runs what it should
	InFlight       State = "in-flight"       // a change is on its way, within the usual time
	Slow           State = "slow"            // the change takes longer than usual
	Stale          State = "stale"           // the change did not arrive in time, though the stream is up
	Rejected       State = "rejected"        // the node refused the change; what it had runs on
	Disconnected   State = "disconnected"    // was here, has no stream now
	NeverConnected State = "never-connected" // known from elsewhere, has never had a stream
	Drifted        State = "drifted"         // acknowledged one version and says that it runs another
	Unsupported    State = "unsupported"     // refused because its build cannot do it
)

// States lists all states, worst first.
func States() []State {
	return []State{Rejected, Drifted, Stale, Unsupported, Disconnected, NeverConnected, Slow, InFlight, Synced}
}

// Severity orders states: 0 for synced, more for worse.
func (s State) Severity() int {
	switch s {
	case Synced:
		return 0
	case InFlight:
		return 1
	case Slow:
		return 2
	case NeverConnected:
		return 3
	case Disconnected:
		return 4
	case Unsupported:
		return 5
	case Stale:
		return 6
	case Drifted:
		return 7
	case Rejected:
		return 8
	}
	return 9
}
