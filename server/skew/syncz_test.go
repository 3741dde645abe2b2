package skew

import (
	"strings"
	"testing"
	"time"
)

// What istiod's readers do: compare nonces, and strip 36 characters for the version.
func TestSyncz(t *testing.T) {
	l := newLab(t)
	l.revise(4, map[string]string{"route outbound": "r1"})
	l.connect("a", "c")
	l.tr.Desired("a", 4, parts(l.all()), l.now)
	if s := l.tr.Syncz(l.now); len(s) != 1 || s[0].RouteSent != "" || s[0].RouteAcked != "" {
		t.Fatalf("before anything is sent: %+v", s)
	}
	l.push("a", "c")
	s := l.tr.Syncz(l.now)[0]
	if s.RouteSent == "" || s.RouteSent != s.RouteAcked || s.ProxyID != "a" {
		t.Errorf("synced: %+v", s)
	}
	if version := s.RouteSent[:len(s.RouteSent)-36]; !strings.HasSuffix(version, "Z/4") {
		t.Errorf("version %q", version)
	}
	l.pass(time.Second)
	l.revise(5, map[string]string{"route outbound": "r2"}, "a")
	l.send("a", "c")
	if s := l.tr.Syncz(l.now)[0]; s.RouteSent == s.RouteAcked || !strings.Contains(s.RouteSent, "/5") || !strings.Contains(s.RouteAcked, "/4") {
		t.Errorf("on its way: %+v", s)
	}
	l.tr.Disconnected("a", "c", "EOF", l.now)
	if s := l.tr.Syncz(l.now); len(s) != 0 {
		t.Errorf("gone: %+v", s)
	}
}
