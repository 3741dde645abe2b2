package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidelight-mesh/sidelight/collector/store/metrics"
	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	maxWaiting  = 1000 // notifications for one receiver
	maxBatch    = 64   // in one request
	sendTimeout = 10 * time.Second
	firstPause  = time.Second // after a failure; doubled up to longestPause
	giveUpAfter = 15 * time.Minute
)

// longestPause is how long a receiver that fails is left alone at most.
var longestPause = time.Minute

// notification is one alert that receivers are to hear of.
type notification struct {
	metrics.RuleAlert
	link string
	at   time.Time // when it was queued
}

// Receiver is how the delivery to one receiver goes.
type Receiver struct {
	Kind       string    `json:"kind"` // alertmanager | webhook
	Name       string    `json:"name"` // host and port: the rest of a URL may be secret
	Sent       uint64    `json:"sent"` // notifications that it took
	Dropped    uint64    `json:"dropped"`
	Waiting    int       `json:"waiting"`
	LastSentAt time.Time `json:"last_sent_at,omitzero"`
	Error      string    `json:"error,omitempty"` // of the last attempt; "" when it worked
}

// sender delivers notifications, each receiver at its own pace.
type sender struct {
	log       *slog.Logger
	receivers []*receiver
}

type receiver struct {
	kind, name, url string
	encode          func([]notification) ([]byte, error)
	onlyNews        bool // not what it was told already
	client          *http.Client
	wake            chan struct{}

	mu     sync.Mutex
	queue  []notification
	told   map[string]string // by alert, the state it was told of last, for onlyNews
	status Receiver

	sent, failed, dropped prometheus.Counter
}

func newSender(o Options) (*sender, error) {
	s := &sender{log: o.Logger}
	sent := counter("sidelight_alerts_sent_total", "Notifications that a receiver took.")
	failed := counter("sidelight_alerts_send_failures_total", "Attempts to notify a receiver that failed.")
	dropped := counter("sidelight_alerts_dropped_total", "Notifications that a receiver never got.")
	if o.Registerer != nil {
		for _, c := range []prometheus.Collector{sent, failed, dropped} {
			if err := o.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("register metrics of alerts: %w", err)
			}
		}
	}
	add := func(kind, address, suffix string, encode func([]notification) ([]byte, error)) error {
		base, err := url.Parse(address)
		if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
			return fmt.Errorf("%s: %w: want a URL like http://127.0.0.1:9093", kind, mesh.ErrInvalid)
		}
		if suffix != "" {
			base = base.JoinPath(suffix)
		}
		s.receivers = append(s.receivers, &receiver{
			kind: kind, name: base.Host, url: base.String(), encode: encode, onlyNews: kind == "webhook",
			client: &http.Client{Timeout: sendTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}},
			wake:   make(chan struct{}, 1), told: map[string]string{}, status: Receiver{Kind: kind, Name: base.Host},
			sent: sent.WithLabelValues(kind, base.Host), failed: failed.WithLabelValues(kind, base.Host), dropped: dropped.WithLabelValues(kind, base.Host),
		})
		return nil
	}
	for _, address := range o.Alertmanagers {
		if err := add("alertmanager", address, "api/v2/alerts", alertmanagerBody); err != nil {
			return nil, err
		}
	}
	for _, address := range o.Webhooks {
		if err := add("webhook", address, "", webhookBody(o.ExternalURL)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func counter(name, help string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"kind", "receiver"})
}

// send queues notifications for every receiver. It never blocks: the oldest
// make place, and are counted.
func (s *sender) send(list []notification) {
	now := time.Now()
	for _, r := range s.receivers {
		r.mu.Lock()
		for _, n := range list {
			id := identity(n.Labels)
			if r.onlyNews && r.told[id] == n.State {
				continue
			}
			if n.State == Resolved {
				delete(r.told, id)
			} else {
				r.told[id] = n.State
			}
			n.at = now
			r.queue = append(r.queue, n)
		}
		if over := len(r.queue) - maxWaiting; over > 0 {
			r.drop(over)
		}
		r.mu.Unlock()
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// drop gives the oldest n up. The receiver is locked.
func (r *receiver) drop(n int) {
	r.queue = append(r.queue[:0:0], r.queue[n:]...)
	r.status.Dropped += uint64(n)
	r.dropped.Add(float64(n))
}

// run delivers until ctx ends.
func (s *sender) run(ctx context.Context) {
	var running sync.WaitGroup
	for _, r := range s.receivers {
		running.Go(func() { r.run(ctx, s.log) })
	}
	running.Wait()
}

func (r *receiver) run(ctx context.Context, log *slog.Logger) {
	defer r.client.CloseIdleConnections()
	pause := time.Duration(0)
	for {
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
		}
		batch := r.next()
		if len(batch) == 0 {
			select {
			case <-r.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := r.post(ctx, batch)
		if ctx.Err() != nil {
			return
		}
		r.done(len(batch), err)
		if err == nil {
			pause = 0
			continue
		}
		if pause == 0 {
			log.Warn("a receiver of alerts does not take them", "kind", r.kind, "receiver", r.name, "error", err)
		}
		pause = min(max(2*pause, firstPause), longestPause)
	}
}

// next gives what is sent next; it stays in the queue until it was taken. What
// nobody took for long is given up.
func (r *receiver) next() []notification {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := 0
	for old < len(r.queue) && time.Since(r.queue[old].at) > giveUpAfter {
		old++
	}
	if old > 0 {
		r.drop(old)
	}
	return append([]notification(nil), r.queue[:min(len(r.queue), maxBatch)]...)
}

func (r *receiver) done(n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.status.Error = err.Error()
		r.failed.Inc()
		return
	}
	// The queue may have dropped some of the batch from its front meanwhile.
	r.queue = append(r.queue[:0:0], r.queue[min(n, len(r.queue)):]...)
	r.status.Error, r.status.LastSentAt = "", time.Now()
	r.status.Sent += uint64(n)
	r.sent.Add(float64(n))
}

func (r *receiver) post(ctx context.Context, batch []notification) error {
	body, err := r.encode(batch)
	if err != nil {
		return fmt.Errorf("encode alerts: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("notify %s: %w", r.name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "sidelight")
	resp, err := r.client.Do(req)
	if err != nil {
		if wrapped, ok := err.(*url.Error); ok { //nolint:errorlint // its text holds the URL, which may be secret
			err = wrapped.Err
		}
		return fmt.Errorf("notify %s: %w", r.name, err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("notify %s: it answered %s: %q", r.name, resp.Status, text)
	}
	return nil
}

func (s *sender) status() []Receiver {
	out := make([]Receiver, 0, len(s.receivers))
	for _, r := range s.receivers {
		r.mu.Lock()
		st := r.status
		st.Waiting = len(r.queue)
		r.mu.Unlock()
		out = append(out, st)
	}
	return out
}

// postable is an alert in Alertmanager's API v2.
type postable struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt,omitzero"`
	EndsAt       time.Time         `json:"endsAt,omitzero"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func postableOf(n notification) postable {
	p := postable{Labels: n.Labels, Annotations: n.Annotations, StartsAt: n.FiredAt, EndsAt: n.ResolvedAt, GeneratorURL: n.link}
	if p.EndsAt.IsZero() {
		p.EndsAt = n.ValidUntil
	}
	return p
}

func alertmanagerBody(batch []notification) ([]byte, error) {
	out := make([]postable, 0, len(batch))
	for _, n := range batch {
		out = append(out, postableOf(n))
	}
	return json.Marshal(out)
}

// webhook is the body that Alertmanager's webhook receiver posts, version 4,
// so that what takes those takes ours.
type webhook struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []webhookAlert    `json:"alerts"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
}

type webhookAlert struct {
	Status      string `json:"status"`
	Fingerprint string `json:"fingerprint"`
	postable
}

func webhookBody(external string) func([]notification) ([]byte, error) {
	return func(batch []notification) ([]byte, error) {
		w := webhook{
			Version: "4", GroupKey: "sidelight", Status: Resolved, Receiver: "sidelight", ExternalURL: external,
			GroupLabels: map[string]string{}, CommonLabels: common(batch, func(n notification) map[string]string { return n.Labels }),
			CommonAnnotations: common(batch, func(n notification) map[string]string { return n.Annotations }), Alerts: []webhookAlert{},
		}
		for _, n := range batch {
			a := webhookAlert{Status: n.State, Fingerprint: identity(n.Labels), postable: postableOf(n)}
			if n.State == Firing {
				w.Status, a.EndsAt = Firing, time.Time{}
			}
			w.Alerts = append(w.Alerts, a)
		}
		return json.Marshal(w)
	}
}

// common gives what all have.
func common(batch []notification, of func(notification) map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range of(batch[0]) {
		same := true
		for _, n := range batch[1:] {
			same = same && of(n)[name] == value
		}
		if same {
			out[name] = value
		}
	}
	return out
}
