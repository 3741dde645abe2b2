package target

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// DNS makes a target of each address behind a name, again and again. While
// the name cannot be resolved, the targets that it had last stay.
type DNS struct {
	name     string // as it was given
	host     string
	port     string // "" for SRV records, which bring theirs
	every    time.Duration
	resolver Resolver
	logger   *slog.Logger

	mu      sync.Mutex
	problem *Problem
}

// DNSOptions say what to look up. Zero fields take the default that stands
// beside them.
type DNSOptions struct {
	// Name is "host:port" for addresses, or "_metrics._tcp.mesh.example" for SRV
	// records.
	Name     string
	Every    time.Duration // 30 s
	Resolver Resolver      // the system's
	Logger   *slog.Logger
}

// NewDNS makes the source. It looks nothing up yet.
func NewDNS(o DNSOptions) (*DNS, error) {
	d := &DNS{name: o.Name, host: o.Name, every: o.Every, resolver: o.Resolver, logger: o.Logger}
	if !strings.HasPrefix(o.Name, "_") {
		host, port, err := net.SplitHostPort(o.Name)
		if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 1 || n > 65535 || host == "" {
			return nil, fmt.Errorf("target name %q: %w: want host:port, or _service._protocol.name for SRV records", o.Name, mesh.ErrInvalid)
		}
		d.host, d.port = host, port
	}
	if d.every <= 0 {
		d.every = 30 * time.Second
	}
	if d.resolver == nil {
		d.resolver = net.DefaultResolver
	}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	return d, nil
}

// Run implements Source.
func (d *DNS) Run(ctx context.Context, update func([]Target)) error {
	ticker := time.NewTicker(d.every)
	defer ticker.Stop()
	var last []Target
	known := false
	for {
		targets, err := d.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			d.failed(err)
		default:
			d.answered()
			if !known || !slices.EqualFunc(last, targets, equal) {
				update(targets)
			}
			last, known = targets, true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look gives the targets, sorted. A name that is known to have no addresses
// has no targets.
func (d *DNS) look(ctx context.Context) ([]Target, error) {
	ctx, cancel := context.WithTimeout(ctx, max(d.every, 2*time.Second))
	defer cancel()
	targets := []Target{}
	add := func(host, port string) {
		targets = append(targets, Target{
			Address: net.JoinHostPort(host, port), Labels: map[string]string{},
			Meta: map[string]string{"__meta_dns_name": d.name},
		})
	}
	if d.port == "" {
		_, records, err := d.resolver.LookupSRV(ctx, "", "", d.host)
		if err != nil && !notThere(err) {
			return nil, fmt.Errorf("look up %s: %w", d.name, err)
		}
		for _, r := range records {
			add(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
		}
	} else {
		addresses, err := d.resolver.LookupHost(ctx, d.host)
		if err != nil && !notThere(err) {
			return nil, fmt.Errorf("look up %s: %w", d.name, err)
		}
		for _, a := range addresses {
			add(a, d.port)
		}
	}
	slices.SortFunc(targets, func(a, b Target) int { return cmp.Compare(a.Address, b.Address) })
	return slices.CompactFunc(targets, equal), nil
}

func notThere(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// Problems implements Reporter.
func (d *DNS) Problems() []Problem {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.problem == nil {
		return nil
	}
	return []Problem{*d.problem}
}

func (d *DNS) failed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.problem == nil {
		d.problem = &Problem{Source: d.name, Since: time.Now()}
		d.logger.Warn("targets cannot be looked up, the last ones stay", "name", d.name, "err", err)
	}
	d.problem.Message = err.Error()
}

func (d *DNS) answered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.problem != nil {
		d.logger.Info("targets can be looked up again", "name", d.name)
	}
	d.problem = nil
}
