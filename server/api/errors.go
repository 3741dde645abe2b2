package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
	"github.com/sidelight-mesh/sidelight/server/config"
)

// Error is what every failed request is answered with, under "error".
type Error struct {
	Code    string `json:"code"` // invalid | unauthenticated | forbidden | not_found | unavailable | conflict | exhausted | internal
	Message string `json:"message"`
	Hint    string `json:"hint"` // what to do next
}

type errorBody struct {
	Error    Error            `json:"error"`
	Problems []config.Problem `json:"problems,omitempty"`
}

// errorKind is one row of the table from kind of error to answer.
type errorKind struct {
	kind   error
	status int
	code   string
	hint   string // when the error brings none
}

// errNotAllowed says that the request may not come from where it comes from.
var errNotAllowed = errors.New("not allowed")

// errorKinds is the table. The first kind that an error is decides.
var errorKinds = []errorKind{
	{errNotAllowed, http.StatusForbidden, "invalid", "Use the address that the server printed at its start, or add this one to --allowed-hosts."},
	{mesh.ErrNotFound, http.StatusNotFound, "not_found", "Look at the list that it should be in."},
	{mesh.ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated", "Sign in with a token of the --access file: sidelight takes it with --token-file, other programs send it as Authorization: Bearer."},
	{mesh.ErrForbidden, http.StatusForbidden, "forbidden", "Ask those who run this server for a rule in its --access file."},
	{mesh.ErrInvalid, http.StatusBadRequest, "invalid", "Correct what the message names and send it again."},
	{mesh.ErrConflict, http.StatusConflict, "conflict", "Read the present state and try again."},
	{mesh.ErrExhausted, http.StatusTooManyRequests, "exhausted", "Close what is not needed, or try again later."},
	{mesh.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "Try again in a moment; /readyz on the admin port says what is missing."},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "unavailable", "It took too long: ask for less, or try again."},
	{context.Canceled, http.StatusServiceUnavailable, "unavailable", "The request was given up."},
}

// describe finds what to answer to an error.
func describe(err error) (status int, e Error) {
	for _, k := range errorKinds {
		if errors.Is(err, k.kind) {
			message, bare := strings.CutSuffix(err.Error(), ": "+k.kind.Error())
			if bare && errors.Is(k.kind, mesh.ErrNotFound) { // the rest only names the thing
				message += " is not known"
			}
			return k.status, Error{Code: k.code, Message: message, Hint: hintOf(err, k.hint)}
		}
	}
	return http.StatusInternalServerError, Error{Code: "internal", Message: "internal error", Hint: "The server's log has the details."}
}

// hinted is an error that says what to do next.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// hint adds to an error what to do next.
func hint(text string, err error) error { return hinted{err, text} }

func hintOf(err error, otherwise string) string {
	if h, ok := errors.AsType[hinted](err); ok {
		return h.hint
	}
	var syntax *expr.SyntaxError
	if errors.As(err, &syntax) && syntax.Hint != "" {
		return syntax.Hint
	}
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		for _, p := range invalid.Problems {
			if p.Severity == config.SeverityError && p.Hint != "" {
				return p.Hint
			}
		}
	}
	return otherwise
}

// fail answers a request whose handler gave an error.
func (s *Server) fail(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status, e := describe(err)
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		status, e = explainEcho(he, c.Request())
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		status = http.StatusRequestEntityTooLarge
		e = Error{"invalid", fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit), "Send it in parts."}
	}
	if status == http.StatusUnauthorized {
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="sidelight"`)
	}
	if status == http.StatusInternalServerError {
		s.opts.Logger.Error("request failed", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
	}
	body := errorBody{Error: e}
	if invalid, ok := errors.AsType[*config.InvalidError](err); ok {
		body.Problems = invalid.Problems
	}
	if err := c.JSON(status, body); err != nil {
		s.opts.Logger.Debug("error answer not written", "error", err)
	}
}

// explainEcho words the router's own errors.
func explainEcho(he *echo.HTTPError, r *http.Request) (int, Error) {
	switch he.Code {
	case http.StatusNotFound:
		return he.Code, Error{"not_found", "there is nothing at " + r.URL.Path, "The API is below /api/v1: begin with /api/v1/status."}
	case http.StatusMethodNotAllowed:
		return he.Code, Error{"invalid", r.URL.Path + " does not take " + r.Method, "The Allow header lists what it takes."}
	}
	return he.Code, Error{"invalid", fmt.Sprint(he.Message), "Correct what the message names and send it again."}
}

// writeError answers outside of echo.
func writeError(w http.ResponseWriter, err error) {
	status, e := describe(err)
	writeJSON(w, status, errorBody{Error: e})
}
