package mesh

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxHeaders     = 64
	maxHeaderName  = 128
	maxHeaderValue = 1024
	maxTarget      = 2048
)

// secretHeaders are never shown, nor is a header whose name holds one of
// secretWords.
var (
	secretHeaders = []string{"authorization", "cookie", "proxy-authorization", "set-cookie", "x-forwarded-client-cert"}
	secretWords   = []string{"api-key", "apikey", "auth", "credential", "csrf", "jwt", "passw", "secret", "session", "signature", "token"}
	// targetHeaders hold paths or addresses, whose queries are hashed.
	targetHeaders = []string{"content-location", "location", "referer", "x-envoy-original-path", "x-original-url", "x-rewrite-url"}
)

// RedactHeaders copies header fields for a viewer of tapped requests, sorted by
// name. Values that may be secrets are left out, with their length; also are
// names of others to leave out, in lower case.
func RedactHeaders(headers map[string][]string, also []string) []Header {
	if len(headers) == 0 {
		return nil
	}
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []Header
	for _, name := range names {
		for _, value := range headers[name] {
			if len(out) == maxHeaders {
				return out
			}
			out = append(out, RedactHeader(name, value, also))
		}
	}
	return out
}

// RedactHeader is RedactHeaders for one value.
func RedactHeader(name, value string, also []string) Header {
	name = Shorten(strings.ToLower(name), maxHeaderName)
	switch {
	case SecretHeader(name) || slices.Contains(also, name):
		return Header{Name: name, Redacted: true, Bytes: len(value)}
	case slices.Contains(targetHeaders, name):
		return Header{Name: name, Value: RedactTarget(value)}
	default:
		return Header{Name: name, Value: Shorten(value, maxHeaderValue)}
	}
}

// SecretHeader tells whether a header field, its name in lower case, is never
// shown to a viewer.
func SecretHeader(name string) bool {
	return slices.Contains(secretHeaders, name) || slices.ContainsFunc(secretWords, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// RedactTarget hashes the values of a path's or address's query, and drops a
// password from an address. Equal values give equal hashes, here and at other
// sidecars, so that one order can be followed without knowing it. A part
// without a name may be the secret itself and is hashed too.
func RedactTarget(target string) string {
	target, _, _ = strings.Cut(target, "#")
	target = withoutUser(target)
	path, query, found := strings.Cut(target, "?")
	if !found || query == "" {
		return Shorten(target, maxTarget)
	}
	var b strings.Builder
	b.WriteString(Shorten(path, maxTarget))
	separator := byte('?')
	for part := range strings.SplitSeq(query, "&") {
		if b.Len() > maxTarget {
			b.WriteString("&…")
			break
		}
		b.WriteByte(separator)
		separator = '&'
		name, value, named := strings.Cut(part, "=")
		if !named {
			value = part
		} else {
			b.WriteString(Shorten(name, maxTarget))
			b.WriteByte('=')
		}
		if value != "" {
			sum := sha256.Sum256([]byte(value))
			b.WriteString(hex.EncodeToString(sum[:4]))
		}
	}
	return b.String()
}

func withoutUser(target string) string {
	scheme, rest, found := strings.Cut(target, "://")
	if !found {
		return target
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	return scheme + "://" + authority + path
}

// Shorten cuts text to about max bytes, at a character's border, and makes it
// valid UTF-8, which messages demand.
func Shorten(text string, max int) string {
	if len(text) > max {
		for max > 0 && !utf8.RuneStart(text[max]) {
			max--
		}
		text = text[:max] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
