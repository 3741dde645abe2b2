package route

import (
	"fmt"
	"time"
)

// million is what shares are of: Envoy's finest fraction.
const million = 1_000_000

// Fault is what is done to requests on purpose, before they leave: some wait,
// some are answered with an error in the service's place. Each share is drawn
// by itself, the delay's first.
type Fault struct {
	Delay      time.Duration
	DelayShare uint32 // of a million requests

	AbortStatus int    // HTTP status; 0 = by AbortGRPC
	AbortGRPC   string // gRPC status as a number; "" = by AbortStatus
	AbortShare  uint32 // of a million requests
	AbortBody   string // "" = Envoy's own words
}

func (f *Fault) check() error {
	switch {
	case f == nil:
		return nil
	case f.DelayShare > 0 && f.Delay <= 0:
		return fmt.Errorf("fault: a delay of %s", f.Delay)
	case f.AbortShare > 0 && f.AbortGRPC == "" && (f.AbortStatus < 200 || f.AbortStatus > 599):
		return fmt.Errorf("fault: abort with status %d", f.AbortStatus)
	}
	return nil
}

// Delays says whether a request waits. Random is uniform over all 32 bits.
func (f *Fault) Delays(random uint32) bool { return drawn(random, f.DelayShare) }

// Aborts says whether a request is answered with the fault.
func (f *Fault) Aborts(random uint32) bool { return drawn(random, f.AbortShare) }

// drawn is true for share of a million draws.
func drawn(random, share uint32) bool {
	return uint64(random)*million>>32 < uint64(share)
}
