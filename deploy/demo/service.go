package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"time"
)

// ServiceOptions is what an application process is started with.
type ServiceOptions struct {
	Role    string
	Version string
	Listen  string // the application's own address
	Sidecar string // outbound listener of the sidecar beside it; "" without one
	TCP     string // sidecar's listener for the TCP service that the role calls
	Direct  string // what report-cron calls past every sidecar
	Stats   string // file that the load generator adds its counts to; "" for none
	Rate    float64
	// Broken makes it answer 503 to everything.
	Broken bool
	// LoseTrace makes the HTTP client forget the trace headers.
	LoseTrace bool
	// PhoneHome makes it report to a vendor outside of the mesh.
	PhoneHome bool
}

// application is one service of the cinema.
type application struct {
	ServiceOptions
	client *http.Client
	log    *slog.Logger
}

// ServiceMain runs one application until its parent goes away: the parent
// holds the write end of stdin and never writes.
func ServiceMain(ctx context.Context, opts ServiceOptions, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	app := &application{ServiceOptions: opts, log: log, client: &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 32,
			IdleConnTimeout:     time.Minute,
			DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
		},
	}}
	run, ok := map[string]func(context.Context) error{
		"load":            app.generateLoad,
		"web":             app.serveHTTP(app.web()),
		"catalog":         app.serveHTTP(app.catalog()),
		"reviews":         app.serveHTTP(app.leaf("reviews", 2*time.Millisecond)),
		"posters":         app.serveHTTP(app.leaf("posters", time.Millisecond)),
		"recommendations": app.recommend,
		"tickets":         app.serveHTTP(app.tickets()),
		"payments":        app.serveHTTP(app.payments()),
		"seats":           app.serveSeats,
		"notifications":   app.serveNotifications,
		"bank":            app.serveHTTP(app.bank()),
		"report-cron":     app.report,
	}[opts.Role]
	if !ok {
		return fmt.Errorf("demo service: no role %q", opts.Role)
	}
	if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("demo service %s: %w", opts.Role, err)
	}
	return nil
}

func (a *application) serveHTTP(handler http.Handler) func(context.Context) error {
	return func(ctx context.Context) error {
		listener, err := net.Listen("tcp", a.Listen)
		if err != nil {
			return err
		}
		if a.Broken {
			handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "out of order", http.StatusServiceUnavailable)
			})
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			<-ctx.Done()
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = server.Shutdown(grace)
		}()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		<-stopped
		return nil
	}
}

// traceHeaders are what an application must hand on so that the spans of its
// sidecar's two sides belong together.
var traceHeaders = []string{"Traceparent", "Tracestate", "B3", "X-B3-Traceid", "X-B3-Spanid", "X-B3-Parentspanid", "X-B3-Sampled", "X-Request-Id"}

// call sends a request through the sidecar and gives the status. A status of
// 500 and more is an error, too, as callers must not take it for an answer.
func (a *application) call(ctx context.Context, in http.Header, method, host, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+a.Sidecar+path, nil)
	if err != nil {
		return 0, err
	}
	req.Host = host
	for _, name := range traceHeaders {
		if v := in.Get(name); v != "" && !a.LoseTrace {
			req.Header.Set(name, v)
		}
	}
	req.Header.Set("User-Agent", "cinema-"+a.Role)
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return resp.StatusCode, err
	}
	if resp.StatusCode >= 500 {
		return resp.StatusCode, fmt.Errorf("%s %s%s: %s", method, host, path, resp.Status)
	}
	return resp.StatusCode, nil
}

// work takes about d, half to one and a half of it, with a rare slow outlier,
// as real handlers do.
func work(ctx context.Context, d time.Duration) {
	d = d/2 + time.Duration(rand.Int64N(int64(d)))
	if rand.IntN(100) == 0 {
		d *= 8
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func fail(w http.ResponseWriter, status int, err error) {
	http.Error(w, err.Error(), status)
}
