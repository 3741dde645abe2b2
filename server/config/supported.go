package config

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// supported reports whether the compiler carries a field of Istio's schema.
// The table is by message and JSON name; a message that is not in it is
// reached only through a field that is not either.
//
// Everything that stands here must be read by server/registry or server/xds:
// a field that is accepted and then does nothing is worse than one refused.
func supported(md protoreflect.MessageDescriptor, jsonName string) bool {
	if strings.HasPrefix(string(md.FullName()), "istio.security.v1beta1.") {
		return slices.Contains(securityFields(md.Name()), jsonName)
	}
	switch md.ParentFile().Package() {
	case "sidelight.smi":
		return true // validation refuses what is not carried
	case "sidelight.gatewayapi":
		// What is not carried has no type of ours.
		fd := md.Fields().ByJSONName(jsonName)
		return fd.Message() == nil || fd.Message().FullName() != "google.protobuf.Struct"
	}
	return slices.Contains(routeFields(md.Name()), jsonName) || slices.Contains(serviceFields(md.Name()), jsonName)
}

// securityFields are those of AuthorizationPolicy and PeerAuthentication and of
// what they are made of.
func securityFields(message protoreflect.Name) []string {
	switch message {
	case "AuthorizationPolicy":
		return []string{"selector", "rules", "action"}
	case "Rule":
		return []string{"from", "to", "when"}
	case "From":
		return []string{"source"}
	case "To":
		return []string{"operation"}
	case "Source":
		return []string{"principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts", "notServiceAccounts", "ipBlocks", "notIpBlocks"}
	case "Operation":
		return []string{"hosts", "notHosts", "ports", "notPorts", "methods", "notMethods", "paths", "notPaths"}
	case "Condition":
		return []string{"key", "values", "notValues"}
	case "PeerAuthentication":
		return []string{"selector", "mtls", "portLevelMtls"}
	case "MutualTLS":
		return []string{"mode"}
	}
	return nil
}

// routeFields are those of VirtualService and of what it is made of.
func routeFields(message protoreflect.Name) []string {
	switch message {
	case "VirtualService":
		return []string{"hosts", "gateways", "http", "tls", "tcp", "exportTo"}
	case "HTTPRoute":
		return []string{"name", "match", "route", "redirect", "directResponse", "rewrite", "timeout", "retries", "headers", "mirror", "mirrors", "mirrorPercentage", "mirrorPercent", "fault", "corsPolicy"}
	case "HTTPFaultInjection":
		return []string{"delay", "abort"}
	case "Delay":
		return []string{"fixedDelay", "percentage", "percent"}
	case "Abort":
		return []string{"httpStatus", "grpcStatus", "percentage"}
	case "CorsPolicy":
		return []string{"allowOrigin", "allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders", "maxAge", "allowCredentials", "unmatchedPreflights"}
	case "HTTPMirrorPolicy":
		return []string{"destination", "percentage"}
	case "Percent":
		return []string{"value"}
	case "HTTPMatchRequest":
		return []string{"name", "uri", "method", "authority", "headers", "queryParams", "withoutHeaders", "ignoreUriCase", "port", "sourceLabels", "sourceNamespace", "gateways"}
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
		return []string{"port", "sourceLabels", "sourceNamespace", "gateways"}
	case "TLSRoute":
		return []string{"match", "route"}
	case "TLSMatchAttributes":
		return []string{"sniHosts", "port", "sourceLabels", "sourceNamespace", "gateways"}
	}
	return nil
}

// serviceFields are those of the other kinds and of what they are made of.
func serviceFields(message protoreflect.Name) []string {
	switch message {
	case "DestinationRule":
		return []string{"host", "trafficPolicy", "subsets", "exportTo"}
	case "TrafficPolicy":
		return []string{"loadBalancer", "connectionPool", "outlierDetection", "retryBudget", "tls", "portLevelSettings"}
	case "PortTrafficPolicy":
		return []string{"port", "loadBalancer", "connectionPool", "outlierDetection", "tls"}
	case "ClientTLSSettings":
		return []string{"mode", "clientCertificate", "privateKey", "caCertificates", "subjectAltNames", "sni", "insecureSkipVerify"}
	case "RetryBudget":
		return []string{"percent", "minRetryConcurrency"}
	case "Subset":
		return []string{"name", "labels", "trafficPolicy"}
	case "LoadBalancerSettings":
		return []string{"simple", "consistentHash", "warmup", "warmupDurationSecs", "localityLbSetting"}
	case "LocalityLoadBalancerSetting":
		return []string{"enabled", "failover"}
	case "Failover":
		return []string{"from", "to"}
	case "WarmupConfiguration":
		return []string{"duration", "minimumPercent", "aggression"}
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
		return []string{"hosts", "addresses", "ports", "location", "resolution", "endpoints", "workloadSelector", "exportTo"}
	case "ServicePort":
		return []string{"number", "protocol", "name", "targetPort"}
	case "WorkloadSelector":
		return []string{"labels", "matchLabels"} // of networking, and of the others

	case "Gateway":
		return []string{"selector", "servers"}
	case "Server":
		return []string{"name", "port", "hosts", "tls"}
	case "Port":
		return []string{"number", "protocol", "name"}
	case "ServerTLSSettings":
		return []string{"httpsRedirect", "mode", "serverCertificate", "privateKey", "caCertificates", "subjectAltNames", "minProtocolVersion"}

	case "Sidecar":
		return []string{"workloadSelector", "egress", "outboundTrafficPolicy"}
	case "IstioEgressListener":
		return []string{"hosts"}
	case "OutboundTrafficPolicy":
		return []string{"mode"}

	case "WorkloadEntry":
		return []string{"address", "ports", "labels", "network", "locality", "weight", "serviceAccount"}
	}
	return nil
}
