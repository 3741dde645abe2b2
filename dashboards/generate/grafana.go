package main

// The part of Grafana's classic dashboard schema that we write, with every
// field: the test reads the files back into these types and allows no other.

type dashboard struct {
	UID           string     `json:"uid"`
	Title         string     `json:"title"`
	Description   string     `json:"description"`
	Tags          []string   `json:"tags"`
	SchemaVersion int        `json:"schemaVersion"`
	Version       int        `json:"version"`
	Editable      bool       `json:"editable"`
	GraphTooltip  int        `json:"graphTooltip"`
	Refresh       string     `json:"refresh"`
	Timezone      string     `json:"timezone"`
	Time          timeRange  `json:"time"`
	Templating    templating `json:"templating"`
	Links         []link     `json:"links"`
	Annotations   list       `json:"annotations"`
	Panels        []panel    `json:"panels"`
}

type timeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type list struct {
	List []struct{} `json:"list"`
}

type link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	Icon        string   `json:"icon"`
	Tags        []string `json:"tags"`
	AsDropdown  bool     `json:"asDropdown"`
	IncludeVars bool     `json:"includeVars"`
	KeepTime    bool     `json:"keepTime"`
	TargetBlank bool     `json:"targetBlank"`
	Tooltip     string   `json:"tooltip"`
	URL         string   `json:"url"`
}

type templating struct {
	List []variable `json:"list"`
}

type variable struct {
	Name       string         `json:"name"`
	Label      string         `json:"label"`
	Type       string         `json:"type"`
	Query      any            `json:"query"` // "prometheus", or a variableQuery
	Definition string         `json:"definition,omitempty"`
	Datasource *datasourceRef `json:"datasource,omitempty"`
	Refresh    int            `json:"refresh"`
	Sort       int            `json:"sort"`
	Hide       int            `json:"hide"`
	Regex      string         `json:"regex"`
	IncludeAll bool           `json:"includeAll"`
	AllValue   string         `json:"allValue,omitempty"`
	Multi      bool           `json:"multi"`
	Current    current        `json:"current"`
	Options    []struct{}     `json:"options"`
}

type current struct {
	Text  string `json:"text,omitempty"`
	Value string `json:"value,omitempty"`
}

type variableQuery struct {
	Query string `json:"query"`
	RefID string `json:"refId"`
}

type datasourceRef struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitempty"`
	GridPos         gridPos          `json:"gridPos"`
	Datasource      *datasourceRef   `json:"datasource,omitempty"`
	Targets         []target         `json:"targets,omitempty"`
	Interval        string           `json:"interval,omitempty"` // the shortest step that has anything new
	FieldConfig     *fieldConfig     `json:"fieldConfig,omitempty"`
	Options         *options         `json:"options,omitempty"`
	Transformations []transformation `json:"transformations,omitempty"`
	Collapsed       *bool            `json:"collapsed,omitempty"` // of rows
	Panels          *[]panel         `json:"panels,omitempty"`    // of rows
}

type gridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type target struct {
	RefID        string        `json:"refId"`
	Datasource   datasourceRef `json:"datasource"`
	Expr         string        `json:"expr"`
	LegendFormat string        `json:"legendFormat"`
	Format       string        `json:"format"` // time_series | table | heatmap
	Instant      bool          `json:"instant"`
	Range        bool          `json:"range"`
	EditorMode   string        `json:"editorMode"`
}

type fieldConfig struct {
	Defaults  fieldDefaults `json:"defaults"`
	Overrides []override    `json:"overrides"`
}

type fieldDefaults struct {
	Unit       string       `json:"unit"`
	Min        *float64     `json:"min,omitempty"`
	Max        *float64     `json:"max,omitempty"`
	Decimals   *int         `json:"decimals,omitempty"`
	NoValue    string       `json:"noValue,omitempty"`
	Color      colorMode    `json:"color"`
	Custom     *seriesStyle `json:"custom,omitempty"`
	Thresholds thresholds   `json:"thresholds"`
	Mappings   []mapping    `json:"mappings"`
}

// mapping is of type "value": its options are by the value as text.
type mapping struct {
	Type    string              `json:"type"`
	Options map[string]mappedTo `json:"options"`
}

type mappedTo struct {
	Text  string `json:"text"`
	Index int    `json:"index"`
}

type colorMode struct {
	Mode string `json:"mode"`
}

type seriesStyle struct {
	DrawStyle       string          `json:"drawStyle"`
	LineWidth       int             `json:"lineWidth"`
	FillOpacity     int             `json:"fillOpacity"`
	ShowPoints      string          `json:"showPoints"`
	SpanNulls       bool            `json:"spanNulls"`
	Stacking        stacking        `json:"stacking"`
	ThresholdsStyle thresholdsStyle `json:"thresholdsStyle"`
}

type stacking struct {
	Mode  string `json:"mode"`
	Group string `json:"group"`
}

type thresholdsStyle struct {
	Mode string `json:"mode"`
}

type thresholds struct {
	Mode  string `json:"mode"`
	Steps []step `json:"steps"`
}

type step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

type override struct {
	Matcher    matcher    `json:"matcher"`
	Properties []property `json:"properties"`
}

type matcher struct {
	ID      string `json:"id"`
	Options string `json:"options"`
}

type property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

type fixedColor struct {
	Mode       string `json:"mode"`
	FixedColor string `json:"fixedColor"`
}

type options struct {
	// time series
	Legend  *legend  `json:"legend,omitempty"`
	Tooltip *tooltip `json:"tooltip,omitempty"`
	// stat and bar gauge
	ReduceOptions *reduceOptions `json:"reduceOptions,omitempty"`
	Orientation   string         `json:"orientation,omitempty"`
	TextMode      string         `json:"textMode,omitempty"`
	ColorMode     string         `json:"colorMode,omitempty"`
	GraphMode     string         `json:"graphMode,omitempty"`
	JustifyMode   string         `json:"justifyMode,omitempty"`
	DisplayMode   string         `json:"displayMode,omitempty"`
	ShowUnfilled  *bool          `json:"showUnfilled,omitempty"`
	// table
	ShowHeader *bool    `json:"showHeader,omitempty"`
	SortBy     []sortBy `json:"sortBy,omitempty"`
	// heat map
	Calculate *bool         `json:"calculate,omitempty"`
	CellGap   int           `json:"cellGap,omitempty"`
	Color     *heatmapColor `json:"color,omitempty"`
	YAxis     *heatmapAxis  `json:"yAxis,omitempty"`
}

type legend struct {
	DisplayMode string   `json:"displayMode"`
	Placement   string   `json:"placement"`
	ShowLegend  bool     `json:"showLegend"`
	Calcs       []string `json:"calcs"`
	SortBy      string   `json:"sortBy"` // the head of a calc's column
	SortDesc    bool     `json:"sortDesc"`
}

type tooltip struct {
	Mode string `json:"mode"`
	Sort string `json:"sort"`
}

type reduceOptions struct {
	Calcs  []string `json:"calcs"`
	Fields string   `json:"fields"`
	Values bool     `json:"values"`
}

type sortBy struct {
	DisplayName string `json:"displayName"`
	Desc        bool   `json:"desc"`
}

type heatmapColor struct {
	Mode   string `json:"mode"`
	Scheme string `json:"scheme"`
	Steps  int    `json:"steps"`
}

type heatmapAxis struct {
	Unit string `json:"unit"`
}

type transformation struct {
	ID      string   `json:"id"`
	Options organize `json:"options"`
}

type organize struct {
	ExcludeByName map[string]bool   `json:"excludeByName,omitempty"`
	IndexByName   map[string]int    `json:"indexByName,omitempty"`
	RenameByName  map[string]string `json:"renameByName,omitempty"`
}
