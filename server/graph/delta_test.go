package graph

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// apply does what a client does with a delta.
func apply(v View, d Delta) View {
	v.Nodes = applyList(v.Nodes, d.Nodes, d.GoneNodes, func(n Node) string { return n.ID })
	v.Edges = applyList(v.Edges, d.Edges, d.GoneEdges, func(e Edge) string { return e.ID })
	v.Stale, v.Totals, v.WindowS, v.Matched, v.Limits = d.Stale, d.Totals, d.WindowS, d.Matched, d.Limits
	return v
}

func applyList[T any](list, upserts []T, gone []string, id func(T) string) []T {
	byID := map[string]T{}
	for _, x := range slices.Concat(list, upserts) {
		byID[id(x)] = x
	}
	for _, g := range gone {
		delete(byID, g)
	}
	ids := make([]string, 0, len(byID))
	for i := range byID {
		ids = append(ids, i)
	}
	slices.Sort(ids)
	out := make([]T, 0, len(ids))
	for _, i := range ids {
		out = append(out, byID[i])
	}
	return out
}

func TestDiffTurnsOneViewIntoTheNext(t *testing.T) {
	s := readScenario(t, `
target web:1 cinema/web every=1 offset=0
target b:1 cinema/b every=1 offset=0.5
traffic 0-20 web:1 source cinema/web > cinema/old c http 200=10
traffic 0-200 web:1 source cinema/web > cinema/calm c http 200=10
traffic 40-200 web:1 source cinema/web > cinema/new c http 503/UH=3 latency=5
traffic 0-35 b:1 source cinema/b > cinema/calm c http 200=1`)
	e := New(Options{History: 30 * time.Second})
	prev := e.View(Query{}, after(0))
	from := 0.0
	for at := 5.0; at < 200; at += 5 {
		for now := from; now < at; now++ {
			for _, target := range s.targets {
				e.Add(s.scrape(target, now+target.offset))
			}
		}
		from = at
		next := e.View(Query{}, after(at))
		d := Diff(prev, next)
		got := apply(prev, d)
		got.At, got.Seq = next.At, next.Seq
		if diff := cmp.Diff(next, got); diff != "" && len(prev.Nodes) > 0 {
			t.Fatalf("at %v (-want +got):\n%s", at, diff)
		}
		prev = next
	}
	if d := Diff(prev, prev); len(d.Nodes)+len(d.Edges)+len(d.GoneNodes)+len(d.GoneEdges) != 0 {
		t.Errorf("a view differs from itself: %+v", d)
	}
	if len(prev.Edges) != 2 {
		t.Errorf("%d edges at the end, want 2", len(prev.Edges))
	}
}

// Every field counts: one that a comparison forgets would never reach a
// browser again after its first value.
func TestDiffSeesEveryField(t *testing.T) {
	eachChange(t, "Node", Node{}, func(a, b Node) bool { return sameNode(&a, &b) })
	eachChange(t, "Edge", Edge{}, func(a, b Edge) bool { return sameEdge(&a, &b) })
}

func eachChange[T any](t *testing.T, name string, zero T, same func(a, b T) bool) {
	v := reflect.ValueOf(&zero).Elem()
	for i := range v.NumField() {
		path := name + "." + v.Type().Field(i).Name
		field := v.Field(i)
		for _, change := range changes(field.Type()) {
			before := zero
			field.Set(change)
			if same(before, zero) {
				t.Errorf("a change of %s to %v is not seen", path, change)
			}
			field.SetZero()
		}
	}
}

// changes gives values that differ from the zero value, one for each part.
func changes(t reflect.Type) []reflect.Value {
	switch t.Kind() {
	case reflect.String:
		return []reflect.Value{reflect.ValueOf("x").Convert(t)}
	case reflect.Bool:
		return []reflect.Value{reflect.ValueOf(true)}
	case reflect.Int, reflect.Uint64, reflect.Float64:
		return []reflect.Value{reflect.ValueOf(1).Convert(t)}
	case reflect.Pointer:
		return []reflect.Value{reflect.New(t.Elem())}
	case reflect.Slice:
		return []reflect.Value{reflect.MakeSlice(t, 1, 1)}
	case reflect.Map:
		m := reflect.MakeMap(t)
		m.SetMapIndex(reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem())
		return []reflect.Value{m}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return []reflect.Value{reflect.ValueOf(day)}
		}
		var out []reflect.Value
		for i := range t.NumField() {
			for _, c := range changes(t.Field(i).Type) {
				v := reflect.New(t).Elem()
				v.Field(i).Set(c)
				out = append(out, v)
			}
		}
		return out
	}
	panic("BUG: no change for " + t.String())
}
