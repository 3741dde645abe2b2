package meshv1

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// TestRoundTrip fills every field of each noun with a value of its own, by
// reflection, so that a field added later and forgotten here fails the test.
func TestRoundTrip(t *testing.T) {
	roundTrip(t, "Workload", func(w mesh.Workload) (proto.Message, mesh.Workload) {
		x := FromWorkload(w)
		return x, wire(t, x).Mesh()
	})
	roundTrip(t, "Service", func(s mesh.Service) (proto.Message, mesh.Service) {
		x := FromService(s)
		return x, wire(t, x).Mesh()
	})
	roundTrip(t, "Histogram", func(h mesh.Histogram) (proto.Message, mesh.Histogram) {
		x := FromHistogram(h)
		return x, wire(t, x).Mesh()
	})
	roundTrip(t, "EdgeDelta", func(d mesh.EdgeDelta) (proto.Message, mesh.EdgeDelta) {
		x := FromEdgeDelta(d)
		return x, wire(t, x).Mesh()
	})
	roundTrip(t, "EdgeBatch", func(b mesh.EdgeBatch) (proto.Message, mesh.EdgeBatch) {
		x := FromEdgeBatch(b)
		return x, wire(t, x).Mesh()
	})
	roundTrip(t, "Node", func(n mesh.Node) (proto.Message, mesh.Node) {
		x := FromNode(n, 42)
		got := wire(t, x).Mesh()
		got.PullS = n.PullS // told where configuration is asked for, with the node's metadata
		return x, got
	})
	roundTrip(t, "Identity", func(id mesh.Identity) (proto.Message, mesh.Identity) {
		x := FromIdentity(id)
		return x, wire(t, x).Mesh()
	})
	roundTrip(t, "Life", func(l mesh.Life) (proto.Message, mesh.Life) {
		x := FromLife(l)
		return x, wire(t, x).Mesh()
	})
	roundTrip(t, "TapEvent", func(ev mesh.TapEvent) (proto.Message, mesh.TapEvent) {
		x := FromTapEvent(ev)
		got := wire(t, x).Mesh()
		got.Seq, got.Node = ev.Seq, ev.Node // added by the server
		return x, got
	})
}

func roundTrip[T any](t *testing.T, name string, there func(T) (proto.Message, T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		var want T
		n := 0
		fill(reflect.ValueOf(&want).Elem(), &n)
		msg, got := there(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after the round trip (-want +got):\n%s", diff)
		}
		wantAllSet(t, msg.ProtoReflect())
	})
}

// wantAllSet finds message fields that the From functions forget.
func wantAllSet(t *testing.T, m protoreflect.Message) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			t.Errorf("field %s is never set", f.FullName())
			continue
		}
		switch {
		case f.IsMap():
		case f.IsList() && f.Message() != nil:
			wantAllSet(t, m.Get(f).List().Get(0).Message())
		case !f.IsList() && f.Message() != nil && f.Message().ParentFile().Package() == "sidelight.mesh.v1":
			wantAllSet(t, m.Get(f).Message())
		}
	}
}

// fill sets every field below v to a value that no other field has.
func fill(v reflect.Value, n *int) {
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1_700_000_000+int64(*n), 123).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n)
			fill(value, n)
			v.SetMapIndex(key, value)
		}
	default:
		panic("BUG: fill cannot set a " + v.Kind().String())
	}
}

func wire[M proto.Message](t *testing.T, in M) M {
	t.Helper()
	b, err := proto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out := in.ProtoReflect().New().Interface().(M)
	if err := proto.Unmarshal(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestZeroValues(t *testing.T) {
	if got := FromEdgeBatch(mesh.EdgeBatch{}).Mesh(); !cmp.Equal(got, mesh.EdgeBatch{}) {
		t.Errorf("zero batch came back as %+v", got)
	}
	if got := FromHistogram(mesh.Histogram{}); got != nil {
		t.Errorf("empty histogram is sent as %v, want nothing", got)
	}
	var none *TapEvent
	if got := none.Mesh(); got.Attempts == nil || !got.At.IsZero() {
		t.Errorf("absent event gave %+v, want an empty list of attempts and no time", got)
	}
	if got := (&EdgeBatch{Deltas: []*EdgeDelta{nil}}).Mesh(); len(got.Deltas) != 1 {
		t.Errorf("absent delta gave %+v", got)
	}
}

func TestGarbageFromTheWire(t *testing.T) {
	uneven := &Histogram{Count: 3, Lower: []float64{0, 1}, Upper: []float64{1, 2, 3}, Counts: []float64{3}}
	want := mesh.Histogram{Count: 3, Buckets: []mesh.Bucket{{Upper: 1, Count: 3}}}
	if diff := cmp.Diff(want, uneven.Mesh()); diff != "" {
		t.Errorf("uneven columns (-want +got):\n%s", diff)
	}
	twice := &EdgeDelta{Requests: []*OutcomeCount{{Code: 200, Count: 1}, nil, {Code: 200, Count: 2}}}
	if got := twice.Mesh().Requests[mesh.Outcome{Code: 200}]; got != 3 {
		t.Errorf("an outcome listed twice counts %v, want 3", got)
	}
	open := &Histogram{Count: 1, Lower: []float64{5}, Upper: []float64{math.Inf(1)}, Counts: []float64{1}}
	if got := wire(t, open).Mesh().Buckets[0].Upper; !math.IsInf(got, 1) {
		t.Errorf("open bucket ends at %v, want +Inf", got)
	}
}
