package identity

import (
	"context"
	"log/slog"
	"time"
)

// Issuer gets certificates from an authority in the same process.
type Issuer struct {
	// Issue gives a certificate for the key of a request, with the roots.
	Issue  func(csr []byte) (chain, roots [][]byte, err error)
	Logger *slog.Logger
}

// Run implements Provider.
func (i *Issuer) Run(ctx context.Context, into *Source) {
	keepFresh(ctx, into, i.Logger, func(context.Context) (*Certificate, error) {
		c, err := i.issue()
		if err != nil {
			into.Fail(OtherCause, "see the log of this process", err)
		}
		return c, err
	})
}

func (i *Issuer) issue() (*Certificate, error) {
	key, csr, err := newKey()
	if err != nil {
		return nil, err
	}
	chain, roots, err := i.Issue(csr)
	if err != nil {
		return nil, err
	}
	return assemble(chain, roots, key, time.Now())
}
