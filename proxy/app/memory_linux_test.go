package app

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func residentFile(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, rest, ok := strings.Cut(string(b), "RssFile:")
	if !ok {
		t.Skip("this kernel does not tell RssFile")
	}
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb
}

func TestDropStartPages(t *testing.T) {
	before := residentFile(t)
	if n := dropStartPages(); n < 1<<20 {
		t.Fatalf("looked at %d bytes, less than any binary", n)
	}
	if after := residentFile(t); after > before*9/10 {
		t.Errorf("%d kB of files resident before, %d after", before, after)
	}
}
