package identity

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// filesEvery is how often the files are looked at. Who writes them renews long
// before a certificate ends.
const filesEvery = time.Second

// Files takes certificate, key and roots from files that somebody else renews.
type Files struct {
	CertFile, KeyFile, RootsFile string
	Logger                       *slog.Logger
}

// Run implements Provider. Files that do not belong together, as between two
// writes, are looked at again; the old certificate is used meanwhile.
func (f *Files) Run(ctx context.Context, into *Source) {
	var seen []byte
	var complaint string
	for wait := time.Duration(0); sleep(ctx, wait); wait = filesEvery {
		content, c, err := f.read(time.Now())
		switch {
		case err != nil:
			into.Fail(BadFiles, "whoever writes these files must write a key, its certificate and the roots that vouch for it, all holding now", err)
			if err.Error() != complaint {
				complaint = err.Error()
				f.Logger.Warn("certificate files are not used", "error", err, "valid_until", validUntil(into))
			}
		case !bytes.Equal(content, seen):
			seen, complaint = content, ""
			into.Set(c)
			f.Logger.Info("certificate", "principal", c.Principal(), "serial", c.Serial(), "valid_until", c.NotAfter())
		default:
			into.recovered()
		}
	}
}

func (f *Files) read(now time.Time) ([]byte, *Certificate, error) {
	var texts [3][]byte
	for i, path := range []string{f.KeyFile, f.CertFile, f.RootsFile} {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, fmt.Errorf("read certificate files: %w", err)
		}
		texts[i] = text
	}
	c, err := decodePEM(texts[0], texts[1], texts[2], now)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate files %s, %s, %s: %w", f.CertFile, f.KeyFile, f.RootsFile, err)
	}
	return bytes.Join(texts[:], nil), c, nil
}
