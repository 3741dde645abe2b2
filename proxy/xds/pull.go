package xds

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	// pullTimeout is how long a question may take.
	pullTimeout = 15 * time.Second
	// protobufType is preferred to JSON, in which bytes may come to be others.
	protobufType = "application/x-protobuf"
)

// restPaths are the paths of Envoy's REST API, by type.
var restPaths = map[string]string{
	mesh.TypeCluster: "/v3/discovery:clusters", mesh.TypeEndpoint: "/v3/discovery:endpoints",
	mesh.TypeListener: "/v3/discovery:listeners", mesh.TypeRoute: "/v3/discovery:routes",
}

// pullStream asks by REST, every few seconds for each type, behind the terms of a
// state-of-the-world stream. An answer is acknowledged by the next question, which
// names its version; that one is asked at once, as are those for the other types,
// which may have waited for it. Send and Recv are not called at the same time.
type pullStream struct {
	ctx       context.Context
	client    *http.Client
	base      string // http://HOST:PORT
	every     time.Duration
	node      *corev3.Node
	questions map[string]*discoveryv3.DiscoveryRequest // the newest, by type
	renamed   map[string]bool                          // types whose question has other names since it was asked
	due       map[string]time.Time
	nonces    uint64
}

// newPullStream makes sure that a server is there, as opening a stream does.
func newPullStream(ctx context.Context, server string, every time.Duration, config *tls.Config, dial func(context.Context, string) (net.Conn, error)) (*pullStream, error) {
	if dial == nil {
		d := net.Dialer{Timeout: pullTimeout}
		dial = func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
	}
	conn, err := dial(ctx, server)
	if err != nil {
		return nil, err
	}
	_ = conn.Close()
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, address) },
		IdleConnTimeout: 2 * every,
	}
	scheme := "http"
	if config != nil {
		scheme, transport.TLSClientConfig = "https", config.Clone()
		transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
	context.AfterFunc(ctx, transport.CloseIdleConnections)
	return &pullStream{
		ctx: ctx, client: &http.Client{Transport: transport, Timeout: pullTimeout}, base: scheme + "://" + server, every: every,
		questions: make(map[string]*discoveryv3.DiscoveryRequest), renamed: make(map[string]bool), due: make(map[string]time.Time),
	}, nil
}

// Send takes the question for a type; it is asked by Recv.
func (p *pullStream) Send(req *discoveryv3.DiscoveryRequest) error {
	if req.GetNode() != nil {
		p.node = req.GetNode()
	}
	req.Node = p.node // each question may reach another server
	kind := mesh.TypeName(req.GetTypeUrl())
	if last := p.questions[kind]; last != nil && !slices.Equal(last.GetResourceNames(), req.GetResourceNames()) {
		p.renamed[kind] = true
	}
	p.questions[kind], p.due[kind] = req, time.Now()
	return nil
}

// Recv asks until something is new.
func (p *pullStream) Recv() (*discoveryv3.DiscoveryResponse, error) {
	for {
		kind, at := p.next()
		if kind == "" {
			return nil, fmt.Errorf("nothing is asked for")
		}
		if wait := time.Until(at); wait > 0 && !sleep(p.ctx, wait) {
			return nil, p.ctx.Err()
		}
		resp, err := p.ask(kind)
		if err == nil && resp == nil && p.renamed[kind] {
			resp, err = p.askAnew(kind)
		}
		if err != nil {
			return nil, err
		}
		now := time.Now()
		p.renamed[kind] = false
		p.due[kind] = now.Add(p.every)
		p.questions[kind].ErrorDetail = nil // it is told
		if resp == nil {
			continue
		}
		for other := range p.due {
			p.due[other] = now
		}
		if p.nonces++; resp.Nonce == "" { // servers need none here
			resp.Nonce = strconv.FormatUint(p.nonces, 10)
		}
		return resp, nil
	}
}

// next gives the type that is to be asked for, in their order, and when.
func (p *pullStream) next() (kind string, at time.Time) {
	now := time.Now()
	for _, k := range kinds() {
		due, ok := p.due[k]
		if !ok {
			continue
		}
		if !due.After(now) {
			return k, due
		}
		if kind == "" || due.Before(at) {
			kind, at = k, due
		}
	}
	return kind, at
}

// askAnew asks without a version: a server may go by that alone, and say that
// nothing is new about names that it was not asked for before.
func (p *pullStream) askAnew(kind string) (*discoveryv3.DiscoveryResponse, error) {
	question := p.questions[kind]
	version := question.GetVersionInfo()
	question.VersionInfo = ""
	defer func() { question.VersionInfo = version }()
	return p.ask(kind)
}

// ask asks once; nil when nothing is new.
func (p *pullStream) ask(kind string) (*discoveryv3.DiscoveryResponse, error) {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(p.questions[kind])
	if err != nil {
		return nil, fmt.Errorf("ask for %ss: %w", kind, err)
	}
	req, err := http.NewRequestWithContext(p.ctx, http.MethodPost, p.base+restPaths[kind], bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", protobufType+", application/json")
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(res.Body, maxMessage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", req.URL, err)
	case len(content) > maxMessage:
		return nil, fmt.Errorf("%s: the answer has more than %d bytes", req.URL, maxMessage)
	case res.StatusCode == http.StatusNotModified:
		return nil, nil
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: %s: %s", req.URL, res.Status, strings.TrimSpace(string(content[:min(len(content), 500)])))
	}
	decode := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind == protobufType {
		decode = proto.Unmarshal
	}
	resp := &discoveryv3.DiscoveryResponse{}
	if err := decode(content, resp); err != nil {
		return nil, fmt.Errorf("%s: the answer is no DiscoveryResponse: %w", req.URL, err)
	}
	resp.TypeUrl = mesh.TypeURL(kind)
	return resp, nil
}
