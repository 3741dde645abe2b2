package config

import (
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// supported reports whether the compiler carries a field of Istio's schema.
// The table is by message and JSON name; a message that is not in it is
// reached only through a field that is not either.
//
// Everything that stands here must be read by server/registry or server/xds:
// a field that is accepted and then does nothing is worse than one refused.
func supported(md protoreflect.MessageDescriptor, jsonName string) bool {
	return slices.Contains(routeFields(md.Name()), jsonName) || slices.Contains(serviceFields(md.Name()), jsonName)
}

// routeFields are those of VirtualService and of what it is made of.
func routeFields(message protoreflect.Name) []string {
	switch message {
	case "VirtualService":
		return []string{"hosts", "gateways", "http", "tcp", "exportTo"}
	case "HTTPRoute":
		return []string{"name", "match", "route", "redirect", "directResponse", "rewrite", "timeout", "retries", "headers", "mirror", "mirrors", "mirrorPercentage", "mirrorPercent"}
	case "HTTPMirrorPolicy":
		return []string{"destination", "percentage"}
	case "Percent":
		return []string{"value"}
	case "HTTPMatchRequest":
		return []string{"name", "uri", "method", "authority", "headers", "queryParams", "withoutHeaders", "ignoreUriCase", "port", "sourceNamespace"}
	case "StringMatch":
		return []string{"exact", "prefix", "regex"}
	case "HTTPRouteDestination":
		return []string{"destination", "weight", "headers"}
	case "RouteDestination":
		return []string{"destination", "weight"}
	case "Destination":
		return []string{"host", "subset", "port"}
	case "PortSelector":
		return []string{"number"}
	case "Headers":
		return []string{"request", "response"}
	case "HeaderOperations":
		return []string{"set", "add", "remove"}
	case "HTTPRedirect":
		return []string{"uri", "prefixRewrite", "authority", "port", "derivePort", "scheme", "redirectCode"}
	case "HTTPDirectResponse":
		return []string{"status", "body"}
	case "HTTPBody":
		return []string{"string", "bytes"}
	case "HTTPRewrite":
		return []string{"uri", "authority", "uriRegexRewrite"}
	case "RegexRewrite":
		return []string{"match", "rewrite"}
	case "HTTPRetry":
		return []string{"attempts", "perTryTimeout", "retryOn", "backoff"}
	case "TCPRoute":
		return []string{"match", "route"}
	case "L4MatchAttributes":
		return []string{"port", "sourceNamespace"}
	}
	return nil
}

// serviceFields are those of the other kinds and of what they are made of.
func serviceFields(message protoreflect.Name) []string {
	switch message {
	case "DestinationRule":
		return []string{"host", "trafficPolicy", "subsets", "exportTo"}
	case "TrafficPolicy":
		return []string{"loadBalancer", "connectionPool", "outlierDetection"}
	case "Subset":
		return []string{"name", "labels", "trafficPolicy"}
	case "LoadBalancerSettings":
		return []string{"simple", "consistentHash"}
	case "ConsistentHashLB":
		return []string{"httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName", "ringHash", "maglev", "minimumRingSize"}
	case "HTTPCookie":
		return []string{"name", "path", "ttl"}
	case "RingHash":
		return []string{"minimumRingSize"}
	case "MagLev":
		return []string{"tableSize"}
	case "ConnectionPoolSettings":
		return []string{"tcp", "http"}
	case "TCPSettings":
		return []string{"maxConnections", "connectTimeout"}
	case "HTTPSettings":
		return []string{"http1MaxPendingRequests", "http2MaxRequests", "maxRequestsPerConnection", "maxRetries", "idleTimeout"}
	case "OutlierDetection":
		return []string{
			"consecutiveErrors", "consecutive5xxErrors", "consecutiveGatewayErrors",
			"interval", "baseEjectionTime", "maxEjectionPercent", "minHealthPercent",
		}

	case "ServiceEntry":
		return []string{"hosts", "ports", "location", "resolution", "endpoints", "workloadSelector", "exportTo"}
	case "ServicePort":
		return []string{"number", "protocol", "name", "targetPort"}
	case "WorkloadSelector":
		return []string{"labels"}

	case "WorkloadEntry":
		return []string{"address", "ports", "labels", "network", "locality", "weight", "serviceAccount"}
	}
	return nil
}
