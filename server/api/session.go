package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/auth"
)

// Session is who asks, and what they may.
type Session struct {
	User    string       `json:"user"` // the address where nobody says who it is
	ByToken bool         `json:"by_token"`
	May     []auth.Right `json:"may"`
}

type signInRequest struct {
	Token string `json:"token"`
}

// getSession takes no right: it tells those without any why.
func (s *Server) getSession(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	user, err := s.opts.Access.User(c.Request())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.session(user))
}

func (s *Server) session(user auth.User) Session {
	return Session{user.Name, user.ByToken(), listOf(s.opts.Access.Rights(user))}
}

// signIn gives a browser the cookie that does for its token. Pages cannot read
// it, and other sites' pages cannot send it.
func (s *Server) signIn(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var r signInRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return hint(`Send {"token": …}.`, fmt.Errorf("the body is no sign-in: %w: %w", err, mesh.ErrInvalid))
	}
	user, err := s.opts.Access.SignIn(r.Token)
	if err != nil {
		s.opts.Logger.Warn("sign-in refused", "from", c.Request().RemoteAddr, "error", err)
		return hint("Tokens stand in the server's --access file: sidelight access token makes one.", err)
	}
	s.opts.Logger.Info("signed in", "user", user.Name, "from", c.Request().RemoteAddr)
	setSession(c, r.Token, 0)
	return c.JSON(http.StatusOK, s.session(user))
}

func (s *Server) signOut(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	setSession(c, "", -1)
	return c.NoContent(http.StatusNoContent)
}

// setSession leaves the end of the cookie to the browser's own, age 0, or ends it.
func setSession(c echo.Context, token string, age int) {
	r := c.Request()
	c.SetCookie(&http.Cookie{
		Name: auth.Cookie, Value: token, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}
