// Package apiv3 holds the messages and the service of Jaeger's api_v3 that
// Sidelight serves, generated from query.proto by `make proto`.
package apiv3
