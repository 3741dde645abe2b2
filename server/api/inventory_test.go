package api

import (
	"encoding/json"
	"slices"
	"testing"
)

const (
	namespaceKeys = "name health workloads meshed rps error_ratio services in out rps_series coverage cost"
	workloadKeys  = "id kind namespace name meshed health in out rps_series instances nodes services cost"
	serviceKeys   = "host namespace name external ports endpoints ejected health in rps_series workloads meshed objects"
)

func fetch[T any](t *testing.T, url string) T {
	t.Helper()
	resp, body := call(t, "GET", url, "")
	var got T
	if err := json.Unmarshal([]byte(body), &got); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %d %v %s", url, resp.StatusCode, err, body)
	}
	return got
}

func TestWorkloads(t *testing.T) {
	_, url := serve(t, &parts{called: true}, nil)
	list := fetch[itemList[WorkloadItem]](t, url+"/api/v1/workloads").Items
	if len(list) != 2 {
		t.Fatalf("got %+v", list)
	}
	// Only sidecars that run cost something.
	if w := list[0]; w.ID != "workload:cinema/web" || w.Instances != 3 || !slices.Equal(w.Nodes, []string{"web-1", "web-2"}) || w.Cost.Proxies != 1 || w.Cost.CPUCores != 0.5 {
		t.Errorf("got %+v", w)
	}
	if list := fetch[itemList[WorkloadItem]](t, url+"/api/v1/workloads?namespace=other").Items; len(list) != 0 {
		t.Errorf("another namespace has %+v", list)
	}
	for _, id := range []string{"cinema/web", "cinema%2Fweb", "workload:cinema%2Fweb"} {
		w := fetch[WorkloadDetail](t, url+"/api/v1/workloads/"+id)
		if w.Name != "web" || len(w.Outbound) != 1 || len(w.Inbound) != 0 || len(w.Proxies) != 2 || w.Proxies[0].Reason != "refused cluster x" {
			t.Errorf("%s: got %+v", id, w)
		}
		if len(w.NotHeld) != 2 || w.NotHeld[0].Object != "AuthorizationPolicy cinema/web" || len(w.Ejecting) != 2 {
			t.Errorf("%s: not held %+v, ejecting %+v", id, w.NotHeld, w.Ejecting)
		}
	}
	if w := fetch[WorkloadDetail](t, url+"/api/v1/workloads/cinema/catalog-v1"); len(w.Inbound) != 2 || w.Inbound[0].RPS != 4 || !slices.Equal(w.Services, []string{"catalog.cinema.svc.cluster.local"}) {
		t.Errorf("busiest caller first: got %+v", w)
	}
}

func TestServices(t *testing.T) {
	_, url := serve(t, &parts{called: true}, nil)
	list := fetch[itemList[ServiceItem]](t, url+"/api/v1/services").Items
	if len(list) != 1 || list[0].In.RPS != 7 || list[0].Endpoints != 2 || list[0].Ejected != 1 || list[0].Meshed != 0 {
		t.Fatalf("got %+v", list)
	}
	d := fetch[ServiceDetail](t, url+"/api/v1/services/catalog.cinema.svc.cluster.local")
	if len(d.Inbound) != 1 || len(d.Ejections) != 1 || len(d.Instances) != 2 {
		t.Fatalf("got %+v", d)
	}
	if known, unknown := d.Instances[0], d.Instances[1]; known.Health.State != "ok" || unknown.Health.State != "unknown" || len(unknown.Health.Reasons) != 1 {
		t.Errorf("endpoints %+v, %+v", known, unknown)
	}
}

func TestNamespaces(t *testing.T) {
	_, url := serve(t, &parts{called: true}, nil)
	list := fetch[itemList[NamespaceItem]](t, url+"/api/v1/namespaces").Items
	if len(list) != 1 || list[0].In.RPS != 9 || list[0].Services != 1 || list[0].Cost.Proxies != 1 || len(list[0].Coverage.Unmeshed) != 2 {
		t.Fatalf("got %+v", list)
	}
	d := fetch[NamespaceDetail](t, url+"/api/v1/namespaces/cinema")
	if len(d.Workloads) != 2 || len(d.Services) != 1 || len(d.Inbound) != 1 || d.WindowS != 30 {
		t.Errorf("got %+v", d)
	}
}
