package repo

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tree is every file and folder of the repository, with slashes, from the root.
func tree(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() && (base == "node_modules" || base == "bin" || base == "dist" || base == ".git") {
			return filepath.SkipDir
		}
		all[filepath.ToSlash(name)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func textOf(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

var (
	fence     = regexp.MustCompile("(?ms)^[ ]*```.*?^[ ]*```$")
	codeSpan  = regexp.MustCompile("`[^`\n]*(?:\n[^`\n]+)?`")
	heading   = regexp.MustCompile(`(?m)^#{1,6} +(.*)$`)
	anchor    = regexp.MustCompile(`<a id="([^"]+)">`)
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	// A page that code or a rule sends its reader to.
	pointer = regexp.MustCompile(`docs/[a-z-]+\.md(#[a-z0-9-]+)?`)
)

// anchorsOf gives the places in a page that a link can lead to, as GitHub
// makes them of headings.
func anchorsOf(page string) map[string]bool {
	ids := map[string]bool{"": true}
	page = fence.ReplaceAllString(page, "")
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		ids[strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), ""), " ", "-")] = true
	}
	for _, m := range anchor.FindAllStringSubmatch(page, -1) {
		ids[m[1]] = true
	}
	return ids
}

// Whoever follows a link from a page, a message or an alert arrives.
func TestLinks(t *testing.T) {
	all := tree(t)
	anchors := map[string]map[string]bool{}
	for name := range all {
		if strings.HasSuffix(name, ".md") {
			anchors[name] = anchorsOf(textOf(t, name))
		}
	}
	follow := func(from, to string) {
		file, id, _ := strings.Cut(to, "#")
		target := path.Join(path.Dir(from), file)
		if file == "" {
			target = from
		}
		switch {
		case !all[target]:
			t.Errorf("%s: there is no %s", from, to)
		case id != "" && !anchors[target][id]:
			t.Errorf("%s: %s has no #%s", from, target, id)
		}
	}
	for name := range all {
		switch path.Ext(name) {
		case ".md":
			page := codeSpan.ReplaceAllString(fence.ReplaceAllString(textOf(t, name), ""), "")
			for _, m := range link.FindAllStringSubmatch(page, -1) {
				if !strings.Contains(m[1], "://") {
					follow(name, m[1])
				}
			}
		case ".go", ".ts", ".tsx", ".mjs", ".yaml":
			for _, to := range pointer.FindAllString(textOf(t, name), -1) {
				follow("README.md", to)
			}
		}
	}
	if len(anchors) < 50 {
		t.Fatalf("found %d pages only", len(anchors))
	}
}

// ours is how a path of this repository begins, and file how a file of it ends.
var (
	ours = regexp.MustCompile(`^(cmd|mesh|proxy|collector|server|frontend|dashboards|deploy)/[a-z0-9_./-]+$`)
	file = regexp.MustCompile(`^[A-Za-z0-9_./-]+\.(go|tsx?|mjs|txtar|proto)$`)
)

// A path that a page names is there. Of a file its end is enough: within a
// sentence about a package the page leaves the folder out.
func TestPathsInPages(t *testing.T) {
	all := tree(t)
	suffixes := map[string]bool{}
	for name := range all {
		for rest, ok := name, true; ok; _, rest, ok = strings.Cut(rest, "/") {
			suffixes[rest] = true
		}
	}
	for name := range all {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, span := range codeSpan.FindAllString(fence.ReplaceAllString(textOf(t, name), ""), -1) {
			span = strings.TrimSuffix(strings.Trim(span, "`"), "/")
			if ours.MatchString(span) && !suffixes[span] && !isFunction(span, all) || file.MatchString(span) && !suffixes[span] {
				t.Errorf("%s: there is no %s", name, span)
			}
		}
	}
}

// isFunction tells `server/app.readiness` from a file.
func isFunction(span string, all map[string]bool) bool {
	dir, name, _ := strings.Cut(span, ".")
	return all[dir] && name != "" && !strings.Contains(name, "/")
}

// The map of the code has every package.
func TestMapOfPackages(t *testing.T) {
	_, block, _ := strings.Cut(textOf(t, "ARCHITECTURE.md"), "## Folders")
	block = fence.FindString(block)
	words := strings.FieldsFunc(block, func(r rune) bool { return strings.ContainsRune(" \n/{},", r) })
	missing := map[string]bool{}
	for _, f := range goFiles(t) {
		// What lies deeper is told by what it belongs to.
		parts := strings.Split(f.dir, "/")
		missing[strings.Join(parts[:min(2, len(parts))], "/")] = !f.test && f.dir != "." && !slices.Contains(words, parts[min(1, len(parts)-1)])
	}
	for dir, missing := range missing {
		if missing {
			t.Errorf("ARCHITECTURE.md: package %s is not on the map", dir)
		}
	}
}

// Every page can be found from the front page.
func TestPagesAreLinked(t *testing.T) {
	front := textOf(t, "README.md")
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, page := range pages {
		if !strings.Contains(front, "("+filepath.ToSlash(page)+")") {
			t.Errorf("README.md does not lead to %s", page)
		}
	}
}
