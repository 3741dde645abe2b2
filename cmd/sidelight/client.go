package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// client speaks to a server's API for the commands that look and change.
type client struct {
	address string
	timeout time.Duration
	credentials

	http   *http.Client // open made it and the header
	header http.Header  // of each request
}

func (c *client) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.address, "address", "http://127.0.0.1:8430", "URL of the server")
	flags.DurationVar(&c.timeout, "timeout", 10*time.Second, "how long to wait for an answer")
	c.credentials.bind(flags)
	cmd.PreRunE = func(*cobra.Command, []string) error { return c.open() }
}

// apiError is the shape of every refusal of the API.
type apiError struct {
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	} `json:"error"`
	Problems json.RawMessage `json:"problems"`
}

var errorKinds = map[string]error{
	"invalid":         mesh.ErrInvalid,
	"not_found":       mesh.ErrNotFound,
	"unauthenticated": mesh.ErrUnauthenticated,
	"forbidden":       mesh.ErrForbidden,
	"unavailable":     mesh.ErrUnavailable,
	"conflict":        mesh.ErrConflict,
	"exhausted":       mesh.ErrExhausted,
}

// open reads the credentials.
func (c *client) open() error {
	header, err := c.fields()
	if err != nil {
		return err
	}
	config, err := c.tls()
	if err != nil {
		return err
	}
	c.header = header
	c.http = &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true},
		// Credentials are for the address that was named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

// maxAnswer bounds what a server can make the command line hold.
const maxAnswer = 256 << 20

func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	return c.do(ctx, http.MethodGet, path, query, nil, into)
}

// do sends a request and decodes the answer into "into". A refusal becomes an
// error of the kind the server named, with its hint.
func (c *client) do(ctx context.Context, method, path string, query url.Values, body []byte, into any) error {
	target, err := c.url(path, query)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = c.header.Clone()
	if body != nil {
		req.Header.Set("Content-Type", "application/yaml")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(err)
	}
	if resp.StatusCode >= 300 {
		return refusal(resp, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s does not speak Sidelight's API: %w; check --address", c.address, err)
	}
	return nil
}

// userName is what stands in the history of revisions as who changed something.
func userName() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	name = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, name)
	return name[:min(len(name), 64)]
}

func (c *client) url(path string, query url.Values) (*url.URL, error) {
	base, err := url.Parse(c.address)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, usageError{fmt.Errorf("--address %s: want a URL like http://127.0.0.1:8430", c.address)}
	}
	target := base.JoinPath(path)
	target.RawQuery = query.Encode()
	return target, nil
}

func (c *client) unreachable(err error) error {
	var op *net.OpError
	switch hint := explainTLS(err); {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return refused{fmt.Sprintf("%s gave no answer within %s; see --timeout", c.address, c.timeout), mesh.ErrUnavailable}
	case hint != "":
		return refused{fmt.Sprintf("ask %s: %v: %s", c.address, err, hint), mesh.ErrUnavailable}
	case errors.As(err, &op):
		return refused{fmt.Sprintf("no server at %s (%v); start one with `sidelight run`, or name another with --address", c.address, op.Err), mesh.ErrUnavailable}
	}
	return fmt.Errorf("ask %s: %w: %w", c.address, mesh.ErrUnavailable, err)
}

func refusal(resp *http.Response, answer []byte) error {
	var e apiError
	if json.Unmarshal(answer, &e) != nil || e.Error.Message == "" {
		text := fmt.Sprintf("%s %s: %s", resp.Request.Method, resp.Request.URL.Redacted(), resp.Status)
		if hint := explainStatus(resp, answer); hint != "" {
			text += ": " + hint
		}
		return errors.New(text)
	}
	text := e.Error.Message
	if e.Error.Hint != "" {
		text += "; " + midSentence(e.Error.Hint)
	}
	if len(e.Problems) > 0 {
		return problemsError{text: text, problems: e.Problems}
	}
	if kind, ok := errorKinds[e.Error.Code]; ok {
		return refused{text, kind}
	}
	return errors.New(text)
}

// midSentence makes a hint, which is a sentence of its own, go on from what
// stands before it. Names in capitals stay as they are.
func midSentence(hint string) string {
	first, size := utf8.DecodeRuneInString(hint)
	if second, _ := utf8.DecodeRuneInString(hint[size:]); unicode.IsLower(second) || second == ' ' {
		hint = string(unicode.ToLower(first)) + hint[size:]
	}
	return strings.TrimSuffix(hint, ".")
}

// refused keeps the server's own words and the kind that decides the exit code.
type refused struct {
	text string
	kind error
}

func (r refused) Error() string { return r.text }
func (r refused) Unwrap() error { return r.kind }

// problemsError is a refused configuration, problem by problem.
type problemsError struct {
	text     string
	problems json.RawMessage
}

func (p problemsError) Error() string { return p.text }
func (p problemsError) Unwrap() error { return mesh.ErrInvalid }

// live opens the server's WebSocket.
func (c *client) live(ctx context.Context) (*websocket.Conn, error) {
	target, err := c.url("/api/v1/live", nil)
	if err != nil {
		return nil, err
	}
	target.Scheme = strings.Replace(target.Scheme, "http", "ws", 1)
	transport := c.http.Transport.(*http.Transport)
	dialer := websocket.Dialer{
		Proxy: transport.Proxy, TLSClientConfig: transport.TLSClientConfig.Clone(),
		HandshakeTimeout: c.timeout, Subprotocols: []string{"sidelight.v1"}, EnableCompression: true,
	}
	conn, resp, err := dialer.DialContext(ctx, target.String(), c.header.Clone())
	if resp != nil && resp.Body != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		if resp != nil {
			answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
			return nil, refusal(resp, answer)
		}
		return nil, c.unreachable(err)
	}
	return conn, nil
}
