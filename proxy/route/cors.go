package route

import "fmt"

// CORS says which other origins' pages may use a route, in the browser's eyes.
// The service is not asked: preflights are answered in its place, and its
// answers get the headers that the browser wants.
type CORS struct {
	Origins     []StringMatch
	Methods     string // value of Access-Control-Allow-Methods; "" = not sent
	Headers     string
	Expose      string
	MaxAge      string
	Credentials bool
	// IgnoreUnmatched answers preflights of origins that are not allowed with an
	// empty 200, which the browser takes as no; else the service gets them.
	IgnoreUnmatched bool

	origins []stringMatcher
}

// Verdict is what CORS makes of a request.
type Verdict uint8

// The verdicts.
const (
	NoCORS    Verdict = iota // not across origins, or not allowed: pass it on as it is
	Allowed                  // pass it on, and decorate the answer
	Preflight                // answer it in the service's place
)

func (c *CORS) compile() error {
	if c == nil {
		return nil
	}
	c.origins = nil
	for _, o := range c.Origins {
		m, err := compileString(o)
		if err != nil {
			return fmt.Errorf("cors: %w", err)
		}
		c.origins = append(c.origins, m)
	}
	return nil
}

// Judge tells how to treat a request. The origin is "" when an answer must not
// name it.
func (c *CORS) Judge(r *Request) (v Verdict, origin string) {
	values := r.Header["Origin"]
	if len(values) == 0 || values[0] == "" {
		return NoCORS, ""
	}
	preflight := r.Method == "OPTIONS" && len(r.Header["Access-Control-Request-Method"]) > 0
	if !c.allows(values[0]) {
		if preflight && c.IgnoreUnmatched {
			return Preflight, ""
		}
		return NoCORS, ""
	}
	if preflight {
		return Preflight, values[0]
	}
	return Allowed, values[0]
}

func (c *CORS) allows(origin string) bool {
	for i := range c.origins {
		if c.origins[i].Kind == Exact && c.origins[i].Value == "*" || c.origins[i].matches(origin) {
			return true
		}
	}
	return false
}

// Decorate adds to an answer what an allowed origin's browser wants to see.
func (c *CORS) Decorate(h Header, v Verdict, origin string) {
	if origin == "" {
		return
	}
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	set("Access-Control-Allow-Origin", origin)
	if c.Credentials {
		set("Access-Control-Allow-Credentials", "true")
	}
	if v == Preflight {
		set("Access-Control-Allow-Methods", c.Methods)
		set("Access-Control-Allow-Headers", c.Headers)
		set("Access-Control-Max-Age", c.MaxAge)
		return
	}
	set("Access-Control-Expose-Headers", c.Expose)
}
