package main

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// A board, its sections and its charts are what we write by hand; dashboard,
// panel and the rest of grafana.go are what comes of them.

type board struct {
	uid, title, about string
	every             string // the rules' interval, where all series are theirs
	variables         []variable
	sections          []section
}

// section is a titled row of charts that flow from left to right over the 24
// columns of Grafana's grid. A chart that finds no room begins a new line.
type section struct {
	title  string
	charts []chart
}

type chart struct {
	kind  kind
	title string
	about string // what it shows and what to do about it
	unit  string // Grafana's name: reqps, percentunit, ms, s, decbytes, Bps, short, none, cps; or cores
	w, h  int    // 0: the kind's own size

	queries []query
	steps   []step   // thresholds from below; nil: no judgement
	words   []string // what 0, 1, 2 … mean
	max     float64
	stack   bool
	colors  []hue // of series that mean something by themselves

	every   string   // the shortest step that has anything new, when it is not the scrapes'
	columns []column // of tables
	sort    string   // the column that a table is sorted by, downwards
}

// hue is the colour of one series, by Grafana's name of it.
type hue struct{ series, color string }

type query struct {
	expr   string
	legend string
}

// column is one of a table: a label, or the value of a query by its letter.
type column struct {
	from, title, unit string
}

type kind string

const (
	lines   kind = "timeseries"
	stat    kind = "stat"
	table   kind = "table"
	heatmap kind = "heatmap"
	bars    kind = "bargauge"
)

var sizes = map[kind][2]int{lines: {12, 8}, stat: {4, 4}, table: {24, 8}, heatmap: {12, 8}, bars: {12, 8}}

func prometheusSource() datasourceRef { return datasourceRef{Type: "prometheus", UID: "${datasource}"} }

// above colours a value by how bad it is: good below the first bound.
func above(warn, fail float64) []step {
	return []step{{"green", nil}, {"orange", new(warn)}, {"red", new(fail)}}
}

// cores is a unit of our own, written as Grafana has them: text behind the figure.
const cores = "suffix:cores"

// nothing is where a value that should be zero is not: a bound of 0 would have
// zero itself on its bad side.
const nothing = 1e-9

// none wants a value to be zero.
func none() []step { return []step{{"green", nil}, {"red", new(nothing)}} }

// below wants a value to be high.
func below(fail, warn float64) []step {
	return []step{{"red", nil}, {"orange", new(fail)}, {"green", new(warn)}}
}

func (b board) build() (dashboard, error) {
	d := dashboard{
		UID: b.uid, Title: b.title, Description: b.about, Tags: []string{"sidelight", "service-mesh"},
		SchemaVersion: 39, Version: 1, Editable: true, GraphTooltip: 1, Refresh: "15s", Timezone: "browser",
		Time:        timeRange{"now-15m", "now"},
		Templating:  templating{List: append([]variable{dataSourceVariable()}, b.variables...)},
		Annotations: list{List: []struct{}{}},
		Links: []link{{
			Title: "Sidelight", Type: "dashboards", Icon: "external link", Tags: []string{"sidelight"},
			AsDropdown: true, IncludeVars: true, KeepTime: true,
		}},
	}
	y := 0
	for _, s := range b.sections {
		no := false
		d.Panels = append(d.Panels, panel{
			ID: panelID("row " + s.title), Type: "row", Title: s.title, GridPos: gridPos{H: 1, W: 24, Y: y},
			Collapsed: &no, Panels: &[]panel{},
		})
		y++
		x, high := 0, 0
		for _, c := range s.charts {
			c.every = b.every
			p, err := c.build()
			if err != nil {
				return d, fmt.Errorf("%s: %s: %w", b.title, c.title, err)
			}
			if x+p.GridPos.W > 24 {
				x, y, high = 0, y+high, 0
			}
			p.GridPos.X, p.GridPos.Y = x, y
			x += p.GridPos.W
			high = max(high, p.GridPos.H)
			d.Panels = append(d.Panels, p)
		}
		y += high
	}
	seen := map[int]string{}
	for _, p := range d.Panels {
		if other, ok := seen[p.ID]; ok {
			return d, fmt.Errorf("%s: panels %q and %q have one id: rename one", b.title, other, p.Title)
		}
		seen[p.ID] = p.Title
	}
	return d, nil
}

// panelID makes a panel's id of its title, so that links to it, and pages that
// embed it, outlive changes around it.
func panelID(title string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(title))
	return int(h.Sum32()%99_991) + 1
}

func (c chart) build() (panel, error) {
	size := sizes[c.kind]
	if c.w > 0 {
		size[0] = c.w
	}
	if c.h > 0 {
		size[1] = c.h
	}
	source := prometheusSource()
	p := panel{
		ID: panelID(c.title), Type: string(c.kind), Title: c.title, Description: c.about,
		GridPos: gridPos{W: size[0], H: size[1]}, Datasource: &source, Interval: c.every,
		FieldConfig: &fieldConfig{Overrides: []override{}, Defaults: fieldDefaults{
			Unit: c.unit, Color: colorMode{"palette-classic"}, Mappings: mapped(c.words),
			Thresholds: thresholds{Mode: "absolute", Steps: []step{{"green", nil}}},
		}},
	}
	for i, q := range c.queries {
		expr := strings.Join(strings.Fields(q.expr), " ")
		if err := checkExpr(expr); err != nil {
			return p, err
		}
		p.Targets = append(p.Targets, target{
			RefID: string(rune('A' + i)), Datasource: source, Expr: expr, LegendFormat: q.legend,
			Format: "time_series", Range: true, EditorMode: "code",
		})
	}
	field := &p.FieldConfig.Defaults
	if c.steps != nil {
		field.Thresholds.Steps = c.steps
	}
	if c.max > 0 {
		field.Min, field.Max = new(0.0), new(c.max)
	}
	switch c.kind {
	case lines:
		c.asLines(&p)
	case stat:
		c.asStat(&p)
	case bars:
		c.asBars(&p)
	case heatmap:
		c.asHeatmap(&p)
	case table:
		c.asTable(&p)
	}
	return p, nil
}

func (c chart) asLines(p *panel) {
	field := &p.FieldConfig.Defaults
	field.Min = new(0.0)
	style := seriesStyle{
		DrawStyle: "line", LineWidth: 1, FillOpacity: 8, ShowPoints: "never",
		Stacking: stacking{"none", "A"}, ThresholdsStyle: thresholdsStyle{"off"},
	}
	if c.stack {
		style.Stacking.Mode, style.FillOpacity = "normal", 40
	}
	// A bound at zero would be a second axis.
	if len(c.steps) > 1 && *c.steps[1].Value > nothing {
		style.ThresholdsStyle.Mode = "line"
	}
	field.Custom = &style
	for _, h := range c.colors {
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{
			Matcher:    matcher{"byName", h.series},
			Properties: []property{{"color", fixedColor{"fixed", h.color}}},
		})
	}
	p.Options = &options{
		// The largest first: of many series the first few are in sight.
		Legend:  &legend{DisplayMode: "table", Placement: "bottom", ShowLegend: true, Calcs: []string{"lastNotNull", "max"}, SortBy: "Max", SortDesc: true},
		Tooltip: &tooltip{Mode: "multi", Sort: "desc"},
	}
}

// mapped has words stand for numbers; their colour is that of the thresholds.
func mapped(words []string) []mapping {
	if len(words) == 0 {
		return []mapping{}
	}
	m := mapping{Type: "value", Options: map[string]mappedTo{}}
	for i, word := range words {
		m.Options[strconv.Itoa(i)] = mappedTo{Text: word, Index: i}
	}
	return []mapping{m}
}

func lastValue() *reduceOptions { return &reduceOptions{Calcs: []string{"lastNotNull"}} }

func (c chart) asStat(p *panel) {
	p.FieldConfig.Defaults.NoValue = "–"
	p.Options = &options{
		ReduceOptions: lastValue(), Orientation: "auto", TextMode: "auto", ColorMode: "none", GraphMode: "area", JustifyMode: "auto",
	}
	if c.steps != nil {
		p.FieldConfig.Defaults.Color.Mode, p.Options.ColorMode = "thresholds", "value"
	}
}

func (c chart) asBars(p *panel) {
	yes := true
	p.FieldConfig.Defaults.Min = new(0.0)
	p.FieldConfig.Defaults.Color.Mode = "thresholds"
	p.Options = &options{ReduceOptions: lastValue(), Orientation: "horizontal", DisplayMode: "basic", ShowUnfilled: &yes}
	instant(p, "time_series")
}

func (c chart) asHeatmap(p *panel) {
	no := false
	p.Options = &options{
		Calculate: &no, CellGap: 1, Color: &heatmapColor{Mode: "scheme", Scheme: "Oranges", Steps: 64},
		YAxis: &heatmapAxis{Unit: c.unit}, Tooltip: &tooltip{Mode: "single", Sort: "none"},
	}
	for i := range p.Targets {
		p.Targets[i].Format, p.Targets[i].LegendFormat = "heatmap", "{{le}}"
	}
}

// asTable joins the queries on their labels and names the columns.
func (c chart) asTable(p *panel) {
	yes := true
	instant(p, "table")
	p.Options = &options{ShowHeader: &yes}
	for _, col := range c.columns {
		if col.title == c.sort {
			p.Options.SortBy = []sortBy{{DisplayName: c.sort, Desc: true}}
		}
	}
	named := organize{ExcludeByName: map[string]bool{"Time": true}, IndexByName: map[string]int{}, RenameByName: map[string]string{}}
	for _, q := range p.Targets {
		// What only joins the rows has no column.
		if !slices.ContainsFunc(c.columns, func(col column) bool { return col.from == q.RefID }) {
			named.ExcludeByName["Value #"+q.RefID] = true
		}
	}
	for i, col := range c.columns {
		from := col.from
		if len(from) == 1 {
			from = "Value #" + from
			if len(c.queries) == 1 {
				from = "Value"
			}
			p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{
				Matcher:    matcher{"byName", col.title},
				Properties: []property{{"unit", col.unit}},
			})
		}
		named.IndexByName[from], named.RenameByName[from] = i, col.title
	}
	p.Transformations = []transformation{{ID: "merge"}, {ID: "organize", Options: named}}
}

func instant(p *panel, format string) {
	for i := range p.Targets {
		p.Targets[i].Instant, p.Targets[i].Range, p.Targets[i].Format = true, false, format
	}
}

func dataSourceVariable() variable {
	return variable{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus", Refresh: 1, Options: []struct{}{}}
}

// choice is a variable whose values are a label's, all of them chosen at first.
func choice(name, title, query string) variable {
	source := prometheusSource()
	return variable{
		Name: name, Label: title, Type: "query", Query: variableQuery{query, name}, Definition: query, Datasource: &source,
		Refresh: 2, Sort: 1, IncludeAll: true, AllValue: ".+", Multi: true, Current: current{"All", "$__all"}, Options: []struct{}{},
	}
}
