package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed config/*.yaml
var configFiles embed.FS

// writeConfig fills dir with the cinema's configuration: the registry, made
// from the ports that were chosen, and the routing files as they are.
func writeConfig(dir string, instances []*Instance) error {
	if err := writeFile(filepath.Join(dir, "registry.yaml"), registryYAML(instances)); err != nil {
		return err
	}
	files, err := fs.Glob(configFiles, "config/*.yaml")
	if err != nil {
		return err
	}
	for _, name := range files {
		content, err := configFiles.ReadFile(name)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, filepath.Base(name)), string(content)); err != nil {
			return err
		}
	}
	return nil
}

// writeFile replaces path in one step: the server must never read half a file.
func writeFile(path, content string) error {
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.WriteFile(tmp, []byte(content), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func registryYAML(instances []*Instance) string {
	var docs []string
	for _, s := range services() {
		docs = append(docs, serviceEntry(s, instances))
	}
	for _, i := range instances {
		if i.Meshed && i.Port != 0 {
			docs = append(docs, workloadEntry(i))
		}
	}
	return strings.Join(docs, "---\n")
}

func serviceEntry(s Service, instances []*Instance) string {
	head := fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: %s
  namespace: %s
%sspec:
  hosts:
  - %s
  ports:
  - number: %d
    name: %s
    protocol: %s
  resolution: STATIC
`, s.App, s.Namespace, annotations(s.App), s.Host, s.Port, s.PortName, s.Protocol)
	if !s.External {
		return head + fmt.Sprintf(`  location: MESH_INTERNAL
  workloadSelector:
    labels:
      app: %s
`, s.App)
	}
	head += "  location: MESH_EXTERNAL\n  endpoints:\n"
	for _, i := range instances {
		if i.App == s.App {
			head += fmt.Sprintf("  - address: 127.0.0.1\n    ports:\n      %s: %d\n", s.PortName, i.ports.app)
		}
	}
	return head
}

// objectives are what two services of the cinema are held to: one that keeps it
// and one that does not.
var objectives = map[string]string{"catalog": "99.5%", "payments": "99%"}

func annotations(app string) string {
	objective, ok := objectives[app]
	if !ok {
		return ""
	}
	return fmt.Sprintf("  annotations:\n    sidelight.io/health-availability: %q\n", objective)
}

func workloadEntry(i *Instance) string {
	portName := i.Proto
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata:
  name: %s
  namespace: %s
spec:
  address: 127.0.0.1
  ports:
    %s: %d
  labels:
    app: %s
    version: %s
    service.istio.io/workload-name: %s
    security.istio.io/tlsMode: istio
  serviceAccount: %s
`, i.Name(), i.Namespace, portName, i.ports.inbound, i.App, i.Version, i.Workload, i.App)
}
