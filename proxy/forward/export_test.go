package forward

// FillForTest takes one place under the cluster's request limit.
func FillForTest(u *Upstream) { u.acquireRequest() }

// TakeRetryForTest takes one place under the cluster's retry limit.
func TakeRetryForTest(u *Upstream) (release func()) {
	u.retries.Add(1)
	return func() { u.retries.Add(-1) }
}

// RetriesForTest is the number of retries under way.
func RetriesForTest(u *Upstream) int64 { return u.retries.Load() }
