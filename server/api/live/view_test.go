package live

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSnapshotThenDeltas(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.dial()
		defer c.Close()
		c.say(`{"op":"subscribe","id":"x","channel":"v"}`)
		first := c.read()
		if first.Type != "snapshot" || first.ID != "x" || first.Seq != 1 || first.Epoch == "" || !first.At.Equal(time.Now()) {
			t.Errorf("first frame %+v", first)
		}
		want := fmt.Sprintf(`{"epoch":%q,"seq":1,"at":%q,"group":"g","total":1,"items":[{"id":"a","v":1}]}`,
			first.Epoch, first.At.Format("2006-01-02T15:04:05.000Z"))
		if diff := cmp.Diff(want, string(first.Data)); diff != "" {
			t.Errorf("snapshot (-want +got):\n%s", diff)
		}
		for i, step := range []struct {
			id   string
			v    int
			want string
		}{
			{"a", 2, `{"total":1,"items":[{"id":"a","v":2}],"gone":[]}`},
			{"b", 5, `{"total":2,"items":[{"id":"b","v":5}],"gone":[]}`},
			{"b", 5, `{"total":2,"items":[],"gone":[]}`}, // the heartbeat
			{"a", -1, `{"total":1,"items":[],"gone":["a"]}`},
		} {
			w.set(step.id, step.v)
			f := c.read()
			if f.Type != "delta" || f.Seq != uint64(i+2) {
				t.Errorf("frame %d: %+v", i, f)
			}
			if diff := cmp.Diff(step.want, string(f.Data)); diff != "" {
				t.Errorf("delta %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

func TestViewsAreShared(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var clients []*client
		for i := range 5 {
			c := w.dial()
			defer c.Close()
			c.say(fmt.Sprintf(`{"op":"subscribe","id":"id%d","channel":"v","params":1}`, i))
			clients = append(clients, c)
		}
		other := w.dial()
		defer other.Close()
		other.say(`{"op":"subscribe","id":"x","channel":"v","params":2}`)
		for range 4 {
			for i, c := range clients {
				if f := c.read(); f.ID != fmt.Sprintf("id%d", i) {
					t.Errorf("client %d got a frame for %q", i, f.ID)
				}
			}
			other.read()
		}
		if w.computed["1"] != 4 || w.computed["2"] != 4 {
			t.Errorf("computed %v, want each view once a tick", w.computed)
		}
		for _, c := range clients {
			_ = c.Close()
		}
		_ = other.Close()
		time.Sleep(10 * time.Second)
		if w.computed["1"] > 6 {
			t.Errorf("computed %d times with nobody looking", w.computed["1"])
		}
	})
}

func TestResume(t *testing.T) {
	for name, tc := range map[string]struct {
		away  time.Duration
		epoch string
		seq   int64 // against the last one seen
		want  string
	}{
		"at once":          {0, "", 0, "delta"},
		"after a minute":   {time.Minute, "", 0, "delta"},
		"one frame behind": {time.Minute, "", -1, "delta"},
		"too late":         {10 * time.Minute, "", 0, "snapshot"},
		"another epoch":    {0, "other", 0, "snapshot"},
		"from the future":  {0, "", 99, "snapshot"},
		"from long ago":    {0, "", -100, "snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				stays := w.dial()
				defer stays.Close()
				c := w.dial()
				c.say(`{"op":"subscribe","id":"x","channel":"v"}`)
				epoch := c.read().Epoch
				var last got
				for i := range 3 {
					w.set("b", 10+i)
					last = c.read()
				}
				_ = c.Close()
				w.set("c", 77)
				time.Sleep(tc.away)
				if tc.epoch != "" {
					epoch = tc.epoch
				}
				back := w.dial()
				defer back.Close()
				back.say(fmt.Sprintf(`{"op":"subscribe","id":"x","channel":"v","resume":{"epoch":%q,"seq":%d}}`, epoch, uint64(max(int64(last.Seq)+tc.seq, 0))))
				f := back.read()
				if f.Type != tc.want {
					t.Fatalf("got a %s, want a %s", f.Type, tc.want)
				}
				if f.Type == "delta" && f.Seq != last.Seq+1+uint64(tc.seq) {
					t.Errorf("resumed at %d after %d", f.Seq, last.Seq)
				}
				for !strings.Contains(string(f.Data), `"v":77`) { // what happened meanwhile arrives
					next := back.read()
					if next.Seq != f.Seq+1 {
						t.Errorf("seq %d after %d", next.Seq, f.Seq)
					}
					f = next
				}
			})
		})
	}
}

func TestWholeState(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := w.dial()
		defer c.Close()
		c.say(`{"op":"subscribe","id":"o","channel":"whole"}`)
		for i := range 3 {
			f := c.read()
			if f.Type != "snapshot" || string(f.Data) != fmt.Sprintf(`{"n":%d}`, i+1) {
				t.Errorf("frame %d: %+v %s", i, f, f.Data)
			}
		}
		time.Sleep(20 * time.Second)
		var frames []got
		for len(frames) < 3 {
			frames = append(frames, c.read())
		}
		if frames[1].Type != "gap" || frames[2].Seq != frames[0].Seq+frames[1].Lost+1 {
			t.Errorf("after a pause: %+v", frames)
		}
	})
}
