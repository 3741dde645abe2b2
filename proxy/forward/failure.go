package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"golang.org/x/net/http2"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// failure is why a try brought no answer, in Envoy's terms.
type failure struct {
	kind      route.Reset
	flags     Flags
	words     string // reset reason: "remote connection failure"
	transport string // transport failure reason: "delayed connect error: Connection refused"
	details   string // "" = made from words
	status    int
	final     bool // never tried again
	byConfig  bool // a limit of the route's configuration, not the upstream
}

var (
	routeTimeout = failure{
		flags: FlagUT, status: http.StatusGatewayTimeout,
		details: DetailsResponseTimeout, final: true, byConfig: true,
	}
	perTryTimeout = failure{
		kind: route.ResetTimeout, flags: FlagUT, status: http.StatusGatewayTimeout,
		details: DetailsPerTryTimeout, byConfig: true,
	}
)

// classify reads a transport's error. Ctx is the try's.
func classify(ctx context.Context, err error) failure {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errRouteTimeout):
		return routeTimeout
	case errors.Is(cause, errPerTry), errors.Is(err, errPerTry):
		return perTryTimeout
	}
	if connect, ok := errors.AsType[*ConnectError](err); ok {
		return connectFailure(connect)
	}
	f := failure{
		kind: route.ResetRemote, flags: FlagUC, words: "connection termination",
		status: http.StatusServiceUnavailable,
	}
	if code, ok := streamReset(err); ok {
		f.flags, f.words = FlagUR, "remote reset"
		if code == http2.ErrCodeRefusedStream {
			f.kind, f.words = route.ResetRefused, "remote refused stream reset"
		}
		return f
	}
	if errors.Is(err, errLeftover) || isProtocolError(err) {
		f.flags, f.words, f.status = FlagUPE, "protocol error", http.StatusBadGateway
	}
	return f
}

func connectFailure(e *ConnectError) failure {
	f := failure{
		kind: route.ResetConnectFailure, flags: FlagUF, words: "remote connection failure",
		status: http.StatusServiceUnavailable,
	}
	var dns *net.DNSError
	var handshake *tlsError
	switch {
	case errors.As(e.Err, &dns):
		f.transport = "name does not resolve"
	case errors.As(e.Err, &handshake) && !e.Timeout:
		f.transport = handshake.words()
	case e.Timeout:
		f.words = "connection timeout"
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		f.transport = "delayed connect error: Connection refused"
	case errors.Is(e.Err, syscall.ECONNRESET):
		f.transport = "delayed connect error: Connection reset by peer"
	case errors.Is(e.Err, syscall.EHOSTUNREACH):
		f.transport = "delayed connect error: No route to host"
	case errors.Is(e.Err, syscall.ENETUNREACH):
		f.transport = "immediate connect error: Network is unreachable"
	}
	return f
}

// streamReset finds an HTTP/2 stream error. When the body was under way the
// transport gives the error's text only.
func streamReset(err error) (http2.ErrCode, bool) {
	if se, ok := errors.AsType[http2.StreamError](err); ok {
		return se.Code, true
	}
	text := err.Error()
	// The server left without having taken the request: to nghttp2, and so to
	// Envoy, that is a refused stream.
	if strings.Contains(text, "graceful shutdown GOAWAY") {
		return http2.ErrCodeRefusedStream, true
	}
	if strings.Contains(text, "stream error: ") {
		if strings.Contains(text, http2.ErrCodeRefusedStream.String()) {
			return http2.ErrCodeRefusedStream, true
		}
		return http2.ErrCodeInternal, true
	}
	return 0, false
}

// isProtocolError reports whether the upstream said something that is no
// answer. net/http has no types for these.
func isProtocolError(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "malformed") || strings.Contains(text, "response headers exceeded") ||
		strings.Contains(text, "too many 1xx") || strings.Contains(text, "unsupported transfer encoding") ||
		strings.Contains(text, "bad Content-Length") || strings.Contains(text, "PROTOCOL_ERROR")
}

// reason says for people what happened.
func (f failure) reason(t *tries) string {
	switch f.details {
	case DetailsPerTryTimeout:
		return "per-try timeout " + t.policy.PerTry.String()
	case DetailsResponseTimeout:
		return "route timeout " + t.s.forward.Timeout.String()
	}
	return f.plain()
}

// reply is the answer that the client gets when no try brought one.
func (f failure) reply(retried bool) localReply {
	r := localReply{status: f.status, flags: f.flags, details: f.details}
	if f.details != "" {
		r.body = "upstream request timeout"
		return r
	}
	r.body = resetBody(f.words, f.transport, retried)
	inside := f.words
	if f.transport != "" {
		inside += "|" + f.transport
	}
	r.details = DetailsEarlyReset + "{" + underscored(inside) + "}"
	return r
}

func resetBody(words, transport string, retried bool) string {
	var b strings.Builder
	b.WriteString("upstream connect error or disconnect/reset before headers. ")
	if retried {
		b.WriteString("retried and the latest ")
	}
	b.WriteString("reset reason: " + words)
	if transport != "" {
		b.WriteString(", transport failure reason: " + transport)
	}
	return b.String()
}

// overflowReply is what a full circuit breaker answers.
func overflowReply(object string) localReply {
	return localReply{
		status: http.StatusServiceUnavailable, flags: FlagUO, overloaded: true, object: object,
		body:    resetBody("overflow", "", false),
		details: DetailsEarlyReset + "{overflow}",
	}
}

func underscored(words string) string { return strings.ReplaceAll(words, " ", "_") }

// ConnectReason says for people why a connection did not come to be.
func ConnectReason(err error) string {
	var connect *ConnectError
	if !errors.As(err, &connect) {
		return "connection failed"
	}
	return connectFailure(connect).plain()
}

// ConnectDetails are the details of a connection that did not come to be.
func ConnectDetails(err error) string {
	var connect *ConnectError
	if !errors.As(err, &connect) {
		return DetailsEarlyReset + "{remote_connection_failure}"
	}
	return connectFailure(connect).reply(false).details
}

// plain is the failure in a few lower-case words.
func (f failure) plain() string {
	if f.transport == "" {
		return f.words
	}
	if _, text, ok := strings.Cut(f.transport, ": "); ok {
		return strings.ToLower(text)
	}
	return f.transport
}
