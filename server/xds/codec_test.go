package xds

import (
	"fmt"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// firstQuestion is what a node asks that holds n resources.
func firstQuestion(n int) *discoveryv3.DeltaDiscoveryRequest {
	req := &discoveryv3.DeltaDiscoveryRequest{
		Node:    &corev3.Node{Id: "web-1", Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"NAMESPACE": structpb.NewStringValue("front")}}},
		TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster", InitialResourceVersions: map[string]string{},
	}
	for i := range n {
		name := fmt.Sprintf("outbound|80||s%d.cinema.svc.cluster.local", i)
		req.InitialResourceVersions[name] = fmt.Sprintf("%016x", i)
		req.ResourceNamesSubscribe = append(req.ResourceNamesSubscribe, name)
	}
	return req
}

func packed(t testing.TB, m proto.Message) mem.BufferSlice {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}
}

func TestCodecReadsAsProtobufDoes(t *testing.T) {
	c := newCodec()
	for name, m := range map[string]proto.Message{
		"empty":    &discoveryv3.DeltaDiscoveryRequest{},
		"first":    firstQuestion(3),
		"another":  &discoveryv3.DiscoveryRequest{TypeUrl: "x", ResourceNames: []string{"a"}},
		"no names": &discoveryv3.DeltaDiscoveryRequest{TypeUrl: "x", InitialResourceVersions: map[string]string{"": "", "a": ""}},
		"refusal": &discoveryv3.DeltaDiscoveryRequest{
			ResponseNonce: "7", ErrorDetail: &rpcstatus.Status{Code: 3, Message: "no"}, ResourceNamesUnsubscribe: []string{"a", "a", strings.Repeat("long", 100)},
			ResourceLocatorsSubscribe: []*discoveryv3.ResourceLocator{{Name: "b"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := m.ProtoReflect().New().Interface()
			if err := c.Unmarshal(packed(t, m), got); err != nil || !proto.Equal(got, m) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// FuzzCodec holds what is read against what protobuf itself reads.
func FuzzCodec(f *testing.F) {
	f.Add(packed(f, firstQuestion(2)).Materialize())
	f.Add([]byte{0x2a, 0x04, 0x0a, 0x02, 0xff, 0xfe})                       // a name that is not UTF-8
	f.Add([]byte{0x18, 0x01, 0x2a, 0x02, 0x08, 0x01})                       // numbers where names should be
	f.Add([]byte{0x2a, 0x00, 0x2a, 0x06, 0x12, 0x01, 'v', 0x12, 0x01, 'w'}) // entries without key, a value twice
	c := newCodec()
	f.Fuzz(func(t *testing.T, message []byte) {
		want, got := &discoveryv3.DeltaDiscoveryRequest{}, &discoveryv3.DeltaDiscoveryRequest{}
		refused := proto.Unmarshal(message, want)
		err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(message)}, got)
		if (err == nil) != (refused == nil) {
			t.Fatalf("%v, protobuf says %v", err, refused)
		}
		if err == nil && !proto.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestCodecKeepsEachWordOnce(t *testing.T) {
	c := newCodec()
	question := packed(t, firstQuestion(1000))
	read := func() {
		if err := c.Unmarshal(question, &discoveryv3.DeltaDiscoveryRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if n := testing.AllocsPerRun(10, read); n > 100 {
		t.Errorf("the second node's question of 1,000 names costs %.0f allocations", n)
	}
	for i := range 3 * maxWords {
		if _, err := c.words.word(fmt.Appendf(nil, "%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.words.young) + len(c.words.old); n > 2*maxWords {
		t.Errorf("%d words are kept", n)
	}
}
