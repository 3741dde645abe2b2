package forward

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
)

// maxDestinations bounds what an OriginalDst cluster remembers of where clients
// went. Beyond it, hosts that nobody uses just now are forgotten, with nothing
// but their counters.
const maxDestinations = 1024

// destinations are the hosts of an OriginalDst or ByHost cluster, by address.
type destinations struct {
	mu    sync.Mutex
	hosts map[string]*cluster.Host
}

func (d *destinations) host(address string) *cluster.Host {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.hosts[address]; h != nil {
		return h
	}
	if d.hosts == nil {
		d.hosts = make(map[string]*cluster.Host)
	}
	if len(d.hosts) >= maxDestinations {
		maps.DeleteFunc(d.hosts, func(_ string, h *cluster.Host) bool { return h.Active() == 0 })
	}
	h := cluster.NewHost(cluster.Endpoint{Address: address})
	if len(d.hosts) < maxDestinations {
		d.hosts[address] = h
	}
	return h
}

// opened counts a connection to an address.
func (d *destinations) opened(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.hosts[address]; h != nil {
		h.Opened()
	}
}

// Pick draws the host for a request or connection whose context is ctx: where
// its client had dialled, or one of the cluster's endpoints. It is nil when
// there is none. First, tried, attempts and random are those of
// cluster.Hosts.PickOther.
func (u *Upstream) Pick(ctx context.Context, first uint64, tried []*cluster.Host, attempts int, random func() uint64) *cluster.Host {
	if !u.config.OriginalDst {
		return u.Hosts().PickOther(first, tried, attempts, random)
	}
	dst := listen.Destination(ctx)
	if !dst.IsValid() {
		return nil
	}
	return u.destinations.host(dst.String())
}

// pick draws the host for the request: the one that it names, where the cluster
// goes by that.
func (t *tries) pick(first uint64) *cluster.Host {
	u := t.s.upstream
	if !u.config.ByHost {
		return u.Pick(t.s.r.Context(), first, t.tried, t.redraws(), rand.Uint64)
	}
	port := "80"
	if u.config.TLS != nil {
		port = "443"
	}
	address, ok := named(t.s.r.Host, port)
	if !ok {
		return nil
	}
	return u.destinations.host(address)
}

// named gives the address that an authority stands for.
func named(authority, port string) (address string, ok bool) {
	host, given, err := net.SplitHostPort(authority)
	if port = cmp.Or(given, port); err != nil {
		host = strings.Trim(authority, "[]")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}

// knownAs is the TLS to an address of a cluster that goes by the host: without a
// name for all, the host is its own.
func (u *Upstream) knownAs(t *cluster.TLS, address string) *cluster.TLS {
	if !u.config.ByHost || t.SNI != "" {
		return t
	}
	own := *t
	own.SNI, _, _ = net.SplitHostPort(address)
	return &own
}

// errItself: a request that names the sidecar's own port would go round for ever.
var errItself = errors.New("the host that the request names is this sidecar itself")

// notItself refuses to dial the port that the request came in on.
func notItself(ctx context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if own := listen.InfoOf(ctx).Local; err == nil && to.Port() == own.Port() && to.Addr().Unmap() == own.Addr().Unmap() {
		return errItself
	}
	return nil
}
