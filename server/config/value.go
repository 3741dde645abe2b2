package config

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"gopkg.in/yaml.v3"
)

// field is one entry of a mapping.
type field struct {
	key, value *yaml.Node
	index      int
}

// deref follows aliases.
func deref(n *yaml.Node) *yaml.Node {
	for range 16 { // an alias of an alias cannot be written; the bound is for safety
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	n = deref(n)
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// visit counts a node and remembers where it is.
func (d *decoder) visit(n *yaml.Node, path string) bool {
	d.nodes++
	if d.nodes == maxNodes {
		d.errorf(n, CodeLimit, "", "split the document", "the document has more than %d fields, aliases expanded", maxNodes)
	}
	if len(path) > maxPathLength {
		d.errorf(n, CodeLimit, "", "use shorter keys", "a path of the document is longer than %d bytes", maxPathLength)
		return false
	}
	if _, ok := d.positions[path]; !ok && d.nodes < maxNodes {
		d.positions[path] = position{d.offset + max(n.Line, 1), max(n.Column, 1)}
	}
	return d.nodes < maxNodes
}

// mapping reads the entries of a mapping node, merge keys expanded.
func (d *decoder) mapping(n *yaml.Node, path string) (map[string]field, bool) {
	at := n
	n = deref(n)
	if n.Kind != yaml.MappingNode {
		what := "spec, metadata and kind"
		if path != "" {
			what = "fields"
		}
		d.errorf(at, wrongKindCode(path), path, "", "%s: want a mapping with %s, got %s", orDocument(path), what, describe(n))
		return nil, false
	}
	fields := make(map[string]field, len(n.Content)/2)
	ok := d.entries(n, path, fields, 0)
	return fields, ok
}

func wrongKindCode(path string) string {
	if path == "" {
		return CodeNotObject
	}
	return CodeValue
}

func (d *decoder) entries(n *yaml.Node, path string, fields map[string]field, depth int) bool {
	var merges []*yaml.Node
	ok := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := deref(n.Content[i]), n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merges = append(merges, value)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.errorf(n.Content[i], CodeValue, path, "", "%s: a key must be text, got %s", orDocument(path), describe(key))
			ok = false
			continue
		}
		if first, twice := fields[key.Value]; twice {
			if depth == 0 {
				d.errorf(n.Content[i], CodeDuplicateKey, join(path, key.Value), "remove one of them",
					"%s is given twice, first in line %d", join(path, key.Value), d.offset+first.key.Line)
				ok = false
			}
			continue // what is written wins over what is merged in
		}
		fields[key.Value] = field{n.Content[i], value, len(fields)}
	}
	for _, m := range merges {
		ok = d.merge(m, path, fields, depth) && ok
	}
	return ok
}

func (d *decoder) merge(m *yaml.Node, path string, fields map[string]field, depth int) bool {
	sources := []*yaml.Node{m}
	if deref(m).Kind == yaml.SequenceNode {
		sources = deref(m).Content
	}
	for _, s := range sources {
		if deref(s).Kind != yaml.MappingNode || depth > 8 || !d.visit(s, path) {
			d.errorf(m, CodeValue, path, "", "%s: << takes a mapping or a list of mappings, not nested deeply", orDocument(path))
			return false
		}
		if !d.entries(deref(s), path, fields, depth+1) {
			return false
		}
	}
	return true
}

// message gives the JSON value of a protobuf message. ok is false when there
// is no value; the problems then say why.
func (d *decoder) message(n *yaml.Node, md protoreflect.MessageDescriptor, path string) (any, bool) {
	if !d.visit(n, path) {
		return nil, false
	}
	switch md.FullName() {
	case "google.protobuf.Duration":
		return d.duration(n, path)
	case "google.protobuf.UInt32Value", "google.protobuf.Int32Value", "google.protobuf.BoolValue",
		"google.protobuf.DoubleValue", "google.protobuf.StringValue":
		return d.scalar(n, md.Fields().ByName("value"), path)
	}
	fields, ok := d.mapping(n, path)
	if !ok {
		return nil, false
	}
	out := make(map[string]any, len(fields))
	for name, f := range inOrder(fields) {
		if isNull(f.value) && md.Fields().ByJSONName(name) != nil {
			continue // as if it were not there, as in JSON
		}
		fieldPath := join(path, name)
		if !d.visit(f.key, fieldPath) {
			return nil, false
		}
		fd := md.Fields().ByJSONName(name)
		if fd == nil {
			d.unknown(f.key, fieldPath, name, orDocument(path), jsonNames(md))
			continue
		}
		if !supported(md, name) {
			d.errorf(f.key, CodeUnsupported, fieldPath, "remove it, or wait for a version that has it", "%s is not supported yet", fieldPath)
			continue
		}
		if v, ok := d.fieldValue(f.value, fd, fieldPath); ok {
			out[name] = v
		}
	}
	d.oneofs(n, md, out, path)
	return out, true
}

func jsonNames(md protoreflect.MessageDescriptor) []string {
	names := make([]string, 0, md.Fields().Len())
	for i := range md.Fields().Len() {
		names = append(names, md.Fields().Get(i).JSONName())
	}
	return names
}

// oneofs refuses two members of one choice.
func (d *decoder) oneofs(n *yaml.Node, md protoreflect.MessageDescriptor, out map[string]any, path string) {
	for i := range md.Oneofs().Len() {
		var set, all []string
		members := md.Oneofs().Get(i).Fields()
		for j := range members.Len() {
			name := members.Get(j).JSONName()
			all = append(all, name)
			if _, ok := out[name]; ok {
				set = append(set, name)
			}
		}
		if len(set) > 1 {
			d.errorf(n, CodeValue, path, "keep one of them", "%s: only one of %s may be given, got %s",
				path, strings.Join(all, ", "), strings.Join(set, " and "))
		}
	}
}

func (d *decoder) fieldValue(n *yaml.Node, fd protoreflect.FieldDescriptor, path string) (any, bool) {
	switch {
	case fd.IsMap():
		entries, ok := d.mapping(n, path)
		if !ok {
			return nil, false
		}
		out := make(map[string]any, len(entries))
		for k, e := range inOrder(entries) {
			entryPath := path + "[" + k + "]"
			if !d.visit(e.key, entryPath) {
				return nil, false
			}
			if v, ok := d.single(e.value, fd.MapValue(), entryPath); ok {
				out[k] = v
			}
		}
		return out, true
	case fd.IsList():
		list := deref(n)
		if list.Kind != yaml.SequenceNode {
			d.errorf(n, CodeValue, path, "put \"- \" before each item", "%s: want a list, got %s", path, describe(list))
			return nil, false
		}
		out := make([]any, 0, len(list.Content))
		for i, item := range list.Content {
			itemPath := path + "[" + strconv.Itoa(i) + "]"
			if !d.visit(item, itemPath) {
				return nil, false
			}
			if v, ok := d.single(item, fd, itemPath); ok {
				out = append(out, v)
			}
		}
		return out, true
	}
	return d.single(n, fd, path)
}

func (d *decoder) single(n *yaml.Node, fd protoreflect.FieldDescriptor, path string) (any, bool) {
	if fd.Kind() == protoreflect.MessageKind {
		// A match on nothing but presence is written `x-header: {}`, and people
		// write `x-header:` for it too, which YAML reads as null.
		if isNull(n) {
			d.errorf(n, CodeValue, path, "write {} for an empty value", "%s is empty", path)
			return nil, false
		}
		return d.message(n, fd.Message(), path)
	}
	return d.scalar(n, fd, path)
}

// scalarText reads text. A number or a truth value is refused, as Kubernetes
// does: it is nearly always a version or an ID that lost its quotes.
func (d *decoder) scalarText(n *yaml.Node, path string) (string, bool) {
	v := deref(n)
	if v.Kind == yaml.ScalarNode {
		switch v.ShortTag() {
		case "!!str", "!!timestamp":
			return v.Value, true
		case "!!int", "!!float", "!!bool":
			d.errorf(n, CodeValue, path, fmt.Sprintf("put it in quotes: %q", v.Value), "%s: want text, got %s", path, describe(v))
			return "", false
		}
	}
	d.errorf(n, CodeValue, path, "", "%s: want text, got %s", path, describe(v))
	return "", false
}

func (d *decoder) scalar(n *yaml.Node, fd protoreflect.FieldDescriptor, path string) (any, bool) {
	v := deref(n)
	wrong := func(want, hint string) (any, bool) {
		d.errorf(n, CodeValue, path, hint, "%s: want %s, got %s", path, want, describe(v))
		return nil, false
	}
	switch fd.Kind() {
	case protoreflect.StringKind:
		return d.scalarText(n, path)
	case protoreflect.BoolKind:
		// yes, no, on and off are truth values in the YAML that Kubernetes reads.
		if v.Kind == yaml.ScalarNode && v.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
			switch strings.ToLower(v.Value) {
			case "true", "yes", "on":
				return true, true
			case "false", "no", "off":
				return false, true
			}
		}
		return wrong("true or false", "")
	case protoreflect.EnumKind:
		return d.enum(n, fd.Enum(), path)
	case protoreflect.BytesKind:
		if text, ok := d.scalarText(n, path); ok {
			if _, err := base64.StdEncoding.DecodeString(text); err == nil {
				return text, true
			}
		}
		return wrong("bytes in base64", "")
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		var x float64
		if v.Kind == yaml.ScalarNode && v.ShortTag() != "!!str" && v.Decode(&x) == nil && !math.IsInf(x, 0) && !math.IsNaN(x) {
			return x, true
		}
		return wrong("a number", "")
	}
	low, high := integerRange(fd.Kind())
	var x int64
	switch {
	case v.Kind != yaml.ScalarNode:
	case v.ShortTag() == "!!str": // "8080" is a number to Istio
		parsed, err := strconv.ParseInt(v.Value, 10, 64)
		if x = parsed; err != nil {
			return wrong("a whole number", "")
		}
		fallthrough
	case v.ShortTag() == "!!int" && v.Decode(&x) == nil:
		if x >= low && x <= high {
			return x, true
		}
	}
	return wrong(fmt.Sprintf("a whole number from %d to %d", low, high), "")
}

func integerRange(k protoreflect.Kind) (low, high int64) {
	switch k {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return 0, math.MaxUint32
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return 0, math.MaxInt64
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt64, math.MaxInt64
}

func (d *decoder) enum(n *yaml.Node, ed protoreflect.EnumDescriptor, path string) (any, bool) {
	names := make([]string, 0, ed.Values().Len())
	for i := range ed.Values().Len() {
		names = append(names, string(ed.Values().Get(i).Name()))
	}
	v := deref(n)
	if v.Kind == yaml.ScalarNode && slices.Contains(names, v.Value) {
		return v.Value, true
	}
	hint := ""
	if near := nearest(v.Value, names); v.Kind == yaml.ScalarNode && near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	d.errorf(n, CodeValue, path, hint, "%s: want one of %s, got %s", path, strings.Join(names, ", "), describe(v))
	return nil, false
}

// duration reads "1m30s" as well as protobuf's "90s": Istio takes both.
func (d *decoder) duration(n *yaml.Node, path string) (any, bool) {
	v := deref(n)
	if v.Kind == yaml.ScalarNode && v.ShortTag() == "!!str" {
		if parsed, err := time.ParseDuration(v.Value); err == nil {
			// Not by way of a float, which loses nanoseconds in long durations.
			sign := ""
			if parsed < 0 {
				sign = "-"
			}
			return fmt.Sprintf("%s%d.%09ds", sign, (parsed / time.Second).Abs(), (parsed % time.Second).Abs()), true
		}
	}
	d.errorf(n, CodeValue, path, "write a number with its unit, as \"15s\" or \"250ms\"", "%s: want a duration, got %s", path, describe(v))
	return nil, false
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		value := n.Value
		if len(value) > 40 {
			value = value[:40] + "…"
		}
		switch n.ShortTag() {
		case "!!null":
			return "nothing"
		case "!!int", "!!float":
			return "the number " + value
		case "!!bool":
			return "the truth value " + value
		}
		return strconv.Quote(value)
	}
	return "something else"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func orDocument(path string) string {
	if path == "" {
		return "the document"
	}
	return path
}
