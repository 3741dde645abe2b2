package explain

import (
	"fmt"
	"slices"
	"strings"
)

// Compare tells where what a node runs differs from what it should run, in
// sentences, and marks the steps.
func Compare(runs, desired *Account) []string {
	out := []string{}
	for i := range max(len(runs.Steps), len(desired.Steps)) {
		var a, b *Step
		if i < len(runs.Steps) {
			a = &runs.Steps[i]
		}
		if i < len(desired.Steps) {
			b = &desired.Steps[i]
		}
		switch {
		case a == nil:
			b.Differs = true
			out = append(out, fmt.Sprintf("%s: desired %s; what runs does not get there", label(b.Kind), b.Title))
		case b == nil:
			a.Differs = true
			out = append(out, fmt.Sprintf("%s: runs %s; desired does not get there", label(a.Kind), a.Title))
		case a.Kind != b.Kind || a.Title != b.Title:
			a.Differs, b.Differs = true, true
			out = append(out, fmt.Sprintf("%s: runs %s; desired is %s", label(b.Kind), a.Title, b.Title))
		default:
			for _, text := range compareFacts(a.Facts, b.Facts) {
				a.Differs, b.Differs = true, true
				out = append(out, label(b.Kind)+": "+text)
			}
		}
	}
	return out
}

func label(kind string) string { return strings.ReplaceAll(kind, "_", " ") }

func compareFacts(runs, desired []Fact) []string {
	var out []string
	find := func(list []Fact, name string) (Fact, bool) {
		i := slices.IndexFunc(list, func(f Fact) bool { return f.Name == name })
		if i < 0 {
			return Fact{}, false
		}
		return list[i], true
	}
	for _, f := range runs {
		switch d, ok := find(desired, f.Name); {
		case !ok:
			out = append(out, fmt.Sprintf("runs with %s %s; desired is none", f.Name, f.Value))
		case d.Value != f.Value:
			out = append(out, fmt.Sprintf("%s runs as %s; desired is %s", f.Name, f.Value, d.Value))
		}
	}
	for _, d := range desired {
		if _, ok := find(runs, d.Name); !ok {
			out = append(out, fmt.Sprintf("%s %s is desired and does not run", d.Name, d.Value))
		}
	}
	return out
}
