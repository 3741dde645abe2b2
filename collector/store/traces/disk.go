package traces

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sidelight-mesh/sidelight/mesh"
)

// disk makes writes wait while the disk is full, where Pebble would end the
// process: of its log it takes no error. Spans are refused meanwhile, and what
// is stored can be read.
type disk struct {
	fs   vfs.FS
	dir  string
	log  *slog.Logger
	full atomic.Bool
}

const (
	// diskRoom is what must be free before writes go on: all that waits in memory.
	diskRoom  = 32 << 20
	diskEvery = 250 * time.Millisecond // how often it is looked at
)

func newDisk(dir string, log *slog.Logger) *disk {
	d := &disk{dir: dir, log: log}
	d.fs = vfs.OnDiskFull(vfs.Default, d.wait)
	return d
}

// wait returns when there is room again.
func (d *disk) wait() {
	d.full.Store(true)
	d.log.Error("the disk is full: spans are refused until there is room", "dir", d.dir, "needed_bytes", uint64(diskRoom))
	for {
		time.Sleep(diskEvery)
		if usage, err := vfs.Default.GetDiskUsage(d.dir); err == nil && usage.AvailBytes >= diskRoom {
			break
		}
	}
	d.full.Store(false)
	d.log.Info("the disk has room again: spans are taken", "dir", d.dir)
}

// err tells who wants to write that the disk is full.
func (d *disk) err() error {
	if !d.full.Load() {
		return nil
	}
	return fmt.Errorf("the disk of %s is full: %w", d.dir, mesh.ErrExhausted)
}
