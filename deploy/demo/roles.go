package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// web is the front end: the film list and the ticket desk.
func (a *application) web() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		work(r.Context(), 3*time.Millisecond)
		if _, err := a.call(r.Context(), r.Header, http.MethodGet, hostCatalog, "/v1/films"); err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
		_, _ = fmt.Fprintln(w, "tonight: The Third Man, Playtime, Ran")
	})
	mux.HandleFunc("POST /tickets", func(w http.ResponseWriter, r *http.Request) {
		path := "/v1/tickets?card=" + r.URL.Query().Get("card")
		if _, err := a.call(r.Context(), r.Header, http.MethodPost, hostTickets, path); err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	return mux
}

// catalog asks reviews and posters side by side. Version 2 reads its films
// from a slower store: now and then a request takes a quarter of a second.
func (a *application) catalog() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/films", func(w http.ResponseWriter, r *http.Request) {
		work(r.Context(), 4*time.Millisecond)
		if a.Version == "v2" && rand.IntN(4) == 0 {
			work(r.Context(), 250*time.Millisecond)
		}
		var (
			wg      sync.WaitGroup
			reviews error
			posters error
		)
		wg.Go(func() { _, reviews = a.call(r.Context(), r.Header, http.MethodGet, hostReviews, "/v1/reviews/42") })
		wg.Go(func() { _, posters = a.call(r.Context(), r.Header, http.MethodGet, hostPosters, "/v1/posters/42") })
		wg.Wait()
		if err := errors.Join(reviews, posters); err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
		_, _ = fmt.Fprintf(w, `{"films":3,"version":%q}`, a.Version)
	})
	return mux
}

func (a *application) leaf(name string, takes time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/"+name+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		work(r.Context(), takes)
		_, _ = fmt.Fprintln(w, strings.Repeat(name+" ", 50))
	})
	return mux
}

// tickets holds a seat, charges the card and tells the screen at the door.
func (a *application) tickets() http.Handler {
	seats := newSeatsClient(a.Sidecar)
	screen := &notifier{address: a.TCP}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/tickets", func(w http.ResponseWriter, r *http.Request) {
		work(r.Context(), 3*time.Millisecond)
		if err := seats.hold(r.Context(), r.Header); err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
		path := "/v1/charges?card=" + r.URL.Query().Get("card")
		if _, err := a.call(r.Context(), r.Header, http.MethodPost, hostPayments, path); err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
		if err := screen.notify(r.Context(), "sold one"); err != nil {
			a.log.Warn("notification not sent", "err", err)
		}
		w.WriteHeader(http.StatusCreated)
	})
	return mux
}

func (a *application) payments() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/charges", func(w http.ResponseWriter, r *http.Request) {
		work(r.Context(), 5*time.Millisecond)
		if _, err := a.call(r.Context(), r.Header, http.MethodPost, hostBank, "/transfers?card="+r.URL.Query().Get("card")); err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
		if a.PhoneHome { // whether it gets there is nothing to a library
			_, _ = a.call(r.Context(), r.Header, http.MethodGet, hostVendor, "/beacon")
		}
		w.WriteHeader(http.StatusCreated)
	})
	return mux
}

// Cards whose charges the bank always refuses to carry out. Asking again does
// not help: these are the failures that a retry cannot hide.
const badCard = "expired"

// bank is somebody else's system: it fails now and then, which a retry mends,
// is slow now and then, and never takes a bad card.
func (a *application) bank() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /beacon", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST /transfers", func(w http.ResponseWriter, r *http.Request) {
		work(r.Context(), 12*time.Millisecond)
		dice := rand.IntN(100)
		switch {
		case r.URL.Query().Get("card") == badCard:
			http.Error(w, "card service unavailable", http.StatusServiceUnavailable)
		case dice < 4:
			http.Error(w, "try again", http.StatusServiceUnavailable)
		case dice < 8:
			work(r.Context(), 450*time.Millisecond)
			fallthrough
		default:
			w.WriteHeader(http.StatusCreated)
		}
	})
	return mux
}

// recommend reads the catalog at its own pace.
func (a *application) recommend(ctx context.Context) error {
	return every(ctx, 250*time.Millisecond, func() {
		if _, err := a.call(ctx, nil, http.MethodGet, hostCatalog, "/v1/films"); err != nil && ctx.Err() == nil {
			a.log.Warn("catalog not read", "err", err)
		}
	})
}

// report calls the catalog straight at its sidecar's inbound port, without a
// sidecar of its own: nobody can tell who it is.
func (a *application) report(ctx context.Context) error {
	return every(ctx, 500*time.Millisecond, func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.Direct+"/v1/films", nil)
		if err != nil {
			return
		}
		req.Host = hostCatalog
		resp, err := a.client.Do(req)
		if err != nil {
			if ctx.Err() == nil {
				a.log.Warn("report not made", "err", err)
			}
			return
		}
		_ = resp.Body.Close()
	})
}

// every calls do at a fixed pace until ctx ends. A call that takes longer than
// the pace delays the next one; it is never made up for.
func every(ctx context.Context, pace time.Duration, do func()) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			do()
		}
	}
}
