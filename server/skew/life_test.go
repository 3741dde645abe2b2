package skew

import (
	"strings"
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

func TestLives(t *testing.T) {
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }
	whole := mesh.Life{StartedAt: at(0), App: true, ServingAt: at(1), AppAt: at(2), DrainingAt: at(10), DrainedAt: at(11), AppGoneAt: at(10.5), EndedAt: at(11)}
	with := func(change func(l *mesh.Life)) mesh.Life {
		l := whole
		change(&l)
		return l
	}
	next := mesh.Life{StartedAt: at(20), App: true}
	tests := []struct {
		name  string
		lives []mesh.Life
		want  string // in the disorder; "" = none
	}{
		{"in order", []mesh.Life{whole}, ""},
		{"the app first", []mesh.Life{with(func(l *mesh.Life) { l.AppAt = at(0.6) })}, "its application was ready 400 ms before its sidecar"},
		{"no sidecar yet", []mesh.Life{{StartedAt: at(0), App: true, AppAt: at(0)}}, ""},
		{"the app last", []mesh.Life{with(func(l *mesh.Life) { l.AppGoneAt = time.Time{} })}, "its application went on after its sidecar had left"},
		{"no app", []mesh.Life{{StartedAt: at(0), ServingAt: at(1), DrainingAt: at(10), DrainedAt: at(10), EndedAt: at(10)}}, ""},
		{"cut", []mesh.Life{with(func(l *mesh.Life) { l.ConnectionsCut = 2 })}, "2 connections were cut"},
		{"killed", []mesh.Life{{StartedAt: at(0), App: true, ServingAt: at(1), AppAt: at(2)}, next}, "ended without draining"},
		{"after the next start in order", []mesh.Life{whole, {StartedAt: at(20), App: true, ServingAt: at(21), AppAt: at(22)}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode("web-1", begin)
			for _, l := range tt.lives {
				n.lived(mesh.Life{StartedAt: l.StartedAt, App: l.App})
				n.lived(l)
			}
			if got := len(n.lives); got != len(tt.lives) {
				t.Fatalf("%d lives, want %d", got, len(tt.lives))
			}
			got := n.disorder(at(30))
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("disorder %q, want %q", got, tt.want)
			}
			if late := n.disorder(at(30).Add(disorderFor)); late != "" {
				t.Errorf("still news after a while: %q", late)
			}
		})
	}
}

func TestLivesAreBounded(t *testing.T) {
	n := newNode("web-1", time.Time{})
	for i := range 3 * maxLives {
		n.lived(mesh.Life{StartedAt: time.Unix(int64(i), 0)})
	}
	if got := n.livesView(); len(got) != maxLives || got[0].StartedAt != time.Unix(3*maxLives-1, 0) {
		t.Errorf("%d lives, the first of %s; want the newest %d, newest first", len(got), got[0].StartedAt, maxLives)
	}
}
