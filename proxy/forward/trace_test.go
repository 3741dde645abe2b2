package forward

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

const (
	testTrace = "0af7651916cd43dd8448eb211c80319c"
	testSpan  = "b7ad6b7169203331"
)

func headersOf(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Set(kv[i], kv[i+1])
	}
	return h
}

func TestTraceContinues(t *testing.T) {
	next := SpanID{1, 2, 3, 4, 5, 6, 7, 8}
	const span = "0102030405060708"
	tests := []struct {
		name   string
		in     http.Header
		want   http.Header // trace headers going out
		parent string
		sample bool
	}{
		{
			"W3C", headersOf("traceparent", "00-"+testTrace+"-"+testSpan+"-01"),
			headersOf("traceparent", "00-"+testTrace+"-"+span+"-01"), testSpan, true,
		},
		{
			"W3C not sampled", headersOf("traceparent", "00-"+testTrace+"-"+testSpan+"-00"),
			headersOf("traceparent", "00-"+testTrace+"-"+span+"-00"), testSpan, false,
		},
		{
			"a later W3C version", headersOf("traceparent", "01-"+testTrace+"-"+testSpan+"-01-more"),
			headersOf("traceparent", "00-"+testTrace+"-"+span+"-01"), testSpan, true,
		},
		{
			"B3 single", headersOf("b3", testTrace+"-"+testSpan+"-1"),
			headersOf("b3", testTrace+"-"+span+"-1-"+testSpan), testSpan, true,
		},
		{
			"B3 single, debug", headersOf("b3", testTrace+"-"+testSpan+"-d"),
			headersOf("b3", testTrace+"-"+span+"-d-"+testSpan), testSpan, true,
		},
		{
			"B3 single, 64 bit", headersOf("b3", testTrace[16:]+"-"+testSpan+"-0"),
			headersOf("b3", testTrace[16:]+"-"+span+"-0-"+testSpan), testSpan, false,
		},
		{
			"B3 multi", headersOf("x-b3-traceid", testTrace, "x-b3-spanid", testSpan, "x-b3-sampled", "1"),
			headersOf("x-b3-traceid", testTrace, "x-b3-spanid", span, "x-b3-parentspanid", testSpan, "x-b3-sampled", "1"), testSpan, true,
		},
		{
			"B3 multi, undecided", headersOf("x-b3-traceid", testTrace, "x-b3-spanid", testSpan),
			headersOf("x-b3-traceid", testTrace, "x-b3-spanid", span, "x-b3-parentspanid", testSpan, "x-b3-sampled", "1"), testSpan, true,
		},
		{
			"both forms", headersOf("traceparent", "00-"+testTrace+"-"+testSpan+"-01", "b3", testTrace+"-"+testSpan+"-1"),
			headersOf("traceparent", "00-"+testTrace+"-"+span+"-01", "b3", testTrace+"-"+span+"-1-"+testSpan), testSpan, true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			trace := readTrace(tt.in, 1)
			out := tt.in.Clone()
			trace.write(out, next)
			for name := range tt.want {
				if out.Get(name) != tt.want.Get(name) {
					t.Errorf("%s: got %s, want %s", name, out.Get(name), tt.want.Get(name))
				}
			}
			if len(out) != len(tt.want) {
				t.Errorf("headers out: %v", out)
			}
			if trace.Parent.String() != tt.parent || trace.Sampled != tt.sample || trace.Span.IsZero() {
				t.Errorf("trace %+v", trace)
			}
		})
	}
}

func TestTraceBegins(t *testing.T) {
	for name, in := range map[string]http.Header{
		"nothing":         {},
		"zero trace":      headersOf("traceparent", "00-"+strings.Repeat("0", 32)+"-"+testSpan+"-01"),
		"zero span":       headersOf("traceparent", "00-"+testTrace+"-0000000000000000-01"),
		"version ff":      headersOf("traceparent", "ff-"+testTrace+"-"+testSpan+"-01"),
		"too long for 00": headersOf("traceparent", "00-"+testTrace+"-"+testSpan+"-01-x"),
		"not hex":         headersOf("traceparent", "00-"+strings.Repeat("z", 32)+"-"+testSpan+"-01"),
		"short":           headersOf("traceparent", "00-"),
		"broken b3":       headersOf("b3", "a-b-c-d-e"),
		"broken multi":    headersOf("x-b3-traceid", "abc"),
	} {
		trace := readTrace(in, 1)
		if trace.ID.IsZero() || trace.ID.String() == testTrace || !trace.Parent.IsZero() || !trace.Sampled {
			t.Errorf("%s: got %+v", name, trace)
		}
		out := http.Header{}
		trace.write(out, trace.Span)
		if _, _, _, ok := parseTraceparent(out.Get("traceparent")); !ok {
			t.Errorf("%s: out went %q", name, out.Get("traceparent"))
		}
	}
}

func TestB3DecisionAlone(t *testing.T) {
	for _, in := range []http.Header{headersOf("b3", "0"), headersOf("x-b3-sampled", "0")} {
		if trace := readTrace(in, 1); trace.Sampled || trace.ID.IsZero() {
			t.Errorf("%v: got %+v", in, trace)
		}
	}
}

func TestSamplingShare(t *testing.T) {
	n := 0
	for range 10_000 {
		if readTrace(http.Header{}, 0.1).Sampled {
			n++
		}
	}
	if n < 880 || n > 1120 { // 4 sigma
		t.Errorf("%d of 10000 sampled, want 1000", n)
	}
	if sampledByID(newTraceID(), 0) || !sampledByID(newTraceID(), 1) {
		t.Error("0 and 1 are not never and always")
	}
}

func FuzzReadTrace(f *testing.F) {
	f.Add("00-"+testTrace+"-"+testSpan+"-01", testTrace+"-"+testSpan+"-1", testTrace)
	f.Add("", "0", "")
	f.Fuzz(func(t *testing.T, w3c, b3, multi string) {
		trace := readTrace(headersOf("traceparent", w3c, "b3", b3, "x-b3-traceid", multi, "x-b3-spanid", testSpan), 1)
		if trace.ID.IsZero() || trace.Span.IsZero() || trace.forms == 0 {
			t.Fatalf("got %+v", trace)
		}
		trace.write(http.Header{}, trace.Span)
	})
}

// slowReader gives one byte a read, when asked.
type slowReader struct {
	data []byte
	gate chan struct{}
}

func (r *slowReader) Read(p []byte) (int, error) {
	<-r.gate
	if len(r.data) == 0 {
		return 0, io.EOF
	}
	p[0], r.data = r.data[0], r.data[1:]
	return 1, nil
}

func (r *slowReader) Close() error { return nil }

func TestBodyReplays(t *testing.T) {
	ended := 0
	b := newRequestBody(io.NopCloser(strings.NewReader("hello world")), 100)
	b.whenSent(func() { ended++ })
	first := b.attempt()
	half := make([]byte, 5)
	if _, err := io.ReadFull(first, half); err != nil {
		t.Fatal(err)
	}
	first.Close()
	if _, err := first.Read(half); !errors.Is(err, errSuperseded) {
		t.Errorf("a closed try reads on: %v", err)
	}
	for range 2 {
		if got, err := io.ReadAll(b.attempt()); err != nil || string(got) != "hello world" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	b.whenSent(func() { ended++ }) // it has ended: at once
	if ended != 2 || !b.replayable() || b.received() != 11 {
		t.Errorf("ended %d times, replayable %v, %d bytes", ended, b.replayable(), b.received())
	}
}

func TestBodyAboveTheLimit(t *testing.T) {
	b := newRequestBody(io.NopCloser(bytes.NewReader(make([]byte, 101))), 100)
	if n, err := io.Copy(io.Discard, b.attempt()); n != 101 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if b.replayable() {
		t.Error("a body above the limit is replayable")
	}
	if _, err := b.attempt().Read(make([]byte, 1)); !errors.Is(err, errBodyGone) {
		t.Errorf("got %v", err)
	}
}

func TestBodyHandsOverBytesOfAGivenUpTry(t *testing.T) {
	src := &slowReader{data: []byte("abc"), gate: make(chan struct{})}
	b := newRequestBody(src, 100)
	first := b.attempt()
	var wg sync.WaitGroup
	wg.Go(func() { // the transport of the first try is still reading
		if _, err := first.Read(make([]byte, 1)); !errors.Is(err, errSuperseded) {
			t.Errorf("got %v", err)
		}
	})
	for { // until it waits for the client
		b.mu.Lock()
		reading := b.reading
		b.mu.Unlock()
		if reading {
			break
		}
	}
	first.Close()
	second := b.attempt()
	b.commit() // the second try's answer came before the body was read
	wg.Go(func() {
		if got, err := io.ReadAll(second); err != nil || string(got) != "abc" {
			t.Errorf("got %q, %v", got, err)
		}
	})
	close(src.gate)
	wg.Wait()
}

func TestPeerRoundTrip(t *testing.T) {
	p := NewPeers()
	if _, ok := p.FromHeaders("", ""); ok {
		t.Error("nothing names a peer")
	}
	for i := range 2 * maxPeers { // more than is remembered
		id := strings.Repeat("x", i%50) + "!"
		if _, ok := p.FromHeaders(id, ""); ok {
			t.Fatal("garbage names a peer")
		}
	}
	if len(p.byHeader) > maxPeers {
		t.Errorf("%d headers are remembered", len(p.byHeader))
	}
}

func FuzzDecodePeer(f *testing.F) {
	f.Add("Ci8KBE5BTUUSJxolcHJvZHVjdHBhZ2UtdjEtNmI3NDZmNzRkYy05cmxtaA==")
	f.Fuzz(func(_ *testing.T, metadata string) { _, _ = decodePeer(metadata, "id") })
}

func BenchmarkReadTrace(b *testing.B) {
	h := headersOf("traceparent", "00-"+testTrace+"-"+testSpan+"-01")
	b.ReportAllocs()
	for b.Loop() {
		readTrace(h, 1)
	}
}
