package app

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// parentPoll is how often the parent is looked for: a mesh that was killed must
// be gone within three seconds, drain included.
const parentPoll = 250 * time.Millisecond

// watchParent returns when the process pid is gone, or ctx ends. It gives true
// in the first case.
func watchParent(ctx context.Context, pid int) bool {
	born := os.Getppid() == pid
	tick := time.NewTicker(parentPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		// A parent that died and was not waited for is a zombie that still has
		// its pid; but its children have another parent then.
		if born && os.Getppid() != pid {
			return true
		}
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return true
		}
	}
}
