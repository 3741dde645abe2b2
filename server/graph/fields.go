package graph

import (
	"slices"
	"strings"

	"github.com/sidelight-mesh/sidelight/mesh"
	"github.com/sidelight-mesh/sidelight/mesh/expr"
)

// The operands of find expressions. One expression is put to nodes and edges
// alike; what an element does not have is empty, false or zero.
const (
	findName = iota
	findNode
	findWorkload
	findApp
	findVersion
	findService
	findNamespace
	findCluster
	findFrom
	findTo
	findProtocol
	findRPS
	findRPSIn
	findRPSOut
	findErrors
	findP50
	findP95
	findP99
	findCode
	findStatus
	findFlags
	findAnsweredBy
	findDetails
	findObject
	findAttempts
	findChurn
	findMTLS
	findBytes
	findConnections
	findWeight
	findConfig
	findRevision
	findBehind
	findMeshed
	findMirrored
	findHealth
	findHealthy
	findIdle
	findHTTP
	findGRPC
	findTCP
	findTCPIn
	findTCPOut
	findEjected
	findGateway
	findFolded
)

var findFields = []expr.Field{
	findName:        {Name: "name", Help: "node: its name; edge: none"},
	findNode:        {Name: "kind", Aliases: []string{"node"}, Help: "workload, service, app, namespace, external or unknown; edge: edge"},
	findWorkload:    {Name: "workload", Aliases: []string{"wl"}, Help: "workload name or namespace/name; edge: either end"},
	findApp:         {Name: "app", Help: "app; edge: either end"},
	findVersion:     {Name: "version", Help: "version; edge: either end"},
	findService:     {Name: "service", Aliases: []string{"svc"}, Help: "service host or short name; edge: what is called"},
	findNamespace:   {Name: "namespace", Aliases: []string{"ns"}, Help: "namespace; edge: either end"},
	findCluster:     {Name: "cluster", Help: "cluster; edge: either end"},
	findFrom:        {Name: "from", Aliases: []string{"source"}, Help: "edge: calling node: name, namespace/name or app"},
	findTo:          {Name: "to", Aliases: []string{"destination", "target"}, Help: "edge: called node: name, namespace/name or app"},
	findProtocol:    {Name: "protocol", Aliases: []string{"proto"}, Help: "edge: http, grpc or tcp"},
	findRPS:         {Name: "rps", Aliases: []string{"traffic", "rate"}, Kind: expr.Number, Help: "requests a second; node: in, or out when nothing comes in"},
	findRPSIn:       {Name: "rps_in", Aliases: []string{"httpin", "grpcin"}, Kind: expr.Number, Help: "node: requests a second that come in"},
	findRPSOut:      {Name: "rps_out", Aliases: []string{"httpout", "grpcout"}, Kind: expr.Number, Help: "node: requests a second that go out"},
	findErrors:      {Name: "errors", Aliases: []string{"error", "%error", "httperr", "%httperr", "grpcerr", "%grpcerr"}, Kind: expr.Number, Unit: expr.Ratio, Help: "share of failed requests"},
	findP50:         {Name: "p50", Kind: expr.Number, Unit: expr.Millis, Help: "median latency"},
	findP95:         {Name: "p95", Aliases: []string{"rt", "responsetime", "latency"}, Kind: expr.Number, Unit: expr.Millis, Help: "95th percentile of latency"},
	findP99:         {Name: "p99", Kind: expr.Number, Unit: expr.Millis, Help: "99th percentile of latency"},
	findCode:        {Name: "code", Aliases: []string{"codes"}, Help: "edge: any answer's status: 503, 5xx, grpc:14, 0"},
	findStatus:      {Name: "status", Kind: expr.Number, Unit: expr.Code, Help: "edge: highest HTTP status among the answers"},
	findFlags:       {Name: "flags", Aliases: []string{"flag"}, Help: "edge: any response flag: UF, URX …"},
	findAnsweredBy:  {Name: "answered_by", Aliases: []string{"by"}, Help: "edge: upstream or proxy, of error answers"},
	findDetails:     {Name: "details", Help: "edge: why a proxy answered: route_not_found …"},
	findObject:      {Name: "object", Help: "edge: configuration object behind an error answer"},
	findAttempts:    {Name: "attempts", Aliases: []string{"tries"}, Kind: expr.Number, Help: "edge: tries per request; over 1 means retries"},
	findChurn:       {Name: "churn", Kind: expr.Number, Help: "edge: new connections a second"},
	findMTLS:        {Name: "mtls", Kind: expr.Number, Unit: expr.Ratio, Help: "edge: share of traffic under mutual TLS"},
	findBytes:       {Name: "bytes", Aliases: []string{"throughput"}, Kind: expr.Number, Unit: expr.Bytes, Help: "bytes a second, both directions"},
	findConnections: {Name: "connections", Kind: expr.Number, Help: "open TCP connections"},
	findWeight:      {Name: "weight", Aliases: []string{"trafficshifting", "ts"}, Kind: expr.Number, Unit: expr.Ratio, Help: "edge: configured share of its split"},
	findConfig:      {Name: "config", Help: "node: configuration state: synced, stale, rejected …"},
	findRevision:    {Name: "revision", Aliases: []string{"rev"}, Kind: expr.Number, Help: "node: configuration revision that it runs"},
	findBehind:      {Name: "behind", Kind: expr.Number, Help: "node: revisions that it lacks"},
	findMeshed:      {Name: "meshed", Aliases: []string{"sidecar", "sc"}, Kind: expr.Bool, Help: "node: has a sidecar"},
	findMirrored:    {Name: "mirrored", Aliases: []string{"mirroring"}, Kind: expr.Bool, Help: "edge: copies of requests"},
	findHealth:      {Name: "health", Help: "ok, warn, fail, idle or unknown; or the code of a reason: 5xx, config …"},
	findHealthy:     {Name: "healthy", Kind: expr.Bool, Help: "neither warn, fail nor unknown"},
	findIdle:        {Name: "idle", Kind: expr.Bool, Help: "no traffic in the window"},
	findHTTP:        {Name: "http", Kind: expr.Number, Help: "edge: HTTP requests a second"},
	findGRPC:        {Name: "grpc", Kind: expr.Number, Help: "edge: gRPC requests a second"},
	findTCP:         {Name: "tcp", Kind: expr.Number, Unit: expr.Bytes, Help: "edge: bytes a second of plain TCP"},
	findTCPIn:       {Name: "tcp_in", Aliases: []string{"tcpin"}, Kind: expr.Number, Unit: expr.Bytes, Help: "node: bytes a second that callers send and get, requests' included"},
	findTCPOut:      {Name: "tcp_out", Aliases: []string{"tcpout"}, Kind: expr.Number, Unit: expr.Bytes, Help: "node: bytes a second that it sends and gets when it calls"},
	findEjected:     {Name: "ejected", Aliases: []string{"circuitbreaker", "cb"}, Kind: expr.Bool, Help: "endpoints are ejected by outlier detection, or a limit of a pool is reached"},
	findGateway:     {Name: "gateway", Kind: expr.Bool, Help: "node: a gateway"},
	findFolded:      {Name: "folded", Kind: expr.Number, Help: "node: workloads that it stands for"},
}

// Schema declares the operands of find expressions over a graph.
func Schema() *expr.Schema {
	return &expr.Schema{
		Fields: slices.Clone(findFields),
		Words:  []int{findName, findWorkload, findApp, findService, findFrom, findTo},
	}
}

// ParseFind compiles a find expression. The error is an *expr.SyntaxError.
func ParseFind(src string) (*expr.Expr, error) { return expr.Parse(src, Schema()) }

// sift removes what hide matches and what filter does not, and the edges of
// nodes that went.
func sift(v *View, hide, filter *expr.Expr) {
	nodes := make(map[string]*Node, len(v.Nodes))
	for _, n := range v.Nodes {
		nodes[n.ID] = n
	}
	gone := func(e *expr.Expr, n *Node) bool {
		return e != nil && e.Match(func(f int) expr.Value { return nodeField(n, f) })
	}
	hidden := make(map[string]bool)
	keep := make(map[string]bool) // by filter
	for id, n := range nodes {
		hidden[id] = gone(hide, n)
		keep[id] = filter == nil || gone(filter, n)
	}
	edges := v.Edges[:0:0]
	for _, e := range v.Edges {
		source, target := nodes[e.Source], nodes[e.Target]
		matches := func(x *expr.Expr) bool {
			return x != nil && x.Match(func(f int) expr.Value { return edgeField(e, source, target, f) })
		}
		if hidden[e.Source] || hidden[e.Target] || matches(hide) || filter != nil && !matches(filter) {
			continue
		}
		keep[e.Source], keep[e.Target] = true, true
		edges = append(edges, e)
	}
	v.Hidden = &Matched{Nodes: len(v.Nodes), Edges: len(v.Edges) - len(edges)}
	v.Edges = slices.Clip(edges)
	v.Nodes = slices.DeleteFunc(v.Nodes, func(n *Node) bool { return hidden[n.ID] || !keep[n.ID] })
	v.Hidden.Nodes -= len(v.Nodes)
	if v.Edges == nil {
		v.Edges = []*Edge{}
	}
}

// mark sets Match on what an expression matches, and counts it. Elements are
// shared with other views, so that copies are marked.
func mark(v *View, find *expr.Expr) *Matched {
	m := &Matched{}
	nodes := make(map[string]*Node, len(v.Nodes))
	for i, n := range v.Nodes {
		nodes[n.ID] = n
		if find.Match(func(f int) expr.Value { return nodeField(n, f) }) {
			m.Nodes++
			matched := *n
			matched.Match = true
			v.Nodes[i] = &matched
		}
	}
	for i, e := range v.Edges {
		source, target := nodes[e.Source], nodes[e.Target]
		if find.Match(func(f int) expr.Value { return edgeField(e, source, target, f) }) {
			m.Edges++
			matched := *e
			matched.Match = true
			v.Edges[i] = &matched
		}
	}
	return m
}

func nodeField(n *Node, f int) expr.Value {
	side := &n.In
	if n.In.RPS == 0 {
		side = &n.Out
	}
	switch f {
	case findName:
		return expr.Value{Text: n.Name}
	case findNode:
		return expr.Value{Text: string(n.Kind)}
	case findWorkload:
		if n.Kind != KindWorkload {
			return expr.Value{}
		}
		return expr.Value{List: names(n)}
	case findApp:
		return expr.Value{Text: n.App}
	case findVersion:
		return expr.Value{Text: n.Version}
	case findService:
		if n.Kind != KindService && n.Kind != KindExternal {
			return expr.Value{}
		}
		return expr.Value{List: names(n)}
	case findNamespace:
		return expr.Value{Text: n.Namespace}
	case findCluster:
		return expr.Value{Text: n.Cluster}
	case findRPSIn:
		return expr.Value{Num: n.In.RPS}
	case findRPSOut:
		return expr.Value{Num: n.Out.RPS}
	case findBytes:
		return expr.Value{Num: n.In.SentBytesPerS + n.In.ReceivedBytesPerS + n.Out.SentBytesPerS + n.Out.ReceivedBytesPerS}
	case findConnections:
		return expr.Value{Num: n.In.ActiveConnections + n.Out.ActiveConnections}
	case findMeshed:
		return expr.Value{Bool: n.Meshed}
	case findGateway:
		return expr.Value{Bool: n.Gateway}
	case findTCPIn:
		return expr.Value{Num: n.In.SentBytesPerS + n.In.ReceivedBytesPerS}
	case findTCPOut:
		return expr.Value{Num: n.Out.SentBytesPerS + n.Out.ReceivedBytesPerS}
	case findFolded:
		if n.Folded != nil {
			return expr.Value{Num: float64(n.Folded.Workloads)}
		}
		return expr.Value{}
	case findConfig, findRevision, findBehind:
		return configField(n.Config, f)
	}
	return commonField(side.RPS, side.ErrorRatio, [3]*float64{side.P50MS, side.P95MS, side.P99MS}, &n.Health, f)
}

func configField(c *ConfigState, f int) expr.Value {
	switch {
	case c == nil:
		return expr.Value{}
	case f == findRevision:
		return expr.Value{Num: float64(c.Revision)}
	case f == findBehind:
		return expr.Value{Num: float64(c.Behind)}
	}
	return expr.Value{Text: c.State}
}

// commonField gives what nodes and edges both have.
func commonField(rps, errors float64, latency [3]*float64, h *Health, f int) expr.Value {
	switch f {
	case findRPS:
		return expr.Value{Num: rps}
	case findErrors:
		return expr.Value{Num: errors}
	case findP50, findP95, findP99:
		if p := latency[f-findP50]; p != nil {
			return expr.Value{Num: *p}
		}
	case findHealth:
		v := expr.Value{Text: string(h.State)}
		for _, r := range h.Reasons {
			v.List = append(v.List, r.Code)
		}
		return v
	case findHealthy:
		return expr.Value{Bool: h.State == OK || h.State == Idle}
	case findIdle:
		return expr.Value{Bool: h.State == Idle}
	case findEjected:
		return expr.Value{Bool: slices.ContainsFunc(h.Reasons, func(r Reason) bool { return r.Code == reasonEjected || r.Code == reasonLimit })}
	}
	return expr.Value{}
}

func edgeField(e *Edge, source, target *Node, f int) expr.Value {
	either := func(of func(*Node) string) expr.Value {
		return expr.Value{Text: of(source), List: []string{of(target)}}
	}
	switch f {
	case findNode:
		return expr.Value{Text: "edge"}
	case findWorkload:
		return expr.Value{List: append(nodeField(source, f).List, nodeField(target, f).List...)}
	case findApp:
		return either(func(n *Node) string { return n.App })
	case findVersion:
		return either(func(n *Node) string { return n.Version })
	case findNamespace:
		return either(func(n *Node) string { return n.Namespace })
	case findCluster:
		return either(func(n *Node) string { return n.Cluster })
	case findService:
		if e.Service != nil {
			return expr.Value{Text: e.Service.Host, List: []string{e.Service.Name}}
		}
	case findFrom:
		return expr.Value{List: names(source)}
	case findTo:
		return expr.Value{List: names(target)}
	case findProtocol:
		return expr.Value{Text: string(e.Protocol)}
	case findMirrored:
		return expr.Value{Bool: e.Mirrored}
	case findCode, findStatus, findFlags, findAnsweredBy, findDetails, findObject:
		return answerField(e, f)
	case findAttempts, findChurn, findMTLS, findBytes, findConnections, findWeight, findHTTP, findGRPC, findTCP:
		return expr.Value{Num: edgeNumber(e, f)}
	}
	return commonField(e.RPS, e.ErrorRatio, [3]*float64{e.P50MS, e.P95MS, e.P99MS}, &e.Health, f)
}

func edgeNumber(e *Edge, f int) float64 {
	switch f {
	case findAttempts:
		return e.AttemptsPerRequest
	case findChurn:
		return e.NewConnectionsPerS
	case findMTLS:
		return e.MTLSRatio
	case findBytes:
		return e.SentBytesPerS + e.ReceivedBytesPerS
	case findConnections:
		return e.ActiveConnections
	case findHTTP, findGRPC:
		if e.Protocol == map[int]mesh.Protocol{findHTTP: mesh.HTTP, findGRPC: mesh.GRPC}[f] {
			return e.RPS
		}
	case findTCP:
		if e.Protocol == mesh.TCP {
			return e.SentBytesPerS + e.ReceivedBytesPerS
		}
	case findWeight:
		if e.Weight != nil {
			return e.Weight.Configured
		}
	}
	return 0
}

// answerField tells of the answers on an edge.
func answerField(e *Edge, f int) expr.Value {
	var v expr.Value
	switch f {
	case findCode:
		for code := range e.Codes {
			v.List = append(v.List, code)
			if len(code) == 3 {
				v.List = append(v.List, code[:1]+"xx")
			}
		}
	case findStatus:
		for code := range e.Codes {
			if n := number(code); n > v.Num {
				v.Num = n
			}
		}
	case findFlags:
		for flag := range e.Flags {
			v.List = append(v.List, flag)
		}
	default:
		for _, a := range e.Answers {
			v.List = append(v.List, [...]string{a.By, a.Details, a.Object}[f-findAnsweredBy])
		}
	}
	return v
}

// number reads an HTTP status; other codes are 0.
func number(code string) float64 {
	n := 0.0
	for _, c := range code {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + float64(c-'0')
	}
	return n
}

// names are what a node may be called by.
func names(n *Node) []string {
	id := n.ID[strings.IndexByte(n.ID, ':')+1:]
	w := mesh.Workload{Namespace: n.Namespace, Name: n.Name}
	out := []string{n.Name, w.ID(), id}
	if n.App != "" {
		out = append(out, n.App)
	}
	return out
}
