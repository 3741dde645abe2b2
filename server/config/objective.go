package config

// Annotations on a ServiceEntry that say what its service is held to. They are
// read by server/app and mean something to server/graph: see docs/health.md.
const (
	AnnotationTolerance    = "sidelight.io/health-tolerance"    // "5xx=1%,5%; 4xx=never"
	AnnotationLatency      = "sidelight.io/health-latency"      // "p95 < 300ms"
	AnnotationAvailability = "sidelight.io/health-availability" // "99.9%"
)
