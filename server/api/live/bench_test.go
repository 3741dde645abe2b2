package live

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/sidelight-mesh/sidelight/server/auth"
)

// bigView is a view of 400 nodes and 1,000 edges of which a tenth change each
// second, at the size that graph elements have.
func bigView() func(time.Time) (State, error) {
	type element struct {
		ID     string    `json:"id"`
		Filler string    `json:"filler"`
		Series []float64 `json:"series"`
	}
	tick := 0
	elements := make([]element, 1400)
	for i := range elements {
		elements[i] = element{fmt.Sprint("element-", i), fmt.Sprintf("%0400d", i), make([]float64, 60)}
	}
	return func(time.Time) (State, error) {
		tick++
		for i := tick % 10; i < len(elements); i += 10 {
			elements[i].Series[tick%60] += 1.5
		}
		var st State
		err := AddList(&st, "items", "gone", elements, func(e *element) string { return e.ID })
		return st, err
	}
}

// One tick of one view: computing, comparing and handing on, by watchers.
func BenchmarkTick(b *testing.B) {
	for _, watchers := range []int{1, 500} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			t := &topic{compute: bigView(), keep: keepFor, subs: map[*stateSub]struct{}{}}
			var lost atomic.Uint64
			for range watchers {
				t.attach(&stateSub{topic: t, wake: func() {}, losses: &lost})
			}
			at := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				at = at.Add(time.Second)
				if err := t.advance(at); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(t.kept[len(t.kept)-1].data)), "delta-B")
		})
	}
}

// Whatever a client sends, it gets an answer and the server goes on.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"op":"subscribe","id":"g","channel":"v","params":{"a":1},"resume":{"epoch":"x","seq":12}}`,
		`{"op":"subscribe","id":"o","channel":"whole"}`, `{"op":"unsubscribe","id":"g"}`, `{"op":1}`, `[`, ``, "\xff", `{"op":"subscribe","id":"","channel":""}`,
	} {
		f.Add(websocket.TextMessage, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, kind int, text []byte) {
		w := &world{t: t, items: map[string]int{"a": 1}, computed: map[string]int{}}
		hub := New(Options{
			States: map[string]StateChannel{"v": w.view, "whole": w.whole}, Logger: slog.New(slog.DiscardHandler),
			Explain: func(err error) any { return err.Error() },
		})
		s := newSocket(hub, auth.User{Name: "ann"})
		for range 2 { // the second time its ID is taken
			id, err := s.handle(kind, text)
			if err == nil {
				continue
			}
			if frame, err := json.Marshal(errorFrame{id, "error", hub.opts.Explain(err)}); err != nil || !json.Valid(frame) {
				t.Errorf("error frame %s: %v", frame, err)
			}
		}
		for id, sub := range s.subs {
			f, _ := sub.(*stateSub).next()
			if frame := f.encode(id); !json.Valid(frame) {
				t.Errorf("frame is no JSON: %s", frame)
			}
		}
	})
}
