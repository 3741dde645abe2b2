package skew

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A revision has converged when the last connected node says that it runs it;
// the measurement is exact, however late anybody looks.
func TestConvergenceAndStages(t *testing.T) {
	l := newLab(t)
	took := map[string][]time.Duration{}
	l.tr = New(Options{Observe: func(stage string, d time.Duration) { took[stage] = append(took[stage], d) }})
	l.revise(1, map[string]string{"route outbound": "r1"})
	for _, id := range []string{"a", "b", "gone"} {
		l.connect(id, id)
		l.tr.Desired(id, 1, parts(l.all()), l.now)
		l.push(id, id)
	}
	l.tr.Disconnected("gone", "gone", "EOF", l.now)
	l.pass(time.Second)
	clear(took)

	l.revise(2, map[string]string{"route outbound": "r2"})
	accepted := l.now
	at := func(ms int) time.Time { return accepted.Add(time.Duration(ms) * time.Millisecond) }
	for _, id := range []string{"a", "b", "gone"} {
		l.tr.Desired(id, 2, parts(l.all()), at(10))
	}
	l.now = at(30)
	nonces := map[string]string{"a": l.send("a", "a"), "b": l.send("b", "b")}
	l.tr.Acked("a", "a", nonces["a"], at(50))
	l.tr.Acked("b", "b", nonces["b"], at(450))
	l.now = at(60)
	l.apply("a", 2)
	l.tr.Tick(at(400))
	if v := l.tr.View(at(400)); !v.UnconvergedSince.Equal(accepted) {
		t.Errorf("unconverged since %s, want %s", v.UnconvergedSince, accepted)
	}
	l.now = at(700)
	l.apply("b", 2)
	l.tr.Tick(at(2000))
	if v := l.tr.View(at(2000)); !v.UnconvergedSince.IsZero() {
		t.Errorf("still unconverged since %s", v.UnconvergedSince)
	}
	ms := func(list ...int) (out []time.Duration) {
		for _, n := range list {
			out = append(out, time.Duration(n)*time.Millisecond)
		}
		return out
	}
	want := map[string][]time.Duration{
		StageQueue: ms(20, 20), StageAck: ms(20, 420), StageApply: ms(10, 250), StageConverged: ms(700),
	}
	if d := cmp.Diff(want, took); d != "" {
		t.Errorf("stages (-want +got):\n%s", d)
	}
}
