package policy_test

import (
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/proxy/policy"
)

// FuzzTemplate makes conditions of path templates: one without stars is the path
// itself, and only that.
func FuzzTemplate(f *testing.F) {
	f.Add("/a/*/c", "/a/b/c")
	f.Add("/**", "/")
	f.Add("/a/**", "/a")
	f.Add("/a.b+(c)", "/a.b+(c)")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		text, err := policy.Template(pattern)
		if err != nil {
			return
		}
		match := text.Match(path)
		if !strings.Contains(pattern, "*") && match != (pattern == path) {
			t.Errorf("template %q, path %q: %v", pattern, path, match)
		}
	})
}
