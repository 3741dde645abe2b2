package identity

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Listener says how a port of Sidelight's own is served over TLS, and to whom.
type Listener struct {
	Identity *Source    // nil: clients are not asked for certificates
	Hosts    *HostFiles // shown to clients that are not of the mesh; nil: the identity's is shown to all

	Mutual bool   // who shows no certificate of the mesh is refused
	Only   string // of those who show one, this account alone: CollectorAccount; "" any

	Refused func(peer string, err error) // hears of each client that was not let in; nil: nobody does
}

// TLS gives the listener's configuration. Certificates are asked for at each
// handshake.
func (l Listener) TLS(alpn ...string) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: alpn,
		// A resumed session would outlive the certificate it began with.
		SessionTicketsDisabled: true,
		GetCertificate:         l.certificate,
		VerifyConnection: func(state tls.ConnectionState) error {
			err := l.judge(state)
			if err != nil && l.Refused != nil {
				l.Refused(Principal(state), err)
			}
			return err
		},
	}
	if l.Identity != nil {
		config.ClientAuth = tls.RequestClientCert // judged above, against the roots of the moment
	}
	return config
}

func (l Listener) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if l.Hosts != nil && (hello.ServerName != collectorName || l.Identity == nil) {
		return l.Hosts.get()
	}
	return l.Identity.certificate()
}

func (l Listener) judge(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		if l.Mutual {
			return &PeerError{Err: errors.New("the client shows none, and this port asks for one of the mesh: docs/identity.md")}
		}
		return nil
	}
	if l.Identity == nil {
		return nil // nobody was asked for one
	}
	if err := l.Identity.verify(state, nil); err != nil {
		return err
	}
	if l.Only == "" {
		return nil
	}
	return is(state, l.Only)
}

// is refuses a peer, which was verified, that is not Sidelight's own process of
// that account.
func is(state tls.ConnectionState, account string) error {
	id, err := x509svid.IDFromCert(state.PeerCertificates[0])
	if err != nil {
		return &PeerError{Err: err}
	}
	if id.Path() != "/ns/"+mesh.SystemNamespace+"/sa/"+account {
		if account == mesh.ServerAccount {
			account = "server"
		}
		return &PeerError{Peer: id.String(), Err: fmt.Errorf("%s is not the mesh's %s", id, account)}
	}
	return nil
}

// HostFiles is a certificate for host names, for clients that are not of the mesh,
// from files that somebody else renews.
type HostFiles struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	told    string       // the last complaint
	changed [2]time.Time // of the files that current is from
	current *tls.Certificate
}

// OpenHostFiles reads the files. The log hears of later ones that are not used.
func OpenHostFiles(certFile, keyFile string, log *slog.Logger) (*HostFiles, error) {
	h := &HostFiles{certFile: certFile, keyFile: keyFile, log: log}
	if err := h.read(); err != nil {
		return nil, err
	}
	return h, nil
}

// get gives the newest pair of files that belong together.
func (h *HostFiles) get() (*tls.Certificate, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.looked) >= filesEvery {
		h.looked = now
		h.follow()
	}
	return h.current, nil
}

// follow takes files that have changed. Those that do not belong together, as
// between two writes, are looked at again; the pair from before serves meanwhile.
func (h *HostFiles) follow() {
	err := h.read()
	switch {
	case err == nil:
		h.told = ""
	case err.Error() != h.told:
		h.told = err.Error()
		h.log.Warn("the hosts' new certificate is not used, the earlier one serves", "error", err, "valid_until", h.current.Leaf.NotAfter)
	}
}

func (h *HostFiles) read() error {
	var changed [2]time.Time
	for i, name := range []string{h.certFile, h.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("read certificate of hosts: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if changed == h.changed {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(h.certFile, h.keyFile)
	if err != nil {
		return fmt.Errorf("read certificate of hosts %s, %s: %w", h.certFile, h.keyFile, err)
	}
	h.current, h.changed = &pair, changed
	return nil
}
