package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is an API server that answers list and watch of Pods as it is told, one
// answer after the other, and keeps what it was asked.
type script struct {
	mu      sync.Mutex
	answers []func(http.ResponseWriter, *http.Request)
	asked   []url.Values
	over    chan struct{} // closed when all was answered
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Query())
	if len(s.answers) == 0 {
		s.mu.Unlock()
		<-r.Context().Done() // a watch on which nothing happens
		return
	}
	answer := s.answers[0]
	if s.answers = s.answers[1:]; len(s.answers) == 0 {
		defer close(s.over)
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer(w, r)
}

func list(version, more string, names ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		items := []any{}
		for _, name := range names {
			items = append(items, podNamed(name, "1"))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"apiVersion": "v1", "kind": "PodList", "metadata": map[string]any{"resourceVersion": version, "continue": more}, "items": items,
		})
	}
}

func podNamed(name, version string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name, "namespace": "cinema", "resourceVersion": version}}
}

type happening struct {
	Type   string `json:"type"`
	Object any    `json:"object"`
}

func events(all ...happening) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, e := range all {
			_ = json.NewEncoder(w).Encode(e)
		}
	}
}

func status(code int, reason metav1.StatusReason) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": string(reason)}
}

func refuse(code int, reason metav1.StatusReason) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(status(code, reason))
	}
}

func kubeconfig(t *testing.T, address string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("{apiVersion: v1, kind: Config, current-context: a, clusters: [{name: a, cluster: {server: %q}}], contexts: [{name: a, context: {cluster: a}}]}", address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// play follows Pods until all answers were given, and gives what was asked and
// what is held then.
func play(t *testing.T, answers ...func(http.ResponseWriter, *http.Request)) (f *follower[*pod], asked []string, err error) {
	t.Helper()
	s := &script{answers: answers, over: make(chan struct{})}
	server := httptest.NewServer(s)
	defer server.Close()
	c, err := connect(Options{Kubeconfig: kubeconfig(t, server.URL)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.http.CloseIdleConnections()
	changed := make(chan struct{}, 100)
	f = newFollower("Pod", readPod, same, func() { changed <- struct{}{} })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f.follow(ctx, c.whole(resource("", "v1", "pods"))) }()
	select {
	case <-s.over:
		// What the last answer says is taken in when the next question comes.
		for s.questions() <= len(answers) && ctx.Err() == nil {
			select {
			case err := <-done:
				return f, s.told(), err
			case <-time.After(time.Millisecond):
			}
		}
	case <-ctx.Done():
		t.Fatal("not all was asked for")
	}
	cancel()
	return f, s.told(), <-done
}

func (s *script) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// told gives the questions in brief.
func (s *script) told() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, q := range s.asked {
		switch {
		case q.Get("watch") != "":
			out = append(out, "watch "+q.Get("resourceVersion"))
		case q.Get("continue") != "":
			out = append(out, "more "+q.Get("continue"))
		default:
			out = append(out, "list")
		}
	}
	return out
}

func (f *follower[T]) names() string {
	return strings.Join(slices.Sorted(maps.Keys(f.snapshot())), " ")
}

func TestFollow(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers []func(http.ResponseWriter, *http.Request)
		asked   string
		held    string
	}{
		{
			"pages, then changes from where they ended, and from where a watch ended",
			[]func(http.ResponseWriter, *http.Request){
				list("7", "next", "a", "b"), list("7", "", "c"),
				events(happening{"ADDED", podNamed("d", "8")}, happening{"DELETED", podNamed("a", "9")}, happening{"BOOKMARK", podNamed("", "20")}),
			},
			"list, more next, watch 7, watch 20", "cinema/b cinema/c cinema/d",
		},
		{
			"a watch whose beginning is forgotten begins anew, and what went meanwhile is gone",
			[]func(http.ResponseWriter, *http.Request){
				list("7", "", "a", "b"),
				events(happening{"ERROR", status(410, metav1.StatusReasonExpired)}),
				list("30", "", "b", "c"),
			},
			"list, watch 7, list, watch 30", "cinema/b cinema/c",
		},
		{
			"the same, when the watch is refused for it",
			[]func(http.ResponseWriter, *http.Request){list("7", "", "a"), refuse(410, metav1.StatusReasonExpired), list("30", "", "b")},
			"list, watch 7, list, watch 30", "cinema/b",
		},
		{
			"trouble in between loses nothing",
			[]func(http.ResponseWriter, *http.Request){
				list("7", "", "a"), refuse(503, metav1.StatusReasonServiceUnavailable), refuse(403, metav1.StatusReasonForbidden),
				events(happening{"ADDED", podNamed("b", "8")}),
			},
			"list, watch 7, watch 7, watch 7, watch 8", "cinema/a cinema/b",
		},
		{
			"pages that expire while they are read are read again",
			[]func(http.ResponseWriter, *http.Request){list("7", "next", "a"), refuse(410, metav1.StatusReasonExpired), list("9", "", "b")},
			"list, more next, list, watch 9", "cinema/b",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, asked, err := play(t, test.answers...)
			if got := strings.Join(asked, ", "); got != test.asked {
				t.Errorf("asked %s, want %s", got, test.asked)
			}
			if f.names() != test.held {
				t.Errorf("holds %s, want %s", f.names(), test.held)
			}
			if c := f.now(); !c.known || !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v, known %v", err, c.known)
			}
		})
	}
}

// A kind that is not served any more is known to be gone by nothing else than
// that answer; what is held stays until somebody looks.
func TestFollowGone(t *testing.T) {
	f, _, err := play(t, list("7", "", "a"), refuse(404, metav1.StatusReasonNotFound))
	if !errors.Is(err, errGone) || f.names() != "cinema/a" {
		t.Errorf("ended with %v, holds %q", err, f.names())
	}
	f.forget()
	if f.names() != "" || !f.now().known {
		t.Errorf("then holds %q", f.names())
	}
}

// What may not be read, by any answer of the API server, is told from what cannot
// be read because it is not well.
func TestRefused(t *testing.T) {
	for code, want := range map[int]bool{401: true, 403: true, 429: false, 500: false, 503: false} {
		f, _, _ := play(t, refuse(code, "because"))
		if err := f.now().err; err == nil || refused(err) != want || !answered(err) {
			t.Errorf("%d: %v is refused %v, answered %v", code, err, refused(err), answered(err))
		}
	}
}
