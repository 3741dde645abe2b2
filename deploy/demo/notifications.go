package demo

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// serveNotifications is a line protocol over TCP: each line is answered "ok".
func (a *application) serveNotifications(ctx context.Context) error {
	listener, err := net.Listen("tcp", a.Listen)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		conns.Go(func() {
			defer conn.Close()
			hangUp := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer hangUp()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				if _, err := conn.Write([]byte("ok\n")); err != nil {
					return
				}
			}
		})
	}
}

// notifier keeps one connection and opens a new one every twenty messages, so
// that the graph has TCP connections to show that begin and end.
type notifier struct {
	address string

	mu   sync.Mutex
	conn net.Conn
	sent int
}

func (n *notifier) notify(ctx context.Context, text string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", n.address)
		if err != nil {
			return err
		}
		n.conn, n.sent = conn, 0
	}
	err := n.exchange(text)
	if n.sent++; err != nil || n.sent == 20 {
		_ = n.conn.Close()
		n.conn = nil
	}
	return err
}

func (n *notifier) exchange(text string) error {
	if err := n.conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(n.conn, text); err != nil {
		return err
	}
	_, err := bufio.NewReader(n.conn).ReadString('\n')
	return err
}
