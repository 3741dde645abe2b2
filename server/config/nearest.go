package config

import (
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

// nearest gives the known name that was probably meant, or "": one within a
// third of the name's length in edits, case ignored.
func nearest(name string, known []string) string {
	best, bestDistance := "", min(len(name)/3+1, expr.MaxDistance)
	for _, k := range known {
		distance := expr.Distance(strings.ToLower(name), strings.ToLower(strings.ReplaceAll(k, "_", "")))
		if strings.EqualFold(strings.ReplaceAll(name, "_", ""), k) {
			return k
		}
		if distance < bestDistance || distance == bestDistance && best != "" && k < best {
			best, bestDistance = k, distance
		}
	}
	return best
}
