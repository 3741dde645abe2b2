package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

// State is whether panels of Grafana can stand in our pages.
type State string

// The states, from none to all well. Each but Off, Checking and Ready has a
// reason and, where a setting helps, the setting.
const (
	Off          State = "off"           // no --grafana-url
	Checking     State = "checking"      // not known yet
	Unreachable  State = "unreachable"   // nothing answers, or no Grafana does
	Slow         State = "slow"          // it answers too slowly to wait for
	SubPath      State = "sub_path"      // its pages do not know that they stand below /grafana
	Login        State = "login"         // it wants the visitor to log in
	FrameRefused State = "frame_refused" // it forbids browsers to show it in a frame
	NoDashboards State = "no_dashboards" // it does not have our dashboards
	Ready        State = "ready"
)

// Status is what the last check found.
type Status struct {
	State     State     `json:"state"`
	Reason    string    `json:"reason,omitempty"`
	Settings  string    `json:"settings,omitempty"` // lines for grafana.ini
	Version   string    `json:"version,omitempty"`
	Path      string    `json:"path,omitempty"` // where it is to be opened, from our root
	CheckedAt time.Time `json:"checked_at,omitzero"`

	// Jaeger and Perses are where the user's own of these are opened, when the
	// operator said so; they are linked to, and never asked.
	Jaeger string `json:"jaeger,omitempty"`
	Perses string `json:"perses,omitempty"`
}

const (
	checkEvery = 10 * time.Second
	checkTime  = 4 * time.Second
	slowFrom   = 2 * time.Second // to answer a health check
	pageLimit  = 2 << 20
)

// The settings that help. The address is written as Grafana's own files do.
const (
	subPathSettings = "[server]\nroot_url = %(protocol)s://%(domain)s/grafana/\nserve_from_sub_path = true"
	frameSettings   = "[security]\nallow_embedding = true"
	loginSettings   = "[auth.proxy]\nenabled = true\nheader_name = X-WEBAUTH-USER\nheaders = Role:X-WEBAUTH-ROLE\nwhitelist = 127.0.0.1"
)

// checks keeps the newest status. It checks only while somebody asks.
type checks struct {
	last   atomic.Pointer[Status]
	wanted chan struct{}
	client *http.Client
	as     atomic.Pointer[visitor] // who asked last
}

// visitor is who a check asks as: by name, or by the session that Grafana's own
// login gave.
type visitor struct {
	name    string
	cookies string
}

func dialer() *net.Dialer { return &net.Dialer{Timeout: dialTime, KeepAlive: 30 * time.Second} }

func (c *checks) start(p *Proxy) {
	c.wanted = make(chan struct{}, 1)
	c.last.Store(&Status{State: Checking, Path: Prefix + "/"})
	c.client = &http.Client{
		Transport: p.forward.Transport,
		// Where it sends us is what we want to know.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Status gives the newest answer at once, and has it renewed.
func (p *Proxy) Status(r *http.Request) Status {
	if p == nil {
		return Status{State: Off, Reason: "No Grafana is set: give sidelight run or sidelight server its address with --grafana-url."}
	}
	if name, err := p.userOf(r); err == nil {
		as := visitor{name: name}
		if p.opts.User == "" && p.opts.UserHeader == "" {
			own := &http.Request{Header: http.Header{"Cookie": r.Header.Values("Cookie")}}
			keepCookies(own)
			as.cookies = own.Header.Get("Cookie")
		}
		p.checks.as.Store(&as)
	}
	select {
	case p.checks.wanted <- struct{}{}:
	default: // one is waiting already
	}
	return *p.checks.last.Load()
}

// Run checks until ctx ends: at once when it is first asked, then every ten
// seconds as long as it is asked. Its end closes what is still open to Grafana.
func (p *Proxy) Run(ctx context.Context) {
	defer p.checks.client.CloseIdleConnections()
	defer p.close()
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.checks.wanted:
		}
		if wait := time.Until(next); wait > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		status := p.check(ctx)
		if before := p.checks.last.Load(); before.State != status.State && ctx.Err() == nil {
			p.opts.Logger.Info("grafana", "state", string(status.State), "reason", status.Reason)
		}
		p.checks.last.Store(&status)
		next = time.Now().Add(checkEvery)
		if status.State != Ready {
			next = time.Now().Add(checkEvery / 5)
		}
	}
}

// check asks Grafana as a visitor's browser would, step by step; the first
// step that fails is the state.
func (p *Proxy) check(ctx context.Context) Status {
	s := Status{State: Ready, Path: Prefix + "/"}
	fail := func(state State, settings, format string, args ...any) Status {
		s.State, s.Settings, s.Reason, s.CheckedAt = state, settings, fmt.Sprintf(format, args...), time.Now().UTC()
		return s
	}
	begin := time.Now()
	health, err := p.ask(ctx, "/api/health")
	took := time.Since(begin)
	var said struct{ Database, Version string }
	switch {
	case err != nil && isTimeout(err):
		return fail(Slow, "", "Grafana at %s did not answer within %s.", p.base.Redacted(), checkTime)
	case err != nil:
		return fail(Unreachable, "", "Grafana at %s does not answer: %v.", p.base.Redacted(), rootCause(err))
	case health.StatusCode >= 300 && health.StatusCode < 400 && strings.HasSuffix(health.Header.Get("Location"), "/api/health"):
		return fail(SubPath, subPathSettings, "Grafana sends /api/health on to %s: it serves below a path. Give --grafana-url with that path.", health.Header.Get("Location"))
	case json.Unmarshal(health.body, &said) != nil || said.Database == "":
		return fail(Unreachable, "", "%s answers (%s), but not as Grafana does: is --grafana-url right, with the sub-path?", p.base.Redacted(), health.Status)
	case took > slowFrom:
		s.Version = said.Version
		return fail(Slow, "", "Grafana took %.1f s to answer a health check.", took.Seconds())
	}
	s.Version = said.Version

	page, err := p.ask(ctx, "/d-solo/sidelight-mesh/_?panelId=1")
	switch to := ""; {
	case err != nil:
		return fail(Slow, "", "Grafana's page for a single panel does not come: %v.", rootCause(err))
	case page.StatusCode == http.StatusUnauthorized || page.StatusCode == http.StatusForbidden:
		return fail(Login, loginSettings, "Grafana wants a login (%s). Let Sidelight say who the visitor is, with --grafana-user or --grafana-user-header.", page.Status)
	case page.StatusCode >= 300 && page.StatusCode < 400:
		to = page.Header.Get("Location")
		u, err := url.Parse(to)
		switch {
		case err == nil && strings.HasSuffix(u.Path, "/user/auth-tokens/rotate"):
			// A session that is to be renewed: the browser gets the new one on the way.
			s.CheckedAt = time.Now().UTC()
			return s
		case err == nil && strings.HasSuffix(u.Path, "/login"):
			return fail(Login, loginSettings, "Grafana wants a login. Let Sidelight say who the visitor is, with --grafana-user or --grafana-user-header.")
		}
		return fail(SubPath, subPathSettings, "Grafana sends the panel's page on to %s: its root_url is not that of Sidelight.", to)
	case page.StatusCode >= 500:
		return fail(Unreachable, "", "Grafana's page for a single panel fails: %s.", page.Status)
	}
	if by, refused := refusesFrames(page.Header); refused {
		return fail(FrameRefused, frameSettings, "Grafana forbids browsers to show it inside another page (%s).", by)
	}
	if base := baseOf(page.body); base != "" && base != Prefix+"/" {
		return fail(SubPath, subPathSettings, "Grafana's pages take %s for their root, not %s/: scripts would not be found.", base, Prefix)
	}
	boards, err := p.ask(ctx, "/api/dashboards/uid/sidelight-mesh")
	switch {
	case err != nil:
		return fail(Slow, "", "Grafana's API does not answer: %v.", rootCause(err))
	case boards.StatusCode == http.StatusNotFound:
		return fail(NoDashboards, "", "Grafana does not have Sidelight's dashboards: provision the files that GET /api/v1/dashboards lists (docs/dashboards.md).")
	case boards.StatusCode == http.StatusUnauthorized || boards.StatusCode == http.StatusForbidden:
		return fail(Login, loginSettings, "Grafana lets this visitor see no dashboards (%s).", boards.Status)
	}
	s.CheckedAt = time.Now().UTC()
	return s
}

// answer is what Grafana said, read to the end.
type answer struct {
	StatusCode int
	Status     string
	Header     http.Header
	body       []byte
}

func (p *Proxy) ask(ctx context.Context, path string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base.String()+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}
	if as := p.checks.as.Load(); as != nil && as.name != "" {
		req.Header.Set("X-Webauth-User", as.name)
		req.Header.Set("X-Webauth-Role", "Viewer")
	} else if as != nil && as.cookies != "" {
		req.Header.Set("Cookie", as.cookies)
	}
	resp, err := p.checks.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, pageLimit))
	return answer{resp.StatusCode, resp.Status, resp.Header, body}, err
}

// refusesFrames reads the two headers by which a page may forbid it.
func refusesFrames(h http.Header) (by string, refused bool) {
	if v := h.Get("X-Frame-Options"); strings.EqualFold(v, "deny") {
		return "X-Frame-Options: " + v, true
	}
	for _, policy := range h.Values("Content-Security-Policy") {
		for directive := range strings.SplitSeq(policy, ";") {
			name, sources, _ := strings.Cut(strings.TrimSpace(directive), " ")
			if strings.EqualFold(name, "frame-ancestors") && !strings.Contains(sources, "'self'") && !strings.Contains(sources, "*") {
				return "Content-Security-Policy: " + strings.TrimSpace(directive), true
			}
		}
	}
	return "", false
}

var baseTag = regexp.MustCompile(`<base\s+href="([^"]*)"`)

// baseOf finds what a page takes for its root.
func baseOf(page []byte) string {
	if m := baseTag.FindSubmatch(page); m != nil {
		return string(m[1])
	}
	return ""
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// rootCause leaves out the URL, which is in the sentence already.
func rootCause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
