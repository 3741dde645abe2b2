// Package policy decides who may do what: Envoy's RBAC, which Istio's
// AuthorizationPolicy is compiled to, over facts of one request or connection.
//
// It stands between the decoded request and its route. It is pure: it knows no
// request type but its own, no configuration source, no clock. What it cannot
// judge, it must not be given: proxy/xds refuses it, and the policy before runs
// on, so that no change opens what was closed.
package policy
