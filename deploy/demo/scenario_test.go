package demo

import (
	"strings"
	"testing"
)

func TestScenariosTogether(t *testing.T) {
	s, err := FindScenario("slow-plane,never-connected,lost-trace")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Faults) != 1 || s.Lost == "" || s.Loses != "tickets" || len(s.Adds) != 1 || len(s.Server) != 2 || len(s.Steps) == 0 {
		t.Errorf("%+v: want what each of the three changes", s)
	}
	for _, tt := range []struct{ names, want string }{
		{"skew,nack", "both change the sidecar of tickets-2.booking"},
		{"canary,mirror", "both change catalog.yaml"},
		{"skew,nonsense", "there is no such scenario"},
		{"skew,", "there is no such scenario"},
		{"breaker,breaker", "both change"},
	} {
		if _, err := FindScenario(tt.names); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.names, err, tt.want)
		}
	}
}

// Every story says what it is about, and no step empties a file.
func TestScenariosAreWhole(t *testing.T) {
	for name, s := range Scenarios() {
		if s.Story == "" || s.Look == "" {
			t.Errorf("%s has no story or does not say where to look", name)
		}
		for _, step := range s.Steps {
			if step.File != "" && step.YAML == "" {
				t.Errorf("%s: %s would be emptied", name, step.File)
			}
		}
	}
}
