package benchingest

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The runs: how long each warms up until all series are there, and how long it
// is measured then.
const (
	besideEvery              = 5 * time.Second
	aloneTargets, aloneEvery = 10_000, 15 * time.Second
	warmUp, measured         = 3, 4 // scrapes of each target
)

// For a look at where it goes: a smaller fleet, and profiles of ours.
var (
	besideTargets = flag.Int("targets", 1000, "how many `sidecars` both scrape")
	profiles      = flag.String("profiles", "", "leave profiles of ours in this `folder`, and end after both")
)

// BenchmarkIngest prints a table and its goals: make bench-ingest.
func BenchmarkIngest(b *testing.B) {
	if b.N > 1 {
		b.Skip("prints one table")
	}
	if _, err := exec.LookPath("prometheus"); err != nil {
		b.Fatal("prometheus is not installed; `make tools` installs it on Debian")
	}
	fmt.Printf("%-11s %8s %6s %9s %8s | %10s %7s %9s %9s\n", "", "targets", "every", "series", "edges", "samples/s", "cores", "µs/sample", "KB/series")
	beside, peer := compare(b)
	ratio("CPU per sample, to Prometheus'", beside.perSample()/peer.perSample(), 1.25)
	ratio("memory per series, to Prometheus'", beside.perSeries()/peer.perSeries(), 1.20)
	if *profiles != "" {
		return
	}
	alone, again := fleet(b)
	ratio("cores at 10,000 sidecars", alone.cores(), 1)
	ratio("GB resident at 10,000 sidecars", alone.resident/1e9, 4)
	fmt.Printf("killed and started again on what it had stored: serving after %.1f s, all read back after %.1f s\n", again.serving, again.read)
	ratio("seconds until it serves again", again.serving, 2)
}

func ratio(name string, value, bound float64) {
	verdict := "met"
	if value > bound {
		verdict = "missed"
	}
	fmt.Printf("goal ingest %s: %.2f <= %.2f %s\n", name, value, bound, verdict)
}

// compare runs both beside each other on the same targets.
func compare(b *testing.B) (sidelight, prometheus usage) {
	s := startSidecars(b, *besideTargets)
	dir := b.TempDir()
	s.discovery(b, filepath.Join(dir, "targets.json"))
	ours, api, admin := startSidelight(b, dir, besideEvery)
	theirs := startPrometheus(b, dir, besideEvery)
	settle(b, s, api, besideEvery)
	u := measure(s, besideEvery, map[string]int{"sidelight": ours, "prometheus": theirs})
	edges := edgesSeen(b, api)
	u["sidelight"].print("sidelight", *besideTargets, besideEvery, edges)
	u["prometheus"].print("prometheus", *besideTargets, besideEvery, 0)
	if *profiles != "" {
		profile(b, admin+"/metrics", "metrics")
		profile(b, admin+"/debug/pprof/profile?seconds=20", "cpu")
		profile(b, admin+"/debug/pprof/heap?gc=1", "heap")
	}
	return u["sidelight"], u["prometheus"]
}

// profile leaves one profile in the folder that was asked for.
func profile(b *testing.B, url, name string) {
	resp, err := http.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	f, err := os.Create(filepath.Join(*profiles, name))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, resp.Body); err != nil {
		b.Fatal(err)
	}
}

// restart is how long a process took on a store that was full.
type restart struct{ serving, read float64 } // seconds

// fleet runs ours alone on many, kills it and starts it again.
func fleet(b *testing.B) (usage, restart) {
	s := startSidecars(b, aloneTargets)
	dir := b.TempDir()
	s.discovery(b, filepath.Join(dir, "targets.json"))
	ours, api, _ := startSidelight(b, dir, aloneEvery)
	settle(b, s, api, aloneEvery)
	u := measure(s, aloneEvery, map[string]int{"sidelight": ours})["sidelight"]
	u.print("sidelight", aloneTargets, aloneEvery, edgesSeen(b, api))
	if err := syscall.Kill(ours, syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
	// Giving back gigabytes takes the kernel a while. The process stays to be waited for by whoever started it.
	if err := unix.Waitid(unix.P_PID, ours, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	_, api, _ = startSidelight(b, dir, aloneEvery)
	var again restart
	again.serving = answers(b, api+"/api/v1/graph?max=400", began)
	again.read = answers(b, api+"/prometheus/api/v1/query?query=1", began)
	return u, again
}

// answers waits until a URL is answered and gives the seconds since began.
func answers(b *testing.B, url string, began time.Time) float64 {
	for time.Since(began) < 2*time.Minute {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return time.Since(began).Seconds()
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	b.Fatalf("%s is not answered", url)
	return 0
}

// usage is what a process took while it was measured.
type usage struct {
	cpu, seconds    float64
	scrapes, series int
	resident        float64
}

func (u usage) cores() float64     { return u.cpu / u.seconds }
func (u usage) samples() float64   { return float64(u.scrapes * samplesPerScrape) }
func (u usage) perSample() float64 { return u.cpu / u.samples() * 1e6 }
func (u usage) perSeries() float64 { return u.resident / float64(u.series) / 1e3 }

func (u usage) print(name string, targets int, every time.Duration, edges int) {
	fmt.Printf("%-11s %8d %6s %9d %8d | %10.0f %7.2f %9.1f %9.1f\n", name, targets, every, u.series, edges,
		u.samples()/u.seconds, u.cores(), u.perSample(), u.perSeries())
}

func measure(s *sidecars, every time.Duration, pids map[string]int) map[string]usage {
	out := map[string]usage{}
	for program, pid := range pids {
		out[program] = usage{cpu: -cpuSeconds(pid), scrapes: -s.by(program)}
	}
	began := time.Now()
	time.Sleep(measured * every)
	for program, pid := range pids {
		u := out[program]
		u.cpu += cpuSeconds(pid)
		u.scrapes += s.by(program)
		u.seconds = time.Since(began).Seconds()
		u.resident = residentBytes(pid)
		u.series = s.n * samplesPerScrape
		out[program] = u
	}
	return out
}

// settle waits until every target was scraped some times and the graph is
// whole.
func settle(b *testing.B, s *sidecars, api string, every time.Duration) {
	deadline := time.Now().Add(warmUp*every + 60*time.Second) // a new fleet comes in over two intervals
	for s.by("sidelight") < warmUp*s.n || edgesSeen(b, api) < s.n*edgesPerSide {
		if time.Now().After(deadline) {
			b.Fatalf("only %d scrapes of %d targets, the graph has %d edges", s.by("sidelight"), s.n, edgesSeen(b, api))
		}
		time.Sleep(500 * time.Millisecond)
	}
}

func startSidelight(b *testing.B, dir string, every time.Duration) (pid int, api, admin string) {
	var ports [6]string
	for i := range ports {
		ports[i] = freeAddress(b)
	}
	pid = start(b, dir, filepath.Join(os.Getenv("SIDELIGHT_BIN"), "sidelight"), "run",
		"--config-dir", filepath.Join(dir, "config"), "--data-dir", filepath.Join(dir, "data"),
		"--api", ports[0], "--admin", ports[1], "--grpc", ports[2], "--grpc-tls", ports[3], "--otlp-grpc", ports[4], "--otlp-http", ports[5],
		"--scrape-interval", every.String(), "--rules-interval", "24h", "--targets", filepath.Join(dir, "targets.json"))
	return pid, "http://" + ports[0], "http://" + ports[1]
}

func startPrometheus(b *testing.B, dir string, every time.Duration) int {
	config := fmt.Sprintf("global: {scrape_interval: %s}\nscrape_configs: [{job_name: mesh, metrics_path: %s, file_sd_configs: [{files: [targets.json]}]}]\n", every, peerPath)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	return start(b, dir, "prometheus", "--config.file", file, "--storage.tsdb.path", filepath.Join(dir, "tsdb"),
		"--web.listen-address", freeAddress(b), "--enable-feature=native-histograms", "--log.level=warn")
}

func start(b *testing.B, dir, program string, args ...string) int {
	cmd := exec.Command(program, args...)
	log, err := os.Create(filepath.Join(dir, filepath.Base(program)+".log"))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		force := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		force.Stop()
		_ = log.Close()
		if text, err := os.ReadFile(log.Name()); b.Failed() && err == nil {
			fmt.Printf("%s: %s\n", program, text[max(0, len(text)-2000):])
		}
	})
	return cmd.Process.Pid
}

func freeAddress(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func edgesSeen(b *testing.B, api string) int {
	resp, err := http.Get(api + "/api/v1/graph?max=10")
	if err != nil {
		b.Error(err)
		return 0
	}
	defer resp.Body.Close()
	var v struct {
		Limits struct {
			Edges int `json:"edges"`
		} `json:"limits"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		b.Error(err)
	}
	return v.Limits.Edges
}

// cpuSeconds reads what a process has used, as the kernel counts it: in
// hundredths of a second.
func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	field := strings.Fields(rest)
	user, _ := strconv.ParseFloat(field[11], 64)
	system, _ := strconv.ParseFloat(field[12], 64)
	return (user + system) / 100
}

func residentBytes(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kb * 1024
}
