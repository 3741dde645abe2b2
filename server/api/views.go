package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/labstack/echo/v4"
)

// views shares answers that are large and the same for everybody: each is
// computed, written and compressed once a second, however many ask. While
// somebody asks again and again it is made ahead, so that nobody waits for it.
type views struct {
	mu    sync.Mutex
	byKey map[string]*sharedView
}

// sharedView is one answer.
type sharedView struct {
	making sync.Mutex // held while it is made: who asks for the first time waits for it

	mu      sync.Mutex
	compute func(now time.Time) []byte
	asked   time.Time     // last
	packs   bool          // it is asked for compressed
	at      time.Time     // when plain was made
	took    time.Duration // to make and compress it
	plain   []byte
	packed  []byte // gzip; made when first asked for
}

const (
	viewAge  = time.Second            // from when on an answer is made anew
	viewMost = 2 * viewAge            // what is older is not given, unless it takes long to make
	viewStep = 200 * time.Millisecond // how often it is looked after them
	viewKept = 5 * time.Second        // how long after the last question
	viewsMax = 64                     // distinct answers that are remembered
)

// run makes ahead what is asked for, until ctx ends.
func (v *views) run(ctx context.Context) {
	tick := time.NewTicker(viewStep)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, s := range v.all() {
				if s.due(now) {
					// An answer that cannot be compressed is told to who asks.
					_, _ = s.make(now)
				}
			}
		}
	}
}

func (v *views) all() []*sharedView {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]*sharedView, 0, len(v.byKey))
	for _, s := range v.byKey {
		out = append(out, s)
	}
	return out
}

// due reports whether an answer is old, but wanted.
func (s *sharedView) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Sub(s.asked) < viewKept && now.Sub(s.at) >= viewAge
}

// get gives the answer of a key, made by compute when there is none that is
// young enough.
func (v *views) get(key string, packed bool, now time.Time, compute func(time.Time) []byte) ([]byte, error) {
	s := v.find(key, compute)
	if body := s.ask(packed, now); body != nil {
		return body, nil
	}
	s.making.Lock()
	defer s.making.Unlock()
	if body := s.ask(packed, now); body != nil { // made meanwhile
		return body, nil
	}
	return s.fill(packed, now)
}

func (v *views) find(key string, compute func(time.Time) []byte) *sharedView {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.byKey[key]
	if s != nil {
		return s
	}
	if len(v.byKey) >= viewsMax {
		clear(v.byKey) // those who are at it keep theirs
	}
	if v.byKey == nil {
		v.byKey = map[string]*sharedView{}
	}
	s = &sharedView{compute: compute}
	v.byKey[key] = s
	return s
}

// ask notes that somebody wants the answer, and gives it if it is there.
func (s *sharedView) ask(packed bool, now time.Time) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.packs = now, s.packs || packed
	// Of a mesh so large that making takes longer than a view is new, the last
	// one is given at once; it says of when it is.
	if age := now.Sub(s.at); age >= viewMost+2*s.took || age < -viewMost {
		return nil
	}
	if packed {
		return s.packed
	}
	return s.plain
}

// make makes the answer anew.
func (s *sharedView) make(now time.Time) ([]byte, error) {
	s.making.Lock()
	defer s.making.Unlock()
	s.mu.Lock()
	packs := s.packs
	s.mu.Unlock()
	return s.fill(packs, now)
}

// fill makes what there is not. making is held.
func (s *sharedView) fill(packed bool, now time.Time) ([]byte, error) {
	s.mu.Lock()
	plain, at := s.plain, s.at
	s.mu.Unlock()
	began := time.Now()
	if plain == nil || now.Sub(at) >= viewAge || now.Before(at.Add(-viewMost)) {
		plain, at = s.compute(now), now
	}
	var small []byte
	if packed {
		var err error
		if small, err = pack(plain); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plain, s.packed, s.at, s.took = plain, small, at, time.Since(began)
	if packed {
		return small, nil
	}
	return plain, nil
}

func pack(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress view: %w", err)
	}
	return b.Bytes(), nil
}

// shared answers with a view that others may ask for too. compute outlives the
// request.
func (s *Server) shared(c echo.Context, key string, now time.Time, compute func(time.Time) []byte) error {
	packed := strings.Contains(c.Request().Header.Get("Accept-Encoding"), "gzip")
	body, err := s.views.get(key, packed, now, compute)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Add("Vary", "Accept-Encoding")
	if packed {
		h.Set("Content-Encoding", "gzip")
	}
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, body)
}
