package app

import (
	"testing"
	"time"
)

func TestHeapGrowth(t *testing.T) {
	const mb = 1 << 20
	tests := []struct {
		name     string
		before   int
		interval time.Duration
		live     uint64
		want     int
	}{
		{"calm", calmGrowth, 10 * time.Second, 5 * mb, calmGrowth},
		{"calm again", 300, 3 * time.Second, 5 * mb, calmGrowth},
		{"busy", calmGrowth, 20 * time.Millisecond, 6 * mb, 300},
		{"busy with little", calmGrowth, 20 * time.Millisecond, 1 * mb, mostGrowth},
		{"busy with much", calmGrowth, 20 * time.Millisecond, 20 * mb, calmGrowth},
		{"busy with more than that", 300, 20 * time.Millisecond, 60 * mb, calmGrowth},
		{"neither, after busy", 300, time.Second, 8 * mb, 200},
		{"neither, after calm", calmGrowth, time.Second, 8 * mb, calmGrowth},
	}
	for _, tt := range tests {
		if got := growth(tt.before, tt.interval, tt.live); got != tt.want {
			t.Errorf("%s: %d %%, want %d %%", tt.name, got, tt.want)
		}
	}
}

func TestWorthTidying(t *testing.T) {
	const mb = 1 << 20
	for _, tt := range []struct {
		live, held uint64
		want       bool
	}{{5 * mb, 5 * mb, false}, {5 * mb, 6 * mb, false}, {5 * mb, 7 * mb, true}, {40 * mb, 44 * mb, false}, {0, mb, true}} {
		if got := worthTidying(tt.live, tt.held); got != tt.want {
			t.Errorf("%d of %d bytes live: %v", tt.live, tt.held, got)
		}
	}
}
