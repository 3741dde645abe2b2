// Package grafana puts the user's own Grafana below /grafana/ of our origin, so
// that its panels can stand in our pages, and finds out what keeps them from
// it. It owns the reverse proxy with who the visitor is to Grafana, and the
// checks of status.go. It never makes anything else wait: a Grafana that does
// not answer is a state that is told, not an error.
package grafana

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Prefix is where Grafana stands on our origin.
const Prefix = "/grafana"

// Options say which Grafana, and who visitors are to it.
type Options struct {
	// URL is where Grafana serves, with its sub-path when it has
	// serve_from_sub_path: "http://127.0.0.1:3000/grafana".
	URL string
	// User is the Grafana user that every visitor is; "" leaves the login to
	// Grafana, unless UserHeader names who it is.
	User string
	// UserHeader is the header by which an authenticating proxy in front names
	// the visitor. It is believed: set it only where nobody else can set it.
	UserHeader string

	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Limits.
const (
	dialTime   = 3 * time.Second
	headerTime = 30 * time.Second // until an answer begins: a slow data source behind it
	maxRunning = 128              // requests and sockets at once
)

// Proxy serves Grafana. Make it with New; its checks need Run.
type Proxy struct {
	opts    Options
	base    *url.URL
	forward *httputil.ReverseProxy
	running chan struct{}
	checks  checks
	metrics *metrics

	// closing ends with Run, and with it the sockets that still stand.
	closing context.Context
	close   context.CancelFunc
}

// New checks the options. It does not talk to Grafana.
func New(o Options) (*Proxy, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.RawQuery != "" || base.User != nil {
		return nil, fmt.Errorf("--grafana-url %s: want a URL like http://127.0.0.1:3000/grafana, without user or query: %w", redacted(base, o.URL), mesh.ErrInvalid)
	}
	if o.User != "" && o.UserHeader != "" {
		return nil, fmt.Errorf("--grafana-user and --grafana-user-header: give one of them: %w", mesh.ErrInvalid)
	}
	if strings.ContainsFunc(o.User, func(c rune) bool { return !unicode.IsPrint(c) || c > unicode.MaxASCII }) {
		return nil, fmt.Errorf("--grafana-user %q: want printable ASCII: %w", o.User, mesh.ErrInvalid)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	p := &Proxy{opts: o, base: base, running: make(chan struct{}, maxRunning), metrics: newMetrics()}
	if o.Registerer != nil {
		if err := p.metrics.register(o.Registerer); err != nil {
			return nil, fmt.Errorf("register Grafana proxy metrics: %w", err)
		}
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite: p.rewrite, ModifyResponse: p.modify, ErrorHandler: p.unreachable,
		Transport:     transport(),
		FlushInterval: -1, // what Grafana streams is wanted now
		ErrorLog:      slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	p.checks.start(p)
	p.closing, p.close = context.WithCancel(context.Background())
	return p, nil
}

func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.DialContext = dialer().DialContext
	t.ResponseHeaderTimeout = headerTime
	t.MaxIdleConnsPerHost = 32
	t.ForceAttemptHTTP2 = false // a socket needs HTTP/1.1
	return t
}

// redacted keeps a password out of the message.
func redacted(u *url.URL, text string) string {
	if u == nil || u.User != nil {
		return "(not shown)"
	}
	return text
}

// ServeHTTP serves what is below Prefix.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case p.running <- struct{}{}:
		defer func() { <-p.running }()
	default:
		p.metrics.refused.Inc()
		w.Header().Set("Retry-After", "1")
		page(w, http.StatusServiceUnavailable, "Too many requests to Grafana at once", "Close pages that show panels, or open Grafana itself.")
		return
	}
	if _, err := p.userOf(r); err != nil {
		page(w, http.StatusBadRequest, "The visitor's name cannot be read", err.Error())
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.closing, cancel)()
	p.forward.ServeHTTP(w, r.WithContext(ctx))
}

// Headers by which a client could claim to be somebody, or that are ours.
func claims(name string) bool {
	name = strings.ToLower(name)
	for _, prefix := range []string{"x-webauth-", "x-forwarded-", "x-sidelight-", "x-real-ip", "forwarded", "authorization", "proxy-authorization", "x-ds-authorization", "x-access-token", "x-grafana-id", "x-grafana-user", "x-jwt-assertion", "x-id-token"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	out := r.Out
	for name := range out.Header {
		if claims(name) {
			out.Header.Del(name)
		}
	}
	p.introduce(out, r.In)
	rest := strings.TrimPrefix(r.In.URL.EscapedPath(), Prefix)
	out.URL.Scheme, out.URL.Host = p.base.Scheme, p.base.Host
	out.URL.Path, out.URL.RawPath = p.base.Path+strings.TrimPrefix(r.In.URL.Path, Prefix), p.base.EscapedPath()+rest
	// Grafana compares the page's origin with the host that it was asked by.
	out.Host = r.In.Host
	r.SetXForwarded()
	out.Header.Set("X-Forwarded-Prefix", Prefix)
	keepCookies(out)
}

// introduce says to Grafana's auth proxy who the visitor is.
func (p *Proxy) introduce(out, in *http.Request) {
	if name, _ := p.userOf(in); name != "" {
		out.Header.Set("X-Webauth-User", name)
		out.Header.Set("X-Webauth-Role", "Viewer")
	}
}

func (p *Proxy) userOf(r *http.Request) (string, error) {
	if p.opts.UserHeader == "" {
		return p.opts.User, nil
	}
	values := r.Header.Values(p.opts.UserHeader)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1 || len(values[0]) > 190 || strings.ContainsFunc(values[0], func(c rune) bool { return !unicode.IsPrint(c) }):
		return "", fmt.Errorf("header %s must come once, with at most 190 printable characters: %w", p.opts.UserHeader, mesh.ErrInvalid)
	}
	return values[0], nil
}

// keepCookies lets Grafana's cookies through, and none of ours.
func keepCookies(r *http.Request) {
	cookies := r.Cookies()
	r.Header.Del("Cookie")
	for _, c := range cookies {
		if !strings.HasPrefix(strings.ToLower(c.Name), "sidelight") {
			r.AddCookie(c)
		}
	}
}

// modify makes the answer one of our origin's: only our pages may frame it,
// its cookies stay below Prefix, and its redirects lead back here.
func (p *Proxy) modify(r *http.Response) error {
	p.metrics.requests.WithLabelValues(class(r.StatusCode)).Inc()
	// In addition to what Grafana says itself: the browser holds to both.
	r.Header.Add("Content-Security-Policy", "frame-ancestors 'self'")
	if cookies := r.Cookies(); len(cookies) > 0 {
		r.Header.Del("Set-Cookie")
		for _, c := range cookies {
			c.Domain, c.Path = "", Prefix+"/"
			r.Header.Add("Set-Cookie", c.String())
		}
	}
	if to := r.Header.Get("Location"); to != "" {
		r.Header.Set("Location", p.ours(to))
	}
	return nil
}

// ours translates an address of Grafana into one of ours; other sites' stay.
func (p *Proxy) ours(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host != "" && u.Host != p.base.Host {
		return location
	}
	if u.Host == "" && !strings.HasPrefix(u.Path, "/") {
		return location // relative to where the browser is
	}
	rest := u.EscapedPath()
	if p.base.Path != "" {
		rest = strings.TrimPrefix(rest, p.base.EscapedPath())
	}
	rest = strings.TrimPrefix(rest, Prefix)
	to := url.URL{RawQuery: u.RawQuery, Fragment: u.Fragment}
	return Prefix + rest + strings.TrimPrefix(to.String(), "/")
}

func (p *Proxy) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	p.metrics.requests.WithLabelValues("unreachable").Inc()
	if r.Context().Err() != nil {
		return // the visitor went away
	}
	page(w, http.StatusBadGateway, "Grafana does not answer", "It is asked at "+p.base.Redacted()+" (--grafana-url): "+err.Error())
}

// page is what stands in a frame when Grafana does not.
func page(w http.ResponseWriter, status int, title, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "%s.\n%s\n", title, text)
}

func class(status int) string {
	return fmt.Sprintf("%dxx", status/100)
}

// metrics are the proxy's own.
type metrics struct {
	requests *prometheus.CounterVec
	refused  prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidelight_server_grafana_requests_total", Help: "Requests handed to Grafana, by class of its answer.",
		}, []string{"answer"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidelight_server_grafana_refused_total", Help: "Requests for Grafana that were refused because too many ran.",
		}),
	}
	for _, answer := range []string{"2xx", "3xx", "4xx", "5xx", "unreachable"} {
		m.requests.WithLabelValues(answer)
	}
	return m
}

func (m *metrics) register(reg prometheus.Registerer) error {
	if err := reg.Register(m.requests); err != nil {
		return err
	}
	return reg.Register(m.refused)
}
