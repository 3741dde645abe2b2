package receive

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Limits on one span. What is over them is cut off and counted; the span stays.
const (
	maxName       = 1 << 10 // bytes of a name or a key
	maxValue      = 64 << 10
	maxAttributes = 256
	maxEvents     = 256
	maxLinks      = 256
)

// losses counts what was cut off a request's spans.
type losses struct {
	rejected   int // spans without a trace ID or an ID of their own
	attributes int
	events     int
	links      int
	texts      int // shortened, or of invalid UTF-8
	times      int // missing, or past what a timestamp can be
}

// clean brings spans into the bounds that everything behind relies on: each
// has IDs, texts are valid and of bounded length, times can be subtracted.
// arrival stands in for times that are missing.
func clean(td ptrace.Traces, arrival time.Time) losses {
	var l losses
	now := pcommon.NewTimestampFromTime(arrival)
	for _, rs := range td.ResourceSpans().All() {
		l.cleanAttributes(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			l.cleanAttributes(ss.Scope().Attributes())
			ss.Spans().RemoveIf(func(s ptrace.Span) bool {
				if s.TraceID().IsEmpty() || s.SpanID().IsEmpty() {
					l.rejected++
					return true
				}
				l.cleanSpan(s, now)
				return false
			})
		}
	}
	return l
}

func (l *losses) cleanSpan(s ptrace.Span, now pcommon.Timestamp) {
	l.cleanText(s.Name(), maxName, s.SetName)
	l.cleanText(s.Status().Message(), maxValue, s.Status().SetMessage)
	l.cleanText(s.TraceState().AsRaw(), maxName, s.TraceState().FromRaw)
	start, end := s.StartTimestamp(), s.EndTimestamp()
	if bad(start) {
		l.times++
		if start = now; !bad(end) {
			start = min(now, end)
		}
		s.SetStartTimestamp(start)
	}
	if bad(end) {
		l.times++
		s.SetEndTimestamp(start)
	}
	l.cleanAttributes(s.Attributes())
	l.events += cut(s.Events().Len(), maxEvents)
	n := 0
	s.Events().RemoveIf(func(ptrace.SpanEvent) bool { n++; return n > maxEvents })
	for _, e := range s.Events().All() {
		l.cleanText(e.Name(), maxName, e.SetName)
		l.cleanAttributes(e.Attributes())
		if bad(e.Timestamp()) {
			l.times++
			e.SetTimestamp(start)
		}
	}
	l.links += cut(s.Links().Len(), maxLinks)
	n = 0
	s.Links().RemoveIf(func(ptrace.SpanLink) bool { n++; return n > maxLinks })
	for _, link := range s.Links().All() {
		l.cleanAttributes(link.Attributes())
	}
}

func cut(n, limit int) int { return max(0, n-limit) }

// bad tells a time that is missing or cannot be one of Go's nanoseconds.
func bad(t pcommon.Timestamp) bool { return t == 0 || t > math.MaxInt64 }

func (l *losses) cleanAttributes(m pcommon.Map) {
	l.attributes += cut(m.Len(), maxAttributes)
	n := 0
	m.RemoveIf(func(key string, v pcommon.Value) bool {
		if n++; n > maxAttributes || len(key) > maxName || !utf8.ValidString(key) {
			if n <= maxAttributes {
				l.attributes++
			}
			return true
		}
		switch v.Type() {
		case pcommon.ValueTypeStr:
			l.cleanText(v.Str(), maxValue, v.SetStr)
		case pcommon.ValueTypeMap, pcommon.ValueTypeSlice, pcommon.ValueTypeBytes:
			// As text, which is how everything behind reads it; as such it is bounded.
			l.cleanText(v.AsString(), maxValue, v.SetStr)
			if v.Type() != pcommon.ValueTypeStr {
				v.SetStr(v.AsString())
			}
		}
		return false
	})
}

// cleanText sets a text anew if it is too long or not valid.
func (l *losses) cleanText(text string, limit int, set func(string)) {
	if len(text) <= limit && utf8.ValidString(text) {
		return
	}
	l.texts++
	if len(text) > limit {
		text = text[:limit]
	}
	set(strings.ToValidUTF8(text, "\uFFFD"))
}
