package forward

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// Header names in canonical form, as they stand in maps.
const (
	headerRequestID       = "X-Request-Id"
	headerForwardedFor    = "X-Forwarded-For"
	headerForwardedProto  = "X-Forwarded-Proto"
	headerAttemptCount    = "X-Envoy-Attempt-Count"
	headerServiceTime     = "X-Envoy-Upstream-Service-Time"
	headerExpectedTimeout = "X-Envoy-Expected-Rq-Timeout-Ms"
	headerOriginalPath    = "X-Envoy-Original-Path"
	headerOverloaded      = "X-Envoy-Overloaded"
	headerRateLimited     = "X-Envoy-Ratelimited"
	headerRateLimit       = "X-Ratelimit-Limit"
	headerRateRemaining   = "X-Ratelimit-Remaining"
	headerRateReset       = "X-Ratelimit-Reset"
	headerProxyStatus     = "Proxy-Status"
	headerClientCert      = "X-Forwarded-Client-Cert"
	headerGRPCStatus      = "Grpc-Status"
	headerGRPCMessage     = "Grpc-Message"
	headerContentType     = "Content-Type"
)

// hopByHop are the headers that end at each hop (RFC 9110, 7.6.1), beside
// those that Connection names.
var hopByHop = [...]string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding",
	"Upgrade", "Te", "Trailer", "Proxy-Authenticate", "Proxy-Authorization",
}

// Values that many requests have. Nobody writes into a value's slice.
var (
	firstAttempt  = []string{"1"}
	noUserAgent   = []string{""}
	trailersOnly  = []string{"trailers"}
	schemeHTTP    = []string{"http"}
	schemeHTTPS   = []string{"https"}
	upgradeHeader = []string{"Upgrade"}
)

// value gives a header's value, the first few of a stream without an allocation.
func (s *stream) value(text string) []string {
	if s.used == len(s.values) {
		return []string{text}
	}
	s.used++
	v := s.values[s.used-1 : s.used : s.used]
	v[0] = text
	return v
}

// removeHopByHop strips what must not travel on.
func removeHopByHop(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// cloneHeader copies the map, not the values: nobody writes into a value
// slice.
func cloneHeader(h http.Header, extra int) http.Header {
	c := make(http.Header, len(h)+extra)
	maps.Copy(c, h)
	return c
}

// hasToken reports whether a comma separated header names the token.
func hasToken(values []string, token string) bool {
	for _, list := range values {
		for v := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(textproto.TrimString(v), token) {
				return true
			}
		}
	}
	return false
}

// upgradeType gives what a message wants to upgrade to, or "".
func upgradeType(h http.Header) string {
	if !hasToken(h["Connection"], "upgrade") {
		return ""
	}
	return first(h, "Upgrade")
}

// headerBytes is the size of a header section as HTTP/1 writes it. For HTTP/2
// it is what would have been sent without compression.
func headerBytes(h http.Header) int64 {
	n := 2
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v) + 4
		}
	}
	return int64(n)
}

func requestLineBytes(r *http.Request) int64 {
	return int64(len(r.Method) + len(r.RequestURI) + len(" HTTP/1.1\r\n") + 1 + len("Host: \r\n") + len(r.Host))
}

// responseLineBytes is the size of "HTTP/1.1 200 OK\r\n", near enough.
const responseLineBytes = 17

// newRequestID draws a version 4 UUID.
func newRequestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	s[8] = '-'
	hex.Encode(s[9:13], b[4:6])
	s[13] = '-'
	hex.Encode(s[14:18], b[6:8])
	s[18] = '-'
	hex.Encode(s[19:23], b[8:10])
	s[23] = '-'
	hex.Encode(s[24:36], b[10:16])
	return string(s[:])
}

// outgoing makes the header section for the first try, but for what differs
// from try to try.
func (s *stream) outgoing() http.Header {
	in := s.r.Header
	h := cloneHeader(in, 8)
	te := hasToken(in["Te"], "trailers")
	upgrade := s.upgrade
	removeHopByHop(h)
	if te {
		h["Te"] = trailersOnly
	}
	if upgrade != "" {
		h["Connection"] = upgradeHeader
		h["Upgrade"] = []string{upgrade}
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = noUserAgent // keeps net/http from adding its own
	}
	h[headerRequestID] = s.value(s.x.RequestID)
	if _, ok := h[headerForwardedProto]; !ok {
		h[headerForwardedProto] = schemeHTTP
		if s.info.Ended {
			h[headerForwardedProto] = schemeHTTPS
		}
	}
	if s.cfg.Direction == listen.Inbound || s.cfg.Edge {
		s.addForwardedFor(h)
		s.addClientCert(h)
	}
	s.identify(h)
	return h
}

// addClientCert tells the app who called, by certificate. What the client itself
// wrote there is not passed on.
func (s *stream) addClientCert(h http.Header) {
	delete(h, headerClientCert)
	if s.info.Mutual {
		h[headerClientCert] = []string{"By=" + s.e.ProvenSelf().Principal + ";URI=" + s.info.Principal}
	}
}

// addForwardedFor tells the app who called. Only the receiving sidecar does:
// on the sending side the client is the app beside it.
func (s *stream) addForwardedFor(h http.Header) {
	ip, _, err := net.SplitHostPort(s.r.RemoteAddr)
	if err != nil {
		return
	}
	if before := h[headerForwardedFor]; len(before) > 0 {
		ip = strings.Join(before, ", ") + ", " + ip
	}
	h[headerForwardedFor] = []string{ip}
}

// identify replaces the peer metadata: the app must not see the caller's, and
// only mesh services see ours.
func (s *stream) identify(h http.Header) {
	delete(h, headerPeer)
	delete(h, headerPeerID)
	if s.cfg.Direction == listen.Outbound && s.upstream != nil && !s.upstream.config.External {
		h[headerPeer] = s.e.ownMetadata
		h[headerPeerID] = s.e.ownID
	}
}
