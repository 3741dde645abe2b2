package route

import (
	"errors"
	"math/bits"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
)

// HashPolicy names a part of the request that goes into its hash: one of
// Header, Cookie, Query and SourceIP.
type HashPolicy struct {
	Header   string
	Cookie   *Cookie
	Query    string
	SourceIP bool
	Terminal bool // when this part is there, the rest is not asked

	canonical string
}

// Cookie is a cookie that a request's hash goes by.
type Cookie struct {
	Name, Path string
	Generate   bool          // give one to clients that have none
	TTL        time.Duration // of a cookie that is given; 0 = of the session
}

// Mirror sends copies of requests to a cluster; what it answers is dropped.
type Mirror struct {
	Cluster  string
	Share    uint32 // of a million
	KeepHost bool   // else the Host gets "-shadow"
}

func (f *Forward) compileHash() error {
	for i := range f.Hash {
		p := &f.Hash[i]
		p.canonical = canonicalName(p.Header)
		if p.Cookie != nil && p.Cookie.Name == "" {
			return errors.New("hash by a cookie without a name")
		}
	}
	for i := range f.Mirrors {
		if f.Mirrors[i].Cluster == "" {
			return errors.New("mirror without a cluster")
		}
	}
	return nil
}

// HashOf gives the request's hash: xxHash64 of each part, each turned by a bit
// against the next, as Envoy does. False when no part is there. A cookie that
// the client must be given is returned as a Set-Cookie value; it is made of
// random. Client is the caller's IP address.
func (f *Forward) HashOf(r *Request, client string, random uint64) (hash uint64, ok bool, setCookie string) {
	for i := range f.Hash {
		p := &f.Hash[i]
		text, found := "", false
		switch {
		case p.Header != "":
			text, found = joined(r.Header[p.canonical])
		case p.Cookie != nil:
			if text, found = cookie(r.Header["Cookie"], p.Cookie.Name); !found && p.Cookie.Generate {
				text, found = strconv.FormatUint(random, 16), true
				setCookie = p.Cookie.header(text)
			}
		case p.Query != "":
			text, found = queryValue(r.Query, p.Query)
		case p.SourceIP:
			text, found = client, client != ""
		}
		if !found {
			continue
		}
		hash, ok = bits.RotateLeft64(hash, 1)^xxhash.Sum64String(text), true
		if p.Terminal {
			break
		}
	}
	return hash, ok, setCookie
}

func joined(values []string) (string, bool) {
	switch len(values) {
	case 0:
		return "", false
	case 1:
		return values[0], true
	default:
		return strings.Join(values, ","), true
	}
}

// cookie finds a cookie in Cookie headers, without its quotes.
func cookie(headers []string, name string) (string, bool) {
	for _, h := range headers {
		for pair := range strings.SplitSeq(h, ";") {
			if key, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && key == name {
				return strings.Trim(value, `"`), true
			}
		}
	}
	return "", false
}

// queryValue finds the first value of a query parameter.
func queryValue(query, name string) (string, bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if strings.ContainsAny(key, "%+") {
			if plain, err := url.QueryUnescape(key); err == nil {
				key = plain
			}
		}
		if key != name {
			continue
		}
		if strings.ContainsAny(value, "%+") {
			if plain, err := url.QueryUnescape(value); err == nil {
				value = plain
			}
		}
		return value, true
	}
	return "", false
}

// header gives the Set-Cookie value.
func (c *Cookie) header(value string) string {
	text := c.Name + `="` + value + `"`
	if c.TTL > 0 {
		text += "; Max-Age=" + strconv.FormatInt(int64(c.TTL/time.Second), 10)
	}
	if c.Path != "" {
		text += "; Path=" + c.Path
	}
	return text + "; HttpOnly"
}
