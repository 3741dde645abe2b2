package xds

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/sidelight-mesh/sidelight/mesh"
)

const (
	stateFormat = "sidelight-config/1"
	maxState    = 256 << 20
)

// disk keeps the last good configuration in one file: a line of JSON that says
// whose it is and how it must hash, then the resources as delta responses, each
// after its length. It holds no secrets of its own, and is nobody else's
// business either: mode 0600.
type disk struct {
	path string // "" = nothing is kept
	node string
}

// stateHeader is the first line of the file.
type stateHeader struct {
	Format  string    `json:"format"`
	Node    string    `json:"node"`
	SavedAt time.Time `json:"saved_at"`
	SHA256  string    `json:"sha256"` // of everything after this line
}

func newDisk(dir, node string) *disk {
	d := &disk{node: node}
	if dir != "" {
		d.path = filepath.Join(dir, "config.state")
	}
	return d
}

func (d *disk) enabled() bool { return d.path != "" }

// save writes the configuration so that a reader sees the old file or the new
// one, never a part.
func (d *disk) save(c *candidate, at time.Time) error {
	var body bytes.Buffer
	for _, resp := range c.responses() {
		if _, err := protodelim.MarshalTo(&body, resp); err != nil {
			return fmt.Errorf("encode configuration: %w", err)
		}
	}
	sum := sha256.Sum256(body.Bytes())
	header, err := json.Marshal(stateHeader{Format: stateFormat, Node: d.node, SavedAt: at.UTC(), SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		return fmt.Errorf("encode configuration: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return fmt.Errorf("save configuration: %w", err)
	}
	if err := writeAtomically(d.path, append(header, '\n'), body.Bytes()); err != nil {
		return fmt.Errorf("save configuration: %w", err)
	}
	return nil
}

func writeAtomically(path string, parts ...[]byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	for _, part := range parts {
		if _, err := f.Write(part); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return f.Close()
}

// load reads the file back. It is refused as a whole when anything is wrong
// with it: ErrNotFound when there is none, ErrInvalid otherwise.
func (d *disk) load(t *translator) ([]update, time.Time, error) {
	if !d.enabled() {
		return nil, time.Time{}, mesh.ErrNotFound
	}
	f, err := os.Open(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, mesh.ErrNotFound
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read configuration: %w", err)
	}
	updates, savedAt, err := d.decode(content, t)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read configuration: %w: %w", mesh.ErrInvalid, err)
	}
	return updates, savedAt, nil
}

func (d *disk) decode(content []byte, t *translator) ([]update, time.Time, error) {
	line, body, ok := bytes.Cut(content, []byte("\n"))
	var header stateHeader
	if !ok || json.Unmarshal(line, &header) != nil || header.Format != stateFormat {
		return nil, time.Time{}, fmt.Errorf("the file is no %s file", stateFormat)
	}
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != header.SHA256 {
		return nil, time.Time{}, errors.New("the checksum does not fit: the file is damaged")
	}
	if header.Node != d.node {
		return nil, time.Time{}, fmt.Errorf("the file belongs to node %q", header.Node)
	}
	var updates []update
	for r := bufio.NewReader(bytes.NewReader(body)); ; {
		resp := &discoveryv3.DeltaDiscoveryResponse{}
		err := protodelim.UnmarshalOptions{MaxSize: maxState}.UnmarshalFrom(r, resp)
		if errors.Is(err, io.EOF) {
			return updates, header.SavedAt, nil
		}
		if err != nil {
			return nil, time.Time{}, err
		}
		u, err := decodeResponse(resp, t)
		if err != nil {
			return nil, time.Time{}, err
		}
		updates = append(updates, u)
	}
}

func decodeResponse(resp *discoveryv3.DeltaDiscoveryResponse, t *translator) (update, error) {
	revision, err := strconv.ParseUint(resp.GetSystemVersionInfo(), 10, 64)
	if err != nil {
		return update{}, fmt.Errorf("revision %q", resp.GetSystemVersionInfo())
	}
	u := update{kind: mesh.TypeName(resp.GetTypeUrl()), revision: revision}
	for _, r := range resp.GetResources() {
		translated, err := t.translate(u.kind, r.GetName(), r.GetVersion(), revision, r.GetResource())
		if err != nil {
			return update{}, fmt.Errorf("%s %s: %w", u.kind, r.GetName(), err)
		}
		u.set = append(u.set, translated)
	}
	if mesh.TypeURL(u.kind) == "" {
		return update{}, fmt.Errorf("resource type %q is not known", u.kind)
	}
	return u, nil
}

// responses gives the candidate as the responses that would bring it: one per
// type and revision, because each resource remembers the revision that it came
// with, and an empty one for the revision that a type has reached.
func (c *candidate) responses() []*discoveryv3.DeltaDiscoveryResponse {
	var out []*discoveryv3.DeltaDiscoveryResponse
	for _, kind := range kinds() {
		t := c.types[kind]
		byRevision := map[uint64]*discoveryv3.DeltaDiscoveryResponse{}
		at := func(revision uint64) *discoveryv3.DeltaDiscoveryResponse {
			resp, ok := byRevision[revision]
			if !ok {
				resp = &discoveryv3.DeltaDiscoveryResponse{
					TypeUrl: mesh.TypeURL(kind), SystemVersionInfo: strconv.FormatUint(revision, 10),
				}
				byRevision[revision] = resp
				out = append(out, resp)
			}
			return resp
		}
		at(t.revision)
		for _, name := range sortedNames(t.resources) {
			r := t.resources[name]
			resp := at(r.revision)
			resp.Resources = append(resp.Resources, &discoveryv3.Resource{Name: name, Version: r.version, Resource: r.packed})
		}
	}
	return out
}
