package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"testing"
)

// FuzzClientHello gives a permissive TCP port what begins like TLS: it decides
// whose it is, and nothing that was read is lost to the app.
func FuzzClientHello(f *testing.F) {
	for _, protocols := range [][]string{nil, {"h2"}, {"istio"}, {"istio-peer-exchange", "istio"}} {
		f.Add(hello(protocols))
	}
	f.Add([]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0})
	f.Add([]byte{0x16, 3, 3, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, sent []byte) {
		if len(sent) == 0 {
			return
		}
		client, server := net.Pipe()
		go func() {
			_, _ = client.Write(sent[1:])
			_ = client.Close()
		}()
		_, seen := foreignTLS(context.Background(), &replay{Conn: server, rest: sent[:1]})
		_ = server.Close()
		if !bytes.HasPrefix(sent, seen) {
			t.Errorf("read %x of %x", seen, sent)
		}
	})
}

// hello is what a TLS client says first.
func hello(protocols []string) []byte {
	client, server := net.Pipe()
	go func() {
		_ = tls.Client(client, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}).Handshake() // #nosec G402 -- it only begins
	}()
	buf := make([]byte, 4096)
	n, _ := server.Read(buf)
	_ = server.Close()
	_ = client.Close()
	return buf[:n]
}
