package xds

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// protobufType is how a client says, and hears, that a message is not JSON.
const protobufType = "application/x-protobuf"

// restPaths are the paths of Envoy's REST API, by type.
var restPaths = [typeCount]string{
	clusterType: "/v3/discovery:clusters", endpointType: "/v3/discovery:endpoints",
	listenerType: "/v3/discovery:listeners", routeType: "/v3/discovery:routes",
}

// Caller gives who a request is from, by the certificate of its connection.
type Caller func(*http.Request) (namespace, account string, ok bool)

// REST serves configuration to nodes that ask for it every few seconds: each
// question is a POST of a DiscoveryRequest, answered by a DiscoveryResponse or, when
// nothing is new, by 304. Both are JSON; a client that accepts protocol buffers gets
// its answer so. With a caller, only nodes whose certificate says what they say of
// themselves are answered.
func (s *Server) REST(caller Caller) *http.ServeMux {
	mux := http.NewServeMux()
	for t, path := range restPaths {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			if err := s.serveREST(w, r, t, caller); err != nil {
				restError(w, err)
			}
		})
	}
	return mux
}

// RegisterRESTStatus adds client status to the REST API: see RegisterStatus.
func (s *Server) RegisterRESTStatus(mux *http.ServeMux) {
	if s.opts.Status == nil {
		return
	}
	mux.HandleFunc("POST /v3/discovery:client_status", func(w http.ResponseWriter, r *http.Request) {
		req := &statusv3.ClientStatusRequest{}
		if err := readREST(w, r, req); err != nil {
			restError(w, err)
			return
		}
		resp, err := csds{server: s}.FetchClientStatus(r.Context(), req)
		if err != nil {
			restError(w, err)
			return
		}
		_ = writeREST(w, r, resp) // a client that left; nothing depends on its answer
	})
}

func (s *Server) serveREST(w http.ResponseWriter, r *http.Request, t int, caller Caller) error {
	req := &discoveryv3.DiscoveryRequest{}
	if err := readREST(w, r, req); err != nil {
		return err
	}
	if of, ok := typeIndex(req.GetTypeUrl()); req.GetTypeUrl() != "" && (!ok || of != t) {
		return status.Errorf(codes.InvalidArgument, "%s does not serve type_url %s", restPaths[t], req.GetTypeUrl())
	}
	if caller != nil {
		namespace, account, ok := caller(r)
		if !ok {
			return errNoCertificate
		}
		if err := nodeIs(req.GetNode(), namespace, account); err != nil {
			return err
		}
	}
	resp, err := s.pull(t, req, r.RemoteAddr)
	if err != nil {
		return err
	}
	if resp == nil {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	start := s.opts.Now()
	err = writeREST(w, r, resp.resp)
	s.metrics.sent(t, err, resp.made, resp.accepted, start, s.opts.Now())
	return nil // what was begun cannot be answered otherwise
}

// readREST reads a message of at most 16 MiB, as gRPC does.
func readREST(w http.ResponseWriter, r *http.Request, into proto.Message) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return status.Errorf(codes.ResourceExhausted, "the request has more than %d bytes", tooLarge.Limit)
	} else if err != nil {
		return status.Errorf(codes.InvalidArgument, "read the request: %v", err)
	}
	decode := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal // a newer Envoy says more of itself
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == protobufType {
		decode = proto.Unmarshal
	}
	if err := decode(body, into); err != nil {
		return status.Errorf(codes.InvalidArgument, "the body is no %s: %v", into.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

func writeREST(w http.ResponseWriter, r *http.Request, m proto.Message) error {
	kind, encode := "application/json", protojson.MarshalOptions{UseProtoNames: true}.Marshal
	if strings.Contains(r.Header.Get("Accept"), protobufType) {
		kind, encode = protobufType, proto.Marshal
	}
	body, err := encode(m)
	if err != nil {
		restError(w, fmt.Errorf("encode: %w", err))
		return err
	}
	w.Header().Set("Content-Type", kind)
	_, err = w.Write(body)
	return err
}

// restError answers with a google.rpc.Status, as gRPC's gateways do.
func restError(w http.ResponseWriter, err error) {
	st := status.Convert(err)
	code, ok := map[codes.Code]int{
		codes.InvalidArgument: http.StatusBadRequest, codes.ResourceExhausted: http.StatusTooManyRequests,
		codes.Unauthenticated: http.StatusUnauthorized, codes.PermissionDenied: http.StatusForbidden,
	}[st.Code()]
	if !ok {
		code = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": st.Code(), "message": st.Message()}) // the client left
}

// pullUnknown is how often a node is taken to ask that does not say.
const pullUnknown = 10 * time.Second

// patience is how long a node that asks may be silent before it is gone.
func (p *poller) patience() time.Duration { return max(3*p.every, 15*time.Second) }

// hangUp ends what is known of nodes that have not asked for long, and of
// questions that they do not ask any more.
func (s *Server) hangUp(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pollers {
		if silent := now.Sub(p.heard); silent > p.patience() {
			p.close(fmt.Sprintf("it has not asked for %s", silent.Round(time.Second)))
			continue
		}
		for key, q := range p.questions {
			if now.Sub(q.last) > p.patience() {
				s.names.release(q.asked)
				delete(p.questions, key)
			}
		}
	}
}
