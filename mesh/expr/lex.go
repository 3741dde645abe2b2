package expr

import "strings"

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokOpen
	tokClose
	tokOp
	tokNot // "!" before an operand
	tokWord
	tokQuoted
)

type token struct {
	kind     tokenKind
	text     string
	pos, end int
}

// operators, longest first, so that "<=" is not read as "<".
var operators = []string{"!=", "<=", ">=", "^=", "$=", "*=", "=", "<", ">", "~"}

// next reads one token at pos. A word ends at white space, a bracket or an
// operator; after an operator the parser calls value instead, because a value
// may hold operator characters, as "/search?q=a" does.
func next(src string, pos int) (token, *SyntaxError) {
	pos = skipSpace(src, pos)
	if pos == len(src) {
		return token{kind: tokEnd, pos: pos, end: pos}, nil
	}
	switch src[pos] {
	case '(':
		return token{tokOpen, "(", pos, pos + 1}, nil
	case ')':
		return token{tokClose, ")", pos, pos + 1}, nil
	case '"', '\'':
		return quoted(src, pos)
	}
	if op := operatorAt(src, pos); op != "" {
		return token{tokOp, op, pos, pos + len(op)}, nil
	}
	if src[pos] == '!' {
		return token{tokNot, "!", pos, pos + 1}, nil
	}
	end := pos
	for end < len(src) && !isSpace(src[end]) && src[end] != '(' && src[end] != ')' && operatorAt(src, end) == "" {
		end++
	}
	return token{tokWord, src[pos:end], pos, end}, nil
}

// value reads what stands after an operator: a quoted text, or everything up
// to white space or a closing bracket.
func value(src string, pos int) (token, *SyntaxError) {
	pos = skipSpace(src, pos)
	if pos == len(src) || src[pos] == ')' {
		return token{kind: tokEnd, pos: pos, end: pos}, nil
	}
	if src[pos] == '"' || src[pos] == '\'' {
		return quoted(src, pos)
	}
	end, depth := pos, 0
	for ; end < len(src) && !isSpace(src[end]); end++ {
		// A regular expression may hold brackets of its own.
		if src[end] == '(' {
			depth++
		}
		if src[end] == ')' {
			if depth == 0 {
				break
			}
			depth--
		}
	}
	return token{tokWord, src[pos:end], pos, end}, nil
}

func quoted(src string, pos int) (token, *SyntaxError) {
	quote := src[pos]
	var text strings.Builder
	for i := pos + 1; i < len(src); i++ {
		switch {
		case src[i] == quote:
			return token{tokQuoted, text.String(), pos, i + 1}, nil
		case src[i] == '\\' && i+1 < len(src) && (src[i+1] == quote || src[i+1] == '\\'):
			i++
		}
		text.WriteByte(src[i])
	}
	return token{}, &SyntaxError{Pos: pos, End: len(src), Msg: "this text has no closing quote"}
}

func operatorAt(src string, pos int) string {
	for _, op := range operators {
		if strings.HasPrefix(src[pos:], op) {
			return op
		}
	}
	return ""
}

func skipSpace(src string, pos int) int {
	for pos < len(src) && isSpace(src[pos]) {
		pos++
	}
	return pos
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
