package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"gopkg.in/yaml.v3"
)

// decoder walks one document. It collects all problems rather than stopping at
// the first: people fix a file in one go.
type decoder struct {
	file      string
	offset    int // lines before the document in the file
	nodes     int
	object    string
	positions map[string]position
	problems  []Problem
}

func decodeDocument(file string, doc *document) {
	d := &decoder{file: file, offset: doc.line - 1, positions: map[string]position{}}
	defer func() {
		for i := range d.problems {
			d.problems[i].Object = d.object
		}
		doc.problems = d.problems
	}()

	root, line, err := parseYAML(doc.text)
	if err != nil {
		d.problems = append(d.problems, Problem{
			Severity: SeverityError, Code: CodeSyntax, File: file, Line: d.offset + line, Column: 1,
			Message: err.Error(), Hint: "the document is not valid YAML",
		})
		return
	}
	fields, ok := d.mapping(root, "")
	if !ok {
		return
	}
	obj := &Object{Source: file, Line: d.offset + root.Line, YAML: doc.trimmed(), positions: d.positions}
	d.header(root, fields, obj)
	if obj.Kind != "" && obj.Name != "" {
		doc.key = obj.Key()
		d.object = doc.key.String()
	}
	spec := newSpec(obj.Kind)
	if spec == nil {
		return // said by header
	}
	d.spec(root, fields, spec)
	if HasErrors(d.problems) {
		return
	}
	obj.Spec = spec
	d.problems = append(d.problems, validate(obj)...)
	if HasErrors(d.problems) {
		return
	}
	if obj.Hash, err = hashObject(obj); err != nil {
		d.errorf(root, CodeValue, "", "", "%v", err)
		return
	}
	doc.object = obj
}

// frame is what a document has around its spec.
var frame = []string{"apiVersion", "kind", "metadata", "spec", "status"}

// header reads everything of a document that is not its spec. Names are set on
// the object as soon as they are known to be good, so that problems further on
// can be told by object.
func (d *decoder) header(root *yaml.Node, fields map[string]field, obj *Object) {
	apiVersion, okVersion := d.text(root, fields, "apiVersion", "")
	kind, okKind := d.text(root, fields, "kind", "")
	if okVersion && okKind {
		d.kind(fields, apiVersion, kind, obj)
	}
	for name, f := range inOrder(fields) {
		if !slices.Contains(frame, name) {
			d.unknown(f.key, name, name, "the document", frame)
		}
	}
	meta, ok := fields["metadata"]
	if !ok {
		d.errorf(root, CodeNotObject, "metadata", "add metadata with a name", "metadata is missing")
		return
	}
	d.metadata(meta.value, obj)
}

func (d *decoder) kind(fields map[string]field, apiVersion, kind string, obj *Object) {
	group, version, _ := strings.Cut(apiVersion, "/")
	k, known := kindOf(kind)
	instead, isForeign := foreign[kind]
	hint := "supported are " + supportedKinds()
	switch {
	case known && group == k.group && slices.Contains(k.versions, version):
		obj.APIVersion, obj.Kind = apiVersion, kind
	case known && group == k.group:
		d.errorf(fields["apiVersion"].value, CodeUnknownKind, "apiVersion", kind+" has "+strings.Join(k.versions, ", "), "apiVersion %q is not supported", apiVersion)
	case isForeign:
		d.errorf(fields["kind"].value, CodeUnknownKind, "kind", instead, "%s is not read", kind)
	case known:
		d.errorf(fields["apiVersion"].value, CodeUnknownKind, "apiVersion", hint, "apiVersion %q is not supported", apiVersion)
	default:
		if near := nearest(kind, Kinds()); near != "" {
			hint = fmt.Sprintf("did you mean %s? %s", near, hint)
		}
		d.errorf(fields["kind"].value, CodeUnknownKind, "kind", hint, "kind %q is not supported", kind)
	}
}

// serverMetadata is what Kubernetes adds to an object that was read back from
// it. It says nothing about what is wanted, so it is accepted and left.
var serverMetadata = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName",
	"generation", "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid",
}

var (
	// The name forms of Kubernetes: RFC 1123 subdomain and label.
	nameForm  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	labelForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
)

func (d *decoder) metadata(n *yaml.Node, obj *Object) {
	fields, ok := d.mapping(n, "metadata")
	if !ok {
		return
	}
	known := append([]string{"name", "namespace", "labels", "annotations"}, serverMetadata...)
	for name, f := range inOrder(fields) {
		if !slices.Contains(known, name) {
			d.unknown(f.key, "metadata."+name, name, "metadata", known[:4])
		}
	}
	namespace := "default"
	if f, ok := fields["namespace"]; ok && !isNull(f.value) {
		namespace, ok = d.text(n, fields, "namespace", "metadata.")
		if ok && (!labelForm.MatchString(namespace) || len(namespace) > 63) {
			d.errorf(f.value, CodeName, "metadata.namespace", "use lower-case letters, digits and '-', at most 63", "%q is not a namespace name", namespace)
			namespace = ""
		}
	}
	if f, ok := fields["creationTimestamp"]; ok && byAge(obj.Kind) {
		obj.Created, _ = time.Parse(time.RFC3339, deref(f.value).Value) // null, of one that was never in a cluster
	}
	if name, ok := d.text(n, fields, "name", "metadata."); ok && namespace != "" {
		if nameForm.MatchString(name) && len(name) <= 253 {
			obj.Name, obj.Namespace = name, namespace
		} else {
			d.errorf(fields["name"].value, CodeName, "metadata.name", "use lower-case letters, digits, '-' and '.', at most 253", "%q is not an object name", name)
		}
	}
	obj.Labels = d.textMap(fields, "labels")
	obj.Annotations = d.textMap(fields, "annotations")
}

// text reads a required text field of the document's frame.
func (d *decoder) text(parent *yaml.Node, fields map[string]field, name, prefix string) (string, bool) {
	f, ok := fields[name]
	if !ok || isNull(f.value) {
		d.errorf(parent, CodeNotObject, prefix+name, "", "%s is missing", prefix+name)
		return "", false
	}
	v, ok := d.scalarText(f.value, prefix+name)
	return v, ok
}

func (d *decoder) textMap(fields map[string]field, name string) map[string]string {
	f, ok := fields[name]
	if !ok || isNull(f.value) {
		return nil
	}
	path := "metadata." + name
	entries, ok := d.mapping(f.value, path)
	if !ok {
		return nil
	}
	out := make(map[string]string, len(entries))
	for k, e := range inOrder(entries) {
		d.visit(e.key, path+"["+k+"]")
		if v, ok := d.scalarText(e.value, path+"["+k+"]"); ok {
			out[k] = v
		}
	}
	return out
}

// spec decodes the spec in two steps: our walk, which knows lines, names and
// what is supported, and then protojson with unknown fields refused, which has
// the last word on the schema.
func (d *decoder) spec(root *yaml.Node, fields map[string]field, into proto.Message) {
	f, ok := fields["spec"]
	if !ok || isNull(f.value) {
		d.errorf(root, CodeNotObject, "spec", "", "spec is missing")
		return
	}
	value, ok := d.message(f.value, into.ProtoReflect().Descriptor(), "spec")
	if !ok || HasErrors(d.problems) {
		return
	}
	text, err := json.Marshal(value)
	if err == nil {
		err = protojson.UnmarshalOptions{DiscardUnknown: false}.Unmarshal(text, into)
	}
	if err != nil {
		// protojson speaks of places in JSON that nobody wrote.
		d.errorf(f.value, CodeValue, "spec", "", "%s", jsonPlace.ReplaceAllString(err.Error(), ""))
	}
}

var jsonPlace = regexp.MustCompile(`^proto:[\s\x{a0}]*(\(line \d+:\d+\): )?`)

func (d *decoder) errorf(n *yaml.Node, code, path, hint, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		Severity: SeverityError, Code: code, File: d.file, Line: d.offset + max(n.Line, 1), Column: max(n.Column, 1),
		Path: path, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// unknown reports a field that does not exist, with the name it was perhaps
// meant to have.
func (d *decoder) unknown(key *yaml.Node, path, name, of string, known []string) {
	hint := of + " has " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
	if near := nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	d.errorf(key, CodeUnknownField, path, hint, "unknown field %s", path)
}

// inOrder iterates in the order of the document, so that problems come in it.
func inOrder(fields map[string]field) func(yield func(string, field) bool) {
	names := slices.SortedFunc(maps.Keys(fields), func(a, b string) int { return fields[a].index - fields[b].index })
	return func(yield func(string, field) bool) {
		for _, name := range names {
			if !yield(name, fields[name]) {
				return
			}
		}
	}
}
