package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// Failure says why there is no new certificate, or none at all.
type Failure struct {
	Since  time.Time // of the first try that failed
	Reason Reason
	Err    error  // of the last try
	Remedy string // what a person can do
}

// Reason is the kind of a failure, for metrics: there are few.
type Reason string

// The reasons.
const (
	NoToken     Reason = "no_token"           // the file of the join token cannot be read
	Refused     Reason = "refused"            // by the authority: the token is used up, over or not known
	OtherName   Reason = "other_identity"     // the token is for another service account
	Unreachable Reason = "server_unreachable" // the authority gives no answer
	Distrusted  Reason = "server_not_trusted" // who answers is not of this mesh
	BadFiles    Reason = "files"              // missing, not belonging together, or over
	NoAgent     Reason = "workload_api"       // the SPIFFE Workload API gives none
	OtherCause  Reason = "other"
)

// Fail takes note that a try to get a certificate failed, until the next Set.
func (s *Source) Fail(reason Reason, remedy string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &Failure{Since: time.Now(), Reason: reason, Err: err, Remedy: remedy}
	before := s.failure.Load()
	if before != nil {
		f.Since = before.Since
	}
	s.failure.Store(f)
	if before == nil || before.Reason != reason || before.Err.Error() != err.Error() {
		s.failureChanged()
	}
}

// recovered takes note that the certificate is as new as it can be.
func (s *Source) recovered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure.Swap(nil) != nil {
		s.failureChanged()
	}
}

// Failure is why the last try to get a certificate failed, nil when it did not.
// A nil Source has none.
func (s *Source) Failure() *Failure {
	if s == nil {
		return nil
	}
	return s.failure.Load()
}

// OnFailure calls f when a failure begins, gets another cause, or ends. F must
// not block.
func (s *Source) OnFailure(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failureWatchers = append(s.failureWatchers, f)
}

func (s *Source) failureChanged() {
	for _, f := range s.failureWatchers {
		f()
	}
}

// distrust remembers that the other end of a connection was not believed: gRPC
// gives that back as a text only.
type distrust struct{ seen atomic.Bool }

func (d *distrust) watch(config *tls.Config) *tls.Config {
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		err := verify(state)
		if err != nil {
			d.seen.Store(true)
		}
		return err
	}
	return config
}

// failed tells the source why there is no certificate from this server.
func (j *Join) failed(into *Source, server string, distrusted bool, err error) {
	reason, remedy := OtherCause, "see the server's log"
	newToken := fmt.Sprintf("make a join token on the server's machine (`sidelight token create --namespace %s --service-account %s`) and ", j.Namespace, j.ServiceAccount)
	if j.Token != "" {
		newToken += "start again with it"
	} else {
		newToken += "write it to " + j.TokenFile
	}
	switch code := status.Code(errors.Unwrap(err)); {
	case errors.As(err, new(*os.PathError)):
		reason, remedy = NoToken, newToken
	case errors.Is(err, mesh.ErrInvalid):
		reason, remedy = OtherName, newToken
	case distrusted:
		reason, remedy = Distrusted, "check that "+server+" is the server of this mesh; if it was set up anew, "+newToken
		if j.StateDir != "" {
			remedy += ", and remove " + j.path()
		}
	case code == codes.PermissionDenied:
		reason, remedy = Refused, newToken
	case code == codes.Unavailable, code == codes.DeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
		reason, remedy = Unreachable, "check that "+server+" is the address of the server's --grpc-tls, and is reached from this machine"
	}
	into.Fail(reason, remedy, err)
}
