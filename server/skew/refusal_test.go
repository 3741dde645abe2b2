package skew

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadRefusal(t *testing.T) {
	refs := []ResourceRef{
		{"cluster", "outbound|80||a.x", "v"},
		{"cluster", "outbound|80|v1|a.x", "v"},
		{"route", "outbound", "v"},
		{"listener", "inbound_127.0.0.1:15006", "v"},
	}
	tests := map[string]struct {
		message string
		want    map[key]string
	}{
		"one": {"cluster outbound|80||a.x: bad timeout", map[key]string{{"cluster", "outbound|80||a.x"}: "bad timeout"}},
		"two, with a semicolon in the words": {
			"cluster outbound|80||a.x: bad; really bad; route outbound: no",
			map[key]string{{"cluster", "outbound|80||a.x"}: "bad; really bad", {"route", "outbound"}: "no"},
		},
		"Envoy's form": {
			"Error adding/updating listener(s) inbound_127.0.0.1:15006: address in use\n",
			map[key]string{{"listener", "inbound_127.0.0.1:15006"}: "address in use"},
		},
		"none":  {"proto: cannot parse", map[key]string{}},
		"empty": {"", map[key]string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, readRefusal(tt.message, refs), cmp.AllowUnexported(key{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func FuzzReadRefusal(f *testing.F) {
	f.Add("cluster a: b; route c: d", "a", "c")
	f.Add("route a: both; and more", "a", "a")
	f.Fuzz(func(t *testing.T, message, a, b string) {
		for k, v := range readRefusal(message, []ResourceRef{{"cluster", a, "1"}, {"route", b, "2"}}) {
			if v == "" || len(v) > maxWords+4 {
				t.Errorf("%v: %q", k, v)
			}
		}
		saysUnsupported(message)
	})
}
