package intercept

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// table is the one table that is ours.
const table = "inet sidelight"

// mark and routes tie packets of TPROXY to a routing table that delivers them
// here, whatever their destination. The numbers are Istio's, which a workload
// has only one of.
const (
	mark   = 1337
	routes = 133
)

// Rules gives the nftables transaction that makes exactly these options hold.
func (o *Options) Rules() string {
	var b strings.Builder
	b.WriteString(Removal())
	fmt.Fprintf(&b, "table %s {\n", table)
	if o.OutboundPort != 0 {
		o.output(&b)
	}
	if o.InboundPort != 0 {
		o.prerouting(&b)
	}
	b.WriteString("}\n")
	return b.String()
}

// Removal gives the transaction that takes the rules away. Naming the table
// first makes it one that works without it, too.
func Removal() string {
	return fmt.Sprintf("table %s {}\ndelete table %s\n", table, table)
}

// output takes what processes here send, before it is routed.
func (o *Options) output(b *strings.Builder) {
	// The number stands for dstnat, a name that older nft refuses in output.
	b.WriteString("\tchain output {\n\t\ttype nat hook output priority -100; policy accept;\n")
	o.families(b)
	rule(b, `oifname "lo" return`)
	o.unless(b, "meta skuid", numbers(o.ExcludeUIDs))
	o.unless(b, "meta skgid", numbers(o.ExcludeGIDs))
	o.unless(b, "tcp dport", numbers(o.ExcludeOutboundPorts))
	v4, v6 := prefixes(o.ExcludeOutboundCIDRs)
	unlessAddress(b, "ipv4", "ip daddr", v4)
	unlessAddress(b, "ipv6", "ip6 daddr", v6)
	if len(o.IncludeOutboundCIDRs) > 0 {
		v4, v6 := prefixes(o.IncludeOutboundCIDRs)
		only(b, "ipv4", "ip daddr", v4)
		only(b, "ipv6", "ip6 daddr", v6)
	}
	rule(b, fmt.Sprintf("meta l4proto tcp redirect to :%d", o.OutboundPort))
	b.WriteString("\t}\n")
}

// prerouting takes what comes in from elsewhere.
func (o *Options) prerouting(b *strings.Builder) {
	if o.Mode == TProxy {
		b.WriteString("\tchain prerouting {\n\t\ttype filter hook prerouting priority -150; policy accept;\n")
	} else {
		b.WriteString("\tchain prerouting {\n\t\ttype nat hook prerouting priority -100; policy accept;\n")
	}
	o.families(b)
	rule(b, `iifname "lo" return`)
	if len(o.ExcludeInterfaces) > 0 {
		quoted := make([]string, 0, len(o.ExcludeInterfaces))
		for _, name := range o.ExcludeInterfaces {
			quoted = append(quoted, strconv.Quote(name))
		}
		o.unless(b, "iifname", quoted)
	}
	o.unless(b, "tcp dport", numbers(o.ExcludeInboundPorts))
	if len(o.IncludeInboundPorts) > 0 {
		rule(b, "tcp dport != "+set(numbers(o.IncludeInboundPorts))+" return")
	}
	if o.Mode == TProxy {
		o.transparent(b)
	} else {
		rule(b, fmt.Sprintf("meta l4proto tcp redirect to :%d", o.InboundPort))
	}
	b.WriteString("\t}\n")
}

// transparent hands packets to the sidecar's socket as they are. Replies to
// connections that the sidecar itself opened belong to sockets that are not
// transparent, and are left alone.
func (o *Options) transparent(b *strings.Builder) {
	rule(b, "ct direction reply return")
	if o.IPv4 {
		rule(b, fmt.Sprintf("meta nfproto ipv4 meta l4proto tcp tproxy ip to :%d meta mark set %d accept", o.InboundPort, mark))
	}
	if o.IPv6 {
		rule(b, fmt.Sprintf("meta nfproto ipv6 meta l4proto tcp tproxy ip6 to :%d meta mark set %d accept", o.InboundPort, mark))
	}
}

func (o *Options) families(b *strings.Builder) {
	switch {
	case !o.IPv6:
		rule(b, "meta nfproto != ipv4 return")
	case !o.IPv4:
		rule(b, "meta nfproto != ipv6 return")
	}
}

// unless lets pass what is in the set.
func (o *Options) unless(b *strings.Builder, what string, values []string) {
	if len(values) > 0 {
		rule(b, what+" "+set(values)+" return")
	}
}

// unlessAddress lets pass destinations in the set.
func unlessAddress(b *strings.Builder, family, what string, values []string) {
	switch {
	case len(values) == 0:
	case everything(values):
		rule(b, "meta nfproto "+family+" return")
	default:
		rule(b, what+" "+set(values)+" return")
	}
}

// only lets pass what is not in the set; all of the family when the set has
// nothing of it.
func only(b *strings.Builder, family, what string, values []string) {
	switch {
	case len(values) == 0:
		rule(b, "meta nfproto "+family+" return")
	case everything(values):
	default:
		rule(b, what+" != "+set(values)+" return")
	}
}

// everything reports whether a set is the whole family, which nft does not take
// as an interval.
func everything(values []string) bool { return strings.HasSuffix(values[0], "/0") }

func rule(b *strings.Builder, text string) { b.WriteString("\t\t" + text + "\n") }

func set(values []string) string { return "{ " + strings.Join(values, ", ") + " }" }

// numbers writes each number once, in order.
func numbers[N uint16 | uint32](list []N) []string {
	sorted := slices.Compact(slices.Sorted(slices.Values(list)))
	out := make([]string, 0, len(sorted))
	for _, n := range sorted {
		out = append(out, strconv.FormatUint(uint64(n), 10))
	}
	return out
}

// prefixes parts addresses by family. One that lies within another is left out,
// because a set's intervals must not overlap.
func prefixes(list []netip.Prefix) (v4, v6 []string) {
	sorted := make([]netip.Prefix, 0, len(list))
	for _, p := range list {
		sorted = append(sorted, p.Masked())
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		return cmp.Or(cmp.Compare(a.Bits(), b.Bits()), a.Addr().Compare(b.Addr()))
	})
	var kept []netip.Prefix
	for _, p := range sorted {
		if !slices.ContainsFunc(kept, func(k netip.Prefix) bool { return k.Overlaps(p) }) {
			kept = append(kept, p)
		}
	}
	for _, p := range kept {
		if p.Addr().Is4() {
			v4 = append(v4, p.String())
		} else {
			v6 = append(v6, p.String())
		}
	}
	return v4, v6
}
