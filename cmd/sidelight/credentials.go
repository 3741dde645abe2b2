package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/net/http/httpguts"
)

// credentials are what a proxy before the API asks for. Secrets can stay in
// files, because everybody on a machine can read a process's arguments.
type credentials struct {
	headers                   []string // "Name: value", "@file", or several lines of them
	tokenFile                 string
	caFile, certFile, keyFile string
}

func (c *credentials) bind(flags *pflag.FlagSet) {
	flags.StringArrayVar(&c.headers, "header", nil, "header field that goes with each request, as 'Name: value', or @`FILE` with one a line; may be given again")
	flags.StringVar(&c.tokenFile, "token-file", "", "`file` with a token that goes with each request as Authorization: Bearer")
	flags.StringVar(&c.caFile, "ca-file", "", "PEM `file` of the authorities that an https server is believed by, instead of this machine's")
	flags.StringVar(&c.certFile, "cert-file", "", "PEM `file` of a certificate to show to it")
	flags.StringVar(&c.keyFile, "key-file", "", "PEM `file` of its key")
}

// fields gives the header of each request.
func (c *credentials) fields() (http.Header, error) {
	h := http.Header{"User-Agent": {"sidelight/" + version}, "X-Sidelight-User": {userName()}}
	given := http.Header{}
	for _, text := range c.headers {
		source := ""
		if name, ok := strings.CutPrefix(text, "@"); ok {
			content, err := os.ReadFile(name)
			if err != nil {
				return nil, usageError{fmt.Errorf("--header: %w", err)}
			}
			text, source = string(content), " "+name
		}
		line := 0
		for field := range strings.Lines(text) {
			if line++; strings.TrimSpace(field) == "" {
				continue
			}
			name, value, ok := strings.Cut(strings.TrimSpace(field), ":")
			value = strings.TrimSpace(value)
			switch {
			case !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value):
				// Not with the text: it may hold a secret.
				return nil, usageError{fmt.Errorf("--header%s, line %d: want 'Name: value'", source, line)}
			case strings.EqualFold(name, "Host"):
				return nil, usageError{errors.New("--header Host: the host is the one of --address")}
			}
			given.Add(name, value)
		}
	}
	if c.tokenFile != "" {
		token, err := os.ReadFile(c.tokenFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--token-file: %w", err)}
		}
		value := "Bearer " + strings.TrimSpace(string(token))
		if value == "Bearer " || !httpguts.ValidHeaderFieldValue(value) {
			return nil, usageError{fmt.Errorf("--token-file %s: want one token, on one line", c.tokenFile)}
		}
		given.Set("Authorization", value)
	}
	maps.Copy(h, given)
	return h, nil
}

// tls says how an https server is judged and what it is shown.
func (c *credentials) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.caFile != "" {
		text, err := os.ReadFile(c.caFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--ca-file: %w", err)}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, usageError{fmt.Errorf("--ca-file %s: no PEM certificate in it", c.caFile)}
		}
	}
	if (c.certFile == "") != (c.keyFile == "") {
		return nil, usageError{errors.New("--cert-file and --key-file go together")}
	}
	if c.certFile != "" {
		pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
		if err != nil {
			return nil, usageError{fmt.Errorf("--cert-file %s, --key-file %s: %w", c.certFile, c.keyFile, err)}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// explainTLS says what to do about a connection that TLS did not come through
// on, "" when the cause is another.
func explainTLS(err error) string {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &authority):
		return "nobody that this machine believes vouches for its certificate; name its authority with --ca-file"
	case errors.As(err, &host):
		return "its certificate is for another name; reach it by that name with --address"
	case errors.As(err, &invalid):
		return "its certificate does not hold; whoever runs it must renew it"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS there; write http:// in --address"
	case errors.As(err, &op) && op.Op == "remote error": // crypto/tls, of an alert
		return "it does not take this client's certificate, or asks for one; see --cert-file and --key-file"
	}
	return ""
}

// explainStatus says what to do about an answer that is not the API's own: one
// of whatever stands before it.
func explainStatus(resp *http.Response, answer []byte) string {
	switch resp.StatusCode {
	case http.StatusBadRequest:
		if bytes.Contains(answer, []byte("HTTP request to an HTTPS server")) { // net/http's words
			return "it speaks TLS there; write https:// in --address"
		}
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return "a proxy before the API asks who you are; give it what it asks for with --header or --token-file (docs/access.md)"
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		to, err := resp.Location()
		if err == nil && to.Host == resp.Request.URL.Host && to.Path == resp.Request.URL.Path {
			return "it is at " + to.Scheme + "://" + to.Host + "; write that in --address"
		}
		return "a proxy before the API sends you to a page to sign in; give it what it asks for with --header or --token-file (docs/access.md)"
	}
	return ""
}
