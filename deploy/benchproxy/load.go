package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The number of client connections, and of streams on each for gRPC.
const (
	httpConnections = 64
	grpcConnections = 8
	grpcStreams     = 8
)

// wrk sends GET requests as fast as they are answered, and gives how many were.
func (b *bench) wrk(ctx context.Context, address, host string) (requests int, err error) {
	out, err := b.output(ctx, "wrk", "-t1", "-c", strconv.Itoa(httpConnections), "-d", seconds(b.turn), "-H", "Host: "+host, "http://"+address+"/")
	if err != nil {
		return 0, err
	}
	if bad := regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`).FindStringSubmatch(out); bad != nil {
		return 0, fmt.Errorf("wrk: %s answers were no success", bad[1])
	}
	m := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("wrk says: %s", out)
	}
	return strconv.Atoi(m[1])
}

// grpcLoad sends unary calls as fast as they are answered.
func (b *bench) grpcLoad(ctx context.Context, address, host string) (requests int, err error) {
	body := filepath.Join(b.dir, "message")
	if err := os.WriteFile(body, []byte{0, 0, 0, 0, 5, 10, 3, 'a', 'b', 'c'}, 0o644); err != nil {
		return 0, err
	}
	out, err := b.output(ctx, "h2load", "-t1", "-c", strconv.Itoa(grpcConnections), "-m", strconv.Itoa(grpcStreams), "-D", seconds(b.turn),
		"-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers", "-H", ":authority: "+host, "http://"+address+"/echo.Echo/Unary")
	if err != nil {
		return 0, err
	}
	return succeeded(out)
}

func succeeded(out string) (int, error) {
	m := regexp.MustCompile(`(\d+) succeeded, (\d+) failed, (\d+) errored`).FindStringSubmatch(out)
	if m == nil || m[2] != "0" || m[3] != "0" {
		return 0, fmt.Errorf("h2load says: %s", out)
	}
	status := regexp.MustCompile(`status codes: (\d+) 2xx`).FindStringSubmatch(out)
	if status == nil || status[1] == "0" {
		return 0, fmt.Errorf("h2load says: %s", out)
	}
	return strconv.Atoi(status[1])
}

// Latency is asked for at a rate that every proxy can serve.
const (
	latencyRate        = 2000
	latencyConnections = 20
)

// paced sends requests at a constant rate and gives their times, sorted.
func (b *bench) paced(ctx context.Context, address, host string) ([]time.Duration, error) {
	log := filepath.Join(b.dir, "times")
	_ = os.Remove(log)
	out, err := b.output(ctx, "h2load", "--h1", "-t1", "-c", strconv.Itoa(latencyConnections), "--rps", strconv.Itoa(latencyRate/latencyConnections),
		"-D", seconds(b.turn), "--log-file", log, "-H", ":authority: "+host, "http://"+address+"/")
	if err != nil {
		return nil, err
	}
	if _, err := succeeded(out); err != nil {
		return nil, err
	}
	file, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var times []time.Duration
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// start in µs since the epoch, status, duration in µs
		f := strings.Fields(lines.Text())
		if len(f) < 3 {
			continue
		}
		us, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("times of h2load: %w", err)
		}
		times = append(times, time.Duration(us)*time.Microsecond)
	}
	slices.Sort(times)
	if len(times) < latencyRate {
		return nil, fmt.Errorf("h2load wrote only %d times", len(times))
	}
	return times, nil
}

// output runs a load generator to its end.
func (b *bench) output(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }
