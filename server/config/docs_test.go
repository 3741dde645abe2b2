package config

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// The table of what is supported has a row for each kind, and names each field
// of it that is carried out.
func TestSupportedIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/config-problems.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{} // by kind, with those that go on from it
	kind := ""
	for line := range strings.Lines(string(page)) {
		cells := strings.SplitN(line, "|", 3)
		if len(cells) < 3 {
			continue
		}
		if first := strings.Fields(cells[1]); len(first) > 0 && first[0] != "…" {
			kind = first[0]
		}
		rows[kind] += line
	}
	// Messages below the kind's own whose fields are named one by one.
	deeper := map[string][]string{
		KindVirtualService:      {"http", "http.match", "tcp.match", "tls.match"},
		KindDestinationRule:     {"trafficPolicy", "trafficPolicy.loadBalancer"},
		KindGateway:             {"servers.tls"},
		KindAuthorizationPolicy: {"rules", "rules.from.source", "rules.to.operation"},
	}
	for _, k := range Kinds() {
		if k == KindGRPCRoute { // "the same, with …"
			rows[k] += rows[KindHTTPRoute]
		}
		if rows[k] == "" {
			t.Errorf("no row for %s", k)
			continue
		}
		top := newSpec(k).ProtoReflect().Descriptor()
		for _, path := range append([]string{""}, deeper[k]...) {
			message := top
			for name := range strings.SplitSeq(path, ".") {
				if name != "" {
					message = message.Fields().ByJSONName(name).Message()
				}
			}
			eachSupported(message, func(field string) {
				told := strings.Contains(rows[k], field) || strings.HasPrefix(field, "not") && strings.Contains(rows[k], "`not…`")
				if !told && !strings.Contains(rows[k], "all |") {
					t.Errorf("%s: no word of %s", strings.TrimSuffix(k+"."+path, "."), field)
				}
			})
		}
	}
}

func eachSupported(message protoreflect.MessageDescriptor, visit func(field string)) {
	for i := range message.Fields().Len() {
		if name := message.Fields().Get(i).JSONName(); supported(message, name) {
			visit(name)
		}
	}
}
