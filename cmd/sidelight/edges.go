package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/server/graph"
)

func edgesCommand() *cobra.Command {
	cmd := graphCommand("edges", "Show who talks to whom, how it goes and who answered", writeEdges,
		func(namespace, name string) string {
			return fmt.Sprintf("from = %[1]q or to = %[1]q", namespace+"/"+name)
		})
	cmd.Long = `Edges shows who talks to whom, the worst first, as the caller's sidecar counted
it, else the target's; -o wide has both.

  sidelight edges -w 'errors > 1% or p95 > 250ms'
  sidelight edges booking/payments

TRIES is how often a request was tried: over 1.00 the success may hide failures.
MTLS is the share of traffic under mutual TLS. WHY says what failed most, its
share, who answered, and the configuration object behind it; what to do about it
is in docs/troubleshooting.md.`
	return cmd
}

func writeEdges(cmd *cobra.Command, v graph.View, flags viewFlags) error {
	names := make(map[string]string, len(v.Nodes))
	for _, n := range v.Nodes {
		names[n.ID] = nodeName(n, v.Group)
	}
	edges := slices.Clone(v.Edges)
	// The worst edge stands first: that is the one somebody looks for.
	slices.SortStableFunc(edges, func(a, b *graph.Edge) int {
		return cmp.Or(cmp.Compare(b.ErrorRatio, a.ErrorRatio), cmp.Compare(b.RPS, a.RPS))
	})
	head := []string{"FROM", "TO", "PROTO", "RPS>", "ERRORS>", "P50>", "P95>", "P99>", "TRIES>", "MTLS>", "WHY"}
	if flags.wide() {
		head = append(head, "CLIENT SEES>", "SERVER SEES>", "REQ/CONN>")
	}
	t := newTable(head...)
	for _, e := range edges {
		if flags.find != "" && !e.Match {
			continue
		}
		row := []string{
			printable(names[e.Source]), printable(names[e.Target]), string(e.Protocol),
			rateText(e), percent(e.ErrorRatio), millis(e.P50MS), millis(e.P95MS), millis(e.P99MS),
			triesText(e), fmt.Sprintf("%.0f%%", e.MTLSRatio*100), why(e),
		}
		if flags.wide() {
			row = append(row, sideText(e.ClientSide), sideText(e.ServerSide), perConnection(e))
		}
		t.add(row...)
	}
	if len(t.rows) == 0 {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "Nothing to show: no traffic was seen, or nothing matches.")
		return err
	}
	return t.write(cmd.OutOrStdout())
}

func nodeName(n *graph.Node, by graph.Group) string {
	name := ownName(n, by)
	switch n.Kind {
	case graph.KindUnknown, graph.KindExternal, graph.KindNamespace:
		return name
	}
	if n.Namespace == "" {
		return name
	}
	return n.Namespace + "/" + name
}

// ownName marks a service that stands among workloads: the requests to it
// reached none of them, and it often has the name of one.
func ownName(n *graph.Node, by graph.Group) string {
	if n.Kind == graph.KindService && by != graph.ByService {
		return n.Name + " (service)"
	}
	return n.Name
}

func rateText(e *graph.Edge) string {
	if e.Protocol == mesh.TCP {
		return fmt.Sprintf("%.0f conn", e.ActiveConnections)
	}
	return perSecond(e.RPS)
}

func triesText(e *graph.Edge) string {
	if e.AttemptsPerRequest == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", e.AttemptsPerRequest)
}

// why names the most frequent failing answer, its share of all, and who gave it.
func why(e *graph.Edge) string {
	if len(e.Answers) == 0 {
		return ""
	}
	a := e.Answers[0]
	var b strings.Builder
	if e.RPS > 0 {
		fmt.Fprintf(&b, "%.0f%% ", min(a.RPS/e.RPS, 1)*100)
	}
	switch {
	case a.GRPC != "":
		b.WriteString("grpc " + a.GRPC + " said")
	case a.Code != 0:
		fmt.Fprintf(&b, "%d said", a.Code)
	default:
		b.WriteString("cut off")
	}
	if a.By != mesh.AnsweredByProxy {
		b.WriteString(" by the service")
		return b.String()
	}
	b.WriteString(" by the proxy")
	if meaning := mesh.WhyAnswered(a.Flags, a.Details, a.Object); meaning != "" {
		b.WriteString(": " + meaning)
	}
	if a.Object != "" {
		b.WriteString(" (" + a.Object + ")")
	}
	return b.String()
}

func sideText(s *graph.Side) string {
	if s == nil {
		return "-"
	}
	return perSecond(s.RPS) + " rps " + percent(s.ErrorRatio)
}

func perConnection(e *graph.Edge) string {
	if e.RequestsPerConnection == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", *e.RequestsPerConnection)
}
