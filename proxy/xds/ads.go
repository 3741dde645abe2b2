package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	// firstAnswer is how long a server may be silent on a new stream before
	// another one is tried.
	firstAnswer = 15 * time.Second
	// maxNack bounds the text of a NACK.
	maxNack = 4096
)

var errSilent = errors.New("no answer on the new stream")

// runADS keeps one ADS stream open until ctx ends.
func (c *Client) runADS(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		conn, server, err := c.link.open()
		answered := false
		if err == nil {
			answered, err = c.serveADS(ctx, conn, server)
		}
		c.disconnected(server, err)
		if ctx.Err() != nil {
			return
		}
		if answered {
			failures = 0
		} else {
			c.link.next()
		}
		failures++
		delay := retryDelay(failures)
		c.log.Warn("no stream to the control plane", "server", server, "error", err, "retry_in", delay)
		sleep(ctx, delay)
	}
}

// serveADS opens a stream and serves it until it breaks; it tells whether the
// server ever answered.
func (c *Client) serveADS(ctx context.Context, conn *grpc.ClientConn, server string) (answered bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.metrics.attempts.WithLabelValues("ads").Inc()
	stream, err := c.openADS(ctx, conn, server)
	if err != nil {
		return false, fmt.Errorf("open ADS stream: %w", err)
	}
	c.connectedTo(server)
	c.store.newStream()
	if len(c.opts.Servers) > 1 {
		silence := time.AfterFunc(firstAnswer, func() { cancel(errSilent) })
		defer silence.Stop()
		defer func() {
			if !answered && errors.Is(context.Cause(ctx), errSilent) {
				err = errSilent
			}
		}()
	}
	subs := newSubscriptions()
	requests := c.subscribe(subs)
	requests[0].Node = c.node
	for {
		for _, req := range requests {
			if err := stream.Send(req); err != nil && !errors.Is(err, io.EOF) {
				return answered, fmt.Errorf("send on ADS stream: %w", err)
			}
		}
		resp, err := stream.Recv()
		if err != nil {
			return answered, fmt.Errorf("ADS stream: %w", err)
		}
		if c.stalled.Load() {
			for state := connectivity.Ready; state == connectivity.Ready && conn.WaitForStateChange(ctx, state); {
				state = conn.GetState()
			}
			return answered, errors.New("ADS stream: broke while stalled")
		}
		if c.opts.Fault.Slow > 0 && c.Configured() && !sleep(ctx, c.opts.Fault.Slow) {
			return answered, ctx.Err()
		}
		if requests, err = c.receive(subs, resp, time.Now()); err != nil {
			return answered, fmt.Errorf("ADS stream: %w", err)
		}
		answered = true
	}
}

func (c *Client) openADS(ctx context.Context, conn *grpc.ClientConn, server string) (adsStream, error) {
	if c.opts.Pull > 0 {
		asked, err := newPullStream(ctx, server, c.opts.Pull, c.opts.TLS, c.opts.Dial)
		if err != nil {
			return nil, err
		}
		return newWorldStream(asked), nil
	}
	ads := discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
	if !c.opts.StateOfTheWorld {
		return ads.DeltaAggregatedResources(ctx)
	}
	stream, err := ads.StreamAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	return newWorldStream(stream), nil
}

// subscribe gives the requests that bring the stream in line with what the
// accepted configuration names.
func (c *Client) subscribe(subs *subscriptions) []*discoveryv3.DeltaDiscoveryRequest {
	var out []*discoveryv3.DeltaDiscoveryRequest
	for _, kind := range kinds() {
		if req := subs.request(kind, c.store.wanted(kind), c.store.versions(kind)); req != nil {
			out = append(out, req)
		}
	}
	return out
}

// receive takes in one response, all or nothing, and gives what to send: the
// ACK or NACK, and changed subscriptions. An error means that the server does
// not speak the protocol, and ends the stream.
func (c *Client) receive(subs *subscriptions, resp *discoveryv3.DeltaDiscoveryResponse, now time.Time) ([]*discoveryv3.DeltaDiscoveryRequest, error) {
	kind := mesh.TypeName(resp.GetTypeUrl())
	switch {
	case mesh.TypeURL(kind) == "" || !subs.open(kind):
		return nil, fmt.Errorf("server sent type %q, which was not asked for", resp.GetTypeUrl())
	case resp.GetNonce() == "":
		return nil, errors.New("server sent a response without nonce")
	}
	c.metrics.heard(now)
	reply := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}
	good, bad := c.translateAll(subs, kind, resp, now)
	if len(bad) > 0 {
		reply.ErrorDetail = c.nack(good, bad, now)
		return []*discoveryv3.DeltaDiscoveryRequest{reply}, nil
	}
	c.store.accept(good, now)
	c.metrics.update(kind, "accepted")
	c.log.Debug("configuration accepted", "type", kind, "revision", good.revision,
		"resources", len(good.set), "removed", len(good.removed))
	return append([]*discoveryv3.DeltaDiscoveryRequest{reply}, c.subscribe(subs)...), nil
}

// offender is a resource that was refused.
type offender struct {
	name string
	refusal
}

func (c *Client) translateAll(subs *subscriptions, kind string, resp *discoveryv3.DeltaDiscoveryResponse, now time.Time) (good update, bad []offender) {
	// A version that is no number is no revision of ours: the order of its
	// changes is not known, and 0 says so.
	revision, _ := strconv.ParseUint(resp.GetSystemVersionInfo(), 10, 64)
	good = update{kind: kind, revision: revision}
	seen := make(map[string]bool)
	for _, r := range resp.GetResources() {
		name := resourceName(r)
		if !subs.has(kind, name) {
			continue // unsubscribed while it was under way
		}
		err := c.opts.Fault.refusal(kind, name)
		if seen[name] {
			err = errors.New("is in the response twice")
		}
		seen[name] = true
		var translated *resource
		if err == nil {
			translated, err = c.translator.translateAfter(c.store.held(kind, name), kind, name, r.GetVersion(), revision, r.GetResource())
		}
		if err != nil {
			bad = append(bad, offender{name, refusal{version: r.GetVersion(), reason: err.Error(), at: now}})
			continue
		}
		good.set = append(good.set, translated)
	}
	for _, name := range resp.GetRemovedResources() {
		if subs.has(kind, name) && !seen[name] {
			good.removed = append(good.removed, name)
		}
	}
	for _, e := range resp.GetResourceErrors() {
		name := e.GetResourceName().GetName()
		c.log.Warn("control plane has no such resource", "type", kind, "name", name, "reason", e.GetErrorDetail().GetMessage())
		if subs.has(kind, name) && !seen[name] {
			good.removed = append(good.removed, name)
		}
	}
	return good, bad
}

// nack refuses a response and says which resources are at fault.
func (c *Client) nack(good update, bad []offender, now time.Time) *statuspb.Status {
	reasons := make(map[string]refusal, len(bad)+len(good.set))
	var text strings.Builder
	for i, o := range bad {
		reasons[o.name] = o.refusal
		part := fmt.Sprintf("%s %s: %s", good.kind, o.name, o.reason)
		if text.Len()+len(part) > maxNack {
			fmt.Fprintf(&text, "; and %d more", len(bad)-i)
			break
		}
		if i > 0 {
			text.WriteString("; ")
		}
		text.WriteString(part)
	}
	for _, r := range good.set {
		reasons[r.name] = refusal{
			version: r.version, at: now,
			reason: fmt.Sprintf("came in one response with %s %s, which was refused", good.kind, bad[0].name),
		}
	}
	c.store.refuse(good, reasons, now)
	c.metrics.update(good.kind, "rejected")
	c.log.Error("configuration refused, the old one runs on", "type", good.kind, "revision", good.revision, "reason", text.String())
	return &statuspb.Status{Code: int32(codes.InvalidArgument), Message: text.String()}
}

// resourceName reads the name, which newer control planes put elsewhere.
func resourceName(r *discoveryv3.Resource) string {
	if r.GetName() != "" {
		return r.GetName()
	}
	return r.GetResourceName().GetName()
}

func (c *Client) connectedTo(server string) {
	c.mu.Lock()
	c.server = serverState{address: server, since: time.Now()}
	c.mu.Unlock()
	c.streams.Add(1)
	c.connected.Store(true)
	c.metrics.stream("ads", true)
	c.store.signal()
	c.log.Info("connected to the control plane", "server", server)
}

func (c *Client) disconnected(server string, err error) {
	c.mu.Lock()
	if c.connected.Swap(false) || c.server.address != server || c.server.since.IsZero() {
		c.server = serverState{address: server, since: time.Now()}
	}
	if err != nil {
		c.server.lastError = err.Error()
	}
	c.mu.Unlock()
	c.metrics.stream("ads", false)
}
