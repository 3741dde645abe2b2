package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const header = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: cinema}\n"

// route gives a document whose one route has these lines, each indented by 4.
func route(lines ...string) string {
	return header + "spec:\n  hosts: [catalog]\n  http:\n  - route: [{destination: {host: catalog}}]\n    " + strings.Join(lines, "\n    ") + "\n"
}

// policy is a DestinationRule with one traffic policy.
func policy(text string) string {
	return kindDoc("DestinationRule", "  host: a\n  trafficPolicy: {"+text+"}\n")
}

func kindDoc(kind, spec string) string {
	return "apiVersion: networking.istio.io/v1\nkind: " + kind + "\nmetadata: {name: a}\nspec:\n" + spec
}

// TestProblems holds each problem to its place, its code and, where there is
// one, the name that was probably meant. Each case is told as
// "line:column severity code path".
func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       string
		hint       string // part of the hint
	}{
		{"not YAML", "a: [\n", "1:1 error SL1001 ", ""},
		{"not YAML in the second document", route("timeout: 5s") + "---\n\n\tx: 1\n", "11:1 error SL1001 ", ""},
		{"not UTF-8", "a: b\nc: \xff\n", "2:1 error SL1001 ", "UTF-8"},
		{"a list", "- a\n", "1:1 error SL1003 ", ""},
		{"no kind", "apiVersion: networking.istio.io/v1\nmetadata: {name: a}\nspec: {}\n", "1:1 error SL1003 kind", ""},
		{"no metadata", "apiVersion: networking.istio.io/v1\nkind: VirtualService\nspec: {}\n", "1:1 error SL1003 metadata", ""},
		{"no spec", header, "1:1 error SL1003 spec", ""},
		{"other API", "apiVersion: apps/v1\nkind: VirtualService\nmetadata: {name: a}\n", "1:13 error SL1004 apiVersion", "networking.istio.io/v1"},
		{"misspelt kind", "apiVersion: networking.istio.io/v1\nkind: VirtualServise\nmetadata: {name: a}\n", "2:7 error SL1004 kind", "did you mean VirtualService?"},
		{"kind nobody knows", "apiVersion: networking.istio.io/v1\nkind: Quark\nmetadata: {name: a}\n", "2:7 error SL1004 kind", "supported are VirtualService, DestinationRule, ServiceEntry"},
		{"kind not supported", "apiVersion: networking.istio.io/v1\nkind: EnvoyFilter\nmetadata: {name: a}\n", "2:7 error SL1004 kind", "sidecars take no patches"},
		{"name", strings.Replace(route("timeout: 5s"), "name: a", "name: A_b", 1), "3:18 error SL1005 metadata.name", ""},
		{"path in a name", strings.Replace(route("timeout: 5s"), "name: a", "name: ../../etc", 1), "3:18 error SL1005 metadata.name", ""},
		{"namespace", strings.Replace(route("timeout: 5s"), "cinema", "a.b", 1), "3:32 error SL1005 metadata.namespace", ""},
		{"unknown metadata", strings.Replace(route("timeout: 5s"), "namespace:", "namespaces:", 1), "3:21 error SL1006 metadata.namespaces", `"namespace"`},
		{"unknown top", "specs: {}\n" + route("timeout: 5s"), "1:1 error SL1006 specs", `"spec"`},

		{"unknown field", route("retires: {attempts: 1}"), "8:5 error SL1006 spec.http[0].retires", `did you mean "retries"?`},
		{"snake case", route("direct_response: {status: 200}"), "8:5 error SL1006 spec.http[0].direct_response", `"directResponse"`},
		{"case", route("TimeOut: 5s"), "8:5 error SL1006 spec.http[0].TimeOut", `"timeout"`},
		{"number for text", route("name: 5"), "8:11 error SL1007 spec.http[0].name", `"5"`},
		{"truth for text", route("headers: {request: {set: {x-a: true}}}"), "8:36 error SL1007 spec.http[0].headers.request.set[x-a]", `"true"`},
		{"text for number", route("retries: {attempts: many}"), "8:25 error SL1007 spec.http[0].retries.attempts", ""},
		{"fraction", route("retries: {attempts: 1.5}"), "8:25 error SL1007 spec.http[0].retries.attempts", ""},
		{"too big", route("retries: {attempts: 99999999999}"), "8:25 error SL1007 spec.http[0].retries.attempts", ""},
		{"negative", strings.Replace(route("timeout: 5s"), "host: catalog}", "host: catalog, port: {number: -1}}", 1), "7:58 error SL1007 spec.http[0].route[0].destination.port.number", ""},
		{"duration without unit", route("timeout: 5"), "8:14 error SL1007 spec.http[0].timeout", "15s"},
		{"duration", route("timeout: soon"), "8:14 error SL1007 spec.http[0].timeout", "15s"},
		{"list for mapping", route("retries: [1]"), "8:14 error SL1007 spec.http[0].retries", ""},
		{"mapping for list", header + "spec:\n  hosts: {a: b}\n", "5:10 error SL1007 spec.hosts", "- "},
		{"enum", kindDoc("ServiceEntry", "  hosts: [a.example]\n  resolution: STATICS\n"), "6:15 error SL1007 spec.resolution", "did you mean STATIC?"},
		{"two of a choice", route("match: [{uri: {exact: /a, prefix: /b}}]"), "8:19 error SL1007 spec.http[0].match[0].uri", "keep one"},
		{"bytes", route("directResponse: {status: 200, body: {bytes: '%%'}}"), "8:49 error SL1007 spec.http[0].directResponse.body.bytes", ""},
		{"empty item", header + "spec:\n  hosts: [catalog]\n  http:\n  -\n", "7:4 error SL1007 spec.http[0]", ""},
		{"same key twice", route("timeout: 5s", "timeout: 6s"), "9:5 error SL1008 spec.http[0].timeout", "remove"},

		{"fault for nobody", route("fault: {abort: {httpStatus: 500}}"), "8:13 warning SL2013 spec.http[0].fault.abort", "percentage"},
		{"fault of nothing", route("fault: {delay: {percentage: {value: 5}}}"), "8:13 error SL2001 spec.http[0].fault.delay", ""},
		{"fault status", route("fault: {abort: {httpStatus: 5, percentage: {value: 5}}}"), "8:21 error SL1007 spec.http[0].fault.abort.httpStatus", ""},
		{"fault grpc status", route("fault: {abort: {grpcStatus: UNAVAILABL, percentage: {value: 5}}}"), "8:21 error SL1007 spec.http[0].fault.abort.grpcStatus", "did you mean UNAVAILABLE?"},
		{"fault delay grows", route("fault: {delay: {exponentialDelay: 5s}}"), "8:21 error SL1009 spec.http[0].fault.delay.exponentialDelay", ""},
		{"tls of the mesh", policy("tls: {mode: ISTIO_MUTUAL, caCertificates: /a}"), "6:19 error SL1007 spec.trafficPolicy.tls", ""},
		{"tls without a certificate", policy("tls: {mode: MUTUAL}"), "6:19 error SL2001 spec.trafficPolicy.tls", ""},
		{"tls with one", policy("tls: {mode: SIMPLE, clientCertificate: /a}"), "6:19 error SL1007 spec.trafficPolicy.tls", "MUTUAL"},
		{"tls that verifies nothing", policy("tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: /a}"), "6:19 error SL1007 spec.trafficPolicy.tls", ""},
		{"tls that trusts all", policy("tls: {mode: SIMPLE, insecureSkipVerify: true}"), "6:39 warning SL2014 spec.trafficPolicy.tls.insecureSkipVerify", "caCertificates"},
		{"cors for all with cookies", route("corsPolicy: {allowOrigins: [{regex: '.*'}], allowCredentials: true}"), "8:33 warning SL2014 spec.http[0].corsPolicy.allowOrigins[0]", "allowCredentials"},
		{"port twice", policy("portLevelSettings: [{port: {number: 80}}, {port: {number: 80}}]"), "6:62 error SL2008 spec.trafficPolicy.portLevelSettings[1].port", ""},
		{"cors for nobody", route("corsPolicy: {allowMethods: [GET]}"), "8:5 error SL2001 spec.http[0].corsPolicy", ""},
		{"cors age", route("corsPolicy: {allowOrigins: [{exact: a}], maxAge: 0.5s}"), "8:46 error SL2006 spec.http[0].corsPolicy.maxAge", ""},
		{"mirror twice", route("mirror: {host: a}", "mirrors: [{destination: {host: b}}]"), "8:5 error SL1007 spec.http[0].mirror", "mirrors"},
		{"mirror nowhere", route("mirrorPercentage: {value: 5}"), "7:5 error SL2007 spec.http[0]", "mirror"},
		{"mirror too much", route("mirrors: [{destination: {host: b}, percentage: {value: 101}}]"), "8:53 error SL1007 spec.http[0].mirrors[0].percentage.value", ""},
		{"gateway name", strings.Replace(route("timeout: 5s"), "spec:", "spec:\n  gateways: [Edge]", 1), "5:14 error SL1005 spec.gateways[0]", ""},
		{"gateway with TLS", kindDoc("Gateway", "  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTTP, name: a}, hosts: [a], tls: {mode: SIMPLE}}]\n"), "6:71 error SL2005 spec.servers[0].tls", "HTTPS"},
		{"gateway without TLS", kindDoc("Gateway", "  selector: {a: b}\n  servers: [{port: {number: 80, protocol: TLS, name: a}, hosts: [a]}]\n"), "6:13 error SL2001 spec.servers[0].tls", "SIMPLE"},
		{"gateway without key", kindDoc("Gateway", "  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTTPS, name: a}, hosts: [a], tls: {mode: SIMPLE, serverCertificate: /c}}]\n"), "6:72 error SL2001 spec.servers[0].tls.privateKey", ""},
		{"gateway protocol", kindDoc("Gateway", "  selector: {a: b}\n  servers: [{port: {number: 80, protocol: MONGO, name: a}, hosts: [a]}]\n"), "6:33 error SL1009 spec.servers[0].port.protocol", ""},
		{"sni of another host", header + "spec:\n  hosts: [a]\n  tls: [{match: [{sniHosts: [b]}], route: [{destination: {host: a}}]}]\n", "6:30 error SL2009 spec.tls[0].match[0].sniHosts[0]", "spec.hosts"},
		{"gateway for nobody", kindDoc("Gateway", "  selector: {a: b}\n  servers: [{port: {number: 80, protocol: HTTP, name: a}, hosts: [a b]}]\n"), "6:67 error SL2009 spec.servers[0].hosts[0]", ""},
		{"wildcard", strings.Replace(route("timeout: 5s"), "[catalog]", `["*x.example"]`, 1), "5:11 error SL2009 spec.hosts[0]", ""},
		{"outlier codes", policy("outlierDetection: {outlierDetectionHttpErrorCodes: [500]}"), "6:38 error SL1009 spec.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes", ""},
		{"outlier share", policy("outlierDetection: {maxEjectionPercent: 101}"), "6:38 error SL1007 spec.trafficPolicy.outlierDetection.maxEjectionPercent", ""},
		{"outlier two names", policy("outlierDetection: {consecutiveErrors: 2, consecutive5xxErrors: 3}"), "6:38 error SL1007 spec.trafficPolicy.outlierDetection.consecutiveErrors", "remove"},
		{"empty pool", policy("connectionPool: {}"), "6:19 error SL2001 spec.trafficPolicy.connectionPool", ""},
		{"negative pool", policy("connectionPool: {http: {maxRetries: -1}}"), "6:43 error SL1007 spec.trafficPolicy.connectionPool.http.maxRetries", "no limit"},
		{"failover without outlier detection", policy("loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}]}}"), "6:34 warning SL2013 spec.trafficPolicy.loadBalancer.localityLbSetting", "outlierDetection"},
		{"failover nowhere", policy("loadBalancer: {localityLbSetting: {failover: [{from: a}]}}, outlierDetection: {interval: 1s}"), "6:65 error SL1007 spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0]", "to:"},
		{"failover twice", policy("loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}, {from: a, to: c}]}}, outlierDetection: {interval: 1s}"), "6:83 error SL2008 spec.trafficPolicy.loadBalancer.localityLbSetting.failover[1]", ""},
		{"distribution by locality", policy("loadBalancer: {localityLbSetting: {distribute: [{from: a}]}}"), "6:54 error SL1009 spec.trafficPolicy.loadBalancer.localityLbSetting.distribute", ""},
		{"hash of nothing", policy("loadBalancer: {consistentHash: {}}"), "6:34 error SL2001 spec.trafficPolicy.loadBalancer.consistentHash", ""},
		{"cookie without a name", policy("loadBalancer: {consistentHash: {httpCookie: {ttl: 0s}}}"), "6:51 error SL2001 spec.trafficPolicy.loadBalancer.consistentHash.httpCookie", ""},
		{"table of no prime", policy("loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 10}}}"), "6:79 error SL1007 spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize", "65537"},
		{"passthrough", kindDoc("DestinationRule", "  host: a\n  trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}}\n"), "6:34 error SL1009 spec.trafficPolicy.loadBalancer.simple", ""},
		{"tcp split", header + "spec:\n  hosts: [a]\n  tcp: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]\n", "6:10 error SL2002 spec.tcp[0].route", ""},

		{"no hosts", header + "spec:\n  http: [{route: [{destination: {host: a}}]}]\n", "5:3 error SL2001 spec.hosts", ""},
		{"no destination", header + "spec:\n  hosts: [a]\n  http: [{route: [{weight: 1}]}]\n", "6:19 error SL2001 spec.http[0].route[0].destination", ""},
		{"no action", header + "spec:\n  hosts: [a]\n  http: [{name: x}]\n", "6:10 error SL2007 spec.http[0]", ""},
		{"two actions", route("redirect: {uri: /b}"), "7:5 error SL2007 spec.http[0]", "keep one"},
		{"timeout of a redirect", header + "spec:\n  hosts: [a]\n  http: [{redirect: {uri: /b}, timeout: 1s}]\n", "6:32 error SL2007 spec.http[0].timeout", ""},
		{"weights", header + "spec:\n  hosts: [a]\n  http: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]\n", "6:11 error SL2002 spec.http[0].route", "weight"},
		{"regex", route("match: [{uri: {regex: '(?=a)'}}]"), "8:20 error SL2003 spec.http[0].match[0].uri.regex", "RE2"},
		{"header name", route("headers: {request: {remove: ['a b']}}"), "8:34 error SL2010 spec.http[0].headers.request.remove[0]", ""},
		{"header value", route(`headers: {request: {set: {x-a: "a\nb"}}}`), "8:31 error SL2010 spec.http[0].headers.request.set[x-a]", ""},
		{"retry condition", route("retries: {attempts: 1, retryOn: '5xx,conect-failure'}"), "8:28 error SL1007 spec.http[0].retries.retryOn", "connect-failure"},
		{"retries off", route("retries: {attempts: 0, retryOn: 5xx}"), "8:5 error SL2007 spec.http[0].retries", ""},
		{"zero try", route("retries: {attempts: 1, perTryTimeout: 0s}"), "8:28 error SL2006 spec.http[0].retries.perTryTimeout", ""},
		{"host", strings.Replace(route("timeout: 5s"), "host: catalog", `host: "http://catalog"`, 1), "7:28 error SL2009 spec.http[0].route[0].destination.host", ""},
		{"unreachable", header + "spec:\n  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n  - redirect: {uri: /b}\n", "8:5 warning SL2011 spec.http[1]", "more special first"},
		{"same subset", kindDoc("DestinationRule", "  host: a\n  subsets: [{name: v1}, {name: v1}]\n"), "6:26 error SL2008 spec.subsets[1].name", ""},
		{"subset name", kindDoc("DestinationRule", "  host: a\n  subsets: [{name: 'a|b'}]\n"), "6:14 error SL1005 spec.subsets[0].name", ""},
		{"no port name", kindDoc("ServiceEntry", "  hosts: [a.example]\n  ports: [{number: 80, protocol: HTTP}]\n"), "6:11 error SL2001 spec.ports[0].name", ""},
		{"protocol", kindDoc("ServiceEntry", "  hosts: [a.example]\n  ports: [{number: 80, name: a, protocol: HTPP}]\n"), "6:33 error SL2005 spec.ports[0].protocol", "HTTP"},
		{"no protocol", kindDoc("ServiceEntry", "  hosts: [a.example]\n  ports: [{number: 80, name: a}]\n"), "6:11 warning SL2012 spec.ports[0]", ""},
		{"port number", kindDoc("ServiceEntry", "  hosts: [a.example]\n  ports: [{number: 70000, name: http}]\n"), "6:12 error SL2005 spec.ports[0].number", ""},
		{"static name", kindDoc("ServiceEntry", "  hosts: [a.example]\n  ports: [{number: 80, name: http}]\n  resolution: STATIC\n  endpoints: [{address: b.example}]\n"), "8:16 error SL2004 spec.endpoints[0].address", "DNS"},
		{"static without endpoints", kindDoc("ServiceEntry", "  hosts: [a.example]\n  ports: [{number: 80, name: http}]\n  resolution: STATIC\n"), "7:3 error SL2001 spec.resolution", ""},
		{"address", kindDoc("WorkloadEntry", "  address: 10.0.0.1:80\n"), "5:3 error SL2004 spec.address", "port"},
		{"socket", kindDoc("WorkloadEntry", "  address: unix:///run/a\n"), "5:3 error SL1009 spec.address", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got, hints []string
			for _, d := range decodeFile("x.yaml", []byte(tt.text)) {
				for _, p := range d.problems {
					if p.File != "x.yaml" || p.Message == "" {
						t.Errorf("problem without file or message: %+v", p)
					}
					got = append(got, fmt.Sprintf("%d:%d %s %s %s", p.Line, p.Column, p.Severity, p.Code, p.Path))
					hints = append(hints, p.Hint)
				}
			}
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if all := strings.Join(hints, "\n"); !strings.Contains(all, tt.hint) {
				t.Errorf("hint = %q, want it to say %q", all, tt.hint)
			}
		})
	}
}

// What people write and Kubernetes takes is taken.
func TestAccepted(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"v1alpha3", strings.Replace(route("timeout: 5s"), "/v1\n", "/v1alpha3\n", 1)},
		{"v1beta1", strings.Replace(route("timeout: 5s"), "/v1\n", "/v1beta1\n", 1)},
		{"minutes", route("timeout: 1m30s")},
		{"read back from a cluster", strings.Replace(route("timeout: 5s"), "{name: a,", "{name: a, uid: x, resourceVersion: '1', creationTimestamp: null, generation: 2,", 1) + "status: {}\n"},
		{"null fields", route("timeout: null", "retries:")},
		{"CRLF", strings.ReplaceAll(route("timeout: 5s"), "\n", "\r\n")},
		{"byte order mark", "\ufeff" + route("timeout: 5s")},
		{"marker and comment", "# a comment\n--- # first\n" + route("timeout: 5s") + "...\n---\n# nothing more\n"},
		{"numbers as text", route("retries: {attempts: '3'}")},
		{"anchors", "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: &h [catalog]\n  exportTo: ['*']\n  http:\n  - &r\n    route: [{destination: {host: catalog}}]\n    match: [{uri: {prefix: /a}}]\n  - <<: *r\n    match: [{uri: {prefix: /b}}]\n"},
		{"any header", route("match: [{headers: {x-a: {}}}]")},
		{"truth as on", route("match: [{uri: {prefix: /a}, ignoreUriCase: on}]")},
		{"ip address as host", strings.ReplaceAll(route("timeout: 5s"), "catalog", "10.0.0.1")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			docs := decodeFile("x.yaml", []byte(tt.text))
			if len(docs) != 1 || docs[0].object == nil {
				t.Fatalf("not accepted: %+v", docs)
			}
			if len(docs[0].problems) > 0 {
				t.Errorf("problems: %v", docs[0].problems)
			}
		})
	}
}

func TestContentHash(t *testing.T) {
	hash := func(text string) string {
		t.Helper()
		docs := decodeFile("x.yaml", []byte(text))
		if len(docs) != 1 || docs[0].object == nil {
			t.Fatalf("not accepted: %+v", docs)
		}
		return docs[0].object.Hash
	}
	base := hash(route("timeout: 90s"))
	for name, same := range map[string]string{
		"comment": "# x\n" + route("timeout: 90s # y"),
		"form":    route("timeout: 1m30s"),
		"version": strings.Replace(route("timeout: 90s"), "/v1\n", "/v1alpha3\n", 1),
	} {
		if hash(same) != base {
			t.Errorf("%s changes the hash", name)
		}
	}
	for name, other := range map[string]string{
		"value":     route("timeout: 91s"),
		"name":      strings.Replace(route("timeout: 90s"), "name: a", "name: b", 1),
		"namespace": strings.Replace(route("timeout: 90s"), "cinema", "theatre", 1),
	} {
		if hash(other) == base {
			t.Errorf("%s does not change the hash", name)
		}
	}
}

// One broken document does not hide the others of its file.
func TestDocumentsAreApart(t *testing.T) {
	docs := decodeFile("x.yaml", []byte(route("timeout: 5s")+"---\n{{ .Values.broken }}: [\n---\n"+strings.Replace(route("timeout: 5s"), "name: a", "name: b", 1)))
	var got []string
	for _, d := range docs {
		got = append(got, fmt.Sprintf("%d %v %d", d.line, d.object != nil, len(d.problems)))
	}
	if diff := cmp.Diff([]string{"1 true 0", "9 false 1", "11 true 0"}, got); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

func TestLimits(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'i'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for name, text := range map[string]string{
		"alias bomb":      bomb,
		"deep":            strings.Repeat("[", 20000),
		"huge":            strings.Repeat("#", maxFileBytes+1),
		"many documents":  strings.Repeat("---\na: 1\n", maxDocuments+1),
		"many hosts":      header + "spec:\n  hosts:\n" + strings.Repeat("  - a\n", maxNodes+1),
		"aliases of list": header + "spec:\n  http:\n  - &r {match: [" + strings.Repeat("{uri: {prefix: /a}},", 500) + "], route: [{destination: {host: a}}]}\n" + strings.Repeat("  - *r\n", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			found := false
			for _, d := range decodeFile("x.yaml", []byte(text)) {
				found = found || HasErrors(d.problems)
			}
			if !found {
				t.Error("accepted")
			}
		})
	}
}

func TestNearest(t *testing.T) {
	known := []string{"timeout", "retries", "route", "redirect", "directResponse"}
	for name, want := range map[string]string{
		"retires": "retries", "Timeout": "timeout", "time_out": "timeout", "rout": "route", "direct_response": "directResponse",
		"xyz": "", "": "", "x": "", strings.Repeat("route", 50): "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

// FuzzDecode: whatever the input, no panic, and each refusal says where.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(httpRoute("matches: [{path: {value: /a}, headers: [{name: x, value: y}]}]", "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]", "timeouts: {request: 1s}")))
	f.Add([]byte(grpcRoute("matches: [{method: {service: a.B}}]")))
	f.Add([]byte(route("timeout: 5s", "retries: {attempts: 3}", "match: [{uri: {regex: '.*'}}]")))
	f.Add([]byte(kindDoc("ServiceEntry", "  hosts: [a.example]\n  ports: [{number: 80, name: http}]\n  endpoints: [{address: 10.0.0.1}]\n  resolution: STATIC\n")))
	f.Add([]byte(kindDoc("DestinationRule", "  host: a\n  subsets: [{name: v1, labels: {a: b}}]\n")))
	f.Add([]byte("a: &a [*a]\n---\n<<: *b\n---\n? [a]\n: b\n--- !!binary x\n"))
	f.Add([]byte("kind: &k VirtualService\napiVersion: *k\nmetadata: {<<: {name: a}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := 2
		for _, lineBreak := range []string{"\n", "\r", "\u0085", "\u2028", "\u2029"} { // YAML's
			lines += strings.Count(string(data), lineBreak)
		}
		for _, d := range decodeFile("x.yaml", data) {
			if d.object == nil && !HasErrors(d.problems) {
				t.Error("refused without a reason")
			}
			if d.object != nil && (HasErrors(d.problems) || d.object.Name == "" || d.object.Spec == nil || d.object.Hash == "") {
				t.Errorf("half an object: %+v, %v", d.object, d.problems)
			}
			if d.object != nil {
				SortRoutes(d.object.Routes())
				d.object.Backends()
			}
			for _, p := range d.problems {
				if p.File != "x.yaml" || p.Line < 1 || p.Line > lines || p.Column < 1 || p.Code == "" || p.Message == "" {
					t.Errorf("problem without a place: %+v", p)
				}
			}
		}
	})
}

// Every code is explained where people look it up, and nothing else is.
func TestCodesAreDocumented(t *testing.T) {
	source, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/config-problems.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := func(form, text string) []string {
		var out []string
		for _, m := range regexp.MustCompile(form).FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
		return out
	}
	if diff := cmp.Diff(codes(`= "(SL\d{4})"`, string(source)), codes(`(?m)^### (SL\d{4}) `, string(page))); diff != "" {
		t.Errorf("codes in docs/config-problems.md (-problem.go +page):\n%s", diff)
	}
}
