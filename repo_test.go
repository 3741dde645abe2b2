// Package repo holds the repository to its own rules: who may import whom,
// package documentation, names, file sizes. The rules stand here as data, so
// that a change of architecture is a change of this file.
package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sidelight-mesh/sidelight/"

// sourceFile is one hand-written Go file.
type sourceFile struct {
	path    string // with slashes, from the root
	dir     string
	test    bool
	imports []string
	syntax  *ast.File
	lines   int
}

func goFiles(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	set := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && (name == "node_modules" || name == "testdata" || name == "bin" || name == "internal_deps" || strings.HasPrefix(name, ".") && name != ".") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".pb.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(set, path, content, parser.ParseComments)
		if err != nil {
			return err
		}
		f := sourceFile{
			path: filepath.ToSlash(path), dir: filepath.ToSlash(filepath.Dir(path)),
			test: strings.HasSuffix(name, "_test.go"), syntax: syntax, lines: strings.Count(string(content), "\n"),
		}
		for _, spec := range syntax.Imports {
			f.imports = append(f.imports, strings.Trim(spec.Path.Value, `"`))
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found %d Go files only: is this the root?", len(files))
	}
	return files
}

func within(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// forbidden says which of our own packages a part must not import.
var forbidden = []struct {
	from, to string
	except   []string
	why      string
}{
	{"mesh", "", []string{"mesh"}, "mesh is the vocabulary: it imports nothing of ours"},
	{"proxy", "collector", nil, "the parts speak over the network only"},
	{"proxy", "server", nil, "the parts speak over the network only"},
	{"collector", "proxy", nil, "the parts speak over the network only"},
	{"collector", "server", nil, "the parts speak over the network only"},
	{"server", "proxy", nil, "the parts speak over the network only"},
	{"server", "collector", []string{"collector/store"}, "the server reads what is stored, nothing else"},
	{"proxy", "dashboards", nil, "dashboards are for who shows them: the server and its UI"},
	{"collector", "dashboards", nil, "dashboards are for who shows them: the server and its UI"},
	{"proxy", "cmd", nil, "nothing imports cmd"},
	{"collector", "cmd", nil, "nothing imports cmd"},
	{"server", "cmd", nil, "nothing imports cmd"},
	{"deploy", "cmd", nil, "nothing imports cmd"},
	{"proxy", "deploy", nil, "the product does not know its demo"},
	{"collector", "deploy", nil, "the product does not know its demo"},
	{"server", "deploy", nil, "the product does not know its demo"},
	{"deploy/demo", "proxy", nil, "the demo uses the product as a user does"},
	{"deploy/demo", "collector", nil, "the demo uses the product as a user does"},
	{"deploy/demo", "server", nil, "the demo uses the product as a user does"},
}

func TestImportsOfOurOwn(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, path := range f.imports {
			own, ok := strings.CutPrefix(path, module)
			if !ok {
				continue
			}
			for _, rule := range forbidden {
				if within(f.dir, rule.from) && (rule.to == "" || within(own, rule.to)) && !within(own, rule.except...) {
					t.Errorf("%s imports %s: %s", f.path, own, rule.why)
				}
			}
			// The dashboards' test asks the real registries which metrics there are.
			asks := f.test && within(f.dir, "dashboards/generate")
			if strings.HasSuffix(own, "/app") && !within(f.dir, "cmd") && f.dir != own && !asks {
				t.Errorf("%s imports %s: only cmd starts an app", f.path, own)
			}
		}
	}
}

// confined says where a heavy library may be imported.
var confined = []struct {
	library string
	folders []string
}{
	{"github.com/prometheus/prometheus", []string{"collector/scrape", "collector/store/metrics", "dashboards/generate"}},
	{"github.com/cockroachdb/pebble", []string{"collector/store/traces"}},
	// server/observe asks servers of client status (CSDS), whose messages these are.
	{"github.com/envoyproxy/go-control-plane", []string{"proxy/xds", "server/xds", "server/observe", "server/explain", "server/app", "deploy/parity", "deploy/peers"}},
	{"k8s.io", []string{"server/config/kubernetes"}},
	{"github.com/spiffe/go-spiffe", []string{"mesh/identity", "server/ca", "deploy/peers"}},
	{"github.com/labstack/echo", []string{"server/api"}},
	{"github.com/spf13/cobra", []string{"cmd", "proxy/app"}},
	{"istio.io", []string{"server/config", "server/registry", "server/xds", "server/app"}},
}

func TestLibrariesAreConfined(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, path := range f.imports {
			for _, c := range confined {
				if within(path, c.library) && !within(f.dir, c.folders...) {
					t.Errorf("%s imports %s, which belongs to %v only", f.path, path, c.folders)
				}
			}
		}
	}
}

// besideMesh stands below mesh and is no vocabulary: what all parts speak, and
// by what they prove who they are.
var besideMesh = []string{"mesh/meshv1", "mesh/identity"}

// The vocabulary needs nothing but the standard library.
func TestMeshIsStandardLibraryOnly(t *testing.T) {
	for _, f := range goFiles(t) {
		if !within(f.dir, "mesh") || within(f.dir, besideMesh...) || f.test {
			continue
		}
		for _, path := range f.imports {
			if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") && !strings.HasPrefix(path, module) {
				t.Errorf("%s imports %s", f.path, path)
			}
		}
	}
}

// Pure packages take facts and times and return facts.
func TestPurePackages(t *testing.T) {
	pure := []string{"server/graph", "proxy/route", "proxy/cluster", "proxy/policy", "server/skew", "server/rollout", "server/trace", "server/registry", "server/explain", "mesh"}
	impure := []string{"os", "net/http", "log", "log/slog", "os/exec", "io/ioutil"}
	for _, f := range goFiles(t) {
		if f.test || !within(f.dir, pure...) || within(f.dir, besideMesh...) {
			continue
		}
		for _, path := range f.imports {
			if slices.Contains(impure, path) {
				t.Errorf("%s imports %s: %s is pure", f.path, path, f.dir)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTicker", "NewTimer"}, sel.Sel.Name) {
					t.Errorf("%s calls time.%s: %s is pure, times come from outside", f.path, sel.Sel.Name, f.dir)
				}
			}
			return true
		})
	}
}

// What is kept is what people write, and the folders at the top stay few.
func TestTopLevel(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "git", "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("not a checkout of git: %v", err)
	}
	folders := []string{".ci", "cmd", "collector", "dashboards", "deploy", "docs", "frontend", "mesh", "proxy", "server"}
	const most = 1 << 20
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if folder, _, below := strings.Cut(path, "/"); below && !slices.Contains(folders, folder) {
			t.Errorf("%s: %s is none of the folders %v", path, folder, folders)
		}
		if info, err := os.Stat(path); err == nil && info.Size() > most {
			t.Errorf("%s has more than %d bytes: was it built?", path, most)
		}
	}
}

func TestPackageDocs(t *testing.T) {
	documented := make(map[string]bool)
	for _, f := range goFiles(t) {
		if !f.test {
			documented[f.dir] = documented[f.dir] || f.syntax.Doc != nil
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc comment that says its place", dir)
		}
	}
}

// Names that say nothing about what is inside.
var emptyNames = regexp.MustCompile(`^(utils?|commons?|helpers?|types|base|core|managers?|misc|shared|lib)$`)

func TestPackageNames(t *testing.T) {
	for _, f := range goFiles(t) {
		for part := range strings.SplitSeq(f.dir, "/") {
			if emptyNames.MatchString(part) && f.dir != "frontend/src/lib" {
				t.Errorf("%s: %q says nothing about what is inside", f.path, part)
			}
		}
	}
}

func TestFileSizes(t *testing.T) {
	for _, f := range goFiles(t) {
		limit := 600
		if f.test {
			limit = 800
		}
		if f.lines > limit {
			t.Errorf("%s has %d lines, more than %d: would a reader want two?", f.path, f.lines, limit)
		}
	}
}

// The lock file must work with any registry.
func TestLockFileNamesNoHost(t *testing.T) {
	content, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), `"resolved": "http`) {
		t.Error("package-lock.json holds download addresses; .npmrc says omit-lockfile-registry-resolved")
	}
}

// Features of the UI stand side by side and never import each other.
func TestFrontendFeatures(t *testing.T) {
	imports := regexp.MustCompile(`from '@/features/([a-z]+)`)
	err := filepath.WalkDir("frontend/src/features", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".ts") && !strings.HasSuffix(path, ".tsx") {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		own := strings.Split(filepath.ToSlash(path), "/")[3]
		for _, m := range imports.FindAllStringSubmatch(string(content), -1) {
			if m[1] != own {
				t.Errorf("%s imports feature %s", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
