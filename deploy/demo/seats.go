package demo

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// holdMethod is the one call of the gRPC service. Its messages are well-known
// types, so that the demo needs no generated code of its own.
const holdMethod = "/cinema.Seats/Hold"

var seatsService = grpc.ServiceDesc{
	ServiceName: "cinema.Seats",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Hold", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		row := new(wrapperspb.StringValue)
		if err := decode(row); err != nil {
			return nil, err
		}
		work(ctx, 3*time.Millisecond)
		return wrapperspb.String(row.GetValue() + ", seat 12"), nil
	}}},
}

func (a *application) serveSeats(ctx context.Context) error {
	listener, err := net.Listen("tcp", a.Listen)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	server.RegisterService(&seatsService, nil)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	return server.Serve(listener)
}

type seatsClient struct {
	conn *grpc.ClientConn
	err  error
}

// newSeatsClient dials the sidecar and names the service in :authority, by
// which the sidecar routes.
func newSeatsClient(sidecar string) *seatsClient {
	conn, err := grpc.NewClient("passthrough:///"+sidecar,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority(hostSeats))
	return &seatsClient{conn, err}
}

func (c *seatsClient) hold(ctx context.Context, in http.Header) error {
	if c.err != nil {
		return c.err
	}
	for _, name := range traceHeaders {
		if v := in.Get(name); v != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), v)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return c.conn.Invoke(ctx, holdMethod, wrapperspb.String("row 7"), new(wrapperspb.StringValue))
}
