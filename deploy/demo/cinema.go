package demo

// Instance is one application process and, if it is in the mesh, the sidecar
// beside it.
type Instance struct {
	Role      string // service of this package that the process plays
	Namespace string
	Workload  string
	App       string
	Version   string
	Index     int // among the workload's instances

	Meshed bool
	Port   int    // service port that clients call; 0 when nobody does
	Proto  string // http | grpc | tcp
	TCPTo  string // host that it reaches over an explicit TCP port

	ports ports
}

// ports are the loopback ports of one instance.
type ports struct {
	app, inbound, outbound, admin, metrics, health, tcpOutbound int
}

// Name is unique among all instances: "tickets-2".
func (i *Instance) Name() string {
	return i.Workload + "-" + string(rune('0'+i.Index))
}

// NodeID is the sidecar's name to the control plane.
func (i *Instance) NodeID() string {
	return i.Name() + "." + i.Namespace
}

// Service is one name of the registry.
type Service struct {
	Host      string
	Namespace string
	App       string // selects the workloads behind it
	Port      int
	PortName  string
	Protocol  string // HTTP | GRPC | TCP, in ServiceEntry's spelling
	External  bool
}

const domain = ".svc.cluster.local"

// Hosts that the application processes call.
const (
	hostWeb           = "web.front" + domain
	hostCatalog       = "catalog.catalog" + domain
	hostReviews       = "reviews.catalog" + domain
	hostPosters       = "posters.catalog" + domain
	hostTickets       = "tickets.booking" + domain
	hostPayments      = "payments.booking" + domain
	hostSeats         = "seats.booking" + domain
	hostNotifications = "notifications.booking" + domain
	hostBank          = "api.bank.example"
	hostVendor        = "vendor.example"

	servicePort       = 8080
	notificationsPort = 5222
)

// cinema lists what runs. Tickets has two instances so that one can lag.
func cinema() []*Instance {
	return []*Instance{
		{Role: "load", Namespace: "front", Workload: "ingress", App: "ingress", Version: "v1", Index: 1, Meshed: true},
		{Role: "web", Namespace: "front", Workload: "web", App: "web", Version: "v1", Index: 1, Meshed: true, Port: servicePort, Proto: "http"},
		{Role: "catalog", Namespace: "catalog", Workload: "catalog-v1", App: "catalog", Version: "v1", Index: 1, Meshed: true, Port: servicePort, Proto: "http"},
		{Role: "catalog", Namespace: "catalog", Workload: "catalog-v2", App: "catalog", Version: "v2", Index: 1, Meshed: true, Port: servicePort, Proto: "http"},
		{Role: "reviews", Namespace: "catalog", Workload: "reviews", App: "reviews", Version: "v1", Index: 1, Meshed: true, Port: servicePort, Proto: "http"},
		{Role: "posters", Namespace: "catalog", Workload: "posters", App: "posters", Version: "v1", Index: 1, Meshed: true, Port: servicePort, Proto: "http"},
		{Role: "recommendations", Namespace: "catalog", Workload: "recommendations", App: "recommendations", Version: "v1", Index: 1, Meshed: true},
		{Role: "tickets", Namespace: "booking", Workload: "tickets", App: "tickets", Version: "v1", Index: 1, Meshed: true, Port: servicePort, Proto: "http", TCPTo: hostNotifications},
		{Role: "tickets", Namespace: "booking", Workload: "tickets", App: "tickets", Version: "v1", Index: 2, Meshed: true, Port: servicePort, Proto: "http", TCPTo: hostNotifications},
		{Role: "payments", Namespace: "booking", Workload: "payments", App: "payments", Version: "v1", Index: 1, Meshed: true, Port: servicePort, Proto: "http"},
		{Role: "seats", Namespace: "booking", Workload: "seats", App: "seats", Version: "v1", Index: 1, Meshed: true, Port: servicePort, Proto: "grpc"},
		{Role: "notifications", Namespace: "booking", Workload: "notifications", App: "notifications", Version: "v1", Index: 1, Meshed: true, Port: notificationsPort, Proto: "tcp"},
		{Role: "bank", Namespace: "external", Workload: "bank", App: "bank", Version: "v1", Index: 1},
		{Role: "report-cron", Namespace: "front", Workload: "report-cron", App: "report-cron", Version: "v1", Index: 1},
	}
}

func services() []Service {
	return []Service{
		{Host: hostWeb, Namespace: "front", App: "web", Port: servicePort, PortName: "http", Protocol: "HTTP"},
		{Host: hostCatalog, Namespace: "catalog", App: "catalog", Port: servicePort, PortName: "http", Protocol: "HTTP"},
		{Host: hostReviews, Namespace: "catalog", App: "reviews", Port: servicePort, PortName: "http", Protocol: "HTTP"},
		{Host: hostPosters, Namespace: "catalog", App: "posters", Port: servicePort, PortName: "http", Protocol: "HTTP"},
		{Host: hostTickets, Namespace: "booking", App: "tickets", Port: servicePort, PortName: "http", Protocol: "HTTP"},
		{Host: hostPayments, Namespace: "booking", App: "payments", Port: servicePort, PortName: "http", Protocol: "HTTP"},
		{Host: hostSeats, Namespace: "booking", App: "seats", Port: servicePort, PortName: "grpc", Protocol: "GRPC"},
		{Host: hostNotifications, Namespace: "booking", App: "notifications", Port: notificationsPort, PortName: "tcp", Protocol: "TCP"},
		{Host: hostBank, Namespace: "booking", App: "bank", Port: 80, PortName: "http", Protocol: "HTTP", External: true},
	}
}

// edges lists who must be seen calling whom before the graph counts as live,
// by workload; an empty target is the service named instead.
func edges() [][2]string {
	return [][2]string{
		{"ingress", "web"},
		{"web", "catalog-v1"},
		{"web", "catalog-v2"},
		{"web", "tickets"},
		{"catalog-v1", "reviews"},
		{"catalog-v1", "posters"},
		{"recommendations", "catalog-v1"},
		{"tickets", "payments"},
		{"tickets", "seats"},
		{"tickets", "notifications"},
		{"payments", hostBank},
	}
}
