// Package tap shows requests while they happen, to those who asked.
//
// It is an observer of the proxy's engine and the other end of the server's tap
// sessions:
//
//	forward.Exchange -> filter -> fair sample -> redaction -> batch -> agent stream
//
// The filter is asked when an exchange has ended, so that it may look at the
// status, the time taken and the flags. What matches more often than the
// session's limit is sampled, not first come first served: errors and slow
// exchanges first, then every edge in turn. Credentials and query values never
// leave the sidecar, bodies are never looked at, and every matched event is
// accounted for as delivered, sampled out or dropped.
//
// While no session runs, an exchange costs one atomic load. The package never
// blocks traffic: what does not fit is counted and forgotten.
package tap
