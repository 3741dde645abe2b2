package trace

import (
	"testing"
	"time"

	"github.com/sidelight-mesh/sidelight/collector/store/traces"
)

func TestBand(t *testing.T) {
	var found []traces.Summary
	for i := range 100 {
		found = append(found, traces.Summary{DurationMS: float64(i + 1)})
	}
	for _, tt := range []struct {
		text        string
		least, most time.Duration
	}{
		{"95..100", 96 * time.Millisecond, 0},
		{"0..50", time.Millisecond, 51 * time.Millisecond},
		{"50..90", 51 * time.Millisecond, 91 * time.Millisecond},
	} {
		band, err := ParseBand(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		if least, most, ok := band.Durations(found); !ok || least != tt.least || most != tt.most {
			t.Errorf("%s: %s to %s, want %s to %s", tt.text, least, most, tt.least, tt.most)
		}
		if _, _, ok := band.Durations(nil); ok {
			t.Errorf("%s of nothing", tt.text)
		}
	}
	for _, text := range []string{"95", "50..50", "90..50", "-1..5", "0..101", "NaN..5", "a..b", ".."} {
		if _, err := ParseBand(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	for _, text := range []string{"", "0..100"} {
		if band, err := ParseBand(text); err != nil || !band.Whole() {
			t.Errorf("%q: %v, %v", text, band, err)
		}
	}
}
