package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime/debug"
	"strings"
	"time"
)

// serveBackend is the server behind all proxies: 1 KiB for HTTP/1.1, and an
// answer with trailers for gRPC.
func serveBackend(plain, h2 string) error {
	body := bytes.Repeat([]byte("x"), 1024)
	message := []byte{0, 0, 0, 0, 5, 10, 3, 'a', 'b', 'c'} // one gRPC message
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			_, _ = w.Write(message)
			w.Header().Set("Grpc-Status", "0")
			return
		}
		w.Header()["Content-Type"] = []string{"text/plain"}
		_, _ = w.Write(body)
	})
	debug.SetGCPercent(400)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	errs := make(chan error, 2)
	go func() {
		errs <- (&http.Server{Addr: plain, Handler: handler, ReadHeaderTimeout: time.Minute}).ListenAndServe()
	}()
	go func() {
		errs <- (&http.Server{Addr: h2, Handler: handler, Protocols: &protocols, ReadHeaderTimeout: time.Minute}).ListenAndServe()
	}()
	return <-errs
}

// serveReverseProxy is Go's own proxy as one would tune it: kept connections,
// pooled buffers, no compression. It does nothing else.
func serveReverseProxy(address, targets string) error {
	plain, h2, _ := strings.Cut(targets, ",")
	proxy := func(target string, http2 bool) (*httputil.ReverseProxy, error) {
		to, err := url.Parse("http://" + target)
		if err != nil {
			return nil, err
		}
		var protocols http.Protocols
		protocols.SetHTTP1(!http2)
		protocols.SetUnencryptedHTTP2(http2)
		return &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
			Transport: &http.Transport{
				MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, DisableCompression: true, Protocols: &protocols,
			},
			BufferPool: make(buffers, 256), FlushInterval: -1,
		}, nil
	}
	one, err := proxy(plain, false)
	if err != nil {
		return err
	}
	two, err := proxy(h2, true)
	if err != nil {
		return err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Addr: address, Protocols: &protocols, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			two.ServeHTTP(w, r)
			return
		}
		one.ServeHTTP(w, r)
	})}
	return fmt.Errorf("serve: %w", s.ListenAndServe())
}

// buffers is a pool that a channel bounds.
type buffers chan []byte

func (b buffers) Get() []byte {
	select {
	case buf := <-b:
		return buf
	default:
		return make([]byte, 32<<10)
	}
}

func (b buffers) Put(buf []byte) {
	select {
	case b <- buf:
	default:
	}
}
