package forward

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// copyBuffers are what bodies pass through. 16 KiB is one HTTP/2 frame.
var copyBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

func (s *stream) elapsed() time.Duration { return time.Since(s.x.Begin) }

// respond passes an answer to the client: head, body as it comes, trailers.
func (s *stream) respond(a *attempt, res *http.Response) {
	defer func() { _ = res.Body.Close() }()
	begin := s.elapsed()
	if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
		f := failure{flags: FlagUPE, words: "protocol error", status: http.StatusBadGateway}
		s.reply(f.reply(len(s.x.Attempts) > 0))
		return
	}
	s.x.Status, s.x.Details = res.StatusCode, DetailsViaUpstream
	s.destinationFrom(res.Header)
	if res.StatusCode == http.StatusSwitchingProtocols {
		s.switchProtocols(a, res)
		return
	}
	h := s.w.Header()
	s.copyHeaders(h, res.Header, begin-a.record.Start)
	announced := len(res.Trailer)
	for name := range res.Trailer {
		h["Trailer"] = append(h["Trailer"], name)
	}
	s.head(res.StatusCode)
	// A body of unknown length may be a stream that waits for the client. But
	// an answer that ends with its head must stay in one piece: gRPC clients
	// take a head without a status for the beginning of a body.
	streaming := res.ContentLength < 0 && res.Body != http.NoBody
	var flusher *http.ResponseController
	if streaming {
		flusher = http.NewResponseController(s.w)
		if s.body != nil && !s.body.sent() { // the client may wait for the head to go on
			_ = flusher.Flush() // errors show up at the next write
		}
	}
	s.own += s.elapsed() - begin
	if s.messages != nil {
		a.settle()
		s.tellDestination(&a.record)
	}
	err := s.copyBody(res.Body, flusher, res.ContentLength)
	if err == nil {
		if flusher != nil && len(res.Trailer) > 0 {
			// Or net/http would say how long the body is: then HTTP/1 has no place for
			// trailers, and some clients of HTTP/2 do not wait for them.
			_ = flusher.Flush()
		}
		s.copyTrailers(h, res.Trailer, announced)
	}
	s.settleGRPC(a, res)
	if err != nil {
		s.broken(a, err)
	}
}

// copyHeaders fills the client's header section.
func (s *stream) copyHeaders(h, from http.Header, waited time.Duration) {
	maps.Copy(h, from)
	removeHopByHop(h)
	if len(h[headerContentType]) == 0 {
		h[headerContentType] = nil // or net/http would guess one
	}
	delete(h, headerPeer)
	delete(h, headerPeerID)
	if s.answersPeer() {
		h[headerPeer], h[headerPeerID] = s.e.ownMetadata, s.e.ownID
	}
	h[headerServiceTime] = s.value(strconv.FormatInt(waited.Milliseconds(), 10))
	s.applyResponseOps(h)
}

// destinationFrom learns from the answer who gave it.
func (s *stream) destinationFrom(h http.Header) {
	if s.cfg.Direction != listen.Outbound {
		return
	}
	if peer, ok := s.e.peers.FromHeaders(first(h, headerPeer), first(h, headerPeerID)); ok {
		s.x.Destination = peer
	}
}

// readError and writeError tell the two ends of a copy apart.
type readError struct{ error }

type writeError struct{ error }

// copyBody passes the body on. With a flusher each piece goes out at once, the
// first one with the head unless it is late; of a body of known length, what
// net/http has kept goes when more is late.
func (s *stream) copyBody(src io.Reader, flusher *http.ResponseController, length int64) error {
	if src == http.NoBody {
		return nil
	}
	buf := copyBuffers.Get().(*[16 << 10]byte)
	defer copyBuffers.Put(buf)
	s.late.w = s.w
	for {
		watched := s.sentBytes < length || flusher != nil && s.sentBytes == 0
		if watched {
			s.e.lates.wait(&s.late)
		}
		n, err := src.Read(buf[:])
		if watched {
			s.e.lates.came(&s.late)
		}
		if n > 0 {
			s.passed(buf[:n])
			written, werr := s.w.Write(buf[:n])
			s.sentBytes += int64(written)
			if werr != nil {
				return writeError{werr}
			}
			if flusher != nil && err == nil {
				if werr := flusher.Flush(); werr != nil {
					return writeError{werr}
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			if flusher != nil {
				_ = flusher.Flush() // the client shall see an answer that is cut, not none
			}
			return readError{err}
		}
	}
}

// copyTrailers sends the trailers. Those that the upstream did not announce
// need net/http's prefix.
func (s *stream) copyTrailers(h, trailer http.Header, announced int) {
	for name, values := range trailer {
		if announced != len(trailer) {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

// settleGRPC reads the gRPC status: from the trailers, else the headers, else
// what the HTTP status stands for.
func (s *stream) settleGRPC(a *attempt, res *http.Response) {
	if !s.grpc {
		return
	}
	status := first(res.Trailer, headerGRPCStatus)
	if status == "" {
		status = first(res.Header, headerGRPCStatus)
	}
	if n, err := strconv.Atoi(status); err != nil || n < 0 || n > 16 {
		status = grpcFromHTTP(res.StatusCode)
	} else {
		status = strconv.Itoa(n) // "+5" and "005" are no statuses of their own
	}
	if a.record.GRPC == "" && res.StatusCode == http.StatusOK {
		s.upstream.Report(a.host, grpcToHTTP(status))
	}
	s.x.GRPCStatus, a.record.GRPC = status, status
}

// broken settles an answer that ended before it was complete. What the client
// got is not whole, and it must see that.
func (s *stream) broken(a *attempt, err error) {
	s.abort = true
	var write writeError
	switch {
	case s.clientGone() || errors.As(err, &write):
		s.x.Flags |= FlagDC
		s.x.Details = DetailsDownstreamDisconnect
		a.record.Flags, a.record.Reason = FlagDC, "client went away"
		return
	}
	f := classify(a.ctx, err)
	s.upstream.Report(a.host, f.outlierStatus())
	a.record.Flags |= f.flags
	s.x.Flags |= f.flags
	if f.details != "" {
		s.x.Details = f.details
		s.x.Object = s.route.Object
		a.record.Reason = "timeout while answering"
		return
	}
	s.x.Details = DetailsLateReset + "{" + underscored(f.words) + "}"
	a.record.Reason = f.words
}
