package mesh

import "strings"

// NormalizePath gives the one form of a path that policies judge and that the
// service gets: Istio's BASE. What needs no escape is unescaped, a backslash is
// a slash, and . and .. are gone. %2F stays: whether it divides is the
// service's to say.
//
// Without it, /public/../admin would pass a rule for /public*, and /%61dmin one
// against /admin.
func NormalizePath(path string) string {
	if !needsWork(path) {
		return path
	}
	path = strings.ReplaceAll(unescape(path), `\`, "/")
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	out := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
			if last {
				out = append(out, "")
			}
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

// needsWork is the quick look: most paths are in order.
func needsWork(path string) bool {
	for i := range len(path) {
		switch path[i] {
		case '%', '\\':
			return true
		case '.':
			if i == 0 || path[i-1] == '/' || path[i-1] == '.' {
				return true
			}
		}
	}
	return !strings.HasPrefix(path, "/")
}

// unescape decodes the escapes of characters that need none (RFC 3986, 2.3), and
// of the backslash, and writes the others in upper case.
func unescape(path string) string {
	var b strings.Builder
	b.Grow(len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c != '%' || i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			b.WriteByte(c)
			continue
		}
		v := unhex(path[i+1])<<4 | unhex(path[i+2])
		if unreserved(v) || v == '\\' {
			b.WriteByte(v)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
