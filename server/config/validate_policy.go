package config

import (
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1"
	"istio.io/api/networking/v1alpha3"
)

// grpcStatuses are the names of gRPC's statuses, by their numbers.
var grpcStatuses = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// GRPCStatus gives the number of a gRPC status that is given by name or number.
func GRPCStatus(text string) (uint32, bool) {
	if i := slices.Index(grpcStatuses, strings.ToUpper(text)); i >= 0 {
		return uint32(i), true
	}
	n, err := strconv.ParseUint(text, 10, 8)
	return uint32(n), err == nil && int(n) < len(grpcStatuses)
}

func (c *checker) fault(path string, f *networking.HTTPFaultInjection) {
	if f.Delay == nil && f.Abort == nil {
		c.required(path, "delay or abort")
	}
	if d := f.Delay; d != nil {
		at := path + ".delay"
		if fixed, ok := d.HttpDelayType.(*v1alpha3.HTTPFaultInjection_Delay_FixedDelay); ok {
			c.duration(at+".fixedDelay", fixed.FixedDelay)
		} else {
			c.required(at, "fixedDelay")
		}
		c.percent(at+".percentage.value", d.GetPercentage().GetValue())
		c.percent(at+".percent", float64(d.Percent)) //nolint:staticcheck // the old name, still written
		if d.Percentage == nil && d.Percent == 0 {   //nolint:staticcheck // the same
			c.noShare(at)
		}
	}
	if a := f.Abort; a != nil {
		at := path + ".abort"
		switch by := a.ErrorType.(type) {
		case *v1alpha3.HTTPFaultInjection_Abort_HttpStatus:
			if by.HttpStatus < 200 || by.HttpStatus > 599 {
				c.errorf(CodeValue, at+".httpStatus", "", "%s.httpStatus: want 200 to 599, got %d", at, by.HttpStatus)
			}
		case *v1alpha3.HTTPFaultInjection_Abort_GrpcStatus:
			if _, ok := GRPCStatus(by.GrpcStatus); !ok {
				hint := "statuses are " + strings.Join(grpcStatuses, ", ")
				if near := nearest(strings.ToUpper(by.GrpcStatus), grpcStatuses); near != "" {
					hint = "did you mean " + near + "?"
				}
				c.errorf(CodeValue, at+".grpcStatus", hint, "%s.grpcStatus: %q is no gRPC status", at, by.GrpcStatus)
			}
		default:
			c.required(at, "httpStatus or grpcStatus")
		}
		c.percent(at+".percentage.value", a.GetPercentage().GetValue())
		if a.Percentage == nil {
			c.noShare(at)
		}
	}
}

// noShare warns of a fault that nobody gets: without a percentage it is 0.
func (c *checker) noShare(path string) {
	c.warnf(CodeNoEffect, path, "add percentage: {value: 100}", "%s has no percentage, so no request gets it", path)
}

func (c *checker) cors(path string, p *networking.CorsPolicy) {
	old := p.AllowOrigin //nolint:staticcheck // the old form of allowOrigins, still written
	if len(p.AllowOrigins) == 0 && len(old) == 0 {
		c.required(path, "allowOrigins")
	}
	for i, o := range p.AllowOrigins {
		at := path + ".allowOrigins[" + strconv.Itoa(i) + "]"
		if o.GetMatchType() == nil {
			c.required(at, "exact, prefix or regex")
		}
		c.stringMatch(at, o)
		if p.AllowCredentials.GetValue() {
			c.anyOrigin(at, o)
		}
	}
	for _, list := range []struct {
		name   string
		values []string
	}{{"allowMethods", p.AllowMethods}, {"allowHeaders", p.AllowHeaders}, {"exposeHeaders", p.ExposeHeaders}} {
		for i, v := range list.values {
			if v != "*" {
				c.header(path+"."+list.name+"["+strconv.Itoa(i)+"]", v)
			}
		}
	}
	c.timeout(path+".maxAge", p.MaxAge)
	if p.MaxAge.GetNanos() != 0 {
		c.errorf(CodeDuration, path+".maxAge", "", "%s.maxAge: want whole seconds, got %s", path, p.MaxAge.AsDuration())
	}
}
