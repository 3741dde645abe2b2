package expr

import (
	"errors"
	"strings"
	"testing"
)

var testSchema = &Schema{
	Fields: []Field{
		{Name: "status", Aliases: []string{"code"}, Kind: Number, Unit: Code},
		{Name: "duration", Aliases: []string{"latency"}, Kind: Number, Unit: Millis},
		{Name: "errors", Kind: Number, Unit: Ratio},
		{Name: "bytes", Kind: Number, Unit: Bytes},
		{Name: "from", Kind: Text},
		{Name: "path", Kind: Text},
		{Name: "flags", Kind: Text},
		{Name: "meshed", Kind: Bool},
	},
	Words: []int{4, 5},
}

var requestValues = []Value{
	{Num: 503},
	{Num: 1500},
	{Num: 0.02},
	{Num: 3000},
	{Text: "cinema/tickets"},
	{Text: "/v1/Charges?a=b"},
	{List: []string{"UF", "URX"}},
	{Bool: true},
}

func request(i int) Value { return requestValues[i] }

func TestMatch(t *testing.T) {
	tests := []struct {
		src  string
		want bool
	}{
		{"", true},
		{"  ", true},
		{"status = 503", true},
		{"code=503", true},
		{"status = 5xx", true},
		{"status != 5xx", false},
		{"status = 4xx", false},
		{"status >= 500 and duration > 1s", true},
		{"duration > 1.5 s", false},
		{"duration >= 1.5 s", true},
		{"duration = 1500", true},
		{"errors > 1 %", true},
		{"errors > 2%", false},
		{"errors = 0.02", true},
		{"bytes >= 3kB", true},
		{"bytes > 3 kB", false},
		{"bytes > 2KiB", true},
		{"from = CINEMA/Tickets", true},
		{"from ^= cinema/", true},
		{"from $= tickets", true},
		{"from *= ema/t", true},
		{"from ~ ^cinema/(tickets|seats)$", true},
		{"(from ~ ^cinema/(tickets|seats)$)", true},
		{"path ^= /v1/charges", true},
		{"path = /v1/Charges?a=b", true},
		{`path = "/v1/charges?a=b"`, true},
		{`path *= 'a="'`, false},
		{"flags = URX", true},
		{"flags != UF", false},
		{"flags = UH", false},
		{"flags", true},
		{"meshed", true},
		{"!meshed", false},
		{"not meshed or status = 503", true},
		{"meshed = no", false},
		{"meshed != false", true},
		{"tickets", true},
		{"charges tickets", true},
		{"seats", false},
		{`"v1/ch"`, true},
		// "and" binds tighter than "or", and brackets tighter than both.
		{"status = 200 and meshed or from = cinema/tickets", true},
		{"status = 200 and (meshed or from = cinema/tickets)", false},
		{"not (status = 200 or duration < 1s) meshed", true},
	}
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			e, err := Parse(tt.src, testSchema)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if got := e.Match(request); got != tt.want {
				t.Errorf("Match = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		src, part string // part of the source that the error points at
		msg       string
	}{
		{"stauts = 500", "stauts", `did you mean "status"?`},
		{"status = fast", "fast", "not a number"},
		{"status > 5xx", "5xx", "is no unit"},
		{"duration > 3 kB", "3", ""}, // "kB" is then a word that nothing follows from
		{"duration > 3kB", "3kB", `"kB" is no unit of "duration"`},
		{"errors > 5", "5", "write 5% for percent"},
		{"from > 3", ">", "compares numbers"},
		{"status ^= 5", "^=", "compares text"},
		{"meshed = perhaps", "perhaps", "neither true nor false"},
		{"meshed > true", ">", "use = or !="},
		{"(status = 500", "(", "never closed"},
		{"status = 500)", ")", "closes nothing"},
		{"status =", "=", "needs a value"},
		{"or status = 1", "or", "needs something before it"},
		{"status = 1 and", "", "missing"},
		{"= 3", "=", "does not fit"},
		{`path = "abc`, `"abc`, "no closing quote"},
		{"path ~ [", "[", "no regular expression"},
		{strings.Repeat("(", 80) + "meshed", "(", "nested deeper"},
		{strings.Repeat("not ", 80) + "meshed", "not", "nested deeper"},
		{strings.Repeat("x", 5000), "", "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.src[:min(len(tt.src), 30)], func(t *testing.T) {
			e, err := Parse(tt.src, testSchema)
			if tt.msg == "" {
				if err != nil {
					t.Fatalf("Parse: %v, want none", err)
				}
				return
			}
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("Parse = %v, %v; want a SyntaxError", e, err)
			}
			if got := tt.src[syntax.Pos:syntax.End]; tt.part != "" && got != tt.part {
				t.Errorf("points at %q, want %q", got, tt.part)
			}
			if !strings.Contains(err.Error(), tt.msg) {
				t.Errorf("error %q does not say %q", err, tt.msg)
			}
		})
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	e, err := Parse("status >= 500 and (from ^= cinema/ or path *= charges) and not flags = UH", testSchema)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { e.Match(request) }); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"retires", "retries", 1}, {"abc", "", 3}, {"host", "hosts", 1}, {"kitten", "sitting", 3}} {
		if got := Distance(tt.a, tt.b); got != tt.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, src := range []string{"status = 5xx", "(a or b) and !c", `path = "x`, "errors > 1 %", "from ~ (", "\x00", "a=b=c"} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		e, err := Parse(src, testSchema)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Pos < 0 || syntax.End > len(src) || syntax.Pos > syntax.End {
				t.Fatalf("%q: error %#v has no place in the source", src, err)
			}
			return
		}
		e.Match(request)
	})
}
