package ca

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	rootFile  = "root.pem"
	keyFile   = "root-key.pem"
	tokenFile = "tokens.json"
)

// loadOrMakeRoot gives the root kept in the folder. It is made once: half of one
// is an error, because to make another would end every identity there is.
func loadOrMakeRoot(o Options, domain spiffeid.TrustDomain) ([]*x509.Certificate, crypto.Signer, error) {
	if o.Dir == "" {
		root, key, err := makeRoot(domain, o.Now())
		return []*x509.Certificate{root}, key, err
	}
	certPath, keyPath := filepath.Join(o.Dir, rootFile), filepath.Join(o.Dir, keyFile)
	if exists(certPath) || exists(keyPath) {
		chain, key, err := loadPair(certPath, keyPath)
		if err != nil {
			return nil, nil, err
		}
		if root := chain[len(chain)-1]; len(root.URIs) == 1 && root.URIs[0].String() != domain.IDString() {
			return nil, nil, fmt.Errorf("the authority in %s is of trust domain %s, not %s: keep --trust-domain, or begin with another folder: %w",
				o.Dir, strings.TrimPrefix(root.URIs[0].String(), "spiffe://"), domain, mesh.ErrInvalid)
		}
		return chain, key, nil
	}
	root, key, err := makeRoot(domain, o.Now())
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make folder of the certificate authority: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode root key: %w", err)
	}
	// The key first: a root without its key is found out at the next start.
	if err := writeFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, nil, err
	}
	if err := writeFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})); err != nil {
		return nil, nil, err
	}
	return []*x509.Certificate{root}, key, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// loadPair reads a chain, issuer first, and the issuer's key.
func loadPair(certPath, keyPath string) ([]*x509.Certificate, crypto.Signer, error) {
	text, err := os.ReadFile(certPath)
	if err != nil {
		return nil, nil, fmt.Errorf("read certificate of the authority: %w", err)
	}
	var chain []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("read certificate of the authority %s: %w", certPath, err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, nil, fmt.Errorf("read certificate of the authority %s: no PEM certificate in it: %w", certPath, mesh.ErrInvalid)
	}
	if text, err = os.ReadFile(keyPath); err != nil {
		return nil, nil, fmt.Errorf("read key of the authority: %w", err)
	}
	key, err := parseKey(text)
	if err != nil {
		return nil, nil, fmt.Errorf("read key of the authority %s: %w", keyPath, err)
	}
	return chain, key, nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(bytes.TrimSpace(text))
	if block == nil {
		return nil, fmt.Errorf("no PEM key in it: %w", mesh.ErrInvalid)
	}
	var key any
	var err error
	switch block.Type {
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key cannot sign: %w", mesh.ErrInvalid)
	}
	return signer, nil
}

// writeFile replaces a secret file in one step, for its owner alone.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func splitPath(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }
