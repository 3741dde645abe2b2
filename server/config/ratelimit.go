package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AnnotationRateLimit limits the rate of requests: on a VirtualService, those
// that each caller's sidecar sends by its routes; on a ServiceEntry, those that
// each instance's sidecar lets in. Istio has no field for it, and passes over
// annotations that it does not know.
const AnnotationRateLimit = "sidelight.io/local-rate-limit"

// RateLimit is a rate as the annotation gives it.
type RateLimit struct {
	Route    string // name of the route; "" = all that have none of their own
	Requests uint32
	Per      time.Duration
	Burst    uint32 // requests at once after a quiet time
	Headers  bool   // tell clients what is left
}

// rateUnits are the words for a limit's time.
var rateUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// ParseRateLimits reads "100/s", "100/s burst 200 headers", "buy=5/m, 100/s".
func ParseRateLimits(text string) ([]RateLimit, error) {
	var list []RateLimit
	for part := range strings.SplitSeq(text, ",") {
		l, err := parseRateLimit(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(o RateLimit) bool { return o.Route == l.Route }) {
			return nil, fmt.Errorf("two limits for the same route, the second is %q", part)
		}
		list = append(list, l)
	}
	return list, nil
}

func parseRateLimit(text string) (RateLimit, error) {
	var l RateLimit
	rate := text
	if name, rest, ok := strings.Cut(text, "="); ok {
		if l.Route, rate = strings.TrimSpace(name), strings.TrimSpace(rest); l.Route == "" {
			return l, fmt.Errorf("%q names no route before the =", text)
		}
	}
	words := strings.Fields(rate)
	if len(words) == 0 {
		return l, fmt.Errorf("%q has no rate; write one as 100/s", text)
	}
	count, unit, _ := strings.Cut(words[0], "/")
	requests, err := strconv.ParseUint(count, 10, 31)
	if err != nil || requests == 0 {
		return l, fmt.Errorf("%q is no rate; write one as 100/s", words[0])
	}
	l.Requests, l.Burst = uint32(requests), uint32(requests)
	if l.Per = rateUnits[unit]; l.Per == 0 {
		if l.Per, err = time.ParseDuration(unit); err != nil || l.Per < 50*time.Millisecond || l.Per > 24*time.Hour {
			return l, fmt.Errorf("%q: the time is s, m, h or a duration from 50ms to 24h, as in 100/s or 5/10s", words[0])
		}
	}
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "headers":
			l.Headers = true
		case "burst":
			i++
			if i < len(words) {
				requests, err = strconv.ParseUint(words[i], 10, 31)
			}
			if i == len(words) || err != nil || requests == 0 {
				return l, fmt.Errorf("%q: burst takes a number above 0", text)
			}
			l.Burst = uint32(requests)
		default:
			return l, fmt.Errorf("%q: unknown word %q, there are burst N and headers", text, words[i])
		}
	}
	return l, nil
}

// RateLimit gives the object's limit for a route, "" being the one for all.
func (o *Object) RateLimit(route string) (RateLimit, bool) {
	text, ok := o.Annotations[AnnotationRateLimit]
	if !ok {
		return RateLimit{}, false
	}
	list, _ := ParseRateLimits(text) // validated
	if i := slices.IndexFunc(list, func(l RateLimit) bool { return l.Route == route }); i >= 0 {
		return list[i], true
	}
	return RateLimit{}, false
}

// rateLimit checks the annotation.
func (c *checker) rateLimit() {
	text, ok := c.object.Annotations[AnnotationRateLimit]
	if !ok {
		return
	}
	path := "metadata.annotations[" + AnnotationRateLimit + "]"
	vs := c.object.VirtualService()
	if vs == nil && c.object.ServiceEntry() == nil {
		c.warnf(CodeNoEffect, path, "put it on a VirtualService or a ServiceEntry", "%s has no effect on a %s", path, c.object.Kind)
		return
	}
	list, err := ParseRateLimits(text)
	if err != nil {
		c.errorf(CodeValue, path, `as "100/s", "100/s burst 200 headers" or "buy=5/m, 100/s"`, "%s: %v", path, err)
		return
	}
	for _, l := range list {
		if l.Route == "" {
			continue
		}
		if vs == nil {
			c.errorf(CodeValue, path, "give one limit for all of its requests", "%s: a service has no route %q", path, l.Route)
			continue
		}
		var names []string
		for _, r := range vs.Http {
			names = append(names, r.Name)
		}
		if !slices.Contains(names, l.Route) {
			hint := "give the route this name"
			if near := nearest(l.Route, names); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			c.errorf(CodeValue, path, hint, "%s: no http route is named %q", path, l.Route)
		}
	}
}
