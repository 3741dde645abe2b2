package config

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"gopkg.in/yaml.v3"
)

// ObjectDiff tells how one object differs between two contents, by meaning: the
// order of lists counts only where it matters to the mesh, and what is written
// out is the same as the default that it names.
type ObjectDiff struct {
	Op        string      `json:"op"` // added | changed | removed
	Kind      string      `json:"kind"`
	Namespace string      `json:"namespace"`
	Name      string      `json:"name"`
	Before    *Place      `json:"before,omitempty"` // nil when added
	After     *Place      `json:"after,omitempty"`  // nil when removed
	Fields    []FieldDiff `json:"fields"`           // of a changed object; none: it is written otherwise and means the same
	YAML      string      `json:"yaml,omitempty"`   // the document of one that was added or removed, as written
}

// Key is the object's name.
func (d *ObjectDiff) Key() Key { return Key{d.Kind, d.Namespace, d.Name} }

// Place is where an object stands.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// FieldDiff is one field that differs. Values are YAML; "" where there is none.
type FieldDiff struct {
	Op         string `json:"op"`   // added | changed | removed | moved
	Path       string `json:"path"` // in the form that has it, the newer before the older
	Before     string `json:"before"`
	After      string `json:"after"`
	BeforeLine int    `json:"before_line"` // 0: none
	AfterLine  int    `json:"after_line"`
}

// Compare tells how two contents differ. Both are by key, as in a Snapshot.
func Compare(before, after []*Object) []ObjectDiff {
	out := []ObjectDiff{}
	for _, c := range diff(before, after) {
		key := Key{c.Kind, c.Namespace, c.Name}
		old, now := objectIn(before, key), objectIn(after, key)
		d := ObjectDiff{Op: c.Op, Kind: c.Kind, Namespace: c.Namespace, Name: c.Name, Fields: []FieldDiff{}}
		if old != nil {
			d.Before = &Place{old.Source, old.Line}
		}
		if now != nil {
			d.After = &Place{now.Source, now.Line}
		}
		switch {
		case old == nil:
			d.YAML = now.YAML
		case now == nil:
			d.YAML = old.YAML
		default:
			d.Fields = compareObjects(old, now)
		}
		out = append(out, d)
	}
	return out
}

func objectIn(objects []*Object, key Key) *Object {
	if i, ok := slices.BinarySearchFunc(objects, key, func(o *Object, k Key) int { return o.Key().Compare(k) }); ok {
		return objects[i]
	}
	return nil
}

func compareObjects(before, after *Object) []FieldDiff {
	c := &comparison{before: before, after: after, fields: []FieldDiff{}}
	c.texts("metadata.labels", before.Labels, after.Labels)
	c.texts("metadata.annotations", before.Annotations, after.Annotations)
	c.message(normal(before.Spec).ProtoReflect(), normal(after.Spec).ProtoReflect(), both{"spec", "spec"})
	return c.fields
}

// CompareMessages tells how two messages differ, by the same meaning: resources,
// for instance, that objects became. Paths name list elements that have names.
func CompareMessages(before, after proto.Message) []FieldDiff {
	none := &Object{}
	c := &comparison{before: none, after: none, fields: []FieldDiff{}, named: true}
	c.message(before.ProtoReflect(), after.ProtoReflect(), both{})
	for i := range c.fields {
		c.fields[i].Path = strings.TrimPrefix(c.fields[i].Path, ".")
	}
	return c.fields
}

// comparison collects how two forms of one object differ.
type comparison struct {
	before, after *Object
	named         bool // elements of lists are called by their names
	fields        []FieldDiff
}

// both is the path of something in the two forms; "" where it is not.
type both struct{ before, after string }

func (p both) join(name string) both { return both{p.before + name, p.after + name} }

func (c *comparison) add(op string, at both, before, after string) {
	d := FieldDiff{Op: op, Path: cmp.Or(at.after, at.before), Before: before, After: after}
	if pos, ok := locate(c.before.positions, at.before); ok {
		d.BeforeLine = pos.line
	}
	if pos, ok := locate(c.after.positions, at.after); ok {
		d.AfterLine = pos.line
	}
	c.fields = append(c.fields, d)
}

func (c *comparison) texts(path string, before, after map[string]string) {
	for _, k := range unionKeys(before, after) {
		was, had := before[k]
		is, has := after[k]
		at := both{path + "[" + k + "]", path + "[" + k + "]"}
		switch {
		case !had:
			c.add("added", both{after: at.after}, "", is)
		case !has:
			c.add("removed", both{before: at.before}, was, "")
		case was != is:
			c.add("changed", at, was, is)
		}
	}
}

func unionKeys[V any](a, b map[string]V) []string {
	keys := append(sortedKeys(a), sortedKeys(b)...)
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (c *comparison) message(a, b protoreflect.Message, at both) {
	fields := a.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		here := at.join("." + fd.JSONName())
		switch {
		case !a.Has(fd) && !b.Has(fd):
		case fd.IsMap():
			c.mapping(fd, a.Get(fd).Map(), b.Get(fd).Map(), here)
		case fd.IsList() && fd.Kind() == protoreflect.MessageKind:
			c.list(fd, a.Get(fd).List(), b.Get(fd).List(), here)
		case fd.IsList():
			c.values(fd, a.Get(fd).List(), b.Get(fd).List(), here)
		default:
			c.single(fd, a.Has(fd), b.Has(fd), a.Get(fd), b.Get(fd), here)
		}
	}
}

func (c *comparison) single(fd protoreflect.FieldDescriptor, had, has bool, a, b protoreflect.Value, at both) {
	switch {
	case !had:
		c.add("added", both{after: at.after}, "", text(fd, b))
	case !has:
		c.add("removed", both{before: at.before}, text(fd, a), "")
	case fd.Kind() == protoreflect.MessageKind && fd.Message().FullName() == "google.protobuf.Any" && c.packed(a, b, at):
	case fd.Kind() == protoreflect.MessageKind && !atomic(fd.Message()):
		c.message(a.Message(), b.Message(), at)
	case !a.Equal(b):
		c.add("changed", at, text(fd, a), text(fd, b))
	}
}

// packed looks into two packed messages of one type. It reports false, having done
// nothing, when they cannot be compared so.
func (c *comparison) packed(a, b protoreflect.Value, at both) bool {
	open := func(v protoreflect.Value) (proto.Message, bool) {
		packed, ok := v.Message().Interface().(*anypb.Any)
		if !ok {
			return nil, false
		}
		m, err := packed.UnmarshalNew()
		return m, err == nil
	}
	before, okBefore := open(a)
	after, okAfter := open(b)
	if !okBefore || !okAfter || before.ProtoReflect().Descriptor() != after.ProtoReflect().Descriptor() {
		return false
	}
	c.message(before.ProtoReflect(), after.ProtoReflect(), at)
	return true
}

// atomic messages are one value to people: a duration, a number that may be
// absent, a string match.
func atomic(md protoreflect.MessageDescriptor) bool {
	return strings.HasPrefix(string(md.FullName()), "google.protobuf.") || md.Name() == "StringMatch" || md.Name() == "PortSelector"
}

func (c *comparison) mapping(fd protoreflect.FieldDescriptor, a, b protoreflect.Map, at both) {
	entries := func(m protoreflect.Map) map[string]protoreflect.Value {
		out := map[string]protoreflect.Value{}
		m.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			out[k.String()] = v
			return true
		})
		return out
	}
	before, after := entries(a), entries(b)
	for _, k := range unionKeys(before, after) {
		was, had := before[k]
		is, has := after[k]
		c.single(fd.MapValue(), had, has, was, is, at.join("["+k+"]"))
	}
}

// values compares lists of plain values: none of Istio's has an order that
// means something.
func (c *comparison) values(fd protoreflect.FieldDescriptor, a, b protoreflect.List, at both) {
	count := map[string]int{}
	for i := range a.Len() {
		count[text(fd, a.Get(i))]++
	}
	for i := range b.Len() {
		v := text(fd, b.Get(i))
		if count[v]--; count[v] < 0 {
			c.add("added", both{after: at.after + index(i)}, "", v)
		}
	}
	for i := a.Len() - 1; i >= 0; i-- {
		v := text(fd, a.Get(i))
		if count[v] > 0 {
			count[v]--
			c.add("removed", both{before: at.before + index(i)}, v, "")
		}
	}
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

// list compares lists of messages: pairs what is the same thing in both, then
// looks into the pairs, then at their order where that counts.
func (c *comparison) list(fd protoreflect.FieldDescriptor, a, b protoreflect.List, at both) {
	partner := pair(fd, a, b) // of each element of b in a, -1: none
	inOrder := ordered(fd)
	steady := map[int]bool{}
	if inOrder {
		steady = longestRising(partner)
	}
	taken := make([]bool, a.Len())
	for j, i := range partner {
		if i < 0 {
			c.add("added", both{after: at.after + c.element(b, j)}, "", text(fd, b.Get(j)))
			continue
		}
		taken[i] = true
		here := both{at.before + c.element(a, i), at.after + c.element(b, j)}
		if inOrder && !steady[j] {
			c.add("moved", here, "position "+strconv.Itoa(i+1), "position "+strconv.Itoa(j+1))
		}
		c.message(a.Get(i).Message(), b.Get(j).Message(), here)
	}
	for i := range taken {
		if !taken[i] {
			c.add("removed", both{before: at.before + c.element(a, i)}, text(fd, a.Get(i)), "")
		}
	}
}

// element is how an element of a list is called.
func (c *comparison) element(list protoreflect.List, i int) string {
	if c.named {
		m := list.Get(i).Message()
		if name := m.Descriptor().Fields().ByName("name"); name != nil && name.Kind() == protoreflect.StringKind && m.Get(name).String() != "" {
			return "[" + m.Get(name).String() + "]"
		}
	}
	return index(i)
}

// ordered lists are those in which the first that matches wins.
func ordered(fd protoreflect.FieldDescriptor) bool {
	switch fd.Message().Name() {
	case "HTTPRoute", "TCPRoute", "TLSRoute", "HTTPRouteRule", "GRPCRouteRule":
		return true
	case "Route", "Filter", "HttpFilter", "FilterChain": // of Envoy's resources
		return true
	}
	return false
}

// pair finds for each element of b the element of a that it was: the one with
// the same content, then one with the same identity, then, of what is left on
// both sides, by place.
func pair(fd protoreflect.FieldDescriptor, a, b protoreflect.List) []int {
	partner := make([]int, b.Len())
	used := make([]bool, a.Len())
	for j := range partner {
		partner[j] = -1
	}
	for _, same := range []func(protoreflect.Value) string{
		func(v protoreflect.Value) string { return text(fd, v) },
		func(v protoreflect.Value) string {
			return identity(v.Message(), "name", "destination", "match", "address", "number", "port", "service", "endpoint", "locality", "filter_chain_match")
		},
		func(v protoreflect.Value) string { return identity(v.Message(), "route", "labels", "from") },
		func(v protoreflect.Value) string { return "*" },
	} {
		free := map[string][]int{}
		for i := range a.Len() {
			if !used[i] {
				k := same(a.Get(i))
				free[k] = append(free[k], i)
			}
		}
		for j := range partner {
			if partner[j] >= 0 {
				continue
			}
			k := same(b.Get(j))
			if k != "" && len(free[k]) > 0 {
				partner[j], used[free[k][0]] = free[k][0], true
				free[k] = free[k][1:]
			}
		}
	}
	return partner
}

// identity is what people know an element by: the first of some fields that it
// has, "" when it has none.
func identity(m protoreflect.Message, names ...protoreflect.Name) string {
	fields := m.Descriptor().Fields()
	for _, name := range names {
		if fd := fields.ByName(name); fd != nil && m.Has(fd) {
			if !fd.IsList() && !fd.IsMap() {
				return string(name) + text(fd, m.Get(fd))
			}
			alone := m.New()
			alone.Set(fd, m.Get(fd))
			return string(name) + text(nil, protoreflect.ValueOfMessage(alone))
		}
	}
	return ""
}

// longestRising gives the elements that need not have moved: the longest run
// whose partners stand in the same order.
func longestRising(partner []int) map[int]bool {
	best, from := make([]int, len(partner)), make([]int, len(partner))
	end := -1
	for j, i := range partner {
		from[j] = -1
		if i < 0 {
			continue
		}
		best[j] = 1
		for k := range j {
			if partner[k] >= 0 && partner[k] < i && best[k]+1 > best[j] {
				best[j], from[j] = best[k]+1, k
			}
		}
		if end < 0 || best[j] > best[end] {
			end = j
		}
	}
	steady := map[int]bool{}
	for ; end >= 0; end = from[end] {
		steady[end] = true
	}
	return steady
}

// text writes a value as YAML: a scalar as it is, a message as a block. fd may
// be nil for a message.
func text(fd protoreflect.FieldDescriptor, v protoreflect.Value) string {
	if m, ok := v.Interface().(protoreflect.Message); ok {
		raw, err := protojson.Marshal(m.Interface())
		if err != nil {
			return ""
		}
		var plain any
		if json.Unmarshal(raw, &plain) != nil {
			return string(raw)
		}
		if s, ok := plain.(string); ok {
			return s
		}
		out, err := yaml.Marshal(plain)
		if err != nil {
			return string(raw)
		}
		return strings.TrimSpace(string(out))
	}
	if fd.Kind() == protoreflect.EnumKind {
		if ev := fd.Enum().Values().ByNumber(v.Enum()); ev != nil {
			return string(ev.Name())
		}
	}
	return v.String()
}

// normal gives a copy of a spec without what says no more than the default.
func normal(spec proto.Message) proto.Message {
	spec = proto.Clone(spec)
	normalMessage(spec.ProtoReflect())
	return spec
}

func normalMessage(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case isDefault(m, fd, v):
			m.Clear(fd)
		case fd.IsList() && fd.Kind() == protoreflect.MessageKind:
			for i := range v.List().Len() {
				normalMessage(v.List().Get(i).Message())
			}
		case fd.IsMap() && fd.MapValue().Kind() == protoreflect.MessageKind:
			v.Map().Range(func(_ protoreflect.MapKey, e protoreflect.Value) bool {
				normalMessage(e.Message())
				return true
			})
		case !fd.IsMap() && !fd.IsList() && fd.Kind() == protoreflect.MessageKind:
			normalMessage(v.Message())
		}
		return true
	})
}

// isDefault knows Istio's documented defaults that are written with a value.
func isDefault(m protoreflect.Message, fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	only := func(want string) bool { return v.List().Len() == 1 && v.List().Get(0).String() == want }
	switch m.Descriptor().Name() + "." + fd.Name() {
	case "VirtualService.gateways":
		return only("mesh")
	case "VirtualService.export_to", "DestinationRule.export_to", "ServiceEntry.export_to":
		return only("*")
	case "HTTPRedirect.redirect_code":
		return v.Uint() == 301
	case "HTTPMirrorPolicy.percentage", "HTTPRoute.mirror_percentage":
		percent := v.Message()
		return percent.Get(percent.Descriptor().Fields().ByName("value")).Float() == 100
	case "HTTPRoute.route":
		// One destination takes all, whatever its weight.
		if v.List().Len() == 1 {
			to := v.List().Get(0).Message()
			to.Clear(to.Descriptor().Fields().ByName("weight"))
		}
	case "ServicePort.protocol":
		m.Set(fd, protoreflect.ValueOfString(strings.ToUpper(v.String())))
	}
	return false
}
