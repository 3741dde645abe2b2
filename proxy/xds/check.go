package xds

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// maxProblems bounds what is said about one resource: the first few tell what
// is wrong, and the message travels in every NACK.
const maxProblems = 8

// problems collects what is wrong with one resource, each with its path in the
// proto.
type problems struct {
	list []string
	more int
}

func (p *problems) add(path, format string, args ...any) {
	if len(p.list) >= maxProblems {
		p.more++
		return
	}
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	p.list = append(p.list, text)
}

// err joins the problems to one error, nil when there is none.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	text := strings.Join(p.list, ", ")
	if p.more > 0 {
		text += fmt.Sprintf(", and %d more", p.more)
	}
	return errors.New(text)
}

// checker refuses what this build does not support, and what Envoy's own
// constraints on the messages forbid.
type checker struct {
	fields map[string]map[string]bool // by message, see supportedFields
	build  string
}

// check walks m and everything below it. Paths begin with prefix.
func (c *checker) check(m proto.Message, prefix string, into *problems) {
	c.constraints(m, prefix, into)
	c.message(m.ProtoReflect(), prefix, into)
}

func (c *checker) message(m protoreflect.Message, path string, into *problems) {
	name := m.Descriptor().FullName()
	if leaf(name) {
		return
	}
	fields, known := c.fields[string(name)]
	if !known {
		into.add(path, "not supported by build %s", c.build)
		return
	}
	if len(m.GetUnknown()) > 0 {
		into.add(path, "has fields that build %s does not know", c.build)
	}
	all := m.Descriptor().Fields()
	for i := range all.Len() {
		f := all.Get(i)
		if !m.Has(f) {
			continue
		}
		at := join(path, string(f.Name()))
		if !fields[string(f.Name())] {
			into.add(at, "not supported by build %s", c.build)
			continue
		}
		c.value(m.Get(f), f, at, into)
	}
}

func (c *checker) value(v protoreflect.Value, f protoreflect.FieldDescriptor, at string, into *problems) {
	switch {
	case f.IsMap():
		if f.MapValue().Message() == nil {
			return
		}
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			c.nested(v.Message(), at+"["+strconv.Quote(k.String())+"]", into)
			return true
		})
	case f.Message() == nil:
	case f.IsList():
		for i := range v.List().Len() {
			c.nested(v.List().Get(i).Message(), at+"["+strconv.Itoa(i)+"]", into)
		}
	default:
		c.nested(v.Message(), at, into)
	}
}

// nested looks into a packed message too: extensions carry their configuration
// in one.
func (c *checker) nested(m protoreflect.Message, at string, into *problems) {
	packed, ok := m.Interface().(*anypb.Any)
	if !ok {
		c.message(m, at, into)
		return
	}
	inner, err := packed.UnmarshalNew()
	if err != nil {
		into.add(at, "%s: not supported by build %s", typeOf(packed), c.build)
		return
	}
	if _, known := c.fields[string(inner.ProtoReflect().Descriptor().FullName())]; !known {
		into.add(at, "%s: not supported by build %s", typeOf(packed), c.build)
		return
	}
	c.check(inner, at, into)
}

// leaf says which messages hold data, not configuration to be understood.
func leaf(name protoreflect.FullName) bool {
	return strings.HasPrefix(string(name), "google.protobuf.") || name == "envoy.config.core.v3.Metadata"
}

// violation is what the constraints generated into Envoy's Go types report.
type violation interface {
	Field() string
	Reason() string
	Cause() error
}

func (c *checker) constraints(m proto.Message, path string, into *problems) {
	validator, ok := m.(interface{ Validate() error })
	if !ok {
		return
	}
	err := validator.Validate()
	for err != nil {
		v, ok := err.(violation)
		if !ok {
			into.add(path, "%v", err)
			return
		}
		path = join(path, snakeCase(v.Field()))
		if v.Cause() == nil {
			into.add(path, "%s", v.Reason())
			return
		}
		err = v.Cause()
	}
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// snakeCase turns a Go field name, "VirtualHosts[2]", into the proto's.
func snakeCase(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// typeOf is the short form of a packed message's type, for people.
func typeOf(packed *anypb.Any) string {
	if name := packed.MessageName(); name != "" {
		return string(name)
	}
	return fmt.Sprintf("type %q", packed.GetTypeUrl())
}
