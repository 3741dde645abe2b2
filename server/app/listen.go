package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
)

// The bounds of the listeners.
const (
	maxAPIConns    = 2048
	maxAdminConns  = 64
	maxHeaderBytes = 64 << 10

	// The steps of stopping stay within three seconds together. Streams of
	// configuration never end by themselves; calls beside them are short.
	stopRequests = time.Second
	stopStreams  = 200 * time.Millisecond
)

type listeners struct{ api, admin, xds, secure net.Listener }

// listen binds all addresses or none.
func listen(opts Options) (l listeners, err error) {
	for _, p := range []struct {
		to      *net.Listener
		address string
		flags   string
		what    string
		conns   int
	}{
		{&l.api, opts.API, "--api (--port of the demo)", "UI and API", maxAPIConns},
		{&l.admin, opts.Admin, "--admin", "the admin listener", maxAdminConns},
		{&l.xds, opts.XDS, "--grpc", "configuration and agents", 0},
		{&l.secure, opts.Secure, "--grpc-tls", "configuration, agents and certificates over TLS", 0},
	} {
		bound, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", p.address)
		if err != nil {
			l.close()
			return listeners{}, listenError(err, p.address, p.flags, p.what)
		}
		if p.conns > 0 {
			bound = netutil.LimitListener(bound, p.conns)
		}
		*p.to = bound
	}
	return l, nil
}

func listenError(err error, address, flags, what string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s for %s: another program has that port: stop it, or choose another address with %s (port 0 takes any free one): %w", address, what, flags, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen on %s for %s: not permitted: choose a port above 1023 with %s: %w", address, what, flags, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen on %s for %s: this machine has no such address: choose one of its own with %s: %w", address, what, flags, err)
	}
	return fmt.Errorf("listen on %s for %s: give host:port with %s: %w", address, what, flags, err)
}

func (l *listeners) close() {
	for _, bound := range []net.Listener{l.api, l.admin, l.xds, l.secure} {
		if bound != nil {
			_ = bound.Close() // nothing was served yet
		}
	}
}

func (l *listeners) addrs() Addrs {
	return Addrs{
		API: l.api.Addr().String(), Admin: l.admin.Addr().String(),
		XDS: l.xds.Addr().String(), Secure: l.secure.Addr().String(),
	}
}

// exposed reports whether an address can be reached from elsewhere.
func exposed(at net.Addr) bool {
	tcp, ok := at.(*net.TCPAddr)
	return ok && !tcp.IP.IsLoopback()
}

func publicServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute, // of a large answer to a slow client; live sockets have their own
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.With("part", "api").Handler(), slog.LevelWarn),
	}
}

// adminServer has no write timeout: a profile may be taken for as long as its
// reader wants.
func adminServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.With("part", "admin").Handler(), slog.LevelWarn),
	}
}

// shutdown lets running requests end, then cuts them.
func shutdown(s *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopRequests)
	defer cancel()
	if s.Shutdown(ctx) != nil {
		_ = s.Close()
	}
}

// stopGRPC lets calls end, then cuts streams.
func stopGRPC(s *grpc.Server) {
	cut := time.AfterFunc(stopStreams, s.Stop)
	defer cut.Stop()
	s.GracefulStop()
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
