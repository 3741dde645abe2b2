package policy

import (
	"fmt"
	"regexp"
	"strings"
)

// Kind is how a text is compared.
type Kind uint8

// The kinds of comparison.
const (
	Exact Kind = iota
	Prefix
	Suffix
	Contains
	Regex   // the whole text
	Present // whatever it is
)

// Text is a condition on a text. Make it with NewText.
type Text struct {
	kind   Kind
	value  string
	fold   bool
	regexp *regexp.Regexp
}

// NewText makes a condition; fold leaves upper and lower case alike.
func NewText(kind Kind, value string, fold bool) (Text, error) {
	t := Text{kind: kind, value: value, fold: fold}
	if kind != Regex {
		if fold {
			t.value = strings.ToLower(value)
		}
		return t, nil
	}
	pattern := `\A(?:` + value + `)\z`
	if fold {
		pattern = `(?i)` + pattern
	}
	var err error
	if t.regexp, err = regexp.Compile(pattern); err != nil {
		return t, fmt.Errorf("regular expression %q: %w", value, err)
	}
	return t, nil
}

// Match reports whether the condition holds.
func (t Text) Match(s string) bool {
	if t.kind == Regex {
		return t.regexp.MatchString(s)
	}
	if t.fold {
		s = strings.ToLower(s)
	}
	switch t.kind {
	case Exact:
		return s == t.value
	case Prefix:
		return strings.HasPrefix(s, t.value)
	case Suffix:
		return strings.HasSuffix(s, t.value)
	case Contains:
		return strings.Contains(s, t.value)
	default:
		return true
	}
}

// Template makes a condition of Envoy's URI template: * is one segment, ** any
// number of them.
func Template(pattern string) (Text, error) {
	if !strings.HasPrefix(pattern, "/") {
		return Text{}, fmt.Errorf("path template %q does not begin with /", pattern)
	}
	var b strings.Builder
	for i, segment := range strings.Split(pattern[1:], "/") {
		if i > 0 || segment != "**" {
			b.WriteByte('/')
		}
		switch {
		case segment == "*":
			b.WriteString(`[^/]+`)
		case segment == "**" && i == 0:
			b.WriteString(`/.*`)
		case segment == "**":
			b.WriteString(`.*`)
		case strings.ContainsAny(segment, "*{}"):
			return Text{}, fmt.Errorf("path template %q: %q is neither text, nor * nor **", pattern, segment)
		default:
			b.WriteString(regexp.QuoteMeta(segment))
		}
	}
	return NewText(Regex, b.String(), false)
}
