// Package frontend carries the built web interface and serves it. It stands
// beside the sources so that one `go build` after one `npm run build` makes a
// binary that is the whole product; it knows nothing of the API.
package frontend

import "embed"

// dist is the output of `npm run build`. The committed dist/.keep lets the
// package compile before anything was built.
//
//go:embed all:dist
var dist embed.FS
