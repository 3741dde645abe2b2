package xds

import "strings"

// supportedFields is the part of Envoy's API that this build understands: the
// fields of each message, by message. A field that is set and not listed refuses
// the resource: silence would mean that the mesh does something else than its
// configuration says. The values of listed fields are judged by the translation
// beside.
func supportedFields() map[string]map[string]bool {
	table := make(map[string]map[string]bool)
	for line := range strings.Lines(supportedTable) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		fields := make(map[string]bool)
		for _, name := range words[1:] {
			fields[name] = true
		}
		table["envoy."+words[0]] = fields
	}
	return table
}

const headerFields = " request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove\n"

// supportedTable has one message a line, without the "envoy." in front, and its
// fields behind it.
const supportedTable = `
config.bootstrap.v3.Bootstrap node admin static_resources
config.bootstrap.v3.Bootstrap.StaticResources listeners clusters
config.bootstrap.v3.Admin address
config.core.v3.Node id cluster metadata

config.listener.v3.Listener name address stat_prefix filter_chains listener_filters traffic_direction metadata bind_to_port use_original_dst transparent enable_reuse_port
config.listener.v3.FilterChain name filters metadata filter_chain_match transport_socket
config.listener.v3.FilterChainMatch transport_protocol application_protocols server_names
config.listener.v3.ListenerFilter name typed_config
extensions.filters.listener.tls_inspector.v3.TlsInspector
config.listener.v3.Filter name typed_config

extensions.filters.network.http_connection_manager.v3.HttpConnectionManager stat_prefix codec_type rds route_config http_filters upgrade_configs http2_protocol_options normalize_path use_remote_address
extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig upgrade_type enabled
extensions.filters.network.http_connection_manager.v3.Rds config_source route_config_name
extensions.filters.network.http_connection_manager.v3.HttpFilter name typed_config
extensions.filters.http.router.v3.Router
extensions.filters.http.cors.v3.Cors
extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig dns_cache_config
extensions.filters.http.cors.v3.CorsPolicy allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials filter_enabled forward_not_matching_preflights
extensions.filters.http.local_ratelimit.v3.LocalRateLimit stat_prefix status token_bucket filter_enabled filter_enforced enable_x_ratelimit_headers rate_limited_as_resource_exhausted
type.v3.TokenBucket max_tokens tokens_per_fill fill_interval
type.v3.HttpStatus code
extensions.filters.http.fault.v3.HTTPFault delay abort
extensions.filters.http.fault.v3.FaultAbort http_status grpc_status percentage response_body
extensions.filters.common.fault.v3.FaultDelay fixed_delay percentage
extensions.filters.network.tcp_proxy.v3.TcpProxy stat_prefix cluster weighted_clusters idle_timeout
extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster clusters
extensions.filters.network.tcp_proxy.v3.TcpProxy.WeightedCluster.ClusterWeight name weight

config.core.v3.ConfigSource ads self resource_api_version initial_fetch_timeout
config.core.v3.AggregatedConfigSource
config.core.v3.SelfConfigSource transport_api_version
config.core.v3.Address socket_address
config.core.v3.SocketAddress protocol address port_value
config.core.v3.HeaderValueOption header append append_action keep_empty_value
config.core.v3.HeaderValue key value
config.core.v3.DataSource inline_string inline_bytes filename
config.core.v3.Locality region zone sub_zone
config.core.v3.HttpProtocolOptions idle_timeout max_requests_per_connection
config.core.v3.Http1ProtocolOptions
config.core.v3.Http2ProtocolOptions allow_connect

config.route.v3.RouteConfiguration name virtual_hosts validate_clusters metadata` + headerFields + `
config.route.v3.VirtualHost name domains routes retry_policy metadata typed_per_filter_config` + headerFields + `
config.route.v3.Route name match route redirect direct_response metadata typed_per_filter_config` + headerFields + `
config.route.v3.RouteMatch prefix path safe_regex path_separated_prefix connect_matcher case_sensitive headers query_parameters grpc
config.route.v3.RouteMatch.GrpcRouteMatchOptions
config.route.v3.RouteMatch.ConnectMatcher
config.route.v3.HeaderMatcher name exact_match safe_regex_match range_match present_match prefix_match suffix_match contains_match string_match invert_match treat_missing_header_as_empty
config.route.v3.QueryParameterMatcher name string_match present_match
config.route.v3.RouteAction cluster weighted_clusters cluster_not_found_response_code timeout max_grpc_timeout retry_policy prefix_rewrite regex_rewrite host_rewrite_literal auto_host_rewrite hash_policy request_mirror_policies upgrade_configs
config.route.v3.RouteAction.UpgradeConfig upgrade_type enabled connect_config
config.route.v3.RouteAction.UpgradeConfig.ConnectConfig
config.route.v3.RouteAction.HashPolicy header cookie connection_properties query_parameter terminal
config.route.v3.RouteAction.HashPolicy.Header header_name
config.route.v3.RouteAction.HashPolicy.Cookie name ttl path
config.route.v3.RouteAction.HashPolicy.ConnectionProperties source_ip
config.route.v3.RouteAction.HashPolicy.QueryParameter name
config.route.v3.RouteAction.RequestMirrorPolicy cluster runtime_fraction trace_sampled disable_shadow_host_suffix_append
config.core.v3.RuntimeFractionalPercent default_value
type.v3.FractionalPercent numerator denominator
config.route.v3.WeightedCluster clusters total_weight
config.route.v3.WeightedCluster.ClusterWeight name weight` + headerFields + `
config.route.v3.RetryPolicy retry_on num_retries per_try_timeout retry_host_predicate host_selection_retry_max_attempts retriable_status_codes retry_back_off
config.route.v3.RetryPolicy.RetryHostPredicate name typed_config
config.route.v3.RetryPolicy.RetryBackOff base_interval max_interval
extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate
config.route.v3.RedirectAction https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite response_code strip_query
config.route.v3.DirectResponseAction status body

type.matcher.v3.StringMatcher exact prefix suffix contains safe_regex ignore_case
type.matcher.v3.RegexMatcher google_re2 regex
type.matcher.v3.RegexMatcher.GoogleRE2
type.matcher.v3.RegexMatchAndSubstitute pattern substitution
type.v3.Int64Range start end

config.cluster.v3.Cluster name type cluster_type eds_cluster_config connect_timeout lb_policy load_assignment typed_extension_protocol_options metadata alt_stat_name circuit_breakers dns_lookup_family dns_refresh_rate respect_dns_ttl outlier_detection round_robin_lb_config least_request_lb_config ring_hash_lb_config maglev_lb_config common_lb_config transport_socket transport_socket_matches
config.cluster.v3.Cluster.CustomClusterType name typed_config
extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig dns_cache_config
extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig name dns_lookup_family
config.cluster.v3.Cluster.RoundRobinLbConfig slow_start_config
config.cluster.v3.Cluster.LeastRequestLbConfig slow_start_config
config.cluster.v3.Cluster.SlowStartConfig slow_start_window aggression min_weight_percent
config.core.v3.RuntimeDouble default_value runtime_key
config.cluster.v3.Cluster.RingHashLbConfig minimum_ring_size maximum_ring_size hash_function
config.cluster.v3.Cluster.MaglevLbConfig table_size
config.cluster.v3.Cluster.CommonLbConfig healthy_panic_threshold
config.cluster.v3.OutlierDetection consecutive_5xx enforcing_consecutive_5xx consecutive_gateway_failure enforcing_consecutive_gateway_failure interval base_ejection_time max_ejection_time max_ejection_percent enforcing_success_rate
type.v3.Percent value
config.cluster.v3.Cluster.EdsClusterConfig eds_config service_name
config.cluster.v3.CircuitBreakers thresholds
config.cluster.v3.CircuitBreakers.Thresholds priority max_connections max_pending_requests max_requests max_retries track_remaining retry_budget
config.cluster.v3.CircuitBreakers.Thresholds.RetryBudget budget_percent min_retry_concurrency
extensions.upstreams.http.v3.HttpProtocolOptions common_http_protocol_options explicit_http_config upstream_http_protocol_options
config.core.v3.UpstreamHttpProtocolOptions auto_sni auto_san_validation
extensions.upstreams.http.v3.HttpProtocolOptions.ExplicitHttpConfig http_protocol_options http2_protocol_options

config.cluster.v3.Cluster.TransportSocketMatch name match transport_socket
config.core.v3.TransportSocket name typed_config
extensions.transport_sockets.raw_buffer.v3.RawBuffer
extensions.filters.http.rbac.v3.RBAC rules shadow_rules shadow_rules_stat_prefix rules_stat_prefix
extensions.filters.network.rbac.v3.RBAC rules shadow_rules stat_prefix shadow_rules_stat_prefix
config.rbac.v3.RBAC action policies
config.rbac.v3.Policy permissions principals
config.rbac.v3.Permission and_rules or_rules any header url_path destination_ip destination_port not_rule requested_server_name uri_template
config.rbac.v3.Permission.Set rules
config.rbac.v3.Principal and_ids or_ids any authenticated direct_remote_ip header url_path not_id
config.rbac.v3.Principal.Set ids
config.rbac.v3.Principal.Authenticated principal_name
config.core.v3.CidrRange address_prefix prefix_len
config.core.v3.TypedExtensionConfig name typed_config
type.matcher.v3.PathMatcher path
extensions.path.match.uri_template.v3.UriTemplateMatchConfig path_template
extensions.transport_sockets.tls.v3.DownstreamTlsContext common_tls_context require_client_certificate
extensions.transport_sockets.tls.v3.UpstreamTlsContext common_tls_context sni
extensions.transport_sockets.tls.v3.CommonTlsContext tls_params alpn_protocols tls_certificates validation_context tls_certificate_sds_secret_configs combined_validation_context validation_context_sds_secret_config
extensions.transport_sockets.tls.v3.TlsParameters tls_minimum_protocol_version
extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext default_validation_context validation_context_sds_secret_config
extensions.transport_sockets.tls.v3.CertificateValidationContext match_typed_subject_alt_names trusted_ca system_root_certs
extensions.transport_sockets.tls.v3.CertificateValidationContext.SystemRootCerts
extensions.transport_sockets.tls.v3.TlsCertificate certificate_chain private_key
extensions.transport_sockets.tls.v3.SubjectAltNameMatcher san_type matcher
extensions.transport_sockets.tls.v3.SdsSecretConfig name
config.endpoint.v3.ClusterLoadAssignment cluster_name endpoints
config.endpoint.v3.LocalityLbEndpoints locality lb_endpoints load_balancing_weight priority metadata
config.endpoint.v3.LbEndpoint endpoint health_status metadata load_balancing_weight
config.endpoint.v3.Endpoint address hostname
`
