package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Limits of the decoder. They are far above what people write and far below
// what would hurt.
const (
	maxFileBytes  = 4 << 20
	maxDocuments  = 10_000  // in one file
	maxNodes      = 100_000 // visited in one document, aliases expanded
	maxPathLength = 512
)

// document is one YAML document of a file and what became of it.
type document struct {
	line     int    // where its text begins in the file
	start    int    // the same in bytes, a byte order mark not counted
	text     string // as written
	object   *Object
	key      Key // set when the identity could be read, also when the object is invalid
	problems []Problem
}

// decodeFile decodes all documents of a file, each on its own, so that one that
// is broken does not hide the others.
func decodeFile(file string, data []byte) []document {
	refuse := func(line int, code, message, hint string) []document {
		return []document{{line: line, problems: []Problem{{
			Severity: SeverityError, Code: code, File: file, Line: line, Column: 1, Message: message, Hint: hint,
		}}}}
	}
	if len(data) > maxFileBytes {
		return refuse(1, CodeFile, fmt.Sprintf("the file has %d bytes, more than %d", len(data), maxFileBytes), "split it into several files")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if at := invalidUTF8(data); at >= 0 {
		return refuse(1+bytes.Count(data[:at], []byte("\n")), CodeSyntax, "the file is not UTF-8 text", "save it as UTF-8")
	}
	docs := splitDocuments(string(data))
	if len(docs) > maxDocuments {
		return refuse(1, CodeLimit, fmt.Sprintf("the file has %d documents, more than %d", len(docs), maxDocuments), "split it into several files")
	}
	for i := range docs {
		decodeDocument(file, &docs[i])
	}
	return docs
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		if data[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// splitDocuments cuts at the document markers of YAML, which stand at the start
// of a line and nowhere else. Parts that hold only comments and directives are
// left out.
func splitDocuments(text string) []document {
	var docs []document
	start, line, startLine := 0, 1, 1
	add := func(end int) {
		if part := text[start:end]; !isBlank(part) {
			docs = append(docs, document{line: startLine, start: start, text: part})
		}
	}
	for pos := 0; pos < len(text); line++ {
		end := strings.IndexByte(text[pos:], '\n')
		if end < 0 {
			end = len(text)
		} else {
			end += pos + 1
		}
		if l := text[pos:end]; pos > 0 && strings.HasPrefix(l, "---") && (len(l) == 3 || strings.ContainsRune(" \t\r\n", rune(l[3]))) {
			add(pos)
			start, startLine = pos, line
		}
		pos = end
	}
	add(len(text))
	return docs
}

func isBlank(part string) bool {
	for l := range strings.Lines(part) {
		l = strings.TrimSpace(strings.TrimPrefix(l, "---"))
		if l != "" && l[0] != '#' && l[0] != '%' && l != "..." {
			return false
		}
	}
	return true
}

// trimmed is the document's text without its marker line, as it is shown and
// written again.
func (d *document) trimmed() string {
	text := d.text
	if first, rest, ok := strings.Cut(text, "\n"); ok && strings.TrimSpace(first) == "---" {
		text = rest
	}
	return strings.Trim(text, "\r\n") + "\n"
}

// parseYAML gives the root node of a document's text. Line numbers in the node
// and in the error count from the start of the text.
func parseYAML(text string) (root *yaml.Node, line int, err error) {
	// The parser is not ours and the input is anybody's: a bug of its must not
	// take the configuration down.
	defer func() {
		if r := recover(); r != nil {
			root, line, err = nil, 1, fmt.Errorf("the YAML parser gave up: %v", r)
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(text))
	var node yaml.Node
	if err := dec.Decode(&node); err != nil {
		line, err := yamlError(err)
		return nil, line, err
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			line, err := yamlError(err)
			return nil, line, err
		}
		return nil, more.Line, errors.New("text after the end of the document")
	}
	if node.Kind != yaml.DocumentNode || len(node.Content) != 1 {
		return nil, 1, errors.New("empty document")
	}
	return node.Content[0], node.Content[0].Line, nil
}

var yamlErrorLine = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s+)?(?:line (\d+): )?`)

func yamlError(err error) (int, error) {
	text := err.Error()
	line := 1
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		if n, convErr := strconv.Atoi(m[1]); convErr == nil {
			line = n
		}
		text = text[len(m[0]):]
	}
	return line, errors.New(text)
}
