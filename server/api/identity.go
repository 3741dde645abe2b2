package api

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/ca"
)

// Authority issues the mesh's certificates.
type Authority interface {
	TrustDomain() string
	Root() *x509.Certificate
	Pin() string
	Tokens() []ca.Token
	CreateToken(ca.TokenRequest) (text string, _ ca.Token, err error)
	RevokeToken(id string) error
}

// authorityInfo is what is public of the certificate authority.
type authorityInfo struct {
	TrustDomain string    `json:"trust_domain"`
	Root        string    `json:"root"` // PEM
	Fingerprint string    `json:"fingerprint"`
	NotAfter    time.Time `json:"not_after"`
}

type tokenRequest struct {
	Namespace      string  `json:"namespace"`
	ServiceAccount string  `json:"service_account"`
	TTLS           float64 `json:"ttl_s"` // 0: one hour
	Uses           int     `json:"uses"`  // 0: one
}

// tokenResult has the token's text, which is told this once.
type tokenResult struct {
	ca.Token
	Text string `json:"token"`
}

type tokenList struct {
	Tokens []ca.Token `json:"tokens"`
}

func (s *Server) getAuthority(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	if s.opts.Authority == nil {
		return noAuthority()
	}
	root := s.opts.Authority.Root()
	return c.JSON(http.StatusOK, authorityInfo{
		TrustDomain: s.opts.Authority.TrustDomain(), Fingerprint: s.opts.Authority.Pin(), NotAfter: root.NotAfter,
		Root: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})),
	})
}

func (s *Server) getTokens(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	if s.opts.Authority == nil {
		return noAuthority()
	}
	return c.JSON(http.StatusOK, tokenList{listOf(s.opts.Authority.Tokens())})
}

// postToken makes a join token. Who has one can be that workload, so until the
// API knows who asks, only this machine may.
func (s *Server) postToken(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	if err := s.mayManageTokens(c); err != nil {
		return err
	}
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var r tokenRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return hint(`Send {"namespace": …, "service_account": …, "ttl_s": 3600, "uses": 1}.`,
			fmt.Errorf("the body is no token request: %w: %w", err, mesh.ErrInvalid))
	}
	text, token, err := s.opts.Authority.CreateToken(ca.TokenRequest{
		Identity: ca.Identity{Namespace: r.Namespace, ServiceAccount: r.ServiceAccount},
		TTL:      time.Duration(r.TTLS * float64(time.Second)), Uses: r.Uses,
	})
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusCreated, tokenResult{token, text})
}

func (s *Server) deleteToken(c echo.Context) error {
	if p := query(c); p.err != nil {
		return p.err
	}
	if err := s.mayManageTokens(c); err != nil {
		return err
	}
	if err := s.opts.Authority.RevokeToken(c.Param("id")); err != nil {
		return hint("GET /api/v1/identity/tokens lists those that may still be used.", err)
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) mayManageTokens(c echo.Context) error {
	if s.opts.Authority == nil {
		return noAuthority()
	}
	host, _, err := net.SplitHostPort(c.Request().RemoteAddr)
	if err == nil {
		var ip netip.Addr
		if ip, err = netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
			return nil
		}
	}
	return hint("Run `sidelight token create` on the server's machine.",
		fmt.Errorf("join tokens are managed from the server's own machine only: %w", errors.Join(mesh.ErrInvalid, err)))
}

func noAuthority() error {
	return fmt.Errorf("this server has no certificate authority: %w", mesh.ErrUnavailable)
}
