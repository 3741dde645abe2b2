package route

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Conditions is a set of reasons to try again.
type Conditions uint32

// The conditions, see Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on.
const (
	OnConnectFailure Conditions = 1 << iota
	OnRefusedStream
	OnReset
	OnResetBeforeRequest
	On5xx
	OnGatewayError
	OnRetriable4xx
	OnRetriableStatusCodes
	OnCancelled
	OnDeadlineExceeded
	OnResourceExhausted
	OnUnavailable
	OnInternal
	OnRateLimited
)

// anyGRPC are the conditions on a gRPC status in the response headers.
const anyGRPC = OnCancelled | OnDeadlineExceeded | OnResourceExhausted | OnUnavailable | OnInternal

var conditionNames = map[string]Conditions{
	"connect-failure":        OnConnectFailure,
	"refused-stream":         OnRefusedStream,
	"reset":                  OnReset,
	"reset-before-request":   OnResetBeforeRequest,
	"5xx":                    On5xx,
	"gateway-error":          OnGatewayError,
	"retriable-4xx":          OnRetriable4xx,
	"retriable-status-codes": OnRetriableStatusCodes,
	"cancelled":              OnCancelled,
	"deadline-exceeded":      OnDeadlineExceeded,
	"resource-exhausted":     OnResourceExhausted,
	"unavailable":            OnUnavailable,
	"internal":               OnInternal,
	"envoy-ratelimited":      OnRateLimited,
}

// ParseConditions reads retry_on's words. An unknown word is an error that
// names it.
func ParseConditions(words []string) (Conditions, error) {
	var c Conditions
	for _, w := range words {
		w = strings.TrimSpace(w)
		if w == "" {
			continue
		}
		bit, ok := conditionNames[w]
		if !ok {
			return 0, fmt.Errorf("retry: unknown condition %q", w)
		}
		c |= bit
	}
	return c, nil
}

// Reset is how a try ended when no answer came.
type Reset uint8

// The kinds of reset.
const (
	ResetConnectFailure Reset = iota + 1 // never connected
	ResetRefused                         // the endpoint refused the stream unseen
	ResetRemote                          // the stream or connection broke
	ResetTimeout                         // the per-try timeout
)

// Policy is a Retry in the form that is asked per request.
type Policy struct {
	*Retry
	On Conditions
}

// NewPolicy compiles a retry policy. A nil or empty one never retries.
func NewPolicy(r *Retry) Policy {
	if r == nil {
		return Policy{}
	}
	on, err := ParseConditions(r.On)
	if err != nil {
		return Policy{} // the table's own check has refused it before
	}
	return Policy{Retry: r, On: on}
}

// Enabled reports whether the policy can ever retry.
func (p Policy) Enabled() bool { return p.Retry != nil && p.On != 0 }

// AfterReset says whether a try that got no answer is worth another.
// RequestSent tells that part of the request had gone out.
func (p Policy) AfterReset(kind Reset, requestSent bool) bool {
	switch {
	case p.On&OnReset != 0, p.On&(On5xx|OnGatewayError) != 0:
		// No answer would become a 503, which is both.
		return true
	case p.On&OnResetBeforeRequest != 0 && !requestSent:
		return true
	case kind == ResetConnectFailure:
		return p.On&OnConnectFailure != 0
	case kind == ResetRefused:
		return p.On&OnRefusedStream != 0
	}
	return false
}

// AfterHeaders says whether an answer is worth another try. GRPC is the gRPC
// status in the response's headers (not trailers), or "". Limited tells that
// the answer carries x-envoy-ratelimited.
func (p Policy) AfterHeaders(status int, grpc string, limited bool) bool {
	if limited {
		return p.On&OnRateLimited != 0
	}
	switch {
	case p.On&On5xx != 0 && status >= 500 && status < 600,
		p.On&OnGatewayError != 0 && status >= 502 && status <= 504,
		p.On&OnRetriable4xx != 0 && status == 409,
		p.On&OnRetriableStatusCodes != 0 && slices.Contains(p.StatusCodes, status):
		return true
	}
	if grpc == "" || p.On&anyGRPC == 0 {
		return false
	}
	switch grpc {
	case "1":
		return p.On&OnCancelled != 0
	case "4":
		return p.On&OnDeadlineExceeded != 0
	case "8":
		return p.On&OnResourceExhausted != 0
	case "13":
		return p.On&OnInternal != 0
	case "14":
		return p.On&OnUnavailable != 0
	}
	return false
}

// Backoff is the wait before retry n (from 1): a uniform draw from
// [0, (2^n − 1)·base), never above the maximum. Random is in [0, 1).
func (p Policy) Backoff(n int, random float64) time.Duration {
	base := p.BackoffBase
	if base <= 0 {
		base = 25 * time.Millisecond
	}
	limit := p.BackoffMax
	if limit <= 0 {
		limit = 10 * base
	}
	span := limit
	if n < 16 { // beyond, the limit is long reached and the shift could overflow
		span = min(limit, time.Duration(1<<n-1)*base)
	}
	return time.Duration(random * float64(span))
}
