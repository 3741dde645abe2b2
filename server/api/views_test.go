package api

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// However many ask, an answer is made once a second, ahead of them, and no
// longer than somebody asks.
func TestViewsAreMadeAheadAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v views
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { v.run(ctx) })
		var made, last atomic.Int64
		compute := func(now time.Time) []byte {
			made.Add(1)
			last.Store(now.UnixNano())
			time.Sleep(50 * time.Millisecond) // what a large view takes
			return fmt.Append(nil, now.UnixMilli())
		}
		for i := range 40 { // ten seconds
			began := time.Now()
			for range 100 {
				if _, err := v.get("k", i%2 == 0, time.Now(), compute); err != nil {
					t.Fatal(err)
				}
			}
			if waited := time.Since(began); i > 1 && waited > 0 {
				t.Errorf("question %d waited for %v", i, waited)
			}
			if age := time.Since(time.Unix(0, last.Load())); age > viewMost {
				t.Errorf("question %d was given what is %v old", i, age)
			}
			time.Sleep(250 * time.Millisecond)
		}
		if n := made.Swap(0); n < 8 || n > 12 {
			t.Errorf("made %d times in ten seconds", n)
		}
		time.Sleep(time.Minute)
		if n := made.Load(); n > 6 {
			t.Errorf("made %d times while nobody asked", n)
		}
		cancel()
		running.Wait()
	})
}
