package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	proxyapp "github.com/sidelight-mesh/sidelight/proxy/app"
)

func proxyCommand() *cobra.Command {
	cmd := proxyapp.Command(version)
	cmd.Short = "Run a sidecar; sidelight-proxy is the same as a slim binary of its own"
	cmd.SetFlagErrorFunc(nil) // the root's
	serve := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := serve(cmd, args)
		if errors.Is(err, mesh.ErrInvalid) { // here, only flags can be
			return usageError{err}
		}
		return err
	}
	return cmd
}
