package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// request is what a client sends, byte by byte.
type request struct {
	name    string
	bytes   string
	methods []string // of each request in it, for reading its answers; default GET
	half    bool     // the client closes its side after the last byte
	// differs says why the sidecar rightly does something else than net/http,
	// and wants is the status it then answers first.
	differs string
	wants   string
	races   bool // or the answer is net/http's: which, the faster one decides
}

// canary follows each request on the same connection: when the connection goes
// on, it must be answered as itself.
const (
	canaryPath = "/canary"
	canary     = "GET " + canaryPath + " HTTP/1.1\r\nHost: a\r\n\r\n"
)

const crlf = "\r\n"

func lines(ls ...string) string { return strings.Join(ls, crlf) + crlf + crlf }

func get(headers ...string) string {
	return lines(append([]string{"GET /x HTTP/1.1", "Host: a"}, headers...)...)
}

func post(body string, headers ...string) string {
	return lines(append([]string{"POST /x HTTP/1.1", "Host: a"}, headers...)...) + body
}

func requests() []request {
	var all []request
	add := func(name, bytes string, more ...func(*request)) {
		r := request{name: name, bytes: bytes}
		for _, f := range more {
			f(&r)
		}
		all = append(all, r)
	}
	for _, f := range []func(func(string, string, ...func(*request))){requestLines, framing, headers, connections, bodies} {
		f(add)
	}
	return all
}

type adder = func(name, bytes string, more ...func(*request))

func of(methods ...string) func(*request) { return func(r *request) { r.methods = methods } }
func halfClosed(r *request)               { r.half = true }
func races(r *request)                    { r.races = true }
func differs(why, status string) func(*request) {
	return func(r *request) { r.differs, r.wants = why, status }
}

// requestLines are the first line's forms and malformations.
func requestLines(add adder) {
	add("plain", get())
	for _, m := range []string{"HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW", "PROPFIND", "M-SEARCH", "get"} {
		add("method "+m, m+" /x HTTP/1.1\r\nHost: a\r\n\r\n", of(m))
	}
	add("method with a space", "GE T /x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("method with a control character", "G\x01T /x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("method with a colon", "GET: /x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("no method", " /x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n")
	add("no version", "GET /x\r\nHost: a\r\n\r\n")
	add("two spaces", "GET  /x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("a tab between", "GET\t/x\tHTTP/1.1\r\nHost: a\r\n\r\n")
	add("trailing space", "GET /x HTTP/1.1 \r\nHost: a\r\n\r\n")
	add("target with a space", "GET /x y HTTP/1.1\r\nHost: a\r\n\r\n")
	add("target with a NUL", "GET /x\x00y HTTP/1.1\r\nHost: a\r\n\r\n")
	escaped := differs("what a target must not hold is escaped on its way", "200")
	add("target with bytes above 127", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", escaped)
	add("target without a slash", "GET x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("target with a fragment", "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", escaped)
	add("target with a query", "GET /x?a=1&b=%00&c HTTP/1.1\r\nHost: a\r\n\r\n")
	add("target with an empty query", "GET /x? HTTP/1.1\r\nHost: a\r\n\r\n")
	add("target with an escaped slash", "GET /x%2Fy HTTP/1.1\r\nHost: a\r\n\r\n")
	add("target with dots", "GET /a/../b/./c HTTP/1.1\r\nHost: a\r\n\r\n")
	add("target with two slashes", "GET //x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("target with a broken escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n")
	add("target with a backslash", "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", escaped)
	add("asterisk for OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", of("OPTIONS"))
	add("asterisk for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n")
	add("absolute form", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("absolute form against Host", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("absolute form with user", "GET http://u:p@a/x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("absolute form without a host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", of("CONNECT"), differs("nothing allows CONNECT: a sidecar is no forward proxy", "403"))
	for _, v := range []string{"HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1.10", "HTTP/1", "http/1.1", "HTTP/11", "HTTP/1.1x", "FTP/1.1", "HTTP /1.1"} {
		add("version "+v, "GET /x "+v+"\r\nHost: a\r\n\r\n")
	}
	add("1.0", "GET /x HTTP/1.0\r\nHost: a\r\n\r\n")
	add("1.0 kept alive", "GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
	add("1.0 without Host", "GET /x HTTP/1.0\r\n\r\n", differs("HTTP/1.0 may leave Host out, but nothing can be routed then", "400"))
	add("empty line before", "\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n")
	add("garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
	add("HTTP/2 preface cut short", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
		differs("the sidecar speaks HTTP/2 on this port, so this is no request", "400"))
}

// framing is where smuggling lives: who ends the body.
func framing(add adder) {
	const five, chunks = "hello", "5\r\nhello\r\n0\r\n\r\n"
	cl, te := "Content-Length: 5", "Transfer-Encoding: chunked"
	p := of("POST")
	add("length", post(five, cl), p)
	add("chunked", post(chunks, te), p)
	add("length and chunked", post(chunks, cl, te), p)
	add("chunked and length", post(chunks, te, cl), p)
	add("length 0 and chunked", post(chunks, "Content-Length: 0", te), p)
	add("length of another request", post("0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", "Content-Length: 44", te), p)
	add("two equal lengths", post(five, cl, cl), p)
	add("two lengths", post(five, cl, "Content-Length: 6"), p)
	add("lengths in a list", post(five, "Content-Length: 5, 5"), p)
	add("different lengths in a list", post(five, "Content-Length: 5, 6"), p)
	for _, v := range []string{"+5", "-5", "0x5", "5 ", " 5", "5;", "05", "5.0", "５", "", "5 5", "1e1", "99999999999999999999", "\t5", "5\x00"} {
		add(fmt.Sprintf("length %q", v), post(five, "Content-Length:"+v), p)
	}
	add("length with a space before the colon", post(five, "Content-Length : 5"), p)
	add("length in underscores", post(five, "Content_Length: 5"), p)
	for _, v := range []string{
		"identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "Chunked", "CHUNKED", " chunked", "chunked ", "\tchunked",
		"\vchunked", "xchunked", "chunkedx", "chunked;q=1", "\"chunked\"", "'chunked'", "chunked,", ",chunked", "identity, chunked", "", "chunked\x00", "x",
	} {
		add(fmt.Sprintf("coding %q", v), post(chunks, "Transfer-Encoding:"+v), p)
		add(fmt.Sprintf("length and coding %q", v), post(chunks, "Content-Length: 15", "Transfer-Encoding:"+v), p)
	}
	add("two codings", post(chunks, te, te), p)
	add("identity then chunked", post(chunks, "Transfer-Encoding: identity", te), p)
	add("coding with a space before the colon", post(chunks, "Transfer-Encoding : chunked"), p)
	add("coding folded", post(chunks, "Transfer-Encoding:\r\n chunked"), p)
	add("coding after a bare LF", "POST /x HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n"+chunks, p)
	add("coding after a bare CR", "POST /x HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n"+chunks, p)
	add("chunked in 1.0", "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks, p)
	add("GET with a length", "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
	add("GET chunked", "GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks)
	add("HEAD with a length", "HEAD /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", of("HEAD"))
	add("POST without a body", "POST /x HTTP/1.1\r\nHost: a\r\n\r\n", p)
	add("length named by Connection", post(five, cl, "Connection: content-length"), p)
	add("coding named by Connection", post(chunks, te, "Connection: transfer-encoding"), p)
}

// bodies are chunked bodies of all kinds, and ends that come too early.
func bodies(add adder) {
	p := of("POST")
	te := "Transfer-Encoding: chunked"
	for name, body := range map[string]string{
		"two chunks":                  "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
		"an extension":                "5;a=b\r\nhello\r\n0\r\n\r\n",
		"a quoted extension":          "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n",
		"a line end in an extension":  "5;a=\"b\nc\"\r\nhello\r\n0\r\n\r\n",
		"upper-case hex":              "A\r\n0123456789\r\n0\r\n\r\n",
		"zeros before":                "005\r\nhello\r\n000\r\n\r\n",
		"a space after the size":      "5 \r\nhello\r\n0\r\n\r\n",
		"a space before the size":     " 5\r\nhello\r\n0\r\n\r\n",
		"a sign":                      "+5\r\nhello\r\n0\r\n\r\n",
		"0x":                          "0x5\r\nhello\r\n0\r\n\r\n",
		"no hex":                      "g\r\nhello\r\n0\r\n\r\n",
		"no size":                     "\r\nhello\r\n0\r\n\r\n",
		"a huge size":                 "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"a negative size":             "-1\r\nhello\r\n0\r\n\r\n",
		"LF only":                     "5\nhello\n0\n\n",
		"LF after the size":           "5\nhello\r\n0\r\n\r\n",
		"no line end after the data":  "5\r\nhello0\r\n\r\n",
		"more than the size":          "5\r\nhellox\r\n0\r\n\r\n",
		"a trailer that is no header": "5\r\nhello\r\n0\r\nX-T\r\n\r\n",
		"a trailer with a length":     "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
		"a trailer with a coding":     "5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\n\r\n",
	} {
		add("chunks: "+name, post(body, te), p)
	}
	unannounced := differs("trailers that nobody announced are dropped, as by Envoy", "200")
	add("chunks: a trailer", post("5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", te), p, unannounced)
	add("chunks: a folded trailer", post("5\r\nhello\r\n0\r\nX-T: 1\r\n 2\r\n\r\n", te), p, unannounced)
	add("chunks: a trailer with Host", post("5\r\nhello\r\n0\r\nHost: b\r\n\r\n", te), p,
		differs("a trailer cannot say whom a request is for", "200"))
	add("announced trailer", post("5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", te, "Trailer: X-T"), p)
	add("announced and absent", post("5\r\nhello\r\n0\r\n\r\n", te, "Trailer: X-T"), p)
	add("a forbidden trailer announced", post("5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n", te, "Trailer: Content-Length"), p)
	left := differs("a client that closes its side has left, as with Envoy", "")
	add("length cut short", post("hel", "Content-Length: 5"), p, halfClosed, left)
	add("chunk cut short", post("5\r\nhel", te), p, halfClosed, left)
	add("no last chunk", post("5\r\nhello\r\n", te), p, halfClosed, left)
	add("head cut short", "GET /x HTTP/1.1\r\nHost: a\r\nX: ", halfClosed)
	add("half-closed after the request", get(), halfClosed, left, races)
	add("expects 100 and sends at once", post("hello", "Content-Length: 5", "Expect: 100-continue"), p)
	add("expects something else", post("hello", "Content-Length: 5", "Expect: 200-ok"), p)
	add("a body of 200 KB", post(strings.Repeat("y", 200<<10), fmt.Sprintf("Content-Length: %d", 200<<10)), p)
	add("a chunked body of 200 KB", post(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", 200<<10, strings.Repeat("y", 200<<10)), te), p)
}

// headers are names, values, Host, and what belongs to one hop only.
func headers(add adder) {
	add("no Host", "GET /x HTTP/1.1\r\n\r\n")
	add("empty Host", "GET /x HTTP/1.1\r\nHost:\r\n\r\n", differs("a request for nobody cannot be routed", "400"))
	add("two Hosts", "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
	add("the same Host twice", "GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")
	for _, h := range []string{"a:80", "[::1]:80", "a b", "a/b", "a@b", "a,b", "a\x00", "A.Example", "a:b", "é"} {
		add(fmt.Sprintf("Host %q", h), "GET /x HTTP/1.1\r\nHost: "+h+"\r\n\r\n")
	}
	add("folded", get("X-A: 1\r\n 2"))
	add("folded with a tab", get("X-A: 1\r\n\t2"))
	add("folded first", "GET /x HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n")
	add("no colon", get("X-A"))
	add("no name", get(": x"))
	add("a space in the name", get("X A: 1"))
	add("a space before the colon", get("X-A : 1"))
	add("a control character in the name", get("X-\x01: 1"))
	add("bytes above 127 in the name", get("X-\xc3: 1"))
	add("underscores", get("X_A: 1"))
	add("an empty value", get("X-A:"))
	add("spaces around the value", get("X-A:  \t b \t "))
	add("bytes above 127 in the value", get("X-A: \xc3\xa9"))
	add("NUL in the value", get("X-A: a\x00b"))
	add("a bare CR in the value", get("X-A: a\rb"))
	add("a bare LF in the value", get("X-A: a\nX-B: b"))
	add("DEL in the value", get("X-A: a\x7fb"))
	add("several values", get("X-A: 1", "X-A: 2", "x-a: 3"))
	add("LF line ends", "GET /x HTTP/1.1\nHost: a\n\n")
	add("a hundred headers", get(strings.Split(strings.TrimSuffix(strings.Repeat("X-A: 1|", 100), "|"), "|")...))
	add("a header of 40 KB", get("X-A: "+strings.Repeat("a", 40<<10)))
	add("a head above the limit", get("X-A: "+strings.Repeat("a", 80<<10)))
	add("a target of 10 KB", "GET /"+strings.Repeat("x", 10<<10)+" HTTP/1.1\r\nHost: a\r\n\r\n")
}

// connections are persistence, pipelining and what Connection names.
func connections(add adder) {
	dropped := func(name string) func(*request) {
		return differs(name+" is named by Connection and belongs to one hop only", "200")
	}
	add("close", get("Connection: close"))
	add("keep-alive", get("Connection: keep-alive"))
	add("close and keep-alive", get("Connection: close, keep-alive"))
	add("nominated", get("Connection: x-secret", "X-Secret: 1"), dropped("X-Secret"))
	add("nominated in upper case", get("Connection: X-SECRET", "x-secret: 1"), dropped("X-Secret"))
	add("nominated in two lines", get("Connection: close", "Connection: x-secret", "X-Secret: 1"), dropped("X-Secret"))
	add("nominated host", get("Connection: host"))
	add("proxy-connection", get("Proxy-Connection: keep-alive"))
	add("keep-alive header", get("Keep-Alive: timeout=5"))
	add("te", get("TE: trailers, deflate"))
	add("two pipelined", get()+get())
	add("five pipelined", strings.Repeat(get(), 5))
	add("pipelined after a body", post("hello", "Content-Length: 5")+get(), of("POST"))
	add("pipelined after chunks", post("5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked")+get(), of("POST"))
	add("pipelined after close", get("Connection: close")+get())
	add("pipelined garbage", get()+"\x00\x00\r\n\r\n")
	add("an empty line between", get()+"\r\n"+get())
	add("upgrade that nobody wants", get("Connection: upgrade", "Upgrade: nothing"))
	add("upgrade to h2c", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
		differs("HTTP2-Settings is named by Connection and belongs to one hop only", "200"))
	add("upgrade without Connection", get("Upgrade: websocket"))
	add("upgrade with a body", post("hello", "Content-Length: 5", "Connection: upgrade", "Upgrade: nothing"), of("POST"))
}

// TestRequests holds the sidecar against net/http, request by request.
func TestRequests(t *testing.T) {
	cases := requests()
	if len(cases) < 150 {
		t.Errorf("%d requests only", len(cases))
	}
	oracle, behind := newBackend(t), newBackend(t)
	through := sidecar(t, behind.address, false)
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.name] {
			t.Errorf("%s is there twice", c.name)
		}
		seen[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			sent := c.bytes
			if !c.half {
				sent += canary
			}
			wantAnswers, wantClosed := talk(t, oracle.address, c.methods, sent, c.half)
			want, _ := oracle.take()
			answers, closed := talk(t, through, c.methods, sent, c.half)
			got, raw := behind.take()

			wantStrict(t, raw)
			if c.differs != "" {
				first := ""
				if len(answers) > 0 {
					first = answers[0].Line
				}
				if first != c.wants && (!c.races || !cmp.Equal(wantAnswers, answers)) {
					t.Errorf("answered %v, want first %s, because %s", answers, c.wants, c.differs)
				}
				if len(got) > len(want) {
					t.Errorf("%d requests upstream, net/http saw %d", len(got), len(want))
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("requests (-net/http +behind the sidecar):\n%s", diff)
			}
			if diff := cmp.Diff(wantAnswers, answers); diff != "" {
				t.Errorf("answers (-net/http +sidecar):\n%s", diff)
			}
			refused := len(answers) > 0 && answers[len(answers)-1].Line >= "400" // net/http lingers before it closes
			if closed != wantClosed && !refused {
				t.Errorf("connection closed: %v, with net/http %v", closed, wantClosed)
			}
		})
	}
}
