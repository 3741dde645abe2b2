//go:build !linux

package app

// dropStartPages has nothing to do where /proc does not tell the mappings.
func dropStartPages() int { return 0 }
