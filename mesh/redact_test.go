package mesh

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestRedactTarget(t *testing.T) {
	tests := []struct{ in, want string }{
		{"/v1/items", "/v1/items"},
		{"/v1/items?", "/v1/items?"},
		{"/v1/items?order=4711", "/v1/items?order=de650d61"},
		{"/v1/items?order=4711&empty=&order=4711", "/v1/items?order=de650d61&empty=&order=de650d61"},
		{"/v1/items?4711", "/v1/items?de650d61"},
		{"/v1/items?a=b=c", "/v1/items?a=49941ed0"},
		{"/v1/items?order=4711#4711", "/v1/items?order=de650d61"},
		{"https://joe:secret@bank.example/pay?pin=4711", "https://bank.example/pay?pin=de650d61"},
		{"https://bank.example?to=a@b", "https://bank.example?to=7508d8b5"},
		{"", ""},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			if got := RedactTarget(tt.in); got != tt.want {
				t.Errorf("RedactTarget = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRedactHeaders(t *testing.T) {
	in := http.Header{
		"Authorization":       {"Bearer abc"},
		"Proxy-Authorization": {"Basic x"},
		"Cookie":              {"a=b; c=d"},
		"Set-Cookie":          {"a=b", "c=de"},
		"X-Account":           {"ann"},
		"X-Api-Key":           {"k"},
		"X-Auth-Token":        {"tt"},
		"X-Client-Secret":     {"sss"},
		"Location":            {"/login?next=4711"},
		"Accept":              {"*/*"},
		"X-Long":              {strings.Repeat("é", 2000)},
	}
	want := []Header{
		{Name: "accept", Value: "*/*"},
		{Name: "authorization", Redacted: true, Bytes: 10},
		{Name: "cookie", Redacted: true, Bytes: 8},
		{Name: "location", Value: "/login?next=de650d61"},
		{Name: "proxy-authorization", Redacted: true, Bytes: 7},
		{Name: "set-cookie", Redacted: true, Bytes: 3},
		{Name: "set-cookie", Redacted: true, Bytes: 4},
		{Name: "x-account", Redacted: true, Bytes: 3},
		{Name: "x-api-key", Redacted: true, Bytes: 1},
		{Name: "x-auth-token", Redacted: true, Bytes: 2},
		{Name: "x-client-secret", Redacted: true, Bytes: 3},
		{Name: "x-long", Value: strings.Repeat("é", 512) + "…"},
	}
	if diff := cmp.Diff(want, RedactHeaders(in, []string{"x-account"})); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func FuzzRedactTarget(f *testing.F) {
	f.Add("/a?b=secret&c", "secret")
	f.Add("https://u:secret@h/x?y=z#secret", "secret")
	f.Fuzz(func(t *testing.T, target, secret string) {
		got := RedactTarget(target)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is no text", got)
		}
		if again := RedactTarget("/p?k=" + target); strings.Count(again, "=") > 1+strings.Count(target, "&")+strings.Count(target, "=") {
			t.Fatalf("%q grew names", again)
		}
		// A long value cannot show up by chance.
		if len(secret) < 12 || strings.ContainsAny(secret, "&#?=") || !utf8.ValidString(secret) {
			return
		}
		if got := RedactTarget("/p?k=" + secret); strings.Contains(got, secret) {
			t.Fatalf("%q shows the value", got)
		}
	})
}
