package scrape

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
)

const (
	// jobName is the one scrape pool's, and the label "job" of targets that
	// bring none.
	jobName = "mesh"
	// reloadInterval is how long a change of the targets waits at most: a new
	// sidecar must show within two scrapes of one second.
	reloadInterval = 200 * time.Millisecond
)

// managerConfig gives the scrape manager's configuration. It goes through the
// loader, because that alone marks a configuration as checked.
func managerConfig(o Options) (*config.Config, error) {
	text := fmt.Sprintf("scrape_configs: [{job_name: %s, scrape_interval: %s, scrape_timeout: %s}]",
		jobName, model.Duration(o.Interval), model.Duration(o.Timeout))
	cfg, err := config.Load(text, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("make scrape configuration: %w", err)
	}
	job := cfg.ScrapeConfigs[0]
	yes := true
	job.ScrapeNativeHistograms = &yes
	// Dashboards for the standard metrics ask for the classic buckets, so both
	// forms are stored; the edges take the native one.
	job.AlwaysScrapeClassicHistograms = &yes
	job.ScrapeProtocols = config.DefaultProtoFirstScrapeProtocols
	// A target that names no format, or a wrong one, is read as text.
	job.ScrapeFallbackProtocol = config.PrometheusText0_0_4
	// What we know of a target counts more than what it says of itself, and
	// so does the time at which it was read.
	job.HonorLabels = false
	job.HonorTimestamps = false
	job.BodySizeLimit = units.Base2Bytes(o.Limits.BodyBytes)
	job.SampleLimit = o.Limits.Samples
	job.LabelLimit = o.Limits.Labels
	job.LabelNameLengthLimit = 256
	job.LabelValueLengthLimit = o.Limits.LabelLength
	job.NativeHistogramBucketLimit = 256
	job.HTTPClientConfig.FollowRedirects = false
	return cfg, nil
}
