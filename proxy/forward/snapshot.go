package forward

import (
	"github.com/sidelight-mesh/sidelight/proxy/cluster"
	"github.com/sidelight-mesh/sidelight/proxy/listen"
	"github.com/sidelight-mesh/sidelight/proxy/route"
)

// Snapshot is everything that a sidecar runs by. Whoever applies one applies
// all of it or nothing: what did not change is kept with its connections, what
// changed is swapped between two requests.
//
// The caller hands the slices and maps over and must not change them
// afterwards. Sharing unchanged parts between snapshots is right, and cheaper.
type Snapshot struct {
	Revision  uint64 // highest configuration revision in it
	Listeners []listen.Config
	Routes    []*route.Table // by the names that listeners use
	Clusters  []cluster.Config
	Endpoints map[string][]cluster.Endpoint // by cluster.Config.AssignmentName
}
