// Package proxy is Sidelight's data plane: the sidecar that stands beside a
// workload. The package itself holds only this page; the parts are below it.
//
// # A request's walk
//
//		accept -> decode -> identify -> route -> cluster -> endpoint -> try ... -> answer -> observe
//
//	  - proxy/listen accepts. A socket belongs to an address, and its
//	    configuration says what the next connection speaks. net/http decodes
//	    HTTP/1.1 and HTTP/2 with prior knowledge on the same port; what it cannot
//	    read it refuses, and the refusal is counted as DPE.
//	  - proxy/forward begins an Exchange: who called (the peer metadata that
//	    sidecars exchange), which trace it belongs to (W3C or B3), its request ID.
//	  - proxy/policy judges, where the listener has a policy: a denial is 403, with
//	    no flag, and the rule in its details.
//	  - proxy/route finds virtual host, route and destination of the split, by
//	    Envoy's rules. No route is 404 NR. What the route says of browsers' other
//	    origins (CORS), of rates and of faults is done first, in this order; a
//	    redirect or direct response then ends the walk here.
//	  - proxy/cluster draws an endpoint, by load, turn, chance or hash; none
//	    is 503 UH, an unknown cluster 503 NC, a full circuit breaker 503 UO. An
//	    endpoint that fails too often is ejected, and asked again after a while.
//	  - Mirrors get their copies once the client has sent everything; nobody waits
//	    for what they answer.
//	  - proxy/forward tries. The route's timeout covers all tries and the waits
//	    between them and begins when the client has sent everything; the per-try
//	    timeout covers one, until its answer's head. A try that failed is repeated
//	    when the retry policy names the reason, the tries are not used up (URX) and
//	    the request's body is still held.
//	  - The answer passes as it comes: head, body, trailers; an upgrade joins the
//	    two connections. When the upstream breaks off in the middle the client's
//	    stream is cut too, so that nobody takes half an answer for a whole one.
//	  - At the end every observer sees the Exchange: proxy/telemetry counts it,
//	    makes its spans and its log line, proxy/tap shows it to whoever listens.
//
// TCP connections take the short way: proxy/listen, proxy/tcp, proxy/cluster.
// Sockets of all kinds are read and written by proxy/tcpconn.
//
// # Configuration
//
// proxy/xds brings it and hands it to proxy/app.Runtime as one forward.Snapshot.
// Addresses are bound first, then routes and clusters are swapped by one atomic
// pointer, then listeners are switched; if anything fails the old state runs on.
// Connections survive every change that does not concern them.
//
// # What differs from Envoy
//
//   - Of the x-envoy-* request headers, those of timeouts and retries are obeyed
//     from the app beside a sidecar, and go no further; hedging and the
//     alternative response to a timeout are not there.
//   - Outbound paths are matched and passed on as they came: /a/../b is normalised
//     by the receiving side only.
//   - net/http repeats a request without a body by itself when a kept-alive
//     connection turns out to be closed before a byte of the answer came, or an
//     HTTP/2 stream was refused. Such a repetition is not counted as a try.
//   - A DNS cluster's names are looked up when it comes and every 5 s after, or as
//     it says; until the first answer, connections are opened by name. A lookup
//     that fails, or finds nothing, keeps what is known. How long an answer holds
//     is known of name servers that answer over UDP. Of a LOGICAL_DNS cluster's
//     addresses the one in use stays as long as it is among them. AUTO takes IPv6
//     only where there is a way to it.
//   - Of priorities, degraded endpoints count as healthy, and localities have no
//     weight.
//   - Thresholds that a cluster does not give are no limit, where Envoy's are
//     1024, 1024, 1024 and 3. An idle connection leaves when max_connections idle
//     ones are held by other endpoints. HTTP/2 clusters have no pending queue, and
//     max_requests_per_connection has no effect on them; on HTTP/1.1 the last
//     request of a connection says "Connection: close".
//   - Outlier detection goes by errors in a row only: no success rate, no failure
//     percentage, no local origin apart, enforced always or never. A sweep runs
//     only while some endpoint has an ejection on record.
//   - A retry that must avoid endpoints takes any other when its draws do not find
//     one, where Envoy would take one that failed before; on a hashed route it
//     draws at random. TCP connections are never hashed.
//   - Copies for mirrors are never traced, carry 64 KiB of body at most, are at
//     most 256 at a time (others are dropped and counted) and take 30 s at most
//     when their route has no timeout. They are counted in sidelight_* metrics,
//     with the service that the client called; istio_* count none at the client's
//     side, as with Envoy.
//   - Settings of filters stand on routes and virtual hosts, not on listeners, and
//     hold whether or not the listener names the filter.
//   - Interim answers (1xx) other than 101 are not passed on.
//   - CONNECT is ended here where a route says so (connect_config), and never
//     passed on; extended CONNECT (RFC 8441) is not offered. Over HTTP/2 the end
//     of what the endpoint sends ends both directions.
//   - A request's target keeps its form, but bytes that no target may hold are
//     escaped. Trailers of HTTP/1.1 requests that were not announced are dropped.
//     proxy/conformance holds this and the rest of HTTP.
//   - Sizes in istio_request_bytes and istio_response_bytes count HTTP/2 headers
//     as if they were not compressed.
package proxy
