package app

import (
	"strings"

	"github.com/sidelight-mesh/sidelight/server/config"
	"github.com/sidelight-mesh/sidelight/server/graph"
	"github.com/sidelight-mesh/sidelight/server/registry"
)

// objectivesOf reads what services are held to from their ServiceEntries.
func objectivesOf(objects []*config.Object) map[string]graph.Objective {
	out := map[string]graph.Objective{}
	for _, o := range objects {
		se := o.ServiceEntry()
		if se == nil {
			continue
		}
		objective, _ := objectiveOf(o) // checkObjectives tells what is wrong with it
		if len(objective.Tolerances) == 0 && objective.LatencyMS == 0 && objective.Availability == 0 {
			continue
		}
		for _, host := range se.Hosts {
			objective.Host = strings.ToLower(host)
			out[objective.Host] = objective
		}
	}
	return out
}

// objectiveOf reads an object's annotations. What cannot be read is left out
// and told by annotation.
func objectiveOf(o *config.Object) (graph.Objective, map[string]error) {
	out := graph.Objective{Object: o.Key().String()}
	wrong := map[string]error{}
	for name, read := range map[string]func(string) error{
		config.AnnotationTolerance: func(text string) (err error) {
			out.Tolerances, err = graph.ParseTolerances(text)
			return err
		},
		config.AnnotationLatency: func(text string) (err error) {
			out.Quantile, out.LatencyMS, err = graph.ParseLatency(text)
			return err
		},
		config.AnnotationAvailability: func(text string) (err error) {
			out.Availability, err = graph.ParseAvailability(text)
			return err
		},
	} {
		if text, ok := o.Annotations[name]; ok {
			if err := read(text); err != nil {
				wrong[name] = err
			}
		}
	}
	return out, wrong
}

// check finds what is wrong between objects, and with what services are held
// to.
func check(rootNamespace string, objects []*config.Object) []config.Problem {
	problems := registry.CheckIn(rootNamespace, objects)
	for _, o := range objects {
		if o.ServiceEntry() == nil {
			continue
		}
		_, wrong := objectiveOf(o)
		for name, err := range wrong {
			problems = append(problems, o.Problem(config.SeverityWarning, config.CodeObjective, "metadata.annotations", name+": "+err.Error(),
				"Correct it: until then it is left out. See docs/health.md."))
		}
	}
	return problems
}
