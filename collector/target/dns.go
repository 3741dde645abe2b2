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
	poll
	host     string
	port     string // "" for SRV records, which bring theirs
	resolver Resolver
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
	host, port := o.Name, ""
	if !strings.HasPrefix(o.Name, "_") {
		var err error
		host, port, err = net.SplitHostPort(o.Name)
		if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 1 || n > 65535 || host == "" {
			return nil, fmt.Errorf("target name %q: %w: want host:port, or _service._protocol.name for SRV records", o.Name, mesh.ErrInvalid)
		}
	}
	if o.Every <= 0 {
		o.Every = 30 * time.Second
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &DNS{host: host, port: port, resolver: o.Resolver}
	d.poll = poll{of: o.Name, every: o.Every, ask: d.look, logger: o.Logger}
	return d, nil
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
			Meta: map[string]string{"__meta_dns_name": d.of},
		})
	}
	if d.port == "" {
		_, records, err := d.resolver.LookupSRV(ctx, "", "", d.host)
		if err != nil && !notThere(err) {
			return nil, fmt.Errorf("look up %s: %w", d.of, err)
		}
		for _, r := range records {
			add(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
		}
	} else {
		addresses, err := d.resolver.LookupHost(ctx, d.host)
		if err != nil && !notThere(err) {
			return nil, fmt.Errorf("look up %s: %w", d.of, err)
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
