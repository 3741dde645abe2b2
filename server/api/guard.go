package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/auth"
	"github.com/sidelight-mesh/sidelight/server/grafana"
)

// maxBody bounds what a request may carry.
const maxBody = 4 << 20

// contentPolicy lets the UI load and call its own origin, and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"font-src 'self'; connect-src 'self'; frame-src 'self'; worker-src 'self' blob:; manifest-src 'self'; " +
	"base-uri 'self'; form-action 'none'; frame-ancestors 'none'"

func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		if isGrafana(r) { // says by itself what its pages may load, and who may frame them
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		next.ServeHTTP(w, r)
	})
}

// guard lets a request through only when it is addressed to a name that is
// known to be this server's and, from a browser's page, when that page is ours.
// Without it any web page could read the mesh through its visitor's browser:
// by DNS rebinding (Host), or over the live socket (Origin), which the
// same-origin policy does not cover.
func (s *Server) guard(hosts []string, ordinary, direct http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hostAllowed(r, r.Host, hosts) {
			writeError(w, fmt.Errorf("host %q is not one of this server's names: %w", r.Host, errNotAllowed))
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" && (r.Method != http.MethodGet && r.Method != http.MethodHead || isSocket(r)) {
			u, err := url.Parse(origin)
			if err != nil || u.Host == "" || u.Host != r.Host && !configured(u.Host, hosts) {
				writeError(w, fmt.Errorf("origin %q is not this server's: %w", origin, errNotAllowed))
				return
			}
		}
		if r.URL.Path == livePath || isGrafana(r) {
			direct.ServeHTTP(w, r) // compresses by itself, and must be hijacked
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		ordinary.ServeHTTP(w, r)
	})
}

// isSocket finds the requests that the same-origin policy does not cover.
func isSocket(r *http.Request) bool {
	return r.URL.Path == livePath || r.Header.Get("Upgrade") != ""
}

func isGrafana(r *http.Request) bool {
	return r.URL.Path == grafana.Prefix || strings.HasPrefix(r.URL.Path, grafana.Prefix+"/")
}

// hostAllowed takes loopback names, the address that the connection came in on
// (a name that was rebound cannot be an address) and the configured names.
func hostAllowed(r *http.Request, host string, hosts []string) bool {
	name := withoutPort(host)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Unmap().IsLoopback() {
			return true
		}
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
			if at := local.AddrPort().Addr().Unmap(); at == ip.Unmap() {
				return true
			}
		}
	}
	return configured(host, hosts)
}

// configured reports whether a host is among the configured ones: a name
// without a port there stands for all ports.
func configured(host string, hosts []string) bool {
	return slices.Contains(hosts, withoutPort(host)) || slices.Contains(hosts, strings.ToLower(host))
}

func withoutPort(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// parseHosts checks the configured names: "mesh.example.com" or
// "mesh.example.com:443".
func parseHosts(hosts []string) ([]string, error) {
	var all []string
	for _, h := range hosts {
		h = strings.ToLower(strings.TrimSpace(h))
		if h == "" || strings.ContainsAny(h, "/ \t*@") {
			return nil, fmt.Errorf("--allowed-hosts: %q is no host name (give mesh.example.com, without a scheme or path): %w", h, mesh.ErrInvalid)
		}
		all = append(all, h)
	}
	return all, nil
}

// compression is gzip only: zstd encoders hold megabytes each, and what the
// browser takes from disk is compressed already.
func compression() (func(http.Handler) http.HandlerFunc, error) {
	return gzhttp.NewWrapper(gzhttp.EnableZstd(false), gzhttp.MinSize(1024))
}

// bounded gives an API request its time, and keeps its answer out of caches.
func bounded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), requestTime)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		c.Response().Header().Set("Cache-Control", "no-store")
		return next(c)
	}
}

// let gives a request to h when who asks has the right. The user goes with it.
func (s *Server) let(right auth.Right, h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		user, err := s.opts.Access.User(c.Request())
		if err != nil {
			return err
		}
		if err := s.opts.Access.May(user, right); err != nil {
			return err
		}
		c.Set(userKey, user)
		return h(c)
	}
}

// while is as let, and ends the request when the right is gone: for answers
// that may go on for long, as those of sockets.
func (s *Server) while(right auth.Right, h echo.HandlerFunc) echo.HandlerFunc {
	return s.let(right, func(c echo.Context) error {
		ctx, cancel := context.WithCancel(c.Request().Context())
		defer cancel()
		go func() {
			defer cancel()
			for {
				changed := s.opts.Access.Changed()
				if s.opts.Access.May(userOf(c), right) != nil {
					return
				}
				select {
				case <-changed:
				case <-ctx.Done():
					return
				}
			}
		}()
		c.SetRequest(c.Request().WithContext(ctx))
		return h(c)
	})
}

const userKey = "user"

// userOf tells who asks, in a handler behind let.
func userOf(c echo.Context) auth.User {
	user, _ := c.Get(userKey).(auth.User)
	return user
}
