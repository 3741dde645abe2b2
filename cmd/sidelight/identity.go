package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/identity"
)

// tlsScheme before a server's address means that server's TLS port, as for
// sidecars.
const tlsScheme = "tls://"

// identityFlags say where a collector's certificate comes from.
type identityFlags struct {
	tokenFile                    string
	certFile, keyFile, rootsFile string
	workloadAPI                  string
}

func (f *identityFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.tokenFile, "join-token-file", "", "`file` with a join token, by which --server tls:// gives this collector its certificate")
	flags.StringVar(&f.certFile, "cert-file", "", "PEM `file` of the collector's SPIFFE certificate, instead; read again when it changes")
	flags.StringVar(&f.keyFile, "key-file", "", "PEM `file` of its key")
	flags.StringVar(&f.rootsFile, "roots-file", "", "PEM `file` of the mesh's roots")
	flags.StringVar(&f.workloadAPI, "workload-api", "", "address of a SPIFFE Workload API that gives the certificate, as unix:///run/spire/agent.sock")
}

// provider gives who brings the certificate, nil for nobody. What is kept over a
// restart goes to dir.
func (f *identityFlags) provider(server, dir string, log *slog.Logger) (identity.Provider, error) {
	address, secure := strings.CutPrefix(server, tlsScheme)
	files := f.certFile + f.keyFile + f.rootsFile
	ways := 0
	for _, way := range []string{f.tokenFile, files, f.workloadAPI} {
		if way != "" {
			ways++
		}
	}
	log = log.With("part", "identity")
	switch {
	case ways > 1:
		return nil, usageError{errors.New("--join-token-file, --cert-file and --workload-api: choose one")}
	case files != "" && (f.certFile == "" || f.keyFile == "" || f.rootsFile == ""):
		return nil, usageError{errors.New("--cert-file, --key-file and --roots-file go together")}
	case ways == 0 && secure:
		return nil, usageError{fmt.Errorf("--server tls://: needs a certificate: on the server's machine `sidelight token create --namespace %s --service-account %s` makes a token for --join-token-file; or give --cert-file or --workload-api",
			mesh.SystemNamespace, mesh.CollectorAccount)}
	case f.tokenFile != "" && !secure:
		return nil, usageError{errors.New("--join-token-file: needs --server tls://HOST:PORT (the server's --grpc-tls), which issues the certificate")}
	case f.tokenFile != "":
		return &identity.Join{
			Servers: []string{address}, TokenFile: f.tokenFile, StateDir: dir,
			Namespace: mesh.SystemNamespace, ServiceAccount: mesh.CollectorAccount, Logger: log,
		}, nil
	case files != "":
		return &identity.Files{CertFile: f.certFile, KeyFile: f.keyFile, RootsFile: f.rootsFile, Logger: log}, nil
	case f.workloadAPI != "":
		return &identity.WorkloadAPI{Address: f.workloadAPI, Logger: log}, nil
	}
	return nil, nil
}

// The ways to serve a port of a collector.
const (
	tlsOff    = "off"
	tlsSimple = "simple"
	tlsMutual = "mutual"
)

func checkTLS(flag, way string) error {
	switch way {
	case tlsOff, tlsSimple, tlsMutual:
		return nil
	}
	return usageError{fmt.Errorf("--%s %s: want off, simple or mutual", flag, way)}
}

// listenTLS gives how a port is served, nil for plain text. Hosts' certificate is
// for clients that are not of the mesh.
func listenTLS(flag, way, certFile, keyFile string, own *identity.Source, log *slog.Logger) (*identity.Listener, error) {
	if way == tlsOff {
		return nil, nil
	}
	l := &identity.Listener{Identity: own, Mutual: way == tlsMutual}
	switch {
	case (certFile == "") != (keyFile == ""):
		return nil, usageError{fmt.Errorf("--%s-cert-file and --%s-key-file go together", flag, flag)}
	case own == nil && certFile == "":
		return nil, usageError{fmt.Errorf("--%s-tls %s: needs a certificate: --join-token-file, --cert-file or --workload-api for one of the mesh, or --%s-cert-file", flag, way, flag)}
	case own == nil && l.Mutual:
		return nil, usageError{fmt.Errorf("--%s-tls mutual: needs a certificate of the mesh, to judge others by: --join-token-file, --cert-file or --workload-api", flag)}
	}
	if certFile != "" {
		hosts, err := identity.OpenHostFiles(certFile, keyFile, log.With("part", "identity"))
		if err != nil {
			return nil, usageError{fmt.Errorf("--%s-cert-file: %w", flag, err)}
		}
		l.Hosts = hosts
	}
	return l, nil
}
