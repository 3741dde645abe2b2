package main

import (
	"github.com/spf13/cobra"

	proxyapp "github.com/sidelight-mesh/sidelight/proxy/app"
)

func proxyCommand() *cobra.Command {
	cmd := proxyapp.Command(version)
	cmd.Short = "Run a sidecar; sidelight-proxy is the same as a slim binary of its own"
	return cmd
}
