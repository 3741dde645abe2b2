package spool

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func open(t *testing.T, o Options) *Queue {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	q, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// drain takes everything, and gives the messages, which end with a space each.
func drain(q *Queue) (messages []string, things int) {
	for {
		c, ok := q.Take()
		if !ok {
			return messages, things
		}
		messages = append(messages, strings.Fields(string(c.Data))...)
		things += c.N
		q.Done(c)
	}
}

func numbered(i int) []byte { return []byte(fmt.Sprintf("%04d ", i)) }

// Whatever becomes of the queue, what comes out is in order, each once, and
// what is missing was counted.
func TestOrder(t *testing.T) {
	for name, o := range map[string]Options{
		"in memory":          {},
		"chunks of two":      {Chunk: 10},
		"on disk":            {Memory: 1, Chunk: 50},
		"more than it holds": {Memory: 20, MaxBytes: 300, Chunk: 25},
	} {
		t.Run(name, func(t *testing.T) {
			o.Dir = t.TempDir()
			q := open(t, o)
			const n = 400
			var got []string
			things := 0
			for i := range n {
				q.Put(numbered(i), 1)
				if i%37 == 0 { // somebody reads meanwhile
					if c, ok := q.Take(); ok {
						q.Put(numbered(-i), 0)
						got, things = append(got, strings.Fields(string(c.Data))...), things+c.N
						q.Done(c)
					}
				}
			}
			rest, more := drain(q)
			got, things = append(got, rest...), things+more
			dropped, waiting, size := q.Figures()
			if things+int(dropped) != n || waiting != 0 || size != 0 {
				t.Errorf("%d came, %d were dropped, %d of %d bytes wait; want %d in all", things, dropped, waiting, size, n)
			}
			last := -1
			for _, m := range got {
				i, err := strconv.Atoi(m)
				if err != nil {
					t.Fatal(err)
				}
				if i <= 0 && last >= 0 {
					continue
				}
				if i <= last {
					t.Fatalf("%d after %d", i, last)
				}
				last = i
			}
			if last != n-1 || strings.Contains(name, "more") != (dropped > 0) {
				t.Errorf("the last is %d, %d were dropped", last, dropped)
			}
			if files, _ := filepath.Glob(filepath.Join(o.Dir, "*")); len(files) != 0 {
				t.Errorf("left behind: %v", files)
			}
		})
	}
}

// What is being sent is neither changed nor dropped, and is sent again by the
// next process when this one dies.
func TestTaken(t *testing.T) {
	o := Options{Dir: t.TempDir(), Memory: 30, MaxBytes: 100, Chunk: 20}
	q := open(t, o)
	q.Put(numbered(0), 1)
	c, ok := q.Next(t.Context())
	if !ok {
		t.Fatal("nothing to take")
	}
	for i := 1; i < 100; i++ {
		q.Put(numbered(i), 1)
	}
	if !bytes.Equal(c.Data, numbered(0)) {
		t.Errorf("what is being sent became %q", c.Data)
	}
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	after := open(t, o)
	got, _ := drain(after)
	if len(got) < 3 || got[0] != "0000" || got[len(got)-1] != "0099" {
		t.Errorf("the next process gets %v", got)
	}
	after.Put(numbered(100), 1)
	if got, _ := drain(after); len(got) != 1 || got[0] != "0100" {
		t.Errorf("then it gets %v", got)
	}
}

func TestNext(t *testing.T) {
	q := open(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan string)
	go func() {
		c, _ := q.Next(ctx)
		got <- string(c.Data)
		q.Done(c)
		_, ok := q.Next(ctx)
		got <- fmt.Sprint(ok)
	}()
	q.Put(numbered(7), 1)
	if text := <-got; text != "0007 " {
		t.Errorf("got %q", text)
	}
	cancel()
	if text := <-got; text != "false" {
		t.Errorf("after the end: %s", text)
	}
}

// A disk that takes nothing costs what has waited longest, no more.
func TestNoDisk(t *testing.T) {
	dir := t.TempDir()
	q := open(t, Options{Dir: filepath.Join(dir, "buffer"), Memory: 100, Chunk: 10})
	if err := os.RemoveAll(filepath.Join(dir, "buffer")); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		q.Put(numbered(i), 1)
	}
	got, things := drain(q)
	dropped, _, _ := q.Figures()
	if things != 20 || dropped != 30 || got[19] != "0049" {
		t.Errorf("%d are left, %d dropped, the last is %v", things, dropped, got)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: filepath.Join(dir, "file")}); err == nil {
		t.Error("a file is taken for a folder")
	}
}

// Files of others, and those that went, are no concern.
func TestOthersFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"readme", "x-1.chunk", "00000000000000000003-2.chunk"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("0003 "), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	q := open(t, Options{Dir: dir})
	q.Put(numbered(4), 1)
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "00000000000000000003-2.chunk")); err != nil {
		t.Fatal(err)
	}
	got, things := drain(q)
	if len(got) != 1 || got[0] != "0004" || things != 1 {
		t.Errorf("got %v", got)
	}
}
