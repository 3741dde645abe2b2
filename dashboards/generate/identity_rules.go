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
		// The sidecar's own word for it, as far as it can still be scraped.
		why = `{{ range printf "` + mesh.MetricCertificateFailing + `{node=%q}" $labels.node | query }}The last try failed: {{ .Labels.reason }}. {{ end }}` +
			"`sidelight nodes {{ $labels.node }}` says what to do; if the server does not know, the sidecar's log."
	)
	return ruleFile{
		name: "identity.yaml",
		about: `The certificates of sidecars and collectors. Each is renewed when half of its life is over,
so one in its last quarter is late.`,
		groups: []ruleGroup{{Name: "sidelight-identity", Interval: "15s", Rules: []rule{
			{
				Alert: "SidelightCertificateMissing", For: "2m", Labels: critical(),
				Expr: ends + " == 0",
				Annotations: &annotations{
					Summary:     "{{ $labels.node }} has no certificate",
					Description: "It was told where to get one and did not: it can neither fetch configuration over TLS nor speak mutual TLS. " + why,
					Runbook:     page,
				},
			},
			{
				Alert: "SidelightCertificateExpires", Labels: warning(),
				Expr: `0 < ` + ends + ` - time()
  < 0.25 * (` + ends + ` - ` + since + `)`,
				Annotations: &annotations{
					Summary:     "The certificate of {{ $labels.node }} ends in {{ $value | humanizeDuration }} and was not renewed",
					Description: "Three quarters of its time are over; a new one is due at half. Traffic goes on until it ends. " + why,
					Runbook:     page,
				},
			},
			{
				Alert: "SidelightCertificateExpired", Labels: critical(),
				Expr: "time() - (" + ends + " > 0) >= 0",
				Annotations: &annotations{
					Summary:     "The certificate of {{ $labels.node }} ended {{ $value | humanizeDuration }} ago",
					Description: "Others refuse its mutual TLS, and it cannot reconnect to the server over TLS. " + why,
					Runbook:     page,
				},
			},
			{
				Alert: "SidelightCollectorCertificate", For: "5m", Labels: warning(),
				Expr: "time() - sidelight_collector_certificate_failing_timestamp_seconds >= 0",
				Annotations: &annotations{
					Summary:     "The collector at {{ $labels.instance }} gets no new certificate: {{ $labels.reason }}",
					Description: "It tries in vain for {{ $value | humanizeDuration }}. Once its certificate has ended it sends no edges over TLS, and reads no sidecar and takes no spans that ask for it. Its log (part=identity) says what to do.",
					Runbook:     page,
				},
			},
		}}},
	}
}
