package main

import "github.com/sidelight-mesh/sidelight/mesh"

// identityRules watch the sidecars' certificates. A sidecar asks for the next
// one when half of the time is over, so the last quarter is late, however long a
// certificate holds.
func identityRules() ruleFile {
	const (
		ends  = mesh.MetricCertificateExpiry
		since = mesh.MetricCertificateReceived
		page  = "docs/identity.md#when-a-certificate-does-not-come"
	)
	return ruleFile{
		name: "identity.yaml",
		about: `The sidecars' certificates. Each is renewed when half of its life is over,
so one in its last quarter is late.`,
		groups: []ruleGroup{{Name: "sidelight-identity", Interval: "15s", Rules: []rule{
			{
				Alert: "SidelightCertificateMissing", For: "2m", Labels: critical(),
				Expr: ends + " == 0",
				Annotations: &annotations{
					Summary:     "{{ $labels.node }} has no certificate",
					Description: "It was told where to get one and did not: it can neither fetch configuration over TLS nor speak mutual TLS. Its log says why.",
					Runbook:     page,
				},
			},
			{
				Alert: "SidelightCertificateExpires", Labels: warning(),
				Expr: `0 < ` + ends + ` - time()
  < 0.25 * (` + ends + ` - ` + since + `)`,
				Annotations: &annotations{
					Summary:     "The certificate of {{ $labels.node }} ends in {{ $value | humanizeDuration }} and was not renewed",
					Description: "Three quarters of its time are over; a new one is due at half. Traffic goes on until it ends. The sidecar's log says why there is no new one.",
					Runbook:     page,
				},
			},
			{
				Alert: "SidelightCertificateExpired", Labels: critical(),
				Expr: "time() - (" + ends + " > 0) >= 0",
				Annotations: &annotations{
					Summary:     "The certificate of {{ $labels.node }} ended {{ $value | humanizeDuration }} ago",
					Description: "Others refuse its mutual TLS, and it cannot reconnect to the server over TLS. Its log says why there is no new one.",
					Runbook:     page,
				},
			},
		}}},
	}
}
