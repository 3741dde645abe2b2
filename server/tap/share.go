package tap

import (
	"math"
	"slices"
	"time"
)

// rebalanceEvery is how often what sidecars may send is shared out anew.
const rebalanceEvery = time.Second

// leastShare is what no sidecar's share goes below, so that what begins to
// match anywhere is seen at once. The session's own limiter cuts the sum.
const leastShare = 10

// share splits a session's limit evenly over n sidecars, as long as nobody
// knows where the matches are.
func share(limit, n int) uint32 {
	even := (limit + max(n, 1) - 1) / max(n, 1)
	return uint32(min(max(even, leastShare), limit))
}

// grant is what one sidecar may send from now on.
type grant struct {
	node, token string
	perSecond   uint32
}

// rebalance shares the limit out by what each sidecar has matched since the
// last time: who needs less than an even share gets what it needs, and the
// rest goes to the others. What nobody needs is room for everyone. It gives
// the grants that changed so much that the sidecar has to know.
func (s *session) rebalance(now time.Time) []grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := now.Sub(s.rebalanced)
	if took < rebalanceEvery || len(s.feeds) == 0 {
		return nil
	}
	s.rebalanced = now
	demand := make([]float64, 0, len(s.feeds))
	for _, f := range s.feeds {
		demand = append(demand, float64(f.matched-f.before)/took.Seconds())
	}
	level, spare := fairLevel(demand, float64(s.limit))
	least := share(s.limit, len(s.feeds))
	var changed []grant
	for node, f := range s.feeds {
		wants := float64(f.matched-f.before) / took.Seconds()
		f.before = f.matched
		next := min(uint32(s.limit), max(least, uint32(math.Ceil(min(wants, level)+spare))))
		if math.Abs(float64(next)-float64(f.granted)) >= max(1, 0.2*float64(f.granted)) {
			f.granted = next
			changed = append(changed, grant{node, f.token, next})
		}
	}
	return changed
}

// fairLevel is how much of each demand a limit can carry when nobody's is cut
// while another gets more (max-min fairness), and what is left over.
func fairLevel(demand []float64, limit float64) (level, spare float64) {
	sorted := slices.Sorted(slices.Values(demand))
	left := limit
	for i, d := range sorted {
		even := left / float64(len(sorted)-i)
		if d > even {
			return even, 0
		}
		left -= d
	}
	return math.Inf(1), left
}
