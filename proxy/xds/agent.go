package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"

	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// heartbeatEvery tells a silent stream from a dead one.
const heartbeatEvery = 5 * time.Second

// runAgent keeps one agent stream open until ctx ends, on the connection that
// the ADS stream chose. A control plane without the service costs one try per
// back-off.
func (c *Client) runAgent(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		conn, replaced := c.link.current()
		if conn != nil {
			started := time.Now()
			err := c.serveAgent(ctx, conn)
			if time.Since(started) > heartbeatEvery {
				failures = 0
			}
			failures++
			if ctx.Err() == nil {
				c.log.Info("no agent stream", "error", err)
			}
		}
		pause := time.NewTimer(retryDelay(max(failures, 1)))
		select {
		case <-ctx.Done():
		case <-replaced:
		case <-pause.C:
		}
		pause.Stop()
	}
}

// serveAgent opens the stream and serves it until it breaks. Tap sessions end
// with the stream that asked for them: the server asks anew on the next.
func (c *Client) serveAgent(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.metrics.attempts.WithLabelValues("agent").Inc()
	stream, err := meshv1.NewAgentClient(conn).Connect(ctx)
	if err != nil {
		return fmt.Errorf("open agent stream: %w", err)
	}
	c.metrics.stream("agent", true)
	defer c.metrics.stream("agent", false)
	ended := make(chan struct{})
	var received error
	go func() {
		defer close(ended)
		received = c.readAgent(stream)
	}()
	sent := c.writeAgent(ctx, stream, ended)
	cancel()
	<-ended
	if c.opts.Taps != nil {
		c.opts.Taps.StopAll()
	}
	if errors.Is(sent, errEnded) {
		return received // the status that the server closed with
	}
	return sent
}

var errEnded = errors.New("agent stream: ended by the server")

// readAgent takes the server's orders until the stream ends.
func (c *Client) readAgent(stream grpc.BidiStreamingClient[meshv1.AgentMessage, meshv1.ServerMessage]) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("agent stream: %w", err)
		}
		if c.opts.Taps == nil {
			continue
		}
		switch m := m.GetMessage().(type) {
		case *meshv1.ServerMessage_TapStart:
			if err := c.opts.Taps.Start(m.TapStart); err != nil {
				c.log.Warn("tap session refused", "session", m.TapStart.GetSession(), "error", err)
			}
		case *meshv1.ServerMessage_TapStop:
			c.opts.Taps.Stop(m.TapStop.GetSession())
		}
	}
}

// writeAgent tells who we are, then what we run whenever it changes, tap batches
// as they come, and a heartbeat. The stream's flow control is the only queue
// here: while it blocks, tap batches stay with the sessions, which are bounded
// and count, and accounts collapse into the newest.
func (c *Client) writeAgent(ctx context.Context, stream grpc.BidiStreamingClient[meshv1.AgentMessage, meshv1.ServerMessage], ended <-chan struct{}) error {
	hello := meshv1.FromNode(c.opts.Node, os.Getpid())
	if err := stream.Send(&meshv1.AgentMessage{Message: &meshv1.AgentMessage_Hello{Hello: hello}}); err != nil {
		return sendError(err)
	}
	var batches <-chan *meshv1.TapBatch
	if c.opts.Taps != nil {
		batches = c.opts.Taps.Batches()
	}
	c.account.notify()
	var told teller
	if err := c.sendIdentity(stream); err != nil {
		return err
	}
	if err := c.sendLife(stream); err != nil {
		return err
	}
	beat := time.NewTicker(c.heartbeatEvery)
	defer beat.Stop()
	for {
		m := &meshv1.AgentMessage{}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return errEnded
		case <-c.account.changed:
			m.Message = &meshv1.AgentMessage_Applied{Applied: told.message(c)}
		case batch := <-batches:
			m.Message = &meshv1.AgentMessage_Tap{Tap: batch}
		case ejection := <-c.opts.Ejections:
			m.Message = &meshv1.AgentMessage_Ejection{Ejection: ejection}
		case <-c.opts.IdentityChanged:
			if err := c.sendIdentity(stream); err != nil {
				return err
			}
			continue
		case <-c.opts.LifeChanged:
			if err := c.sendLife(stream); err != nil {
				return err
			}
			continue
		case told := <-c.farewell:
			return c.sendFarewell(ctx, stream, ended, told)
		case <-beat.C:
			m.Message = &meshv1.AgentMessage_Heartbeat{Heartbeat: c.heartbeat()}
		}
		if err := stream.Send(m); err != nil {
			if batch := m.GetTap(); batch != nil {
				c.metrics.tapLost.Add(float64(len(batch.GetEvents())))
				c.opts.Taps.Lost(batch)
			}
			return sendError(err)
		}
	}
}

// sendIdentity tells which certificate is used.
func (c *Client) sendIdentity(stream grpc.BidiStreamingClient[meshv1.AgentMessage, meshv1.ServerMessage]) error {
	if c.opts.Identity == nil {
		return nil
	}
	id := c.opts.Identity()
	if id == nil {
		return nil
	}
	err := stream.Send(&meshv1.AgentMessage{Message: &meshv1.AgentMessage_Identity{Identity: meshv1.FromIdentity(*id)}})
	if err != nil {
		return sendError(err)
	}
	return nil
}

// sendLife tells how far the sidecar and its application have come.
func (c *Client) sendLife(stream grpc.BidiStreamingClient[meshv1.AgentMessage, meshv1.ServerMessage]) error {
	if c.opts.Life == nil {
		return nil
	}
	if err := stream.Send(&meshv1.AgentMessage{Message: &meshv1.AgentMessage_Life{Life: meshv1.FromLife(c.opts.Life())}}); err != nil {
		return sendError(err)
	}
	return nil
}

// Farewell tells the control plane a last time what Options.Life gives, and
// returns when it has heard that or when ctx ends. Nothing is told afterwards.
func (c *Client) Farewell(ctx context.Context) {
	told := make(chan struct{})
	select {
	case c.farewell <- told:
	case <-ctx.Done():
		return
	}
	select {
	case <-told:
	case <-ctx.Done():
	}
}

// sendFarewell ends the stream from this side and waits for the server's end of
// it: cancelled at once, the stream would take its last message with it.
func (c *Client) sendFarewell(ctx context.Context, stream grpc.BidiStreamingClient[meshv1.AgentMessage, meshv1.ServerMessage], ended <-chan struct{}, told chan<- struct{}) error {
	defer close(told)
	if err := c.sendLife(stream); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return sendError(err)
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return errEnded
}

func (c *Client) heartbeat() *meshv1.Heartbeat {
	if c.opts.ActiveRequests == nil {
		return &meshv1.Heartbeat{}
	}
	return &meshv1.Heartbeat{ActiveRequests: c.opts.ActiveRequests()}
}

func sendError(err error) error {
	if errors.Is(err, io.EOF) {
		return errEnded
	}
	return fmt.Errorf("send on agent stream: %w", err)
}
