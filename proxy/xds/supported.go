package xds

import "strings"

// supportedFields is the part of Envoy's API that this build understands, per
// message. A field that is set and not listed refuses the resource: silence
// would mean that the mesh does something else than its configuration says.
// The values of listed fields are judged by the translation beside.
func supportedFields() map[string]map[string]bool {
	table := make(map[string]map[string]bool)
	for message, names := range map[string]string{
		"envoy.config.listener.v3.Listener": `name address stat_prefix filter_chains traffic_direction metadata
			bind_to_port enable_reuse_port`,
		"envoy.config.listener.v3.FilterChain":      "name filters metadata filter_chain_match",
		"envoy.config.listener.v3.FilterChainMatch": "",
		"envoy.config.listener.v3.Filter":           "name typed_config",
		"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": `stat_prefix codec_type rds
			route_config http_filters upgrade_configs http2_protocol_options normalize_path`,
		"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig": "upgrade_type",
		"envoy.config.core.v3.Http2ProtocolOptions":                                                       "",
		"envoy.extensions.filters.network.http_connection_manager.v3.Rds":                                 "config_source route_config_name",
		"envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter":                          "name typed_config",
		"envoy.extensions.filters.http.router.v3.Router":                                                  "",
		"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy":                                          "stat_prefix cluster idle_timeout",

		"envoy.config.core.v3.ConfigSource":           "ads self resource_api_version initial_fetch_timeout",
		"envoy.config.core.v3.AggregatedConfigSource": "",
		"envoy.config.core.v3.SelfConfigSource":       "transport_api_version",
		"envoy.config.core.v3.Address":                "socket_address",
		"envoy.config.core.v3.SocketAddress":          "protocol address port_value",
		"envoy.config.core.v3.HeaderValueOption":      "header append append_action keep_empty_value",
		"envoy.config.core.v3.HeaderValue":            "key value",
		"envoy.config.core.v3.DataSource":             "inline_string inline_bytes",
		"envoy.config.core.v3.Locality":               "region zone sub_zone",

		"envoy.config.route.v3.RouteConfiguration": `name virtual_hosts validate_clusters metadata request_headers_to_add
			request_headers_to_remove response_headers_to_add response_headers_to_remove`,
		"envoy.config.route.v3.VirtualHost": `name domains routes retry_policy metadata request_headers_to_add
			request_headers_to_remove response_headers_to_add response_headers_to_remove`,
		"envoy.config.route.v3.Route": `name match route redirect direct_response metadata request_headers_to_add
			request_headers_to_remove response_headers_to_add response_headers_to_remove`,
		"envoy.config.route.v3.RouteMatch": `prefix path safe_regex path_separated_prefix case_sensitive headers
			query_parameters grpc`,
		"envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions": "",
		"envoy.config.route.v3.HeaderMatcher": `name exact_match safe_regex_match range_match present_match prefix_match
			suffix_match contains_match string_match invert_match treat_missing_header_as_empty`,
		"envoy.config.route.v3.QueryParameterMatcher": "name string_match present_match",
		"envoy.config.route.v3.RouteAction": `cluster weighted_clusters cluster_not_found_response_code timeout retry_policy
			prefix_rewrite regex_rewrite host_rewrite_literal auto_host_rewrite`,
		"envoy.config.route.v3.WeightedCluster": "clusters total_weight",
		"envoy.config.route.v3.WeightedCluster.ClusterWeight": `name weight request_headers_to_add
			request_headers_to_remove response_headers_to_add response_headers_to_remove`,
		"envoy.config.route.v3.RetryPolicy": `retry_on num_retries per_try_timeout retry_host_predicate
			host_selection_retry_max_attempts retriable_status_codes retry_back_off`,
		"envoy.config.route.v3.RetryPolicy.RetryHostPredicate":                      "name typed_config",
		"envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate":      "",
		"envoy.config.route.v3.RetryPolicy.RetryBackOff":                            "base_interval max_interval",
		"envoy.config.route.v3.RedirectAction":                                      "https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite response_code strip_query",
		"envoy.config.route.v3.DirectResponseAction":                                "status body",
		"envoy.type.matcher.v3.StringMatcher":                                       "exact prefix suffix contains safe_regex ignore_case",
		"envoy.type.matcher.v3.RegexMatcher":                                        "google_re2 regex",
		"envoy.type.matcher.v3.RegexMatcher.GoogleRE2":                              "",
		"envoy.type.matcher.v3.RegexMatchAndSubstitute":                             "pattern substitution",
		"envoy.type.v3.Int64Range":                                                  "start end",
		"envoy.config.cluster.v3.Cluster":                                           "name type eds_cluster_config connect_timeout lb_policy load_assignment typed_extension_protocol_options metadata alt_stat_name circuit_breakers dns_lookup_family dns_refresh_rate respect_dns_ttl",
		"envoy.config.cluster.v3.Cluster.EdsClusterConfig":                          "eds_config service_name",
		"envoy.config.cluster.v3.CircuitBreakers":                                   "thresholds",
		"envoy.config.cluster.v3.CircuitBreakers.Thresholds":                        "priority max_connections max_requests max_retries track_remaining",
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions":                    "common_http_protocol_options explicit_http_config",
		"envoy.config.core.v3.HttpProtocolOptions":                                  "idle_timeout max_requests_per_connection",
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig": "http_protocol_options http2_protocol_options",
		"envoy.config.core.v3.Http1ProtocolOptions":                                 "",
		"envoy.config.endpoint.v3.ClusterLoadAssignment":                            "cluster_name endpoints",
		"envoy.config.endpoint.v3.LocalityLbEndpoints":                              "locality lb_endpoints load_balancing_weight priority metadata",
		"envoy.config.endpoint.v3.LbEndpoint":                                       "endpoint health_status metadata load_balancing_weight",
		"envoy.config.endpoint.v3.Endpoint":                                         "address hostname",
	} {
		fields := make(map[string]bool)
		for _, name := range strings.Fields(names) {
			fields[name] = true
		}
		table[message] = fields
	}
	return table
}
