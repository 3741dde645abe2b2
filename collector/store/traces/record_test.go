package traces

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Pebble merges shares in any grouping: the sum must not depend on it.
func TestRecordMergeIsAssociative(t *testing.T) {
	shares := make([]record, 4)
	shares[0].add(100, 200, false, false, firstSpan{start: 100, service: "b", operation: "x", status: 200})
	shares[1].add(50, 300, true, true, firstSpan{start: 50, service: "a", operation: "root", status: 500})
	shares[2].add(10, 20, false, false, firstSpan{start: 10, service: "c", operation: "early"})
	shares[3].add(60, 70, true, false, firstSpan{start: 60, service: "b", operation: "y"})
	join := func(order ...int) record {
		var sum record
		for _, i := range order {
			sum.merge(shares[i])
		}
		return sum
	}
	left := join(0, 1, 2, 3)
	tail := join(2, 3)
	right := join(0, 1)
	right.merge(tail)
	backwards := join(3, 2, 1, 0)
	opt := cmp.AllowUnexported(record{}, firstSpan{})
	if diff := cmp.Diff(left, right, opt); diff != "" {
		t.Errorf("grouping matters (-left +right):\n%s", diff)
	}
	if diff := cmp.Diff(left, backwards, opt); diff != "" {
		t.Errorf("order matters (-left +backwards):\n%s", diff)
	}
	if left.first.operation != "root" || left.start != 10 || left.end != 300 || left.spans != 4 || left.errors != 2 {
		t.Errorf("sum %+v", left)
	}
	decoded, err := decodeRecord(left.encode())
	if diff := cmp.Diff(left, decoded, opt); err != nil || diff != "" {
		t.Errorf("round trip: %v (-want +got):\n%s", err, diff)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	var r record
	r.add(1, 2, true, true, firstSpan{start: 1, service: "a", operation: "b", status: 200})
	f.Add(r.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := decodeRecord(r.encode())
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if diff := cmp.Diff(r, again, cmp.AllowUnexported(record{}, firstSpan{})); diff != "" {
			t.Fatal(diff)
		}
	})
}
