package route

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// overrideHeaders are the headers by which a client changes, for one request,
// what its route says. They are for the proxy next to it and go no further.
var overrideHeaders = [...]string{
	headerTimeout, headerPerTry, headerMaxRetries, headerRetryOn, headerRetryGRPCOn, headerRetriableCodes,
}

const (
	headerTimeout        = "X-Envoy-Upstream-Rq-Timeout-Ms"
	headerPerTry         = "X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms"
	headerMaxRetries     = "X-Envoy-Max-Retries"
	headerRetryOn        = "X-Envoy-Retry-On"
	headerRetryGRPCOn    = "X-Envoy-Retry-Grpc-On"
	headerRetriableCodes = "X-Envoy-Retriable-Status-Codes"
	headerGRPCTimeout    = "Grpc-Timeout"
)

// For gives how to forward one request: as the route says, but for what its
// client asks by Envoy's headers, which are taken out of h, and for the deadline
// that a gRPC client has set. What a header says that cannot be read is passed
// over, as Envoy does. H is the request's own copy.
func (f *Forward) For(h Header, grpc bool) *Forward {
	if !overridden(h) && (!grpc || f.MaxGRPC == nil || len(h[headerGRPCTimeout]) == 0) {
		return f
	}
	own := *f
	if grpc && f.MaxGRPC != nil {
		own.Timeout = grpcTimeout(value(h, headerGRPCTimeout))
		if most := *f.MaxGRPC; most > 0 && (own.Timeout == 0 || own.Timeout > most) {
			own.Timeout = most
		}
	}
	if d, ok := millis(value(h, headerTimeout)); ok {
		own.Timeout = d
	}
	own.policy = f.policy.with(h)
	DropOverrides(h)
	return &own
}

// DropOverrides takes the headers out that a stranger must not use.
func DropOverrides(h Header) {
	for _, name := range overrideHeaders {
		delete(h, name)
	}
}

func overridden(h Header) bool {
	for _, name := range overrideHeaders {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}

// with adds the conditions that a client asks for to those of the policy.
func (p Policy) with(h Header) Policy {
	r := Retry{Num: 1}
	if p.Retry != nil {
		r = *p.Retry
	}
	on := p.On
	for _, list := range []string{value(h, headerRetryOn), value(h, headerRetryGRPCOn)} {
		for word := range strings.SplitSeq(list, ",") {
			on |= conditionNames[strings.TrimSpace(word)]
		}
	}
	if n, err := strconv.ParseUint(value(h, headerMaxRetries), 10, 31); err == nil {
		r.Num = uint32(n)
	}
	if d, ok := millis(value(h, headerPerTry)); ok {
		r.PerTry = d
	}
	if text := value(h, headerRetriableCodes); text != "" {
		r.StatusCodes = nil
		for code := range strings.SplitSeq(text, ",") {
			if n, err := strconv.Atoi(strings.TrimSpace(code)); err == nil {
				r.StatusCodes = append(r.StatusCodes, n)
			}
		}
	}
	return Policy{Retry: &r, On: on}
}

func value(h Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func millis(text string) (time.Duration, bool) {
	n, err := strconv.ParseUint(text, 10, 40)
	return time.Duration(n) * time.Millisecond, err == nil
}

// grpcTimeout reads gRPC's deadline: up to eight digits and a unit. 0 means none.
func grpcTimeout(text string) time.Duration {
	if len(text) < 2 || len(text) > 9 {
		return 0
	}
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if err != nil {
		return 0
	}
	unit, ok := map[byte]time.Duration{
		'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
	}[text[len(text)-1]]
	if !ok {
		return 0
	}
	if d := time.Duration(n); d <= math.MaxInt64/unit {
		return max(d*unit, 1)
	}
	return math.MaxInt64
}
