package skew

import (
	"sort"
	"strings"
)

// maxWords bounds what is kept of a node's own words.
const maxWords = 400

// readRefusal splits a NACK's message, "TYPE NAME: reason; TYPE NAME: reason",
// over the resources of the response. A resource that the message does not
// name is absent from the result. Reasons may hold any text, so that the
// response's own names, not punctuation, say where one ends.
func readRefusal(message string, refs []ResourceRef) map[key]string {
	type mention struct {
		start, end int
		of         key
	}
	var found []mention
	for _, ref := range refs {
		if at := mentioned(message, ref.Name); at >= 0 {
			found = append(found, mention{at, at + len(ref.Name) + 1, key{ref.Type, ref.Name}})
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].start < found[j].start })
	reasons := make(map[key]string, len(found))
	for i, m := range found {
		stop := len(message)
		for _, next := range found[i+1:] {
			if next.start < m.end {
				continue // the same name, of another type: both are meant
			}
			stop = next.start
			if semi := strings.LastIndexByte(message[m.end:stop], ';'); semi >= 0 {
				stop = m.end + semi // drops the next one's type word
			}
			break
		}
		reasons[m.of] = words(message[m.end:stop])
	}
	return reasons
}

// mentioned finds "name:" as a word of its own.
func mentioned(message, name string) int {
	if name == "" {
		return -1
	}
	for from := 0; ; {
		i := strings.Index(message[from:], name+":")
		if i < 0 {
			return -1
		}
		i += from
		if i == 0 || strings.IndexByte(" ;,\"'(\n\t", message[i-1]) >= 0 {
			return i
		}
		from = i + 1
	}
}

// words makes a node's message fit for one sentence.
func words(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = strings.TrimRight(s, " ;.")
	if len(s) > maxWords {
		cut := maxWords
		for cut > 0 && s[cut]&0xC0 == 0x80 { // not inside a rune
			cut--
		}
		s = s[:cut] + "…"
	}
	if s == "" {
		s = "no reason given"
	}
	return s
}

// saysUnsupported reports whether a refusal clearly says that the build, not
// the configuration, is at fault.
func saysUnsupported(text string) bool {
	text = strings.ToLower(text)
	if !strings.Contains(text, "build") {
		return false
	}
	return strings.Contains(text, "not supported") || strings.Contains(text, "unsupported") ||
		strings.Contains(text, "does not support")
}
