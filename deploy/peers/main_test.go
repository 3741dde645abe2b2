package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// proxy is the sidecar's binary; set by TestMain.
var proxy string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(grpcRole) != "" {
		if err := beGRPCClient(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	if dir := os.Getenv("SIDELIGHT_BIN"); dir != "" {
		var err error
		if proxy, err = filepath.Abs(filepath.Join(dir, "sidelight-proxy")); err != nil {
			fmt.Fprintln(os.Stderr, "SIDELIGHT_BIN:", err)
			return 1
		}
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "sidelight-peers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	proxy = filepath.Join(dir, "sidelight-proxy")
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", proxy, "./cmd/sidelight-proxy")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the sidecar to test: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
