package expr

import "fmt"

// Kind is what a field holds.
type Kind uint8

// The kinds of field.
const (
	Text Kind = iota
	Number
	Bool
)

// Unit scales the numbers written beside a field.
type Unit uint8

// The units a Number field may be measured in.
const (
	Plain  Unit = iota
	Millis      // written as 250ms, 1.5s, 2m; a bare number is milliseconds
	Ratio       // written as 2 % or 0.02; a bare number over 1 is an error
	Bytes       // written as 3kB, 1MiB; a bare number is bytes
	Code        // written as 503 or 5xx
)

// Field declares one name that expressions may use.
type Field struct {
	Name    string
	Aliases []string
	Kind    Kind
	Unit    Unit
	Keyed   bool   // has many values by name, and is asked for one: header[user-agent]
	Help    string // one line, for completion
}

// Schema is the list of fields of one kind of thing. The index of a field in
// Fields is what Match asks for.
type Schema struct {
	Fields []Field
	Words  []int // Text fields that a bare word is searched in
	// Secret tells which names of a Keyed field may only be asked whether they
	// are there; nil: none.
	Secret func(name string) bool
}

// Value is a field's value. For a field with several values (a list of flags)
// List holds them, and a comparison holds when any of them does.
type Value struct {
	Num  float64
	Text string
	Bool bool
	List []string
}

// Expr is a compiled expression. It is immutable and safe for concurrent use.
type Expr struct {
	src   string
	root  node
	plain int // fields of the schema; the indexes of keyed ones follow
	keyed []Key
}

// Key is one value that an expression asks of a Keyed field.
type Key struct {
	Field int    // in Schema.Fields
	Name  string // in lower case
}

// SyntaxError says where an expression is wrong and what would be right.
type SyntaxError struct {
	Pos, End int // byte offsets in the source
	Msg      string
	Hint     string
}

func (e *SyntaxError) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("at %d: %s", e.Pos+1, e.Msg)
	}
	return fmt.Sprintf("at %d: %s (%s)", e.Pos+1, e.Msg, e.Hint)
}

// String gives the source.
func (e *Expr) String() string {
	if e == nil {
		return ""
	}
	return e.src
}

// Key tells which value of a Keyed field an index that Match asks for stands
// for; false when it is the index of a field.
func (e *Expr) Key(i int) (Key, bool) {
	if e == nil || i < e.plain {
		return Key{}, false
	}
	return e.keyed[i-e.plain], true
}

// Match evaluates e; field(i) gives the value of Schema.Fields[i], or of what
// Key(i) says, and is asked only for what e uses. A nil Expr matches everything.
func (e *Expr) Match(field func(i int) Value) bool {
	return e == nil || e.root == nil || e.root.match(field)
}

type node interface {
	match(field func(i int) Value) bool
}
