// Package dashboards carries the Grafana dashboards and the Prometheus rules
// that belong to this build: files to provision a Grafana and a Prometheus
// with, and what the UI draws its own panels from. Package generate writes all of
// them. It imports nothing of ours, and nobody writes to what it gives.
package dashboards

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed json/*.json rules/*.yaml
var files embed.FS

// Dashboard is one Grafana dashboard.
type Dashboard struct {
	UID         string   `json:"uid"`
	Title       string   `json:"title"` // without the folder-like "Sidelight / "
	Description string   `json:"description"`
	Variables   []string `json:"variables"` // but for the data source
	Panels      int      `json:"panels"`    // without the rows' titles

	JSON []byte `json:"-"` // the file as Grafana takes it
}

// order is that of the list: what is looked at first comes first.
var order = []string{"mesh", "service", "workload", "proxy", "config-sync", "collector", "server"}

// All lists the dashboards.
func All() ([]Dashboard, error) {
	out := make([]Dashboard, 0, len(order))
	for _, name := range order {
		content, err := files.ReadFile("json/" + name + ".json")
		if err != nil {
			return nil, fmt.Errorf("read dashboard: %w", err)
		}
		d, err := describe(content)
		if err != nil {
			return nil, fmt.Errorf("read dashboard %s: %w", name, err)
		}
		out = append(out, d)
	}
	return out, nil
}

func describe(content []byte) (Dashboard, error) {
	var read struct {
		UID, Title, Description string
		Templating              struct{ List []struct{ Name, Type string } }
		Panels                  []struct{ Type string }
	}
	if err := json.Unmarshal(content, &read); err != nil {
		return Dashboard{}, err
	}
	d := Dashboard{
		UID: read.UID, Title: strings.TrimPrefix(read.Title, "Sidelight / "), Description: read.Description,
		Variables: []string{}, JSON: content,
	}
	for _, v := range read.Templating.List {
		if v.Type != "datasource" {
			d.Variables = append(d.Variables, v.Name)
		}
	}
	for _, p := range read.Panels {
		if p.Type != "row" {
			d.Panels++
		}
	}
	return d, nil
}

// Rules gives the rule files by name: "traffic.yaml".
func Rules() (map[string][]byte, error) {
	names, err := fs.Glob(files, "rules/*.yaml")
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(names))
	for _, name := range names {
		if out[path.Base(name)], err = files.ReadFile(name); err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
	}
	return out, nil
}
