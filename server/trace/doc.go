// Package trace turns a stored trace into one that answers questions: which
// spans the time really went to (critical path, self time), and what is wrong
// with the trace itself (missing parents, clocks that disagree, callees that
// sent nothing). Of many traces it tells who does not pass trace headers on
// (propagation.go), and in what two groups of them differ (compare.go).
//
// It stands between collector/store/traces, whose types it fills in, and
// server/api. It is pure: no I/O, no clock, no logging.
package trace
