package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// output is the -o flag: a table for people, JSON for scripts.
type output struct{ format string }

func (o *output) bind(cmd *cobra.Command) {
	o.format = "table"
	cmd.Flags().VarP((*formatValue)(&o.format), "output", "o", "table, wide or json")
}

func (o *output) json() bool { return o.format == "json" }
func (o *output) wide() bool { return o.format == "wide" }

func (o *output) writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

type formatValue string

var _ pflag.Value = (*formatValue)(nil)

func (f *formatValue) String() string { return string(*f) }
func (f *formatValue) Type() string   { return "format" }

func (f *formatValue) Set(s string) error {
	switch s {
	case "table", "wide", "json":
		*f = formatValue(s)
		return nil
	}
	return fmt.Errorf("%q is none of table, wide, json", s)
}

// table writes aligned columns. A column whose head ends in ">" is right
// aligned, as numbers are.
type table struct {
	head []string
	rows [][]string
}

func newTable(head ...string) *table { return &table{head: head} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer) error {
	widths := make([]int, len(t.head))
	right := make([]bool, len(t.head))
	head := make([]string, len(t.head))
	for i, h := range t.head {
		head[i], right[i] = strings.CutSuffix(h, ">")
	}
	all := append([][]string{head}, t.rows...)
	for _, row := range all {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range all {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if right[i] {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
			line.WriteString("  ")
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// pairs writes "name  value" lines.
func pairs(w io.Writer, lines ...[2]string) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		if l[1] != "" {
			fmt.Fprintf(tab, "%s\t%s\n", l[0], l[1])
		}
	}
	return tab.Flush()
}

// The figures of tables: three significant digits, a unit, "-" for none.

func perSecond(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// plural gives a noun in the number that n asks for.
func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

func percent(ratio float64) string { return fmt.Sprintf("%.2f%%", ratio*100) }

func millis(v *float64) string {
	switch {
	case v == nil || math.IsNaN(*v):
		return "-"
	case *v < 10:
		return fmt.Sprintf("%.1fms", *v)
	case *v < 1000:
		return fmt.Sprintf("%.0fms", *v)
	}
	return fmt.Sprintf("%.2fs", *v/1000)
}

func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d <= 0:
		return "0"
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// printable keeps text from the wire from steering the terminal: control
// characters are shown as what they are.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) }) < 0 {
		return s
	}
	quoted := fmt.Sprintf("%q", s)
	return quoted[1 : len(quoted)-1]
}
