package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// binaries is the folder of sidelight and sidelight-proxy; set by TestMain.
var binaries string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		fmt.Println("end-to-end tests start some thirty processes: skipped in short mode")
		return 0
	}
	if runtime.GOOS != "linux" {
		fmt.Println("end-to-end tests find the demo's processes in /proc: skipped on", runtime.GOOS)
		return 0
	}
	if dir := os.Getenv("SIDELIGHT_BIN"); dir != "" {
		var err error
		if binaries, err = filepath.Abs(dir); err != nil {
			fmt.Fprintln(os.Stderr, "SIDELIGHT_BIN:", err)
			return 1
		}
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "sidelight-e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", dir+"/", "./cmd/sidelight", "./cmd/sidelight-proxy")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the binaries to test: %v\n%s", err, out)
		return 1
	}
	binaries = dir
	return m.Run()
}

func sidelight() string { return filepath.Join(binaries, "sidelight") }
