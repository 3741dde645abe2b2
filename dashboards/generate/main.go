// Command generate writes the Grafana dashboards in ../json and the rules in
// ../rules. What a panel shows and when somebody is called is data in this
// package (mesh.go, service.go …, traffic_rules.go …); grafana.go and rules.go
// have the shapes of the files. It refuses expressions that do not parse, so
// that no broken file is ever written. Run it with "make dashboards"; with
// -check it writes nothing and fails when a file is not up to date.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

func boards() []board {
	return []board{meshBoard(), serviceBoard(), workloadBoard(), proxyBoard(), configSyncBoard(), collectorBoard(), serverBoard()}
}

func main() {
	check := flag.Bool("check", false, "write nothing: fail when a file is not up to date")
	flag.Parse()
	work := write
	if *check {
		work = verify
	}
	if err := work("dashboards"); err != nil {
		fmt.Fprintln(os.Stderr, "generate dashboards:", err)
		os.Exit(1)
	}
}

// write puts all files below a folder.
func write(dir string) error {
	files, err := render()
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return verify(dir)
}

// verify finds files that are not what would be written, and those that nobody
// writes.
func verify(dir string) error {
	files, err := render()
	if err != nil {
		return err
	}
	var wrong []error
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			wrong = append(wrong, fmt.Errorf("%s is not what the generator writes: run make dashboards", name))
		}
	}
	for _, pattern := range []string{"json/*", "rules/*.yaml"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if name, err = filepath.Rel(dir, name); err != nil {
				return err
			}
			if files[name] == nil {
				wrong = append(wrong, fmt.Errorf("%s is written by nobody: remove it", name))
			}
		}
	}
	return errors.Join(wrong...)
}

// render gives the files by name: "json/mesh.json", "rules/traffic.yaml".
func render() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, b := range boards() {
		d, err := b.build()
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(d); err != nil {
			return nil, err
		}
		files[filepath.Join("json", strings.TrimPrefix(b.uid, "sidelight-")+".json")] = out.Bytes()
	}
	for _, f := range ruleFiles() {
		content, err := f.render()
		if err != nil {
			return nil, err
		}
		files[filepath.Join("rules", f.name)] = content
	}
	return files, nil
}

// fill stands in for Grafana's own variables, where an expression is parsed.
var fill = strings.NewReplacer("$__rate_interval", "1m", "$__interval", "15s", "$__range", "15m")

func parseExpr(expr string) (parser.Expr, error) {
	return parser.NewParser(parser.Options{}).ParseExpr(fill.Replace(expr))
}

func checkExpr(expr string) error {
	if _, err := parseExpr(expr); err != nil {
		return fmt.Errorf("expression %s: %w", expr, err)
	}
	return nil
}
