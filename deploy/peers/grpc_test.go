package peers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// bigMessage is more than any buffer on the way.
const bigMessage = 16 << 20

// serveGRPC runs gRPC's own test service at an address, or at any.
func serveGRPC(t *testing.T, address string) (*grpc.Server, string) {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	var ln net.Listener
	eventually(t, "port "+address, func() (err error) {
		ln, err = net.Listen("tcp", address)
		return err
	})
	s := grpc.NewServer(grpc.MaxRecvMsgSize(2*bigMessage), grpc.MaxSendMsgSize(2*bigMessage))
	testgrpc.RegisterTestServiceServer(s, interop.NewTestServer())
	go s.Serve(ln)
	t.Cleanup(s.Stop)
	return s, ln.Addr().String()
}

func dialGRPC(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2*bigMessage), grpc.MaxCallSendMsgSize(2*bigMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestGRPCInterop plays gRPC's own interoperability tests through two sidecars.
// They end the process when one fails, and say which.
func TestGRPCInterop(t *testing.T) {
	_, app := serveGRPC(t, "")
	client, server := chain(t, app, true)
	conn := dialGRPC(t, client.address)
	tc := testgrpc.NewTestServiceClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	for name, play := range map[string]func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption){
		"empty unary": interop.DoEmptyUnaryCall, "large unary": interop.DoLargeUnaryCall,
		"client stream": interop.DoClientStreaming, "server stream": interop.DoServerStreaming,
		"both": interop.DoPingPong, "empty stream": interop.DoEmptyStream,
		"deadline": interop.DoTimeoutOnSleepingServer, "cancel at once": interop.DoCancelAfterBegin,
		"cancel later": interop.DoCancelAfterFirstResponse, "metadata": interop.DoCustomMetadata,
		"status": interop.DoStatusCodeAndMessage, "status with signs": interop.DoSpecialStatusMessage,
	} {
		t.Log(name)
		play(ctx, tc)
	}
	interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(conn))
	interop.DoUnimplementedMethod(ctx, conn)

	// The interop tests send 314,159 bytes at most.
	body := &testgrpc.Payload{Body: bytes.Repeat([]byte{7}, bigMessage)}
	answer, err := tc.UnaryCall(ctx, &testgrpc.SimpleRequest{Payload: body, ResponseSize: bigMessage})
	if err != nil || len(answer.GetPayload().GetBody()) != bigMessage {
		t.Errorf("%d bytes came back: %v", len(answer.GetPayload().GetBody()), err)
	}
	// An answer of trailers only goes through as such, and is the service's.
	_, err = tc.UnaryCall(ctx, &testgrpc.SimpleRequest{ResponseStatus: &testgrpc.EchoStatus{Code: int32(codes.ResourceExhausted), Message: "no more"}})
	if status.Code(err) != codes.ResourceExhausted || status.Convert(err).Message() != "no more" {
		t.Errorf("a status in trailers only: %v", err)
	}
	for _, s := range []*sidecar{client, server} {
		eventually(t, "the telemetry of "+s.name, func() error {
			if n := s.total(t, "sidelight_responses_total", "grpc_response_status", "8", "response_source", "upstream"); n != 1 {
				return fmt.Errorf("%v answers with status 8", n)
			}
			return nil
		})
		if in, out := s.total(t, "istio_request_messages_total"), s.total(t, "istio_response_messages_total"); in < 15 || out < 15 {
			t.Errorf("%v messages to and %v from the service are counted", in, out)
		}
		if n := s.total(t, "istio_requests_total", "request_protocol", "grpc", "response_code", "200", "grpc_response_status", ""); n != 0 {
			t.Errorf("%v answered gRPC requests have no status", n)
		}
	}
}

// Servers are restarted one after the other, and so are the sidecars before
// them: by GOAWAY, with requests under way on every connection. No call fails.
func TestGRPCRollingRestart(t *testing.T) {
	first, app1 := serveGRPC(t, "")
	second, app2 := serveGRPC(t, "")
	retry := retryElsewhere("connect-failure,refused-stream,unavailable")
	side1 := startHop(t, "server", hop{inbound: true, http2: true, to: []string{app1, app2}, retry: retry})
	side2 := startHop(t, "server", hop{inbound: true, http2: true, to: []string{app1, app2}, retry: retry})
	client := startHop(t, "client", hop{http2: true, to: []string{side1.address, side2.address}, retry: retry})
	tc := testgrpc.NewTestServiceClient(dialGRPC(t, client.address))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls atomic.Int64
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for ctx.Err() == nil {
				call, done := context.WithTimeout(t.Context(), patience)
				_, err := tc.UnaryCall(call, &testgrpc.SimpleRequest{ResponseSize: 1000})
				done()
				if err != nil {
					t.Errorf("call %d: %v", calls.Load(), err)
					return
				}
				calls.Add(1)
			}
		})
	}
	more := func() {
		t.Helper()
		n := calls.Load()
		eventually(t, "300 calls more", func() error {
			if now := calls.Load(); now < n+300 && !t.Failed() {
				return fmt.Errorf("%d", now-n)
			}
			return nil
		})
	}
	more()
	first.GracefulStop()
	more()
	serveGRPC(t, app1)
	more()
	second.GracefulStop()
	more()
	serveGRPC(t, app2)
	side1.stop(t)
	more()
	cancel()
	load.Wait()
	t.Logf("%d calls", calls.Load())
	if n := client.total(t, "istio_requests_total", "grpc_response_status", "0"); n != float64(calls.Load()) {
		t.Errorf("the client's sidecar counted %v calls, the client %d", n, calls.Load())
	}
}

// An HTTP/2 connection whose sidecar stops is closed within the time that the
// drain has, though a stream on it would go on for ever.
func TestGRPCStreamAndTheEndOfADrain(t *testing.T) {
	_, app := serveGRPC(t, "")
	const drain = 3 * time.Second
	server := startHop(t, "server", hop{inbound: true, http2: true, to: []string{app}}, "--drain-time", drain.String())
	client := startHop(t, "client", hop{http2: true, to: []string{server.address}})
	tc := testgrpc.NewTestServiceClient(dialGRPC(t, client.address))
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	stream, err := tc.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ping := func() error {
		if err := stream.Send(&testgrpc.StreamingOutputCallRequest{ResponseParameters: []*testgrpc.ResponseParameters{{Size: 10}}}); err != nil {
			return err
		}
		_, err := stream.Recv()
		return err
	}
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.stop(t)
	}()
	eventually(t, "the drain", func() error {
		if _, err := fetch("http://" + server.health + "/healthz/serving"); err == nil {
			return fmt.Errorf("still serving")
		}
		return nil
	})
	if err := ping(); err != nil {
		t.Errorf("a stream under way does not outlive the beginning of the drain: %v", err)
	}
	<-ended
	if took := time.Since(begun); took < drain {
		t.Errorf("cut after %s, though the drain had %s", took, drain)
	}
	if err := ping(); err == nil {
		t.Error("the stream goes on without its sidecar")
	}
}
