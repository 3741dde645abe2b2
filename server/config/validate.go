package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1"
	security "istio.io/api/security/v1beta1"

	"github.com/sidelight-mesh/sidelight/server/config/gatewayapi"
	"github.com/sidelight-mesh/sidelight/server/config/smi"
)

// validate finds what is wrong inside one object that its schema cannot say.
// The rules are those of Istio's own validation, for the fields that are
// supported; what needs other objects is Options.Check's part.
func validate(o *Object) []Problem {
	c := &checker{object: o}
	c.rateLimit()
	switch spec := o.Spec.(type) {
	case *networking.VirtualService:
		c.virtualService(spec)
	case *networking.DestinationRule:
		c.destinationRule(spec)
	case *networking.ServiceEntry:
		c.serviceEntry(spec)
	case *security.AuthorizationPolicy:
		c.authorizationPolicy(spec)
	case *security.PeerAuthentication:
		c.peerAuthentication(spec)
	case *networking.Gateway:
		c.gateway(spec)
	case *networking.Sidecar:
		c.sidecar(spec)
	case *networking.WorkloadEntry:
		c.workloadEntry(spec, "spec")
	case *gatewayapi.HTTPRoute:
		c.httpRouteObject(spec)
	case *gatewayapi.GRPCRoute:
		c.grpcRouteObject(spec)
	case *smi.TrafficSplit:
		c.trafficSplit(spec)
	case *smi.TrafficTarget:
		c.trafficTarget(spec)
	case *smi.HTTPRouteGroup:
		c.routeGroup(spec)
	case *smi.TCPRoute:
		c.tcpTraffic(spec)
	}
	return c.problems
}

type checker struct {
	object   *Object
	problems []Problem
}

func (c *checker) errorf(code, path, hint, format string, args ...any) {
	c.problems = append(c.problems, c.object.Problem(SeverityError, code, path, fmt.Sprintf(format, args...), hint))
}

func (c *checker) warnf(code, path, hint, format string, args ...any) {
	c.problems = append(c.problems, c.object.Problem(SeverityWarning, code, path, fmt.Sprintf(format, args...), hint))
}

func (c *checker) unsupported(path, what string) {
	c.errorf(CodeUnsupported, path, "remove it, or wait for a version that has it", "%s: %s is not supported yet", path, what)
}

func (c *checker) required(path, what string) {
	c.errorf(CodeRequired, path, "", "%s is missing", joinWords(path, what))
}

func joinWords(path, what string) string {
	if what == "" {
		return path
	}
	return path + ": " + what
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*\.?$`)

// host checks the name of one host.
func (c *checker) host(path, host string) {
	switch {
	case host == "":
		c.errorf(CodeRequired, path, "", "%s is empty", path)
	case strings.HasPrefix(host, "*"):
		c.errorf(CodeHost, path, "name one host", "%s: %q stands for many hosts, and here is room for one", path, host)
	case len(host) > 255 || !hostForm.MatchString(host) && !isIP(host):
		c.errorf(CodeHost, path, "a host has no scheme, port or path", "%s: %q is not a host name", path, host)
	}
}

// pattern checks the name of a host, or "*.name" for all hosts below one.
func (c *checker) pattern(path, host string) { c.host(path, strings.TrimPrefix(host, "*.")) }

// hosts checks what an object is for.
func (c *checker) hosts(path string, hosts []string) {
	if len(hosts) == 0 {
		c.required(path, "")
	}
	for i, h := range hosts {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.pattern(at, h)
		if slices.Contains(hosts[:i], h) {
			c.errorf(CodeSameName, at, "remove one of them", "%s: the host %q is given twice", at, h)
		}
	}
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

func (c *checker) exportTo(namespaces []string) {
	for i, ns := range namespaces {
		path := fmt.Sprintf("spec.exportTo[%d]", i)
		if ns != "*" && ns != "." && ns != "~" && !labelForm.MatchString(ns) {
			c.errorf(CodeValue, path, `use "*" for all, "." for its own, "~" for none, or a namespace's name`, "%s: %q is not a namespace", path, ns)
		}
	}
}

func (c *checker) port(path string, number uint32) {
	if number < 1 || number > 65535 {
		c.errorf(CodePort, path, "", "%s: %d is not a port, want 1 to 65535", path, number)
	}
}

// duration checks a duration that must be at least one millisecond when given,
// the resolution of Envoy's timers.
func (c *checker) duration(path string, d *durationpb.Duration) {
	if d == nil {
		return
	}
	if v := d.AsDuration(); v < time.Millisecond || v > 365*24*time.Hour {
		c.errorf(CodeDuration, path, "", "%s: %s is out of range, want 1ms to 8760h", path, v)
	}
}

// timeout checks a duration for which zero means none.
func (c *checker) timeout(path string, d *durationpb.Duration) {
	if d.AsDuration() != 0 {
		c.duration(path, d)
	}
}

func (c *checker) regex(path, expression string) {
	if len(expression) > 1024 {
		c.errorf(CodeRegex, path, "", "%s: the expression has %d bytes, more than 1024", path, len(expression))
	} else if _, err := regexp.Compile(expression); err != nil {
		c.errorf(CodeRegex, path, "the syntax is RE2's, which has no look-around and no back-references", "%s: %v", path, err)
	}
}

// headerName is a field name of RFC 9110.
var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (c *checker) header(path, name string) {
	if !headerName.MatchString(name) {
		c.errorf(CodeHeader, path, "", "%s: %q is not a header name", path, name)
	}
}

func (c *checker) headerValue(path, value string) {
	if strings.ContainsAny(value, "\r\n\x00") {
		c.errorf(CodeHeader, path, "", "%s: a header value has no line breaks", path)
	}
}

func (c *checker) labels(path string, labels map[string]string) {
	for _, k := range sortedKeys(labels) {
		if k == "" || len(k) > 317 || len(labels[k]) > 63 {
			c.errorf(CodeValue, path+"["+k+"]", "a label's value has at most 63 bytes", "%s: %q is not a label", path, k+"="+labels[k])
		}
	}
}
