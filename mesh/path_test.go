package mesh_test

import (
	"strings"
	"testing"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestNormalizePath(t *testing.T) {
	tests := map[string]string{
		"/":                    "/",
		"":                     "/",
		"/a/b.c/d..e":          "/a/b.c/d..e",
		"/a/./b":               "/a/b",
		"/a/../b":              "/b",
		"/../../b":             "/b",
		"/a/..":                "/",
		"/a/b/..":              "/a/",
		"/a/.":                 "/a/",
		"/public/%2e%2e/admin": "/admin",
		"/public/%2E./admin":   "/admin",
		`/public\..\admin`:     "/admin",
		"/public%5c..%5cadmin": "/admin",
		"/%61dmin":             "/admin",
		"/a%2fb":               "/a%2Fb",
		"/a%2Fb%20c":           "/a%2Fb%20c",
		"/a//b":                "/a//b",
		"/...":                 "/...",
		"/a%":                  "/a%",
		"/a%2":                 "/a%2",
		"/.hidden/..name/x":    "/.hidden/..name/x",
	}
	for in, want := range tests {
		if got := mesh.NormalizePath(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, s := range []string{"/a/../b", "/%2e%2e/", `/a\b`, "/%252e", "//.."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		once := mesh.NormalizePath(path)
		if !strings.HasPrefix(once, "/") || strings.Contains(once+"/", "/../") || strings.Contains(once+"/", "/./") {
			t.Errorf("%q gives %q", path, once)
		}
		if twice := mesh.NormalizePath(once); twice != once && !strings.Contains(once, "%") {
			t.Errorf("%q gives %q, and that %q", path, once, twice)
		}
	})
}
