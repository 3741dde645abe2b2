// Package expr is the one expression language of Sidelight: find and hide on
// the graph, filters on lists, and the filter of a tap session, which runs in
// the sidecar.
//
//	status >= 500 and (from = cinema/tickets or path ^= /v1/) and not method = GET
//
// Grammar, lowest precedence first:
//
//	or   = and { "or" and }
//	and  = not { ["and"] not }              // juxtaposition means and
//	not  = ("not" | "!") not | primary
//	primary = "(" or ")" | field op value | field | word
//	field = name | name "[" key "]"         // of many values by name, one: header[user-agent]
//	op   = "=" "!=" "<" "<=" ">" ">=" "^=" (prefix) "$=" (suffix) "*=" (contains) "~" (regular expression)
//
// A field alone asks whether it is set (true, not zero, not empty). A word
// that names no field matches the schema's default text fields. Numbers take
// units and are scaled to the field's own: "250ms", "1.5 s", "2 %", "3 kB".
// Text compares without regard to case.
//
// Parse resolves field names against a Schema once; Match then costs no
// allocation. The package is pure and imports the standard library only.
package expr
