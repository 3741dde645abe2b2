package cluster

import (
	"sync"
	"sync/atomic"
	"time"
)

// Outlier says when an endpoint that fails is taken out, and for how long.
type Outlier struct {
	Consecutive5xx     uint32        // errors in a row; 0 = not by these
	ConsecutiveGateway uint32        // of 502, 503, 504 and no answer; 0 = not by these
	Interval           time.Duration // between looks at who may return; 0 = 10 s
	BaseEjection       time.Duration // times how often it was ejected; 0 = 30 s
	MaxEjection        time.Duration // 0 = 300 s; never below BaseEjection
	MaxEjectionPercent uint32        // of all endpoints that may be out at a time
}

// withDefaults fills in Envoy's values.
func (o Outlier) withDefaults() Outlier {
	if o.Interval <= 0 {
		o.Interval = 10 * time.Second
	}
	if o.BaseEjection <= 0 {
		o.BaseEjection = 30 * time.Second
	}
	if o.MaxEjection <= 0 {
		o.MaxEjection = 300 * time.Second
	}
	o.MaxEjection = max(o.MaxEjection, o.BaseEjection)
	return o
}

// health is a host's record. The counters are touched by every answer; the
// rest belongs to the detector's lock.
type health struct {
	errors5xx, errorsGateway atomic.Uint32
	ejected                  atomic.Bool

	since time.Time // of the ejection
	times int       // ejections, less one for each interval without
}

// Detector takes endpoints out that fail, by Envoy's rules: at the k-th
// consecutive error at once, back at the first sweep after the ejection's
// time. It is pure: times come from the caller, who also sweeps.
type Detector struct {
	config Outlier
	begun  time.Time

	mu    sync.Mutex
	total atomic.Uint64
}

// NewDetector begins at now: sweeps are due each interval from then on.
func NewDetector(o Outlier, now time.Time) *Detector {
	return &Detector{config: o.withDefaults(), begun: now}
}

// Ejections is how many there have been.
func (d *Detector) Ejections() uint64 { return d.total.Load() }

// Report notes how a try at h ended: an HTTP status, or the one that stands for
// no answer (503, or 504 for a timeout). It reports whether h was ejected, upon
// which the caller renews hosts. It costs nothing while all goes well.
func (d *Detector) Report(hosts *Hosts, h *Host, status int, now time.Time) (ejected bool) {
	r := &h.health
	if status < 500 {
		if r.errors5xx.Load() != 0 {
			r.errors5xx.Store(0)
		}
		if r.errorsGateway.Load() != 0 {
			r.errorsGateway.Store(0)
		}
		return false
	}
	if status >= 502 && status <= 504 {
		if n := r.errorsGateway.Add(1); n == d.config.ConsecutiveGateway {
			ejected = d.eject(hosts, h, now)
			r.errorsGateway.Store(0)
		}
	} else {
		r.errorsGateway.Store(0)
	}
	if n := r.errors5xx.Add(1); n == d.config.Consecutive5xx {
		ejected = d.eject(hosts, h, now) || ejected
		r.errors5xx.Store(0)
	}
	return ejected
}

// eject takes h out unless too many are out already.
func (d *Detector) eject(hosts *Hosts, h *Host, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.health.ejected.Load() {
		return false
	}
	if out := hosts.Ejected(); 100*(out+1) > int(d.config.MaxEjectionPercent)*len(hosts.all) {
		return false
	}
	h.health.since = now
	if time.Duration(h.health.times)*d.config.BaseEjection < d.config.MaxEjection+d.config.BaseEjection {
		h.health.times++
	}
	h.health.ejected.Store(true)
	d.total.Add(1)
	return true
}

// Sweep brings back whose time is over, and forgives the healthy one ejection
// each. It gives the hosts that returned, upon which the caller renews hosts.
func (d *Detector) Sweep(hosts *Hosts, now time.Time) (returned []*Host) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range hosts.all {
		r := &h.health
		switch {
		case !r.ejected.Load():
			r.times = max(r.times-1, 0)
		case !now.Before(d.until(h)):
			r.ejected.Store(false)
			r.errors5xx.Store(0)
			r.errorsGateway.Store(0)
			returned = append(returned, h)
		}
	}
	return returned
}

// Until is when the time of h's ejection is over: it is back at the first sweep
// after that. Zero when h is in.
func (d *Detector) Until(h *Host) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !h.health.ejected.Load() {
		return time.Time{}
	}
	return d.until(h)
}

func (d *Detector) until(h *Host) time.Time {
	return h.health.since.Add(min(time.Duration(h.health.times)*d.config.BaseEjection, d.config.MaxEjection))
}

// NextSweep gives when the next sweep after now is due. False when a sweep
// would find nothing to do: every host is in and has no ejection on record.
func (d *Detector) NextSweep(hosts *Hosts, now time.Time) (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range hosts.all {
		if h.health.times > 0 || h.health.ejected.Load() {
			passed := now.Sub(d.begun) / d.config.Interval
			return d.begun.Add((passed + 1) * d.config.Interval), true
		}
	}
	return time.Time{}, false
}

// Forget clears the hosts' records: the rules they were made by are gone.
func (d *Detector) Forget(hosts *Hosts) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range hosts.all {
		h.health.ejected.Store(false)
		h.health.errors5xx.Store(0)
		h.health.errorsGateway.Store(0)
		h.health.since, h.health.times = time.Time{}, 0
	}
}

// Ejected is the number of hosts that outlier detection has taken out.
func (hs *Hosts) Ejected() int {
	n := 0
	for _, h := range hs.all {
		if h.Ejected() {
			n++
		}
	}
	return n
}
