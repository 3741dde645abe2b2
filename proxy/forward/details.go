package forward

// Why an answer came to be, in Envoy's words (response_code_details). All but
// the first mean that this proxy, not the service, decided.
const (
	DetailsViaUpstream          = "via_upstream"
	DetailsRouteNotFound        = "route_not_found"
	DetailsRouteConfigNotFound  = "route_configuration_not_found"
	DetailsClusterNotFound      = "cluster_not_found"
	DetailsNoHealthyUpstream    = "no_healthy_upstream"
	DetailsDirectResponse       = "direct_response"
	DetailsMissingHost          = "missing_host_header"
	DetailsResponseTimeout      = "response_timeout"
	DetailsPerTryTimeout        = "upstream_per_try_timeout"
	DetailsEarlyReset           = "upstream_reset_before_response_started"
	DetailsLateReset            = "upstream_reset_after_response_started"
	DetailsDownstreamDisconnect = "downstream_remote_disconnect"
	DetailsCodecError           = "http1.codec_error"
	DetailsCORS                 = "cors_response"
	DetailsFaultAbort           = "fault_filter_abort"
	DetailsRateLimited          = "local_rate_limited"
	DetailsUpgradeFailed        = "upgrade_failed"
)
