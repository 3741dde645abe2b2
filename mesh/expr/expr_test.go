package expr

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// language is testdata/language.json: fields with one value each, and what
// expressions say of them. The interface reads the same file (frontend/src/lib/expr).
type language struct {
	Fields []struct {
		Name, Kind, Unit string
		Aliases          []string
		Value            any
		Words, Keyed     bool
	}
	Matches []struct {
		Source string
		Match  bool
	}
	Wrong []struct{ Source, Part, Says string } // part of the source that the error points at
}

func readLanguage(t testing.TB) (language, *Schema, func(int) Value) {
	t.Helper()
	content, err := os.ReadFile("testdata/language.json")
	if err != nil {
		t.Fatal(err)
	}
	var l language
	if err := json.Unmarshal(content, &l); err != nil {
		t.Fatal(err)
	}
	schema, values := &Schema{}, []Value{}
	for i, f := range l.Fields {
		schema.Fields = append(schema.Fields, Field{
			Name: f.Name, Aliases: f.Aliases, Keyed: f.Keyed,
			Kind: map[string]Kind{"text": Text, "number": Number, "bool": Bool}[f.Kind],
			Unit: map[string]Unit{"": Plain, "millis": Millis, "ratio": Ratio, "bytes": Bytes, "code": Code}[f.Unit],
		})
		if f.Words {
			schema.Words = append(schema.Words, i)
		}
		var v Value
		switch value := f.Value.(type) {
		case string:
			v.Text = value
		case float64:
			v.Num = value
		case bool:
			v.Bool = value
		case []any:
			for _, one := range value {
				v.List = append(v.List, one.(string))
			}
		}
		values = append(values, v)
	}
	return l, schema, func(i int) Value { return values[i] }
}

func TestMatch(t *testing.T) {
	l, schema, values := readLanguage(t)
	for _, tt := range l.Matches {
		t.Run(tt.Source, func(t *testing.T) {
			e, err := Parse(tt.Source, schema)
			if err != nil {
				t.Fatalf("Parse: %v", err)
			}
			if got := e.Match(unkeyed(e, values)); got != tt.Match {
				t.Errorf("Match = %v, want %v", got, tt.Match)
			}
		})
	}
}

// unkeyed gives a Keyed field the same value by all names.
func unkeyed(e *Expr, values func(int) Value) func(int) Value {
	return func(i int) Value {
		if key, keyed := e.Key(i); keyed {
			i = key.Field
		}
		return values(i)
	}
}

func TestParseErrors(t *testing.T) {
	l, schema, _ := readLanguage(t)
	type wrong = struct{ Source, Part, Says string }
	tests := append(l.Wrong,
		wrong{strings.Repeat("(", 80) + "meshed", "(", "nested deeper"},
		wrong{strings.Repeat("not ", 80) + "meshed", "not", "nested deeper"},
		wrong{strings.Repeat("x", 5000), "", "longer than"})
	for _, tt := range tests {
		t.Run(tt.Source[:min(len(tt.Source), 30)], func(t *testing.T) {
			e, err := Parse(tt.Source, schema)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("Parse = %v, %v; want a SyntaxError", e, err)
			}
			if got := tt.Source[syntax.Pos:syntax.End]; tt.Part != "" && got != tt.Part {
				t.Errorf("points at %q, want %q", got, tt.Part)
			}
			if !strings.Contains(err.Error(), tt.Says) {
				t.Errorf("error %q does not say %q", err, tt.Says)
			}
		})
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	_, schema, request := readLanguage(t)
	e, err := Parse("status >= 500 and (from ^= cinema/ or path *= charges) and not flags = UH", schema)
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
	_, schema, request := readLanguage(f)
	for _, src := range []string{"status = 5xx", "(a or b) and !c", `path = "x`, "errors > 1 %", "from ~ (", "\x00", "a=b=c", "header[a] = b or header[c]"} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		e, err := Parse(src, schema)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Pos < 0 || syntax.End > len(src) || syntax.Pos > syntax.End {
				t.Fatalf("%q: error %#v has no place in the source", src, err)
			}
			return
		}
		e.Match(unkeyed(e, request))
	})
}
