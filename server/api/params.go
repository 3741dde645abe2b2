package api

import (
	"fmt"
	"math"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

// params reads a request's query strictly: what is not declared, or is given
// twice, or is not of its type, is an error. The first error stays in err.
type params struct {
	values url.Values
	err    error
}

// query declares the parameters that a request may have.
func query(c echo.Context, known ...string) *params {
	p := &params{}
	values, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err != nil {
		p.fail("", "the query cannot be read: %v", err)
		return p
	}
	p.values = values
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !slices.Contains(known, name) {
			p.fail(didYouMean(name, known), "unknown parameter %q", name)
		} else if len(values[name]) > 1 && name != "tag" && name != "header" {
			p.fail("Give it once.", "parameter %q is given %d times", name, len(values[name]))
		}
	}
	return p
}

func (p *params) fail(hintText, format string, args ...any) {
	if p.err != nil {
		return
	}
	p.err = fmt.Errorf("%w: %w", fmt.Errorf(format, args...), mesh.ErrInvalid)
	if hintText != "" {
		p.err = hint(hintText, p.err)
	}
}

func (p *params) text(name string) string { return p.values.Get(name) }

// list reads "a,b"; empty elements are left out.
func (p *params) list(name string) []string {
	var all []string
	for part := range strings.SplitSeq(p.values.Get(name), ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (p *params) duration(name string, otherwise, least, most time.Duration) time.Duration {
	text := p.values.Get(name)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		p.fail("Write it like 30s, 5m or 1h.", "parameter %q is %q, not a duration", name, text)
	case d < least || d > most:
		p.fail("", "parameter %q is %s, must be %s to %s", name, text, shortDuration(least), shortDuration(most))
	}
	return d
}

func (p *params) moment(name string, otherwise time.Time) time.Time {
	text := p.values.Get(name)
	if text == "" {
		return otherwise
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		p.fail("Write it like 2026-01-02T15:04:05Z.", "parameter %q is %q, not an RFC 3339 time", name, text)
	}
	return t
}

func (p *params) number(name string, otherwise, least, most int) int {
	text := p.values.Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		p.fail("", "parameter %q is %q, not a whole number", name, text)
	case n < least || n > most:
		p.fail("", "parameter %q is %s, must be %d to %d", name, text, least, most)
	}
	return n
}

// revision reads the number of a revision, from 1.
func (p *params) revision(name string, otherwise uint64) uint64 {
	text := p.values.Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		p.fail("GET /api/v1/config/revisions lists them.", "parameter %q is %q, not the number of a revision", name, text)
	}
	return n
}

// millis reads milliseconds, with fractions.
func (p *params) millis(name string) time.Duration {
	text := p.values.Get(name)
	if text == "" {
		return 0
	}
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(ms) || ms < 0 || ms > 1e12 {
		p.fail("Write milliseconds as a plain number: 250 or 0.5.", "parameter %q is %q, not a number of milliseconds", name, text)
		return 0
	}
	return time.Duration(ms * float64(time.Millisecond))
}

func (p *params) flag(name string) bool {
	text := p.values.Get(name)
	if text == "" {
		return false
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		p.fail("Write true or false.", "parameter %q is %q, not a truth value", name, text)
	}
	return b
}

// pairs reads a repeated "key=value".
func (p *params) pairs(name string) map[string]string {
	var all map[string]string
	for _, text := range p.values[name] {
		k, v, ok := strings.Cut(text, "=")
		if !ok || k == "" {
			p.fail("Write it like tag=http.request.method=GET.", "parameter %q is %q, not key=value", name, text)
			return nil
		}
		if all == nil {
			all = map[string]string{}
		}
		all[k] = v
	}
	return all
}

func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// didYouMean names the nearest of the known names, or all of them.
func didYouMean(name string, known []string) string {
	best, distance := "", min(len(name)/2+1, expr.MaxDistance)
	for _, k := range known {
		if d := expr.Distance(strings.ToLower(name), k); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("Did you mean %q?", best)
	case len(known) == 0:
		return "There are none here."
	}
	return "There are " + strings.Join(known, ", ") + "."
}

// jsonKind names a Go type as JSON does.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "string"
	case reflect.Slice:
		return "list"
	}
	return "number"
}
