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

const (
	heartbeatEvery = 5 * time.Second
	// tapGrace is how long tap sessions outlive the agent stream: a short break
	// should not lose a viewer's counters, and nobody listens after a long one.
	tapGrace = 10 * time.Second
)

// agentStream keeps the stream to the server's agent service. It belongs to one
// goroutine.
type agentStream struct {
	*Client
	abandon *time.Timer // ends the tap sessions; nil while the stream is up
}

// runAgent keeps one agent stream open until ctx ends, on the connection that
// the ADS stream chose. A control plane without the service costs one try per
// back-off.
func (c *Client) runAgent(ctx context.Context) {
	a := &agentStream{Client: c}
	failures := 0
	for ctx.Err() == nil {
		conn, replaced := c.link.current()
		if conn != nil {
			started := time.Now()
			err := a.serve(ctx, conn)
			if time.Since(started) > heartbeatEvery {
				failures = 0
			}
			failures++
			if ctx.Err() == nil {
				c.log.Info("no agent stream", "error", err)
			}
			a.down()
		}
		pause := time.NewTimer(retryDelay(max(failures, 1)))
		select {
		case <-ctx.Done():
		case <-replaced:
		case <-pause.C:
		}
		pause.Stop()
	}
	a.up()
}

// up keeps the tap sessions, down gives them some time to be claimed again.
func (a *agentStream) up() {
	if a.abandon != nil {
		a.abandon.Stop()
		a.abandon = nil
	}
}

func (a *agentStream) down() {
	if a.abandon == nil && a.opts.Taps != nil {
		a.abandon = time.AfterFunc(tapGrace, a.opts.Taps.StopAll)
	}
}

// serve opens the stream and serves it until it breaks.
func (a *agentStream) serve(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.metrics.attempts.WithLabelValues("agent").Inc()
	stream, err := meshv1.NewAgentClient(conn).Connect(ctx)
	if err != nil {
		return fmt.Errorf("open agent stream: %w", err)
	}
	a.up()
	a.metrics.stream("agent", true)
	defer a.metrics.stream("agent", false)
	ended := make(chan struct{})
	var received error
	go func() {
		defer close(ended)
		received = a.read(stream)
	}()
	sent := a.write(ctx, stream, ended)
	cancel()
	<-ended
	if errors.Is(sent, errEnded) {
		return received // the status that the server closed with
	}
	return sent
}

var errEnded = errors.New("agent stream: ended by the server")

// read takes the server's orders until the stream ends.
func (a *agentStream) read(stream grpc.BidiStreamingClient[meshv1.AgentMessage, meshv1.ServerMessage]) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("agent stream: %w", err)
		}
		if a.opts.Taps == nil {
			continue
		}
		switch m := m.GetMessage().(type) {
		case *meshv1.ServerMessage_TapStart:
			if err := a.opts.Taps.Start(m.TapStart); err != nil {
				a.log.Warn("tap session refused", "session", m.TapStart.GetSession(), "error", err)
			}
		case *meshv1.ServerMessage_TapStop:
			a.opts.Taps.Stop(m.TapStop.GetSession())
		}
	}
}

// write tells who we are, then what we run whenever it changes, tap batches
// as they come, and a heartbeat. The stream's flow control is the only queue
// here: while it blocks, tap batches stay with the sessions, which are bounded
// and count, and accounts collapse into the newest.
func (a *agentStream) write(ctx context.Context, stream grpc.BidiStreamingClient[meshv1.AgentMessage, meshv1.ServerMessage], ended <-chan struct{}) error {
	hello := meshv1.FromNode(a.opts.Node, os.Getpid())
	if err := stream.Send(&meshv1.AgentMessage{Message: &meshv1.AgentMessage_Hello{Hello: hello}}); err != nil {
		return sendError(err)
	}
	var batches <-chan *meshv1.TapBatch
	if a.opts.Taps != nil {
		batches = a.opts.Taps.Batches()
	}
	a.account.notify()
	beat := time.NewTicker(heartbeatEvery)
	defer beat.Stop()
	for {
		m := &meshv1.AgentMessage{}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ended:
			return errEnded
		case <-a.account.changed:
			m.Message = &meshv1.AgentMessage_Applied{Applied: a.appliedMessage()}
		case batch := <-batches:
			m.Message = &meshv1.AgentMessage_Tap{Tap: batch}
		case <-beat.C:
			m.Message = &meshv1.AgentMessage_Heartbeat{Heartbeat: a.heartbeat()}
		}
		if err := stream.Send(m); err != nil {
			if batch := m.GetTap(); batch != nil {
				a.metrics.tapLost.Add(float64(len(batch.GetEvents())))
				a.opts.Taps.Lost(batch)
			}
			return sendError(err)
		}
	}
}

func (a *agentStream) heartbeat() *meshv1.Heartbeat {
	if a.opts.ActiveRequests == nil {
		return &meshv1.Heartbeat{}
	}
	return &meshv1.Heartbeat{ActiveRequests: a.opts.ActiveRequests()}
}

func sendError(err error) error {
	if errors.Is(err, io.EOF) {
		return errEnded
	}
	return fmt.Errorf("send on agent stream: %w", err)
}
