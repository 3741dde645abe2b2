package api

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
	"github.com/sidelight-mesh/sidelight/dashboards"
	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/alert"
	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/explain"
	"github.com/sidelight-mesh/sidelight/server/grafana"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/observe"
	"github.com/sidelight-mesh/sidelight/server/rollout"
	"github.com/sidelight-mesh/sidelight/server/skew"
	"github.com/sidelight-mesh/sidelight/server/trace"
)

// contractTypes pairs the UI's types with the structs whose JSON they read.
var contractTypes = map[string]any{
	"Workload": mesh.Workload{}, "Service": mesh.Service{},
	"GraphView": graph.View{}, "GraphDiff": graph.Diff{}, "GraphChange": graph.Change{}, "GraphFigures": graph.Figures{}, "Folded": graph.Folded{}, "GraphNode": graph.Node{}, "GraphEdge": graph.Edge{}, "Traffic": graph.Traffic{},
	"EdgeSide": graph.Side{}, "Answer": graph.Answer{}, "Totals": graph.Totals{}, "StaleSource": graph.Stale{},
	"Marker": graph.Marker{}, "Timeline": graph.Timeline{}, "Finding": graph.Finding{},
	"Overview": Overview{}, "Standing": graph.Standing{},
	"NodesView": skew.NodesView{}, "RevisionTraffic": skew.RevisionTraffic{}, "NodesSummary": skew.Summary{}, "Spread": skew.Spread{}, "NodeStatus": skew.NodeStatus{},
	"Transition": skew.Transition{}, "Connection": skew.Connection{}, "NodeDetail": skew.NodeDetail{}, "ResourceStatus": skew.ResourceStatus{}, "NodeIdentity": mesh.Identity{}, "NodeLife": skew.Life{},
	"ObservedNode": observe.Node{}, "ObservedSource": observe.Source{}, "ObservedList": observedList{},
	"ConfigObjects": objectList{}, "ObjectLack": skew.Lack{}, "ConfigPlace": config.Place{}, "FieldDiff": config.FieldDiff{}, "ObjectDiff": config.ObjectDiff{},
	"RolloutState": rollout.State{}, "RevisionDiff": diffResult{}, "LineagePart": skew.LineagePart{}, "LineageNode": skew.LineageNode{}, "LineageResource": LineageResource{}, "ConfigLineage": Lineage{},
	"ExplainFact": explain.Fact{}, "ExplainSkipped": explain.Skipped{}, "ExplainStep": explain.Step{}, "ExplainAccount": explain.Account{},
	"ExplainedNode": ExplainedNode{}, "Explanation": Explanation{},
	"ObjectChange": mesh.Change{}, "Revision": mesh.Revision{}, "ConfigObject": config.Object{}, "Problem": config.Problem{},
	"NamespaceSummary": graph.NamespaceSummary{}, "NamespaceItem": NamespaceItem{}, "WorkloadItem": WorkloadItem{}, "ServiceItem": ServiceItem{},
	"NamespaceDetail": NamespaceDetail{}, "WorkloadDetail": WorkloadDetail{}, "ServiceDetail": ServiceDetail{},
	"Coverage": graph.Coverage{}, "NotHeld": graph.NotHeld{}, "Cost": Cost{}, "Proxy": Proxy{}, "ServiceEndpoint": Endpoint{}, "Ejection": Ejection{}, "EjectionEvent": EjectionEvent{},
	"TraceSearch": traces.SearchResult{}, "TraceSummary": traces.Summary{}, "Trace": traces.Trace{}, "Span": traces.Span{}, "Attribute": traces.Attribute{},
	"Comparison": trace.Comparison{}, "ComparedGroup": trace.Group{}, "OperationDifference": trace.OperationDifference{}, "OperationSide": trace.OperationSide{}, "ValueDifference": trace.ValueDifference{},
	"TraceGap": traces.Gap{}, "TraceCall": traces.Call{},
	"Propagation": trace.Propagation{}, "Passing": trace.Passing{}, "PassingTo": trace.PassingTo{}, "PassingEvidence": trace.Evidence{},
	"TapEvent": mesh.TapEvent{}, "TapAttempt": mesh.Attempt{}, "TapHeader": mesh.Header{}, "TapLedger": mesh.TapLedger{},
	"Status": Status{}, "AlertsView": alert.View{}, "Alert": alert.Alert{}, "AlertAbout": alert.About{}, "AlertRule": alert.Rule{}, "AlertReceiver": alert.Receiver{},
	"Session": Session{}, "DashboardItem": dashboards.Dashboard{}, "GrafanaStatus": grafana.Status{},
}

// The UI's types say what the server's structs write: the same names, and
// optional where a field may be left out.
func TestInterfaceTypes(t *testing.T) {
	files, err := filepath.Glob("../../frontend/src/api/types/*.ts")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	declared := parseTypes(t, source.String())
	for name, value := range contractTypes {
		t.Run(name, func(t *testing.T) {
			got, ok := declared[name]
			if !ok {
				t.Fatalf("frontend/src/api/types declares no type %s", name)
			}
			if diff := cmp.Diff(fieldsOf(reflect.TypeOf(value)), got); diff != "" {
				t.Errorf("fields, and whether they may be missing (-server +UI):\n%s", diff)
			}
		})
	}
}

// fieldsOf lists a struct's JSON fields: name -> may be left out.
func fieldsOf(typ reflect.Type) map[string]bool {
	fields := make(map[string]bool)
	for f := range typ.Fields() {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag == "-" || !f.IsExported():
		case f.Anonymous && tag == "":
			maps.Copy(fields, fieldsOf(f.Type))
		default:
			fields[tag] = strings.Contains(options, "omit")
		}
	}
	return fields
}

var (
	typeHead  = regexp.MustCompile(`(?m)^export type (\w+) = (?:(\w+) & )?\{`)
	fieldHead = regexp.MustCompile(`^\s*(\w+)(\??):`)
)

// parseTypes reads the object types of TypeScript as plain as ours: fields are
// separated by line ends or semicolons, and a type may begin with another.
func parseTypes(t *testing.T, source string) map[string]map[string]bool {
	t.Helper()
	types, begins := make(map[string]map[string]bool), make(map[string]string)
	for _, at := range typeHead.FindAllStringSubmatchIndex(source, -1) {
		name := source[at[2]:at[3]]
		fields := make(map[string]bool)
		if at[4] >= 0 {
			begins[name] = source[at[4]:at[5]]
		}
		for _, field := range topLevel(source[at[1]:]) {
			if m := fieldHead.FindStringSubmatch(field); m != nil {
				fields[m[1]] = m[2] == "?"
			}
		}
		types[name] = fields
	}
	for name := range types {
		for base, ok := begins[name]; ok; base, ok = begins[base] {
			maps.Copy(types[name], types[base])
		}
	}
	if len(types) < 20 {
		t.Fatalf("found %d types only: has the file another form now?", len(types))
	}
	return types
}

// topLevel splits the inside of a type at its end, leaving nested types whole.
func topLevel(inside string) []string {
	var fields []string
	depth, begin := 1, 0
	for i, c := range inside {
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return append(fields, inside[begin:i])
			}
		case ';', '\n':
			if depth == 1 {
				fields = append(fields, inside[begin:i])
				begin = i + 1
			}
		}
	}
	return fields
}
