// Package ca is the mesh's certificate authority: one root, the join tokens by
// which sidecars get their first certificate, and the issuing itself.
//
//	token (who may be what, how long, how often) + CSR -> certificate spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT
//	a certificate that still holds                + CSR -> the next one, for the same identity
//
// What a certificate says is decided here alone: of a CSR only its key is used.
// Tokens are kept as hashes, and a use is written down before the certificate
// leaves, so that a crash never gives a token more uses than it has.
//
// The package owns the root key and the file of tokens. It never sees a
// sidecar's private key.
package ca
