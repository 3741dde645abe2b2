package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseRateLimits(t *testing.T) {
	for _, tt := range []struct {
		text  string
		want  []RateLimit
		wrong string
	}{
		{"100/s", []RateLimit{{Requests: 100, Burst: 100, Per: time.Second}}, ""},
		{"5/10s burst 20 headers", []RateLimit{{Requests: 5, Burst: 20, Per: 10 * time.Second, Headers: true}}, ""},
		{"buy = 5/m , 1/h", []RateLimit{{Route: "buy", Requests: 5, Burst: 5, Per: time.Minute}, {Requests: 1, Burst: 1, Per: time.Hour}}, ""},
		{"", nil, "has no rate"},
		{"100", nil, "the time is s, m, h"},
		{"0/s", nil, "is no rate"},
		{"-1/s", nil, "is no rate"},
		{"5/1ms", nil, "from 50ms to 24h"},
		{"5/s burst", nil, "burst takes a number"},
		{"5/s burst 0", nil, "burst takes a number"},
		{"5/s header", nil, `unknown word "header"`},
		{"=5/s", nil, "names no route"},
		{"5/s, 6/s", nil, "two limits for the same route"},
	} {
		got, err := ParseRateLimits(tt.text)
		if tt.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%q: error %v, want %q", tt.text, err, tt.wrong)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v (-want +got):\n%s", tt.text, err, diff)
		}
	}
}

func FuzzParseRateLimits(f *testing.F) {
	f.Add("buy=5/10s burst 20 headers, 1/h")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseRateLimits(text)
		for _, l := range list {
			if err == nil && (l.Requests == 0 || l.Burst == 0 || l.Per < 50*time.Millisecond) {
				t.Errorf("%q gives %+v", text, l)
			}
		}
	})
}

func TestRateLimitProblems(t *testing.T) {
	annotated := func(kind, limit, spec string) string {
		return "apiVersion: networking.istio.io/v1\nkind: " + kind + "\nmetadata:\n  name: a\n  annotations:\n    " + AnnotationRateLimit + ": " + limit + "\nspec:\n" + spec
	}
	const routes = "  hosts: [a]\n  http:\n  - name: buy\n    route: [{destination: {host: a}}]\n"
	const service = "  hosts: [a.example]\n  ports: [{number: 80, name: http}]\n  resolution: DNS\n"
	for _, tt := range []struct{ name, text, want string }{
		{"good", annotated("VirtualService", "buy=5/s", routes), ""},
		{"rate", annotated("VirtualService", "many", routes), "6:5: error"},
		{"route", annotated("VirtualService", "byu=5/s", routes), `did you mean "buy"?`},
		{"service", annotated("ServiceEntry", "5/s", service), ""},
		{"route of a service", annotated("ServiceEntry", "buy=5/s", service), "a service has no route"},
		{"elsewhere", annotated("DestinationRule", "5/s", "  host: a\n"), "6:5: warning"},
	} {
		doc := document{text: tt.text, line: 1}
		decodeDocument("a.yaml", &doc)
		var all []string
		for _, p := range doc.problems {
			all = append(all, p.String())
		}
		if got := strings.Join(all, "\n"); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: problems %q, want %q", tt.name, got, tt.want)
		}
	}
}
