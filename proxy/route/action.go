package route

import (
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

func (f *Forward) compile() error {
	if len(f.Clusters) == 0 {
		return errors.New("forward without a cluster")
	}
	var total uint64
	for i := range f.Clusters {
		if f.Clusters[i].Cluster == "" {
			return fmt.Errorf("destination %d has no cluster", i)
		}
		total += uint64(f.Clusters[i].Weight)
	}
	if len(f.Clusters) > 1 && total == 0 {
		return errors.New("all weights are 0")
	}
	if err := f.compileHash(); err != nil {
		return err
	}
	if f.Retry != nil {
		if _, err := ParseConditions(f.Retry.On); err != nil {
			return err
		}
	}
	if w := f.RegexRewrite; w != nil && w.re == nil {
		re, err := regexp.Compile(w.Pattern)
		if err != nil {
			return fmt.Errorf("rewrite: %w", err)
		}
		w.re = re
		w.template = backReference.ReplaceAllString(
			strings.ReplaceAll(w.Substitution, "$", "$$"), "$${$1}")
	}
	return nil
}

// backReference finds \1 … \9, as RE2 writes groups in a substitution.
var backReference = regexp.MustCompile(`\\(\d)`)

// Pick draws a destination: each gets weight/Σweights of all draws. Random must
// be uniform over all 64 bits.
func (f *Forward) Pick(random uint64) *Weighted {
	if len(f.Clusters) == 1 {
		return &f.Clusters[0]
	}
	var total uint64
	for i := range f.Clusters {
		total += uint64(f.Clusters[i].Weight)
	}
	// Modulo bias is below 2^-32 for any sum of uint32 weights that is in use.
	at := random % total
	for i := range f.Clusters {
		w := uint64(f.Clusters[i].Weight)
		if at < w {
			return &f.Clusters[i]
		}
		at -= w
	}
	return &f.Clusters[len(f.Clusters)-1]
}

// Rewrite gives the escaped path that goes to the cluster.
func (r *Route) Rewrite(path string) string {
	f := r.Forward
	switch {
	case f == nil:
		return path
	case f.RegexRewrite != nil:
		return f.RegexRewrite.re.ReplaceAllString(path, f.RegexRewrite.template)
	case f.PrefixRewrite != "":
		return rewritePrefix(r.Match.Path, path, f.PrefixRewrite)
	}
	return path
}

// rewritePrefix replaces the part of path that the match took.
func rewritePrefix(m Path, path, with string) string {
	switch m.Kind {
	case PathExact, PathRegex:
		return with
	case PathSeparatedPrefix:
		rest := path[min(len(m.Value), len(path)):]
		if with == "/" && rest != "" {
			return rest
		}
		return strings.TrimSuffix(with, "/") + rest
	default:
		return with + path[min(len(m.Value), len(path)):]
	}
}

// Location gives the address that a redirect sends the client to.
func (r *Route) Location(req *Request) string {
	d := r.Redirect
	scheme, host := req.Scheme, req.Host
	if d.Scheme != "" && d.Scheme != scheme {
		// The old scheme's default port means nothing under the new one.
		name, port, ok := strings.Cut(host, ":")
		if ok && ((scheme == "http" && port == "80") || (scheme == "https" && port == "443")) {
			host = name
		}
		scheme = d.Scheme
	}
	if d.Host != "" {
		host = d.Host
	}
	if d.Port != 0 {
		name := (&url.URL{Host: host}).Hostname()
		if strings.Contains(name, ":") {
			name = "[" + name + "]"
		}
		host = name + ":" + strconv.FormatUint(uint64(d.Port), 10)
	}
	path, query := req.Path, req.Query
	switch {
	case d.Path != "":
		own, q, ok := strings.Cut(d.Path, "?")
		path = own
		if ok {
			query = q
		}
	case d.PrefixRewrite != "":
		path = rewritePrefix(r.Match.Path, path, d.PrefixRewrite)
	}
	if query != "" && !d.StripQuery {
		path += "?" + query
	}
	return scheme + "://" + host + path
}

// Code is the redirect's status.
func (d *Redirect) Code() int {
	if d.Status == 0 {
		return 301
	}
	return d.Status
}

// Apply changes h. It gives the value to use as Host, or "" to keep it.
func (o *HeaderOps) Apply(h Header) (host string) {
	for _, name := range o.Remove {
		delete(h, canonicalName(name))
	}
	for i := range o.Set {
		s := &o.Set[i]
		if strings.EqualFold(s.Name, ":authority") || strings.EqualFold(s.Name, "host") {
			host = s.Value
			continue
		}
		if strings.HasPrefix(s.Name, ":") {
			continue
		}
		key := canonicalName(s.Name)
		_, present := h[key]
		switch {
		case s.Action == AppendOrAdd:
			h[key] = append(h[key], s.Value)
		case s.Action == AddIfAbsent && present, s.Action == OverwriteIfExists && !present:
		default:
			h[key] = []string{s.Value}
		}
	}
	return host
}

func canonicalName(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }
