package api

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

var (
	// A path of the API that a page names, and one in the first cell of a row
	// of a page's reference.
	namedPath = regexp.MustCompile("(?:8430|[ `(])/api/v1(/[a-z][a-zA-Z/{}-]*)[\\s`?.,;]")
	cellPath  = regexp.MustCompile("`(?:[A-Z|]+ )?(/[a-z][a-zA-Z/{}-]*)`")
	variable  = regexp.MustCompile(`\{[a-z]+\}|/[A-Z]+\b`)
)

// The pages tell of every path of the API, and of no other.
func TestPathsInPages(t *testing.T) {
	e := echo.New()
	(&Server{}).routes(e)
	var routes []string
	for _, r := range e.Routes() {
		if path, ok := strings.CutPrefix(r.Path, "/api/v1"); ok {
			path = regexp.MustCompile(`/(:[a-z]+|\*)`).ReplaceAllString(path, "/*")
			if !slices.Contains(routes, path) {
				routes = append(routes, path)
			}
		}
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	told := map[string]bool{}
	for _, page := range pages {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		reference := false
		for line := range strings.Lines(string(content)) {
			if strings.HasPrefix(line, "#") {
				reference = slices.Contains([]string{"## API\n", "## Reading\n", "## Changing\n"}, line)
			}
			found := namedPath.FindAllStringSubmatch(line, -1)
			if cells := strings.SplitN(line, "|", 3); reference && len(cells) == 3 {
				found = append(found, cellPath.FindAllStringSubmatch(cells[1], -1)...)
			}
			for _, m := range found {
				path := strings.TrimSuffix(m[1], "/")
				path = strings.ReplaceAll(variable.ReplaceAllString(path, "/*"), "//", "/")
				if told[path] = true; !slices.Contains(routes, path) {
					t.Errorf("%s: the API has no %s", page, m[1])
				}
			}
		}
	}
	for _, path := range routes {
		if !told[path] {
			t.Errorf("no page tells of /api/v1%s", path)
		}
	}
}
