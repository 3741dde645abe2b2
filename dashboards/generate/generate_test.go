package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var dir = filepath.Join("..", "json")

// read reads the files back into our own types, which have no other fields.
func read(t *testing.T) map[string]dashboard {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no dashboards in %s: %v", dir, err)
	}
	out := map[string]dashboard{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		var d dashboard
		if err := decoder.Decode(&d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[filepath.Base(name)] = d
	}
	return out
}

func TestFilesAreUpToDate(t *testing.T) {
	if err := verify(".."); err != nil {
		t.Error(err)
	}
}

// A file that was changed, lost or added by hand is found.
func TestVerify(t *testing.T) {
	here := t.TempDir()
	for _, sub := range []string{"json", "rules"} {
		if err := os.Mkdir(filepath.Join(here, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(here); err != nil {
		t.Fatal(err)
	}
	put := func(name, content string) {
		if err := os.WriteFile(filepath.Join(here, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("rules/traffic.yaml", "groups: []\n")
	put("rules/mine.yaml", "groups: []\n")
	if err := os.Remove(filepath.Join(here, "json", "mesh.json")); err != nil {
		t.Fatal(err)
	}
	err := verify(here)
	for _, want := range []string{"rules/traffic.yaml is not", "rules/mine.yaml is written by nobody", "json/mesh.json is not"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("verify: %v, want %q in it", err, want)
		}
	}
	if err != nil && strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("verify found more: %v", err)
	}
}

// units are the ones that our UI writes, too (frontend/src/panel/units.ts).
var units = []string{"reqps", "percentunit", "ms", "s", "decbytes", "Bps", "short", "none", "cps", cores}

func TestPanels(t *testing.T) {
	uids := map[string]string{}
	for file, d := range read(t) {
		if other, ok := uids[d.UID]; ok {
			t.Errorf("%s and %s have one uid", file, other)
		}
		uids[d.UID] = file
		if len(d.UID) > 40 || d.Title == "" || d.Description == "" || d.Templating.List[0].Name != "datasource" {
			t.Errorf("%s: uid, title, description and the data source variable are needed", file)
		}
		ids := map[int]string{}
		var taken [24][]string
		for _, p := range d.Panels {
			at := file + ": " + p.Title
			if other, ok := ids[p.ID]; ok {
				t.Errorf("%s has the id of %s", at, other)
			}
			ids[p.ID] = p.Title
			g := p.GridPos
			if g.X < 0 || g.W < 1 || g.X+g.W > 24 || g.H < 1 {
				t.Errorf("%s is off the grid: %+v", at, g)
				continue
			}
			for x := g.X; x < g.X+g.W; x++ {
				for len(taken[x]) < g.Y+g.H {
					taken[x] = append(taken[x], "")
				}
				for y := g.Y; y < g.Y+g.H; y++ {
					if taken[x][y] != "" {
						t.Fatalf("%s overlaps %s", at, taken[x][y])
					}
					taken[x][y] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			if !slices.Contains(units, p.FieldConfig.Defaults.Unit) && p.Type != "table" {
				t.Errorf("%s: unit %q is none of %v", at, p.FieldConfig.Defaults.Unit, units)
			}
			if !strings.ContainsAny(p.Description[max(len(p.Description)-1, 0):], ".?") {
				t.Errorf("%s: no description of whole sentences", at)
			}
			if len(p.Targets) == 0 || p.Datasource == nil || p.Datasource.UID != "${datasource}" {
				t.Errorf("%s: no queries, or not of the chosen data source", at)
			}
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					switch v := property.Value.(type) {
					case map[string]any:
						if property.ID != "color" || v["mode"] != "fixed" || v["fixedColor"] == "" {
							t.Errorf("%s: series %s has colour %v", at, o.Matcher.Options, v)
						}
					case string:
						if property.ID != "unit" || !slices.Contains(units, v) {
							t.Errorf("%s: column %s has unit %v", at, o.Matcher.Options, v)
						}
					default:
						t.Errorf("%s: %s is overridden in %s", at, o.Matcher.Options, property.ID)
					}
				}
			}
			for _, q := range p.Targets {
				checkVariables(t, at, d, q)
			}
		}
	}
}

var variableUse = regexp.MustCompile(`\$(\w+)`)

// checkVariables finds variables that are used and not there, and legends that
// would all read the same.
func checkVariables(t *testing.T, at string, d dashboard, q target) {
	t.Helper()
	for _, m := range variableUse.FindAllStringSubmatch(q.Expr, -1) {
		known := strings.HasPrefix(m[1], "__") || slices.ContainsFunc(d.Templating.List, func(v variable) bool { return v.Name == m[1] })
		if !known {
			t.Errorf("%s: $%s is no variable of the dashboard", at, m[1])
		}
	}
	if err := checkExpr(q.Expr); err != nil {
		t.Errorf("%s: %v", at, err)
	}
	if q.Format != "table" && q.LegendFormat == "" {
		t.Errorf("%s: query %s has no legend", at, q.RefID)
	}
}
