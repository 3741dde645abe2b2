package expr

import (
	"fmt"
	"slices"
	"strings"
)

// Limits on what Parse takes, so that an expression from the wire costs a
// bounded amount of work.
const (
	maxSource = 4096
	maxDepth  = 64
)

// Parse compiles src against schema. Empty source gives a nil Expr, which
// matches everything. The error is always a *SyntaxError.
func Parse(src string, schema *Schema) (*Expr, error) {
	if len(src) > maxSource {
		return nil, &SyntaxError{Pos: maxSource, End: len(src), Msg: fmt.Sprintf("longer than %d bytes", maxSource)}
	}
	p := &parser{src: src, schema: schema}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind == tokEnd {
		return nil, nil
	}
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, p.wrong("this bracket closes nothing", "")
	}
	return &Expr{src: src, root: root, plain: len(schema.Fields), keyed: p.keyed}, nil
}

type parser struct {
	src    string
	schema *Schema
	tok    token // the one not used yet
	depth  int
	keyed  []Key
}

func (p *parser) advance() *SyntaxError {
	tok, err := next(p.src, p.tok.end)
	p.tok = tok
	return err
}

func (p *parser) wrong(msg, hint string) *SyntaxError {
	return &SyntaxError{Pos: p.tok.pos, End: p.tok.end, Msg: msg, Hint: hint}
}

// keyword reports whether the next token is the word w, in any case.
func (p *parser) keyword(w string) bool {
	return p.tok.kind == tokWord && strings.EqualFold(p.tok.text, w)
}

func (p *parser) or() (node, *SyntaxError) {
	left, err := p.and()
	if err != nil || !p.keyword("or") {
		return left, err
	}
	any := anyOf{left}
	for p.keyword("or") {
		if err := p.advance(); err != nil {
			return nil, err
		}
		right, err := p.and()
		if err != nil {
			return nil, err
		}
		any = append(any, right)
	}
	return any, nil
}

func (p *parser) and() (node, *SyntaxError) {
	left, err := p.not()
	if err != nil {
		return nil, err
	}
	all := allOf{left}
	for p.tok.kind != tokEnd && p.tok.kind != tokClose && !p.keyword("or") {
		if p.keyword("and") {
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		right, err := p.not()
		if err != nil {
			return nil, err
		}
		all = append(all, right)
	}
	if len(all) == 1 {
		return left, nil
	}
	return all, nil
}

func (p *parser) not() (node, *SyntaxError) {
	if p.tok.kind != tokNot && !p.keyword("not") {
		return p.primary()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if err := p.advance(); err != nil {
		return nil, err
	}
	operand, err := p.not()
	if err != nil {
		return nil, err
	}
	return negation{operand}, nil
}

func (p *parser) enter() *SyntaxError {
	if p.depth++; p.depth > maxDepth {
		return p.wrong(fmt.Sprintf("nested deeper than %d", maxDepth), "")
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) primary() (node, *SyntaxError) {
	switch p.tok.kind {
	case tokOpen:
		return p.bracket()
	case tokQuoted:
		text := p.tok.text
		if err := p.advance(); err != nil {
			return nil, err
		}
		return p.word(text)
	case tokWord:
		if p.keyword("and") || p.keyword("or") {
			return nil, p.wrong(fmt.Sprintf("%q needs something before it", p.tok.text), "")
		}
		return p.operand()
	case tokEnd:
		return nil, p.wrong("something is missing here", "a field, a word or a bracket")
	default:
		return nil, p.wrong(fmt.Sprintf("%q does not fit here", p.tok.text), "a field, a word or a bracket")
	}
}

func (p *parser) bracket() (node, *SyntaxError) {
	open := p.tok
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if err := p.advance(); err != nil {
		return nil, err
	}
	inner, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokClose {
		return nil, &SyntaxError{Pos: open.pos, End: open.end, Msg: "this bracket is never closed"}
	}
	return inner, p.advance()
}

// operand parses "field op value", a field alone, or a word.
func (p *parser) operand() (node, *SyntaxError) {
	name := p.tok
	index, field, err := p.field(name)
	if err != nil {
		return nil, err
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind != tokOp {
		if index < 0 {
			return p.word(name.text)
		}
		return presence{index, field.Kind}, nil
	}
	if index < 0 {
		return nil, &SyntaxError{Pos: name.pos, End: name.end, Msg: fmt.Sprintf("no field is called %q", name.text), Hint: p.schema.near(name.text)}
	}
	op := p.tok
	if field.Keyed && p.schema.Secret != nil && p.schema.Secret(p.keyed[index-len(p.schema.Fields)].Name) {
		return nil, &SyntaxError{Pos: name.pos, End: name.end, Msg: fmt.Sprintf("the value of %s is redacted", name.text), Hint: fmt.Sprintf("ask whether it is there: %s", name.text)}
	}
	val, err := value(p.src, op.end)
	if err != nil {
		return nil, err
	}
	if val.kind == tokEnd {
		return nil, &SyntaxError{Pos: op.pos, End: op.end, Msg: fmt.Sprintf("%q needs a value after it", op.text)}
	}
	p.tok = val
	var cmp node
	switch field.Kind {
	case Number:
		if strings.HasPrefix(name.text, "%") && field.Unit == Ratio && strings.TrimRight(val.text, "%") == val.text {
			val.text += "%" // the name says the unit
		}
		cmp, err = p.number(index, field, op, val)
	case Bool:
		cmp, err = boolean(index, field, op, val)
	default:
		cmp, err = text(index, field, op, val)
	}
	if err != nil {
		return nil, err
	}
	return cmp, p.advance()
}

// field finds what a name stands for, -1 when that is no field. Of a Keyed field
// each name is a value of its own: header[user-agent].
func (p *parser) field(name token) (index int, field Field, err *SyntaxError) {
	text, key, keyed := name.text, "", false
	if before, rest, found := strings.Cut(name.text, "["); found && strings.HasSuffix(rest, "]") {
		text, key, keyed = before, strings.ToLower(strings.TrimSuffix(rest, "]")), true
	}
	index = p.schema.index(text)
	switch {
	case index >= 0 && !p.schema.Fields[index].Keyed && !keyed:
		return index, p.schema.Fields[index], nil
	case index < 0 || !p.schema.Fields[index].Keyed:
		return -1, Field{}, nil
	case key == "":
		return 0, Field{}, &SyntaxError{Pos: name.pos, End: name.end, Msg: fmt.Sprintf("%q needs a name in brackets", text), Hint: fmt.Sprintf("write %s[user-agent]", text)}
	}
	k := Key{Field: index, Name: key}
	at := slices.Index(p.keyed, k)
	if at < 0 {
		at = len(p.keyed)
		p.keyed = append(p.keyed, k)
	}
	return len(p.schema.Fields) + at, p.schema.Fields[index], nil
}

func (p *parser) word(text string) (node, *SyntaxError) {
	if len(p.schema.Words) == 0 {
		return nil, &SyntaxError{Pos: 0, End: len(p.src), Msg: fmt.Sprintf("no field is called %q", text), Hint: p.schema.near(text)}
	}
	return wordIn{fields: p.schema.Words, word: text}, nil
}

func (s *Schema) index(name string) int {
	return slices.IndexFunc(s.Fields, func(f Field) bool {
		return strings.EqualFold(f.Name, name) ||
			slices.ContainsFunc(f.Aliases, func(a string) bool { return strings.EqualFold(a, name) })
	})
}

// near names the field that was probably meant, or lists all of them.
func (s *Schema) near(name string) string {
	best, distance := "", 3
	names := make([]string, 0, len(s.Fields))
	for _, f := range s.Fields {
		names = append(names, f.Name)
		for _, n := range append([]string{f.Name}, f.Aliases...) {
			if d := Distance(strings.ToLower(name), n); d < distance {
				best, distance = n, d
			}
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "fields: " + strings.Join(names, ", ")
}

// MaxDistance is what Distance gives for texts that are too long to compare.
const MaxDistance = 64

// Distance is the number of single-byte edits, swaps of neighbours included,
// that turn a into b. Texts over MaxDistance bytes count as that far apart.
func Distance(a, b string) int {
	if len(a) > MaxDistance || len(b) > MaxDistance {
		return MaxDistance
	}
	var before, last, row [MaxDistance + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
