package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const webCertEvery = 2 * time.Second

// webCert is the certificate of the API, in files that somebody else renews.
type webCert struct {
	certFile, keyFile string
	log               *slog.Logger

	current atomic.Pointer[tls.Certificate]
	content []byte // of both files as they were last taken
}

// openWebCert reads the files; none are no certificate.
func openWebCert(certFile, keyFile string, log *slog.Logger) (*webCert, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil
	case certFile == "" || keyFile == "":
		return nil, fmt.Errorf("--api-cert and --api-key belong together: give both: %w", mesh.ErrInvalid)
	}
	w := &webCert{certFile: certFile, keyFile: keyFile, log: log}
	if _, err := w.read(); err != nil {
		return nil, err
	}
	return w, nil
}

// read takes the files if they have changed.
func (w *webCert) read() (changed bool, err error) {
	cert, certErr := os.ReadFile(w.certFile)
	key, keyErr := os.ReadFile(w.keyFile)
	if err := errors.Join(certErr, keyErr); err != nil {
		return false, fmt.Errorf("--api-cert, --api-key: %w", err)
	}
	content := bytes.Join([][]byte{cert, key}, nil)
	if bytes.Equal(content, w.content) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("--api-cert %s, --api-key %s: %w: give a PEM file with the certificate and its chain, and one with its key: %w", w.certFile, w.keyFile, err, mesh.ErrInvalid)
	}
	w.content = content
	w.current.Store(&pair)
	return true, nil
}

// run takes renewed files until ctx ends. Those that do not belong together, as
// between two writes, are looked at again; the old ones serve meanwhile.
func (w *webCert) run(ctx context.Context) {
	tick := time.NewTicker(webCertEvery)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-tick.C:
			switch changed, err := w.read(); {
			case err != nil && err.Error() != told:
				told = err.Error()
				w.log.Error("the API's new certificate is not used, the earlier one serves", "error", err)
			case changed:
				told = ""
				w.log.Info("the API has a new certificate", "valid_until", w.current.Load().Leaf.NotAfter)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (w *webCert) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return w.current.Load(), nil
		},
	}
}
