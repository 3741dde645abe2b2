package xds

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// TestSupportedFieldsExist finds misspelt names: they would refuse good
// configuration, or mean nothing.
func TestSupportedFieldsExist(t *testing.T) {
	table := supportedFields()
	if len(table) < 50 {
		t.Fatalf("the table has %d messages", len(table))
	}
	for message, fields := range table {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(message))
		if err != nil {
			t.Errorf("%s: %v", message, err)
			continue
		}
		for field := range fields {
			if d.(protoreflect.MessageDescriptor).Fields().ByName(protoreflect.Name(field)) == nil {
				t.Errorf("%s has no field %q", message, field)
			}
		}
	}
}

func BenchmarkTranslate(b *testing.B) {
	ports := make([]uint32, 1000)
	for i := range ports {
		ports[i] = uint32(10000 + i)
	}
	hosts := make([]string, 200)
	for i := range hosts {
		hosts[i] = "service-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	tr := newTranslator("1.2.3")
	assignment, table := wrap(endpoints("x", ports...)), wrap(routes("x", hosts...))
	b.Run("1000 endpoints", func(b *testing.B) {
		for b.Loop() {
			if _, err := tr.translate("endpoint", "x", "v", 1, assignment); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("200 virtual hosts", func(b *testing.B) {
		for b.Loop() {
			if _, err := tr.translate("route", "x", "v", 1, table); err != nil {
				b.Fatal(err)
			}
		}
	})
}
