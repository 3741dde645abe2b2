package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2 is a client that sends whatever frames it likes.
type h2 struct {
	conn net.Conn
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
}

func dialH2(t *testing.T, address string, settings ...http2.Setting) *h2 {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	h := &h2{conn: c, Framer: http2.NewFramer(c, c)}
	h.AllowIllegalWrites = true
	h.enc = hpack.NewEncoder(&h.block)
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = io.WriteString(c, http2.ClientPreface)
	_ = h.WriteSettings(settings...)
	return h
}

// encode gives a header block; fields come as name, value.
func (h *h2) encode(kv ...string) []byte {
	h.block.Reset()
	for i := 0; i+1 < len(kv); i += 2 {
		_ = h.enc.WriteField(hpack.HeaderField{Name: kv[i], Value: kv[i+1]})
	}
	return bytes.Clone(h.block.Bytes())
}

// pseudo are a plain request's pseudo-headers.
func pseudo(path string, more ...string) []string {
	return append([]string{":method", "GET", ":scheme", "http", ":authority", "a", ":path", path}, more...)
}

func (h *h2) headers(stream uint32, end bool, kv ...string) error {
	return h.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: h.encode(kv...), EndStream: end, EndHeaders: true})
}

// outcome reads until the peer has said what it makes of a stream: its status,
// "reset" for the stream alone, "closed" for the connection, or "silence".
func (h *h2) outcome(stream uint32) string {
	_ = h.conn.SetReadDeadline(time.Now().Add(3 * time.Second))
	status := ""
	for {
		f, err := h.ReadFrame()
		if err != nil {
			var ne net.Error
			switch {
			case status != "":
				return status
			case errors.As(err, &ne) && ne.Timeout():
				return "silence"
			}
			return "closed"
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return "closed"
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream && f.ErrCode != http2.ErrCodeNo {
				return "reset"
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream {
				status = f.PseudoValue("status")
				if f.StreamEnded() {
					return status
				}
			}
		case *http2.DataFrame:
			if f.StreamID == stream && f.StreamEnded() {
				return status
			}
		}
	}
}

// TestHTTP2Conformance: what RFC 9113 calls an error is one, of the stream or
// of the connection, and what it lets pass passes.
func TestHTTP2Conformance(t *testing.T) {
	raw := func(h *h2, typ http2.FrameType, flags http2.Flags, stream uint32, payload string) {
		_ = h.WriteRawFrame(typ, flags, stream, []byte(payload))
	}
	good := func(h *h2) { _ = h.headers(1, true, pseudo("/x")...) }
	cases := []struct {
		name string
		send func(*h2)
		want string // of "200", "400", "reset", "closed": any that stands in it
	}{
		{"a request", good, "200"},
		{"a request with a body", func(h *h2) {
			_ = h.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/x")
			_ = h.WriteData(1, true, []byte("hello"))
		}, "200"},
		{"trailers", func(h *h2) {
			_ = h.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/x", "trailer", "x-t")
			_ = h.WriteData(1, false, []byte("hello"))
			_ = h.headers(1, true, "x-t", "1")
		}, "200"},
		{"unknown frame type", func(h *h2) { raw(h, 0x7f, 0xff, 0, "anything"); good(h) }, "200"},
		{"unknown setting", func(h *h2) { _ = h.WriteSettings(http2.Setting{ID: 0x7f, Val: 1}); good(h) }, "200"},
		{"ping", func(h *h2) { _ = h.WritePing(false, [8]byte{1}); good(h) }, "200"},
		{"padding", func(h *h2) {
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode(pseudo("/x")...), EndStream: true, EndHeaders: true, PadLength: 9})
		}, "200"},
		{"continuation", func(h *h2) {
			b := h.encode(pseudo("/x", "x-a", strings.Repeat("a", 100))...)
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:9], EndStream: true})
			_ = h.WriteContinuation(1, false, b[9:20])
			_ = h.WriteContinuation(1, true, b[20:])
		}, "200"},
		{"priority", func(h *h2) { raw(h, http2.FramePriority, 0, 1, "\x00\x00\x00\x00\x10"); good(h) }, "200"},
		{"settings acknowledged twice", func(h *h2) { _ = h.WriteSettingsAck(); _ = h.WriteSettingsAck(); good(h) }, "200 closed"},

		{"headers on stream 0", func(h *h2) { _ = h.headers(0, true, pseudo("/x")...) }, "closed"},
		{"data on stream 0", func(h *h2) { raw(h, http2.FrameData, 0, 0, "x") }, "closed"},
		{"an even stream", func(h *h2) { _ = h.headers(2, true, pseudo("/x")...) }, "closed"},
		{"a stream number that goes down", func(h *h2) { _ = h.headers(5, true, pseudo("/x")...); _ = h.headers(3, true, pseudo("/x")...) }, "closed 200"},
		{"data on an idle stream", func(h *h2) { raw(h, http2.FrameData, 0, 1, "x") }, "closed"},
		{"reset of an idle stream", func(h *h2) { _ = h.WriteRSTStream(1, http2.ErrCodeCancel) }, "closed"},
		{"window update of an idle stream", func(h *h2) { _ = h.WriteWindowUpdate(1, 1) }, "closed"},
		{"window update of 0", func(h *h2) { raw(h, http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00") }, "closed"},
		{"window overflow", func(h *h2) { _ = h.WriteWindowUpdate(0, 1<<31-1); _ = h.WriteWindowUpdate(0, 1<<31-1) }, "closed"},
		{"a frame above the limit", func(h *h2) { raw(h, http2.FrameData, 0, 1, strings.Repeat("x", 1<<15)) }, "closed"},
		{"settings of odd length", func(h *h2) { raw(h, http2.FrameSettings, 0, 0, "12345") }, "closed"},
		{"settings on a stream", func(h *h2) { raw(h, http2.FrameSettings, 0, 1, "") }, "closed"},
		{"an acknowledgement with settings", func(h *h2) { raw(h, http2.FrameSettings, 1, 0, "123456") }, "closed"},
		{"push enabled with 2", func(h *h2) { _ = h.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 2}) }, "closed"},
		{"a window above 2^31", func(h *h2) { _ = h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}) }, "closed"},
		{"a frame size of 1", func(h *h2) { _ = h.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}) }, "closed"},
		{"ping of 7 bytes", func(h *h2) { raw(h, http2.FramePing, 0, 0, "1234567") }, "closed"},
		{"ping on a stream", func(h *h2) { raw(h, http2.FramePing, 0, 1, "12345678") }, "closed"},
		{"goaway on a stream", func(h *h2) { raw(h, http2.FrameGoAway, 0, 1, "\x00\x00\x00\x00\x00\x00\x00\x00") }, "closed"},
		{"a pushed stream", func(h *h2) { raw(h, http2.FramePushPromise, 4, 1, "\x00\x00\x00\x02") }, "closed"},
		{"continuation without headers", func(h *h2) { _ = h.WriteContinuation(1, true, h.encode(pseudo("/x")...)) }, "closed"},
		{"another frame within headers", func(h *h2) {
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode(pseudo("/x")...), EndStream: true})
			_ = h.WritePing(false, [8]byte{})
		}, "closed"},
		{"a broken header block", func(h *h2) {
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff}, EndStream: true, EndHeaders: true})
		}, "closed"},
		{"padding longer than the frame", func(h *h2) { raw(h, http2.FrameHeaders, 0x8|0x4|0x1, 1, "\xff\x82") }, "closed reset"},

		{"an upper-case name", func(h *h2) { _ = h.headers(1, true, pseudo("/x", "X-A", "1")...) }, "reset"},
		{"a pseudo-header behind others", func(h *h2) {
			_ = h.headers(1, true, ":method", "GET", "x-a", "1", ":scheme", "http", ":authority", "a", ":path", "/x")
		}, "reset"},
		{"no path", func(h *h2) { _ = h.headers(1, true, ":method", "GET", ":scheme", "http", ":authority", "a") }, "reset"},
		{"no method", func(h *h2) { _ = h.headers(1, true, ":scheme", "http", ":authority", "a", ":path", "/x") }, "reset"},
		{"two paths", func(h *h2) { _ = h.headers(1, true, pseudo("/x", ":path", "/y")...) }, "reset"},
		{"an unknown pseudo-header", func(h *h2) { _ = h.headers(1, true, pseudo("/x", ":who", "me")...) }, "reset"},
		{"an answer's pseudo-header", func(h *h2) { _ = h.headers(1, true, pseudo("/x", ":status", "200")...) }, "reset"},
		{"a pseudo-header in trailers", func(h *h2) {
			_ = h.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/x")
			_ = h.headers(1, true, ":path", "/y")
		}, "reset closed"},
		{"connection", func(h *h2) { _ = h.headers(1, true, pseudo("/x", "connection", "close")...) }, "reset 400 200"},
		{"transfer-encoding", func(h *h2) { _ = h.headers(1, true, pseudo("/x", "transfer-encoding", "chunked")...) }, "reset 400 200"},
		{"a line end in a value", func(h *h2) { _ = h.headers(1, true, pseudo("/x", "x-a", "1\r\nx-b: 2")...) }, "reset 400"},
		{"a line end in the path", func(h *h2) { _ = h.headers(1, true, pseudo("/x HTTP/1.1\r\nx: y")...) }, "reset 400"},
		{"a space in the method", func(h *h2) {
			_ = h.headers(1, true, ":method", "GET /y", ":scheme", "http", ":authority", "a", ":path", "/x")
		}, "400"},
		{"a line end in the authority", func(h *h2) {
			_ = h.headers(1, true, ":method", "GET", ":scheme", "http", ":authority", "a\r\nx: y", ":path", "/x")
		}, "reset 400"},
		{"less data than the length", func(h *h2) {
			_ = h.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/x", "content-length", "9")
			_ = h.WriteData(1, true, []byte("hello"))
		}, "reset 400"},
		{"more data than the length", func(h *h2) {
			_ = h.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/x", "content-length", "2")
			_ = h.WriteData(1, true, []byte("hello"))
		}, "reset 400 closed"},
		{"data after the end", func(h *h2) { good(h); _ = h.WriteData(1, true, []byte("x")) }, "reset closed 200"},
		{"CONNECT", func(h *h2) { _ = h.headers(1, true, ":method", "CONNECT", ":authority", "a:80") }, "403"},
		{"header list above the limit", func(h *h2) {
			kv := pseudo("/x")
			for i := range 100 { // each its own, so that none is a reference
				kv = append(kv, fmt.Sprint("x-", i), strings.Repeat("~", 1000))
			}
			b := h.encode(kv...)
			_ = h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:16<<10], EndStream: true})
			for b = b[16<<10:]; len(b) > 16<<10; b = b[16<<10:] {
				_ = h.WriteContinuation(1, false, b[:16<<10])
			}
			_ = h.WriteContinuation(1, true, b)
		}, "431 closed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			behind := newBackend(t) // what is sent on after the outcome is not the next one's
			h := dialH2(t, sidecar(t, behind.address, false))
			c.send(h)
			if got := h.outcome(1); !strings.Contains(c.want, got) {
				t.Errorf("%s, want %s", got, c.want)
			}
			_ = h.conn.Close()
			_, raw := behind.take()
			wantStrict(t, raw)
		})
	}
}

// heap is what lives, after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestHTTP2Abuse: an attack on one connection takes bounded memory, and others
// are served while it lasts.
func TestHTTP2Abuse(t *testing.T) {
	behind := newBackend(t)
	through := sidecar(t, behind.address, false)
	attacks := []struct {
		name  string
		frame func(h *h2, i int) error // the i-th of many
		times int
	}{
		{"rapid reset", func(h *h2, i int) error {
			id := uint32(2*i + 1)
			if err := h.headers(id, true, pseudo("/reset")...); err != nil {
				return err
			}
			return h.WriteRSTStream(id, http2.ErrCodeCancel)
		}, 5000},
		{"continuation without an end", func(h *h2, i int) error {
			if i == 0 {
				return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode(pseudo("/x")...)})
			}
			return h.WriteContinuation(1, false, h.encode("x-a", strings.Repeat("b", 1000)))
		}, 20000},
		{"empty continuations", func(h *h2, i int) error {
			if i == 0 {
				return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode(pseudo("/x")...)})
			}
			return h.WriteContinuation(1, false, nil)
		}, 20000},
		{"a header bomb", func(h *h2, i int) error {
			// One large field in the table, then thousands of one-byte references.
			kv := pseudo("/x", "x-bomb", strings.Repeat("b", 3000))
			b := h.encode(kv...)
			b = append(b, bytes.Repeat([]byte{0xbe}, 10000)...)
			return h.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: b, EndStream: true, EndHeaders: true})
		}, 200},
		{"settings", func(h *h2, _ int) error {
			return h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		}, 50000},
		{"pings", func(h *h2, _ int) error { return h.WritePing(false, [8]byte{}) }, 50000},
		{"empty data", func(h *h2, i int) error {
			if i == 0 {
				return h.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/x")
			}
			return h.WriteData(1, false, nil)
		}, 50000},
		{"priorities", func(h *h2, i int) error {
			return h.WriteRawFrame(http2.FramePriority, 0, uint32(2*i+1), []byte("\x00\x00\x00\x00\x10"))
		}, 50000},
		{"endless trailers", func(h *h2, i int) error {
			switch i {
			case 0:
				return h.headers(1, false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/x")
			case 1:
				return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode("x-t", "1"), EndStream: true})
			}
			return h.WriteContinuation(1, false, h.encode("x-t", strings.Repeat("t", 1000)))
		}, 20000},
	}
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	before := heap()
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			h := dialH2(t, through)
			drained := make(chan struct{})
			go func() { // an attacker that never reads would stop itself
				defer close(drained)
				_, _ = io.Copy(io.Discard, h.conn)
			}()
			_ = h.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
			i := 0
			for ; i < a.times; i++ {
				if a.frame(h, i) != nil {
					break // the sidecar has closed the connection
				}
			}
			res, err := client.Get("http://" + through + "/other")
			if err != nil {
				t.Fatalf("others are not served after %d frames: %v", i, err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("others get %s", res.Status)
			}
			const most = 32 << 20
			if grown := int64(heap()) - int64(before); grown > most {
				t.Errorf("%d frames hold %d bytes, more than %d", i, grown, int64(most))
			}
			_ = h.conn.Close()
			<-drained
			behind.take()
		})
	}
}

// TestHTTP2WindowNeverOpens: a client that takes no data makes the sidecar hold
// little of a large answer, whoever else is served.
func TestHTTP2WindowNeverOpens(t *testing.T) {
	const size = 64 << 20
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	big := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		piece := make([]byte, 64<<10)
		for sent := 0; sent < size; sent += len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = big.Serve(ln)
	}()
	defer func() {
		_ = big.Close()
		<-served
	}()
	through := sidecar(t, ln.Addr().String(), false)
	before := heap()
	h := dialH2(t, through, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	for i := range 20 {
		if err := h.headers(uint32(2*i+1), true, pseudo("/x")...); err != nil {
			t.Fatal(err)
		}
	}
	// The heads come, so the sidecar has begun all of them.
	_ = h.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for heads := 0; heads < 20; {
		f, err := h.ReadFrame()
		if err != nil {
			t.Fatalf("after %d heads: %v", heads, err)
		}
		if m, ok := f.(*http2.MetaHeadersFrame); ok && m.PseudoValue("status") == "200" {
			heads++
		}
	}
	if grown := int64(heap()) - int64(before); grown > 16<<20 {
		t.Errorf("20 answers that nobody takes hold %d bytes", grown)
	}
}
