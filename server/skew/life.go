package skew

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	maxLives = 8
	// disorderFor is how long the order of a start or a stop is news.
	disorderFor = 10 * time.Minute
)

// Life is one run of a sidecar beside its application, and what was wrong with
// the order in which they came and went.
type Life struct {
	mesh.Life
	Problems []string `json:"problems"`
}

// lived adds what a sidecar says of its life, or starts its next one.
func (n *node) lived(l mesh.Life) {
	at := slices.IndexFunc(n.lives, func(o mesh.Life) bool { return o.StartedAt.Equal(l.StartedAt) })
	if at >= 0 {
		n.lives[at] = l
		return
	}
	n.lives = append(n.lives, l)
	slices.SortFunc(n.lives, func(a, b mesh.Life) int { return a.StartedAt.Compare(b.StartedAt) })
	if over := len(n.lives) - maxLives; over > 0 {
		n.lives = slices.Delete(n.lives, 0, over)
	}
}

func (n *node) livesView() []Life {
	out := make([]Life, 0, len(n.lives))
	for i, l := range n.lives {
		out = append(out, Life{l, append(startProblems(l), stopProblems(l, i < len(n.lives)-1)...)})
	}
	slices.Reverse(out)
	return out
}

// startProblems tells of an application that was ready before its sidecar.
func startProblems(l mesh.Life) []string {
	out := []string{}
	if early := l.ServingAt.Sub(l.AppAt); !l.ServingAt.IsZero() && !l.AppAt.IsZero() && early > 0 {
		out = append(out, fmt.Sprintf("its application was ready %s before its sidecar: what it called until then could not pass", spoken(early)))
	}
	return out
}

// stopProblems tells of a sidecar that left before its application, or without
// draining; over says that another life has begun since.
func stopProblems(l mesh.Life, over bool) []string {
	var out []string
	switch {
	case l.EndedAt.IsZero() && over:
		out = append(out, "its sidecar ended without draining: what was under way was cut")
	case !l.EndedAt.IsZero() && l.App && !l.AppAt.IsZero() && l.AppGoneAt.IsZero():
		out = append(out, "its application went on after its sidecar had left: what it called from then on could not pass")
	}
	if l.ConnectionsCut > 0 {
		out = append(out, fmt.Sprintf("%d connections were cut when its drain time was over", l.ConnectionsCut))
	}
	return out
}

// disorder is what was wrong with the order of the last start and stop, while
// that is news; "" when nothing was.
func (n *node) disorder(at time.Time) string {
	var out []string
	for i, l := range n.lives {
		if !l.EndedAt.IsZero() && at.Sub(l.EndedAt) < disorderFor {
			out = stopProblems(l, false)
		} else if next := i + 1; l.EndedAt.IsZero() && next < len(n.lives) && at.Sub(n.lives[next].StartedAt) < disorderFor {
			out = stopProblems(l, true)
		}
		if i == len(n.lives)-1 && at.Sub(l.StartedAt) < disorderFor {
			out = append(out, startProblems(l)...)
		}
	}
	return strings.Join(out, "; ")
}

// spoken is a duration as people say it.
func spoken(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", max(d.Milliseconds(), 1))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
