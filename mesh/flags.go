package mesh

import "strings"

// Flag is a response flag: why a proxy, not the service, decided how a request
// ended. The short forms are Envoy's.
type Flag string

// The flags that Sidelight's sidecar sets, and those it reads from others.
const (
	FlagNone                       Flag = "-"
	FlagNoHealthyUpstream          Flag = "UH"
	FlagUpstreamConnectionFailure  Flag = "UF"
	FlagUpstreamOverflow           Flag = "UO"
	FlagNoRouteFound               Flag = "NR"
	FlagNoClusterFound             Flag = "NC"
	FlagUpstreamRetryLimitExceeded Flag = "URX"
	FlagUpstreamRequestTimeout     Flag = "UT"
	FlagUpstreamConnectionTerm     Flag = "UC"
	FlagUpstreamRemoteReset        Flag = "UR"
	FlagUpstreamProtocolError      Flag = "UPE"
	FlagDownstreamTermination      Flag = "DC"
	FlagDownstreamProtocolError    Flag = "DPE"
	FlagDelayInjected              Flag = "DI"
	FlagFaultInjected              Flag = "FI"
	FlagRateLimited                Flag = "RL"
	FlagLocalReset                 Flag = "LR"
	FlagStreamIdleTimeout          Flag = "SI"
	FlagDurationTimeout            Flag = "DT"
	FlagDNSFailure                 Flag = "DF"
	FlagUnauthorized               Flag = "UAEX"
	FlagOverload                   Flag = "OM"
	FlagRateLimitServiceError      Flag = "RLSE"
)

// FlagMeaning says in a few plain words what a flag means, for people. An
// unknown flag gives "".
func FlagMeaning(f Flag) string { return flagMeanings[f] }

// WhyAnswered says in a few plain words why a proxy answered or cut a caller
// off, from the flags, the details and the configuration object that it gave.
// "" where the flags say nothing.
func WhyAnswered(flags, details, object string) string {
	if details == "filter_chain_not_found" { // its flag is that of a missing route
		if strings.HasPrefix(object, "PeerAuthentication ") {
			return "mutual TLS is required"
		}
		return "nothing takes this connection"
	}
	for flag := range strings.SplitSeq(flags, ",") {
		if meaning := FlagMeaning(Flag(flag)); meaning != "" {
			return meaning
		}
	}
	return ""
}

var flagMeanings = map[Flag]string{
	FlagNoHealthyUpstream:          "no healthy endpoint",
	FlagUpstreamConnectionFailure:  "could not connect",
	FlagUpstreamOverflow:           "circuit breaker: pool or queue full",
	FlagNoRouteFound:               "no route matched",
	FlagNoClusterFound:             "route names an unknown cluster",
	FlagUpstreamRetryLimitExceeded: "retries used up",
	FlagUpstreamRequestTimeout:     "no answer in time",
	FlagUpstreamConnectionTerm:     "upstream closed the connection",
	FlagUpstreamRemoteReset:        "upstream reset the stream",
	FlagUpstreamProtocolError:      "upstream broke the protocol",
	FlagDownstreamTermination:      "client went away",
	FlagDownstreamProtocolError:    "client broke the protocol",
	FlagDelayInjected:              "delay injected",
	FlagFaultInjected:              "fault injected",
	FlagRateLimited:                "rate limited",
	FlagLocalReset:                 "reset by this proxy",
	FlagStreamIdleTimeout:          "stream idle too long",
	FlagDurationTimeout:            "connection too old",
	FlagDNSFailure:                 "name did not resolve",
	FlagUnauthorized:               "denied by external authorization",
	FlagOverload:                   "proxy overloaded",
	FlagRateLimitServiceError:      "rate limit service failed",
}
