package expr

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type (
	anyOf    []node
	allOf    []node
	negation struct{ operand node }

	presence struct {
		field int
		kind  Kind
	}
	numberIs struct {
		field      int
		low, high  float64 // low <= value < high, for a class of codes
		op         string
		comparable float64
	}
	boolIs struct {
		field int
		want  bool
	}
	textIs struct {
		field   int
		holds   func(text, want string) bool
		want    string
		pattern *regexp.Regexp
		negate  bool
	}
	wordIn struct {
		fields []int
		word   string
	}
)

func (n anyOf) match(f func(int) Value) bool {
	return slices.ContainsFunc(n, func(m node) bool { return m.match(f) })
}

func (n allOf) match(f func(int) Value) bool {
	for _, m := range n {
		if !m.match(f) {
			return false
		}
	}
	return true
}

func (n negation) match(f func(int) Value) bool { return !n.operand.match(f) }

func (n presence) match(f func(int) Value) bool {
	v := f(n.field)
	switch n.kind {
	case Number:
		return v.Num != 0 && !math.IsNaN(v.Num)
	case Bool:
		return v.Bool
	default:
		return v.Text != "" || len(v.List) > 0
	}
}

func (n numberIs) match(f func(int) Value) bool {
	v := f(n.field).Num
	switch n.op {
	case "=":
		return v >= n.low && v < n.high
	case "!=":
		return v < n.low || v >= n.high
	case "<":
		return v < n.comparable
	case "<=":
		return v <= n.comparable
	case ">":
		return v > n.comparable
	default:
		return v >= n.comparable
	}
}

func (n boolIs) match(f func(int) Value) bool { return f(n.field).Bool == n.want }

func (n textIs) match(f func(int) Value) bool {
	v := f(n.field)
	found := n.one(v.Text)
	for i := 0; !found && i < len(v.List); i++ {
		found = n.one(v.List[i])
	}
	return found != n.negate
}

func (n textIs) one(text string) bool {
	if n.pattern != nil {
		return n.pattern.MatchString(text)
	}
	return n.holds(text, n.want)
}

func (n wordIn) match(f func(int) Value) bool {
	for _, i := range n.fields {
		v := f(i)
		if contains(v.Text, n.word) || slices.ContainsFunc(v.List, func(s string) bool { return contains(s, n.word) }) {
			return true
		}
	}
	return false
}

// number parses the value of a numeric field. The unit may stand apart, as in
// "2 %": then it is the next token, which is used up too.
func (p *parser) number(index int, field Field, op, val token) (node, *SyntaxError) {
	if !slices.Contains([]string{"=", "!=", "<", "<=", ">", ">="}, op.text) {
		return nil, &SyntaxError{Pos: op.pos, End: op.end, Msg: fmt.Sprintf("%q compares text, and %q is a number", op.text, field.Name), Hint: "use = != < <= > >="}
	}
	text := val.text
	digits := len(text)
	for digits > 0 && (text[digits-1] < '0' || text[digits-1] > '9') && text[digits-1] != '.' {
		digits--
	}
	unit := text[digits:]
	if unit == "" {
		if apart, err := next(p.src, val.end); err == nil && apart.kind == tokWord && scale(field.Unit, apart.text) != 0 {
			unit, p.tok = apart.text, apart
		}
	}
	if field.Unit == Code && strings.EqualFold(unit, "xx") && len(text) == 3 && (op.text == "=" || op.text == "!=") {
		class, err := strconv.Atoi(text[:digits])
		if err == nil {
			return numberIs{field: index, op: op.text, low: float64(class * 100), high: float64(class*100 + 100)}, nil
		}
	}
	n, err := strconv.ParseFloat(text[:digits], 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return nil, &SyntaxError{Pos: val.pos, End: val.end, Msg: fmt.Sprintf("%q is not a number", text), Hint: fmt.Sprintf("write %s %s %s", field.Name, op.text, sample(field.Unit))}
	}
	factor := scale(field.Unit, unit)
	if factor == 0 {
		return nil, &SyntaxError{Pos: p.tok.pos, End: p.tok.end, Msg: fmt.Sprintf("%q is no unit of %q", unit, field.Name), Hint: "write " + sample(field.Unit)}
	}
	if field.Unit == Ratio && unit == "" && n > 1 {
		return nil, &SyntaxError{Pos: val.pos, End: val.end, Msg: fmt.Sprintf("a ratio is at most 1, not %s", text), Hint: fmt.Sprintf("write %s%% for percent", text)}
	}
	n *= factor
	return numberIs{field: index, op: op.text, low: n, high: math.Nextafter(n, math.Inf(1)), comparable: n}, nil
}

// scale gives the factor from a written unit to the field's own, 0 when it is
// not a unit of that kind.
func scale(unit Unit, written string) float64 {
	if written == "" {
		return 1
	}
	return scales[unit][strings.ToLower(written)]
}

var scales = map[Unit]map[string]float64{
	Millis: {"us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1e3, "m": 60e3, "min": 60e3, "h": 3600e3},
	Ratio:  {"%": 0.01},
	Bytes:  {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30},
	Plain:  {"/s": 1, "rps": 1},
}

func sample(unit Unit) string {
	return [...]string{Plain: "12", Millis: "250ms", Ratio: "2%", Bytes: "3kB", Code: "503 or 5xx"}[unit]
}

func boolean(index int, field Field, op, val token) (node, *SyntaxError) {
	want, err := strconv.ParseBool(strings.ToLower(val.text))
	switch strings.ToLower(val.text) {
	case "yes":
		want, err = true, nil
	case "no":
		want, err = false, nil
	}
	if err != nil {
		return nil, &SyntaxError{Pos: val.pos, End: val.end, Msg: fmt.Sprintf("%q is neither true nor false", val.text)}
	}
	switch op.text {
	case "=":
		return boolIs{index, want}, nil
	case "!=":
		return boolIs{index, !want}, nil
	}
	return nil, &SyntaxError{Pos: op.pos, End: op.end, Msg: fmt.Sprintf("%q does not apply to %q, which is true or false", op.text, field.Name), Hint: "use = or !="}
}

func text(index int, field Field, op, val token) (node, *SyntaxError) {
	n := textIs{field: index, want: val.text}
	switch op.text {
	case "=":
		n.holds = strings.EqualFold
	case "!=":
		n.holds, n.negate = strings.EqualFold, true
	case "^=":
		n.holds = hasPrefix
	case "$=":
		n.holds = hasSuffix
	case "*=":
		n.holds = contains
	case "~":
		pattern, err := regexp.Compile("(?i)" + val.text)
		if err != nil {
			return nil, &SyntaxError{Pos: val.pos, End: val.end, Msg: "this is no regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
		}
		n.pattern = pattern
	default:
		return nil, &SyntaxError{Pos: op.pos, End: op.end, Msg: fmt.Sprintf("%q compares numbers, and %q is text", op.text, field.Name), Hint: "use = != ^= $= *= ~"}
	}
	return n, nil
}

// The comparisons fold ASCII case in place: nothing is allocated per match.

func hasPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && equalASCII(s[:len(prefix)], prefix)
}

func hasSuffix(s, suffix string) bool {
	return len(s) >= len(suffix) && equalASCII(s[len(s)-len(suffix):], suffix)
}

func contains(s, part string) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if equalASCII(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

func equalASCII(a, b string) bool {
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
