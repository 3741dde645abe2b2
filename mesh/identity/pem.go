package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// chainType and rootType tell the leaf's chain from the roots where both stand
// in one file. Files of other makers have one kind each, under chainType.
const (
	chainType = "CERTIFICATE"
	rootType  = "TRUSTED CERTIFICATE AUTHORITY"
)

func encodePEM(c *Certificate) ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.svid.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	var b bytes.Buffer
	write := func(kind string, der []byte) {
		_ = pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}) // to memory
	}
	write("PRIVATE KEY", key)
	for _, leaf := range c.svid.Certificates {
		write(chainType, leaf.Raw)
	}
	for _, root := range c.roots() {
		write(rootType, root.Raw)
	}
	return b.Bytes(), nil
}

// decodePEM reads key, chain and roots. The roots may stand in a file of their
// own, under the usual name.
func decodePEM(keyText, chainText, rootText []byte, now time.Time) (*Certificate, error) {
	key, err := decodeKey(keyText)
	if err != nil {
		return nil, err
	}
	roots := blocks(rootText, rootType)
	if len(roots) == 0 && !bytes.Equal(rootText, chainText) {
		roots = blocks(rootText, chainType)
	}
	return assemble(blocks(chainText, chainType), roots, key, now)
}

func blocks(text []byte, kind string) [][]byte {
	var out [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == kind {
			out = append(out, block.Bytes)
		}
	}
	return out
}

func decodeKey(text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("private key: %w", err)
		}
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	return nil, errors.New("no private key in PEM")
}
