package xds

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/meshv1"
)

// account is the sidecar's own record of what it runs. Accepted is not applied:
// a resource enters when the runtime has it.
type account struct {
	mu       sync.Mutex
	runs     map[resourceKey]running
	failed   map[resourceKey]refusal // accepted, and the runtime could not apply it
	revision uint64
	fromDisk bool
	any      bool // something was applied
	waiting  []need

	changed chan struct{} // holds one token while the control plane should be told
}

// running is a resource that the runtime has.
type running struct {
	version  string
	revision uint64
	at       time.Time
	packed   *anypb.Any // shared with the store, for dumps
}

func newAccount() *account {
	return &account{runs: make(map[resourceKey]running), changed: make(chan struct{}, 1)}
}

// applied records that the runtime swapped to c.
func (a *account) applied(c *candidate, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	runs := make(map[resourceKey]running)
	for kind, t := range c.types {
		for name, r := range t.resources {
			key := resourceKey{kind, name}
			now := running{version: r.version, revision: r.revision, at: at, packed: r.packed}
			if before, ok := a.runs[key]; ok && before.version == r.version && before.revision == r.revision {
				now.at = before.at
			}
			runs[key] = now
		}
	}
	a.runs, a.failed = runs, nil
	a.revision, a.fromDisk, a.any = c.revision(), !c.heard, true
	a.notify()
}

// applyFailed records that c differs from what runs, and why it could not be
// applied. The runtime does not tell which part is at fault, so each part that
// would have changed carries the reason.
func (a *account) applyFailed(c, active *candidate, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = make(map[resourceKey]refusal)
	for kind, t := range c.types {
		for name, r := range t.resources {
			if active != nil && active.types[kind].resources[name] == r {
				continue
			}
			a.failed[resourceKey{kind, name}] = refusal{version: r.version, reason: "does not apply: " + err.Error(), at: time.Now()}
		}
	}
	a.notify()
}

func (a *account) waitsFor(needs []need) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = needs
}

// notify says that the control plane should hear the account again.
func (a *account) notify() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// Status is what the sidecar knows about its own configuration, for its admin
// port.
type Status struct {
	Server      string           `json:"server"`
	Connected   bool             `json:"connected"`
	Since       time.Time        `json:"since,omitzero"` // of being connected, or not
	LastError   string           `json:"last_error,omitempty"`
	LastUpdate  time.Time        `json:"last_update,omitzero"`
	Configured  bool             `json:"configured"` // some configuration is applied
	FromDisk    bool             `json:"from_disk"`  // and no control plane was heard yet
	Revision    uint64           `json:"revision"`
	WaitingFor  []string         `json:"waiting_for"`
	Resources   []ResourceStatus `json:"resources"`
	NodeID      string           `json:"node_id"`
	FaultActive bool             `json:"fault_active,omitempty"`
}

// ResourceStatus is one resource's state. Version is the one that runs, "" when
// none does.
type ResourceStatus struct {
	Type         string    `json:"type"` // listener | route | cluster | endpoint
	Name         string    `json:"name"`
	Version      string    `json:"version"`
	Revision     uint64    `json:"revision,omitempty"`
	AppliedAt    time.Time `json:"applied_at,omitzero"`
	Error        string    `json:"error,omitempty"` // why the newest version does not run
	ErrorVersion string    `json:"error_version,omitempty"`
	ErrorAt      time.Time `json:"error_at,omitzero"`
}

// resources merges what runs with what was refused, by type and name.
func (a *account) resources(refused map[resourceKey]refusal) []ResourceStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	byKey := make(map[resourceKey]ResourceStatus, len(a.runs))
	for key, r := range a.runs {
		byKey[key] = ResourceStatus{Type: key.kind, Name: key.name, Version: r.version, Revision: r.revision, AppliedAt: r.at}
	}
	for _, errs := range []map[resourceKey]refusal{a.failed, refused} {
		for key, e := range errs {
			s := byKey[key]
			s.Type, s.Name = key.kind, key.name
			s.Error, s.ErrorVersion, s.ErrorAt = e.reason, e.version, e.at
			byKey[key] = s
		}
	}
	out := make([]ResourceStatus, 0, len(byKey))
	for _, s := range byKey {
		out = append(out, s)
	}
	slices.SortFunc(out, func(x, y ResourceStatus) int {
		return cmp.Or(cmp.Compare(x.Type, y.Type), cmp.Compare(x.Name, y.Name))
	})
	return out
}

// Status gives a picture of the moment.
func (c *Client) Status() Status {
	resources := c.account.resources(c.store.refusals())
	lastUpdate, _ := c.store.lastHeard()
	c.mu.Lock()
	server := c.server
	c.mu.Unlock()
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	s := Status{
		Server:      server.address,
		Connected:   c.connected.Load(),
		Since:       server.since,
		LastError:   server.lastError,
		LastUpdate:  lastUpdate,
		Configured:  c.account.any,
		FromDisk:    c.account.fromDisk,
		Revision:    c.account.revision,
		WaitingFor:  []string{},
		Resources:   resources,
		NodeID:      c.opts.Node.ID,
		FaultActive: c.stalled.Load(),
	}
	for _, n := range c.account.waiting {
		s.WaitingFor = append(s.WaitingFor, n.String())
	}
	return s
}

// Configured reports whether some configuration is applied: what readiness
// asks.
func (c *Client) Configured() bool {
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	return c.account.any
}

// teller tells the account on one agent stream: whole, and then what changed.
type teller struct {
	told map[resourceKey]toldOf // nil: nothing yet
}

// toldOf is what was told of a resource. When it was applied is not told anew.
type toldOf struct{ version, reason, refused string }

// message gives what is to be told now.
func (l *teller) message(c *Client) *meshv1.Applied {
	resources := c.account.resources(c.store.refusals())
	c.account.mu.Lock()
	m := &meshv1.Applied{Revision: c.account.revision, FromDisk: c.account.fromDisk, Partial: l.told != nil}
	c.account.mu.Unlock()
	told := make(map[resourceKey]toldOf, len(resources))
	for _, r := range resources {
		key, now := resourceKey{r.Type, r.Name}, toldOf{r.Version, r.Error, r.ErrorVersion}
		told[key] = now
		if was, known := l.told[key]; known && was == now {
			continue
		}
		x := &meshv1.AppliedResource{
			TypeUrl: mesh.TypeURL(r.Type), Name: r.Name, Version: r.Version, Error: r.Error, ErrorVersion: r.ErrorVersion,
		}
		if !r.AppliedAt.IsZero() {
			x.AppliedAt = timestamppb.New(r.AppliedAt)
		}
		m.Resources = append(m.Resources, x)
	}
	for key := range l.told {
		if _, still := told[key]; !still {
			m.Resources = append(m.Resources, &meshv1.AppliedResource{TypeUrl: mesh.TypeURL(key.kind), Name: key.name})
		}
	}
	l.told = told
	return m
}
