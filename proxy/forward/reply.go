package forward

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// localReply is an answer that this sidecar gives by itself.
type localReply struct {
	status     int // 0: there is nobody to answer
	body       string
	location   string
	flags      Flags
	details    string
	object     string // configuration object that made it so
	overloaded bool
	grpc       string // status for gRPC clients; "" = what status stands for
}

// reply answers the client, unless it is gone.
func (s *stream) reply(r localReply) {
	s.x.Flags |= r.flags
	s.x.Details, s.x.Object = r.details, r.object
	if r.status == 0 {
		s.abort = true // else net/http would send a 200
		return
	}
	h := s.w.Header()
	if s.answersPeer() {
		h[headerPeer], h[headerPeerID] = s.e.ownMetadata, s.e.ownID
	}
	if r.overloaded {
		h[headerOverloaded] = []string{"true"}
	}
	if r.location != "" {
		h["Location"] = []string{r.location}
	}
	if r.flags != 0 || r.details != DetailsDirectResponse && r.details != DetailsCORS {
		h[headerProxyStatus] = []string{s.proxyStatus(s.x.Flags, r)}
	}
	s.applyResponseOps(h)
	if s.grpc {
		s.replyGRPC(h, r)
		return
	}
	s.x.Status = r.status
	if r.body != "" && h[headerContentType] == nil {
		h[headerContentType] = []string{"text/plain"}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(r.body))}
	if r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		delete(h, "Content-Length")
		r.body = ""
	}
	s.head(r.status)
	if r.body != "" && s.r.Method != http.MethodHead {
		n, _ := s.w.Write([]byte(r.body)) // a client that is gone is told nothing
		s.sentBytes += int64(n)
	}
}

// replyGRPC answers a gRPC client in its own terms: HTTP 200, status and
// message in the headers and no body.
func (s *stream) replyGRPC(h http.Header, r localReply) {
	status := cmp.Or(r.grpc, grpcFromHTTP(r.status))
	h[headerContentType] = []string{"application/grpc"}
	h[headerGRPCStatus] = []string{status}
	if r.body != "" {
		h[headerGRPCMessage] = []string{escapeGRPCMessage(r.body)}
	}
	s.x.Status, s.x.GRPCStatus = http.StatusOK, status
	s.head(http.StatusOK)
}

// head writes the answer's status and headers.
func (s *stream) head(status int) {
	s.wroteHead = true
	s.w.WriteHeader(status)
	s.x.FirstByte = s.elapsed()
}

// applyResponseOps changes the answer's headers as the configuration says.
func (s *stream) applyResponseOps(h http.Header) {
	if s.setCookie != "" {
		h["Set-Cookie"] = append(slices.Clip(h["Set-Cookie"]), s.setCookie)
	}
	if s.weighted != nil {
		s.weighted.ResponseHeaders.Apply(h)
	}
	if s.route != nil {
		s.route.ResponseHeaders.Apply(h)
		s.vhost.ResponseHeaders.Apply(h)
	}
	if s.table != nil {
		s.table.Config().ResponseHeaders.Apply(h)
	}
	if s.origin != "" {
		s.route.CORS.Decorate(h, s.cors, s.origin)
	}
}

// proxyStatus is the RFC 9209 header: who answered, which of the registered
// errors it is, and Envoy's word for it.
func (s *stream) proxyStatus(flags Flags, r localReply) string {
	return s.e.proxyName + "; error=" + proxyError(flags, r.details) + "; details=" + strconv.Quote(
		strings.Map(visible, r.details+"; "+flags.String()))
}

func visible(c rune) rune {
	if c < 0x20 || c > 0x7e {
		return -1
	}
	return c
}

// proxyError maps flags to RFC 9209's error types, as Envoy does, but tells a
// connect timeout from a refusal.
func proxyError(f Flags, details string) string {
	switch {
	case f&(FlagUH|FlagNC) != 0:
		return "destination_unavailable"
	case f&FlagUT != 0, f&FlagSI != 0:
		return "http_response_timeout"
	case f&FlagUF != 0 && strings.Contains(details, "timeout"):
		return "connection_timeout"
	case f&FlagUF != 0 && strings.Contains(details, "resolve"):
		return "dns_error"
	case f&FlagUF != 0:
		return "connection_refused"
	case f&(FlagUR|FlagUC|FlagLR) != 0:
		return "connection_terminated"
	case f&(FlagUO|FlagOM|FlagRL) != 0:
		return "connection_limit_reached"
	case f&FlagNR != 0:
		return "destination_not_found"
	case f&FlagUPE != 0:
		return "http_protocol_error"
	case f&FlagDPE != 0:
		return "http_request_error"
	case f&FlagURX != 0:
		return "destination_unavailable"
	case strings.HasPrefix(details, detailsRBAC):
		return "http_request_denied"
	case details == DetailsUpgradeFailed:
		return "http_upgrade_failed"
	default:
		return "proxy_internal_response"
	}
}

// proxyName is this sidecar's name in Proxy-Status: a structured field token
// or string.
func proxyName(o Options) string {
	name := o.NodeID
	if name == "" {
		name = o.Workload.ID()
	}
	return strconv.Quote(strings.Map(visible, name))
}

// grpcFromHTTP gives the gRPC status that stands for an HTTP status
// (gRPC's http-grpc-status-mapping).
func grpcFromHTTP(status int) string {
	switch status {
	case http.StatusOK:
		return "0"
	case http.StatusBadRequest:
		return "13"
	case http.StatusUnauthorized:
		return "16"
	case http.StatusForbidden:
		return "7"
	case http.StatusNotFound:
		return "12"
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "14"
	default:
		return "2"
	}
}

// escapeGRPCMessage percent-encodes what grpc-message may not carry.
func escapeGRPCMessage(m string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(m) {
		if c := m[i]; c < 0x20 || c > 0x7e || c == '%' {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// answersPeer reports whether the answer should say who we are.
func (s *stream) answersPeer() bool { return s.cfg.Direction == listen.Inbound && s.hadPeer }
