package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Provider brings certificates into a source until ctx ends. It always gives
// nil then: a certificate that cannot be renewed is used until it ends.
type Provider interface {
	Run(ctx context.Context, into *Source)
}

// The waits between tries to get a certificate.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// renewIn is how long a certificate is used before the next is asked for: half
// of the time that is left, a little more or less so that a fleet that started
// together does not come back together. The other half is there to get through
// an outage. When it began to hold says nothing: that is dated back, for clocks
// that are behind.
func renewIn(c *Certificate, now time.Time) time.Duration {
	left := max(0, c.NotAfter().Sub(now))
	return left*9/20 + time.Duration(mathrand.Int64N(int64(left/10)+1))
}

// keepFresh asks issue for a certificate whenever one is due.
func keepFresh(ctx context.Context, into *Source, log *slog.Logger, issue func(context.Context) (*Certificate, error)) {
	wait := time.Duration(0)
	if c := into.Current(); c != nil {
		wait = renewIn(c, time.Now())
	}
	retry := firstRetry
	for sleep(ctx, wait) {
		c, err := issue(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			remedy := ""
			if f := into.Failure(); f != nil {
				remedy = f.Remedy
			}
			log.Warn("no new certificate", "error", err, "to_do", remedy, "retry_in", retry, "valid_until", validUntil(into))
			wait, retry = retry, min(2*retry, lastRetry)
			continue
		}
		into.Set(c)
		log.Info("certificate", "principal", c.Principal(), "serial", c.Serial(), "valid_until", c.NotAfter())
		wait, retry = max(minRenewal, renewIn(c, time.Now())), firstRetry
	}
}

// minRenewal keeps certificates of very short lives from becoming a loop.
const minRenewal = 100 * time.Millisecond

func validUntil(s *Source) string {
	if c := s.Current(); c != nil {
		return c.NotAfter().Format(time.RFC3339)
	}
	return "there is none"
}

// sleep waits; false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate request: %w", err)
	}
	return key, csr, nil
}

// assemble makes a certificate of what an authority sent, and checks it.
func assemble(chain, roots [][]byte, key crypto.Signer, now time.Time) (*Certificate, error) {
	leaf, err := parseAll(chain)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	authorities, err := parseAll(roots)
	if err != nil {
		return nil, fmt.Errorf("roots: %w", err)
	}
	if len(leaf) == 0 || len(authorities) == 0 {
		return nil, errors.New("the authority sent no certificate")
	}
	id, err := x509svid.IDFromCert(leaf[0])
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	svid := &x509svid.SVID{ID: id, Certificates: leaf, PrivateKey: key}
	return NewCertificate(svid, x509bundle.FromX509Authorities(id.TrustDomain(), authorities), now)
}

func parseAll(list [][]byte) ([]*x509.Certificate, error) {
	out := make([]*x509.Certificate, 0, len(list))
	for _, der := range list {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}
