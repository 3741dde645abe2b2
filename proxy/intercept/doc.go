// Package intercept makes the kernel bring a workload's traffic to its sidecar:
// it writes the netfilter rules that send outbound and inbound TCP connections
// to the sidecar's two entrances, installs them and takes them away.
//
// It stands before the data path and is used once, by `sidelight-proxy init`,
// in the workload's network namespace. Rules is pure: options in, one nftables
// transaction out. What happens with a connection that arrives is the business
// of proxy/listen.
//
// The rules live in one table of their own, "inet sidelight". A transaction
// replaces that table whole, so that installing twice is installing once, a
// change leaves no moment without rules, and other tables are never touched.
package intercept
