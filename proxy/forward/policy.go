package forward

import (
	"cmp"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// admit carries out what stands between a request and its route's action. False
// means that the request has been answered, or that its client is gone.
func (s *stream) admit(req *route.Request) bool {
	if c := s.route.CORS; c != nil && !s.crossOrigin(c, req) {
		return false
	}
	if l := s.route.RateLimit; l != nil && !s.limit(l) {
		return false
	}
	if f := s.route.Fault; f != nil && !s.inject(f) {
		return false
	}
	return true
}

// crossOrigin answers preflights and remembers whose answer to decorate.
func (s *stream) crossOrigin(c *route.CORS, req *route.Request) bool {
	s.cors, s.origin = c.Judge(req)
	if s.cors != route.Preflight {
		return true
	}
	s.reply(localReply{status: http.StatusOK, details: DetailsCORS, object: s.route.Object})
	return false
}

// limit answers requests beyond the rate in the service's place.
func (s *stream) limit(l *route.RateLimit) bool {
	a := l.Take(s.x.Begin)
	if l.Headers {
		h := s.w.Header()
		h[headerRateLimit] = []string{strconv.FormatUint(uint64(l.Max), 10)}
		h[headerRateRemaining] = []string{strconv.FormatUint(uint64(a.Left), 10)}
		h[headerRateReset] = []string{strconv.FormatInt(int64((a.Reset+time.Second-1)/time.Second), 10)}
	}
	if a.OK {
		return true
	}
	reply := localReply{
		status: cmp.Or(l.Status, http.StatusTooManyRequests), body: "local_rate_limited",
		flags: FlagRL, details: DetailsRateLimited, object: s.route.Object,
	}
	if l.Exhausted {
		reply.grpc = "8"
	}
	s.reply(reply)
	return false
}

// inject delays the request, or answers it with an error in the service's
// place. No try is made for what was aborted, so none is repeated.
func (s *stream) inject(f *route.Fault) bool {
	if f.Delays(rand.Uint32()) {
		s.x.Flags |= FlagDI
		begin := time.Now()
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.r.Context().Done():
			s.reply(s.clientFault())
			return false
		}
		s.held += time.Since(begin)
	}
	if !f.Aborts(rand.Uint32()) {
		return true
	}
	reply := localReply{
		status: f.AbortStatus, grpc: f.AbortGRPC, body: f.AbortBody,
		flags: FlagFI, details: DetailsFaultAbort, object: s.route.Object,
	}
	if f.AbortGRPC != "" {
		reply.status = grpcToHTTP(f.AbortGRPC)
	}
	if reply.body == "" {
		reply.body = "fault filter abort"
	}
	s.reply(reply)
	return false
}
