package forward

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// switchProtocols joins the two connections after the upstream agreed to
// change protocol (WebSocket), until either side ends.
func (s *stream) switchProtocols(a *attempt, res *http.Response) {
	upstream, ok := res.Body.(io.ReadWriteCloser)
	if !ok || s.upgrade == "" || upgradeType(res.Header) == "" {
		s.reply(localReply{status: http.StatusBadGateway, flags: FlagUPE, details: DetailsUpgradeFailed})
		return
	}
	h := s.w.Header()
	s.copyHeaders(h, res.Header, s.elapsed()-a.record.Start)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{upgradeType(res.Header)}
	s.head(http.StatusSwitchingProtocols)
	client, buffered, err := http.NewResponseController(s.w).Hijack()
	if err != nil {
		s.x.Flags |= FlagDC
		s.x.Details = DetailsDownstreamDisconnect
		return
	}
	defer func() { _ = client.Close() }()
	// Bytes that the client sent right behind its request are still buffered.
	from := io.MultiReader(io.LimitReader(buffered, int64(buffered.Reader.Buffered())), client)
	sent, received := join(client, from, upstream)
	s.x.RequestBytes += sent
	s.sentBytes += received
}

// join copies both ways until either ends: net/http gives no way to
// half-close.
func join(client net.Conn, from io.Reader, upstream io.ReadWriteCloser) (sent, received int64) {
	var up atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		n, _ := io.Copy(upstream, from)
		up.Store(n)
		// The client has ended; an upstream that says nothing more must not
		// hold the connection.
		_ = client.SetReadDeadline(time.Now())
		_ = upstream.Close()
	}()
	received, _ = io.Copy(client, upstream)
	_ = client.Close()
	_ = upstream.Close()
	<-done
	return up.Load(), received
}
