package route

import (
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
)

func TestHashOf(t *testing.T) {
	header := HashPolicy{Header: "user"}
	seat := HashPolicy{Cookie: &Cookie{Name: "seat"}}
	r := &Request{Query: "a=1&film=Am%C3%A9lie&film=2", Header: Header{"User": {"tomas"}, "Cookie": {"x=1; seat=\"7\"", "seat=8"}}}
	empty := &Request{}
	h := xxhash.Sum64String
	for _, tt := range []struct {
		name   string
		hash   []HashPolicy
		r      *Request
		want   uint64
		wantOK bool
	}{
		{"header", []HashPolicy{header}, r, h("tomas"), true},
		{"no header", []HashPolicy{header}, empty, 0, false},
		{"cookie", []HashPolicy{seat}, r, h("7"), true},
		{"query", []HashPolicy{{Query: "film"}}, r, h("Amélie"), true},
		{"no query", []HashPolicy{{Query: "seat"}}, r, 0, false},
		{"address", []HashPolicy{{SourceIP: true}}, empty, h("10.0.0.9"), true},
		{"two", []HashPolicy{header, seat}, r, h("tomas")<<1 ^ h("tomas")>>63 ^ h("7"), true},
		{"the first is terminal", []HashPolicy{{Header: "user", Terminal: true}, seat}, r, h("tomas"), true},
		{"the first is terminal and absent", []HashPolicy{{Header: "nope", Terminal: true}, seat}, r, h("7"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &Forward{Clusters: []Weighted{{Cluster: "c"}}, Hash: tt.hash}
			if err := f.compile(); err != nil {
				t.Fatal(err)
			}
			got, ok, set := f.HashOf(tt.r, "10.0.0.9", 0xbeef)
			if got != tt.want || ok != tt.wantOK || set != "" {
				t.Errorf("got %x, %v, cookie %q; want %x, %v", got, ok, set, tt.want, tt.wantOK)
			}
		})
	}
}

func TestHashGivesCookies(t *testing.T) {
	f := &Forward{Clusters: []Weighted{{Cluster: "c"}}, Hash: []HashPolicy{{Cookie: &Cookie{Name: "seat", Path: "/", Generate: true, TTL: time.Hour}}}}
	if err := f.compile(); err != nil {
		t.Fatal(err)
	}
	hash, ok, set := f.HashOf(&Request{}, "", 0xbeef)
	if want := `seat="beef"; Max-Age=3600; Path=/; HttpOnly`; !ok || set != want {
		t.Fatalf("got %v, %q, want %q", ok, set, want)
	}
	value, _, _ := strings.Cut(set, ";")
	if again, _, set := f.HashOf(&Request{Header: Header{"Cookie": {value}}}, "", 1); again != hash || set != "" {
		t.Errorf("the cookie that was given hashes to %x, want %x; another is given: %q", again, hash, set)
	}
}

func BenchmarkHashOf(b *testing.B) {
	f := &Forward{Clusters: []Weighted{{Cluster: "c"}}, Hash: []HashPolicy{{Header: "User"}, {Query: "film"}}}
	if err := f.compile(); err != nil {
		b.Fatal(err)
	}
	r := &Request{Query: "a=1&film=2", Header: Header{"User": {"tomas"}}}
	b.ReportAllocs()
	for b.Loop() {
		f.HashOf(r, "", 0)
	}
}
