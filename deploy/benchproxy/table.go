package main

import (
	"fmt"
	"slices"
)

// goal is something to reach, and whether it was.
type goal struct {
	name         string
	value, bound float64
	unit         string
}

func (b *bench) goal(name string, value, bound float64, unit string) {
	b.goals = append(b.goals, goal{name, value, bound, unit})
}

func (b *bench) printGoals() {
	fmt.Println()
	for _, g := range b.goals {
		verdict := "missed" // also when there was nothing to measure
		if g.value <= g.bound {
			verdict = "met"
		}
		fmt.Printf("goal %s: %.2f %s <=%.2f %s\n", g.name, g.value, g.unit, g.bound, verdict)
	}
}

func printCosts(title string, peers []*peer, costs [][]float64) {
	fmt.Printf("\n%s: processor time in µs per request\n\n| | median | min | max |\n|---|---:|---:|---:|\n", title)
	for i, p := range peers {
		fmt.Printf("| %s | %.1f | %.1f | %.1f |\n", p.name, median(costs[i]), minimum(costs[i]), slices.Max(costs[i]))
	}
}

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

func minimum(list []float64) float64 { return slices.Min(list) }

// ratio compares round by round, so that what disturbed a round disturbed both,
// and gives the median.
func ratio(a, b []float64) float64 {
	all := make([]float64, len(a))
	for i := range a {
		all[i] = a[i] / b[i]
	}
	return median(all)
}
