// Command sidelight-proxy is the sidecar as a slim binary of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/proxy/app"
)

// version is set at link time: -X main.version=v0.1.0.
var version = "dev"

func main() {
	// Heap profiles are not offered here, and keeping them costs a megabyte and
	// a half per sidecar. It must be the first thing the program does.
	runtime.MemProfileRate = 0
	cmd := app.Command(version)
	cmd.Use = "sidelight-proxy"
	if err := cmd.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintf(os.Stderr, "sidelight-proxy: %v\n", err)
		if errors.Is(err, mesh.ErrInvalid) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}
