package app

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidelight-mesh/sidelight/proxy/xds"
)

// appAt is an app that accepts connections until it is closed.
func appAt(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// within waits until a condition holds, as real ports need.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

func TestLifeInOrder(t *testing.T) {
	app := appAt(t)
	address := app.Addr().String()
	_ = app.Close()
	l := newLife(time.Now(), []xds.Inbound{{App: address}}, func() string { return "" })
	done := make(chan struct{})
	go func() { defer close(done); l.watchStart(t.Context()) }()
	within(t, "the sidecar serves", func() bool { return !l.account().ServingAt.IsZero() })
	app, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	<-done
	got := l.account()
	if !got.App || got.ServingAt.IsZero() || got.AppAt.IsZero() || got.AppAt.Before(got.ServingAt) {
		t.Errorf("%+v: want both up, the app not before the sidecar", got)
	}
	l.drain()
	_ = app.Close()
	within(t, "the app is seen to be gone", func() bool { return !l.account().AppGoneAt.IsZero() })
	l.drained(3)
	l.leave(t.Context())
	got = l.account()
	if got.ConnectionsCut != 3 || got.EndedAt.Before(got.DrainedAt) || got.AppGoneAt.After(got.EndedAt) {
		t.Errorf("%+v: want the app gone before the sidecar, and three connections cut", got)
	}
}

func TestLifeOutOfOrder(t *testing.T) {
	app := appAt(t)
	missing := make(chan struct{})
	l := newLife(time.Now(), []xds.Inbound{{App: app.Addr().String()}}, func() string {
		select {
		case <-missing:
			return ""
		default:
			return "no configuration yet"
		}
	})
	done := make(chan struct{})
	go func() { defer close(done); l.watchStart(t.Context()) }()
	within(t, "the app is seen first", func() bool { return !l.account().AppAt.IsZero() })
	close(missing)
	<-done
	if got := l.account(); !got.AppAt.Before(got.ServingAt) {
		t.Errorf("%+v: want the app before the sidecar", got)
	}
	l.drain()
	l.drained(0)
	l.leave(t.Context())
	if got := l.account(); !got.AppGoneAt.IsZero() || got.EndedAt.IsZero() {
		t.Errorf("%+v: want an app that is not gone when the sidecar leaves", got)
	}
}

// A sidecar that only calls has no app whose port it knows.
func TestLifeWithoutApp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(time.Now(), nil, func() string { return "" })
		l.watchStart(t.Context())
		l.drain()
		l.drained(0)
		l.leave(t.Context())
		if got := l.account(); got.App || !got.AppAt.IsZero() || !got.AppGoneAt.IsZero() || got.ServingAt.IsZero() || got.EndedAt.IsZero() {
			t.Errorf("%+v: want a life without an app", got)
		}
	})
}
