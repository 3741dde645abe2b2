// Package kubernetestest runs a real API server, with its etcd, for tests. Nothing
// schedules or runs pods there: a test writes what nodes and controllers would.
package kubernetestest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	yaml3 "gopkg.in/yaml.v3"
	"sigs.k8s.io/yaml"
)

// The users of a cluster, each its own token: one who may all, and one who may
// nothing until somebody grants it.
const (
	Admin    = "admin"
	Stranger = "stranger"
)

// patience bounds what has to come at some time, on a machine however slow.
const patience = 2 * time.Minute

// Cluster is an API server on loopback.
type Cluster struct {
	t      testing.TB
	binary string
	dir    string
	etcd   string
	port   string
	server *exec.Cmd
	http   *http.Client
}

// Start runs a cluster until the test ends. Where the programs are not there, it
// skips the test.
func Start(t testing.TB) *Cluster {
	t.Helper()
	binary, err := findBinary()
	if err != nil {
		t.Skip("there is no bin/tools/kube-apiserver: make tools builds it")
	}
	etcd, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("there is no etcd: make tools installs it")
	}
	c := &Cluster{t: t, binary: binary, dir: t.TempDir(), port: freePort(t)}
	client, peer := "http://127.0.0.1:"+freePort(t), "http://127.0.0.1:"+freePort(t)
	c.etcd = client
	launch(t, exec.Command(etcd, "--data-dir", filepath.Join(c.dir, "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer))
	c.keys()
	c.Up()
	return c
}

// findBinary looks below the repository's root, which is above where tests run.
func findBinary() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", os.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
	binary := filepath.Join(dir, "bin/tools/kube-apiserver")
	if err == nil {
		_, err = os.Stat(binary)
	}
	return binary, err
}

// keys writes what the API server proves and believes.
func (c *Cluster) keys() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("accounts.key", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	c.write("tokens.csv", fmt.Appendf(nil, "%s,%s,1,system:masters\n%s,%s,2\n", Admin, Admin, Stranger, Stranger))
}

func (c *Cluster) write(name string, content []byte) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// Up starts the API server, after Down too, and returns when it is ready.
func (c *Cluster) Up() {
	c.t.Helper()
	key := filepath.Join(c.dir, "accounts.key")
	c.server = exec.Command(c.binary, "--etcd-servers", c.etcd, "--bind-address", "127.0.0.1", "--secure-port", c.port,
		"--cert-dir", c.dir, "--token-auth-file", filepath.Join(c.dir, "tokens.csv"), "--authorization-mode", "RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key, "--service-account-signing-key-file", key,
		"--service-cluster-ip-range", "10.96.0.0/16", "--disable-admission-plugins", "ServiceAccount", "--endpoint-reconciler-type", "none")
	launch(c.t, c.server)
	c.eventually("an API server that is ready", func() error {
		if c.http == nil {
			if err := c.trust(); err != nil {
				return err
			}
		}
		_, err := c.Do(http.MethodGet, "/readyz", nil)
		return err
	})
}

// Down kills the API server.
func (c *Cluster) Down() {
	_ = c.server.Process.Kill()
	_, _ = c.server.Process.Wait()
}

// trust reads the certificate that the API server made for itself.
func (c *Cluster) trust() error {
	cert, err := os.ReadFile(filepath.Join(c.dir, "apiserver.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(cert) {
		return errors.New("no certificate yet")
	}
	c.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	c.t.Cleanup(c.http.CloseIdleConnections)
	return nil
}

// Address is the API server's.
func (c *Cluster) Address() string { return "https://127.0.0.1:" + c.port }

// Kubeconfig writes a file by which who has a token reaches the cluster: one of the
// users, whose names are their tokens, or an account.
func (c *Cluster) Kubeconfig(token string) string {
	c.t.Helper()
	cert, err := os.ReadFile(filepath.Join(c.dir, "apiserver.crt"))
	if err != nil {
		c.t.Fatal(err)
	}
	name := fmt.Sprintf("kubeconfig-%x", sha256.Sum256([]byte(token)))
	c.write(name, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: test, user: {token: %s}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, c.Address(), base64.StdEncoding.EncodeToString(cert), token))
	return filepath.Join(c.dir, name)
}

// Token gives a token of a service account.
func (c *Cluster) Token(namespace, account string) string {
	c.t.Helper()
	answer, err := c.Do(http.MethodPost, "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+account+"/token",
		[]byte(`{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}`))
	var made struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	if err == nil {
		err = json.Unmarshal(answer, &made)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return made.Status.Token
}

// Do asks the API server, as Admin.
func (c *Cluster) Do(method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.Address()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+Admin)
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/apply-patch+yaml")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return answer, err
}

// Apply writes objects, one after the other, as "kubectl apply --server-side"
// does. One whose kind was defined just now is tried until it is served.
func (c *Cluster) Apply(text string) {
	c.t.Helper()
	for _, o := range c.parse(text) {
		c.eventually("apply "+o.Kind+" "+o.Metadata.Name, func() error {
			_, err := c.Do(http.MethodPatch, o.path()+"?fieldManager=kubectl&force=true&fieldValidation=Strict", o.text)
			return err
		})
	}
}

// Delete removes objects.
func (c *Cluster) Delete(text string) {
	c.t.Helper()
	for _, o := range c.parse(text) {
		if _, err := c.Do(http.MethodDelete, o.path(), nil); err != nil {
			c.t.Fatal(err)
		}
	}
}

type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	text []byte
}

func (o object) path() string {
	at := "/apis/" + o.APIVersion
	if !strings.Contains(o.APIVersion, "/") {
		at = "/api/" + o.APIVersion
	}
	if o.Metadata.Namespace != "" {
		at += "/namespaces/" + o.Metadata.Namespace
	}
	return at + "/" + plural(o.Kind) + "/" + o.Metadata.Name
}

func plural(kind string) string {
	kind = strings.ToLower(kind)
	switch {
	case strings.HasSuffix(kind, "y") && !strings.HasSuffix(kind, "ay"):
		return strings.TrimSuffix(kind, "y") + "ies"
	case strings.HasSuffix(kind, "s"):
		return kind + "es"
	}
	return kind + "s"
}

func (c *Cluster) parse(text string) []object {
	c.t.Helper()
	var out []object
	documents := yaml3.NewDecoder(strings.NewReader(text))
	for {
		var node yaml3.Node
		err := documents.Decode(&node)
		if errors.Is(err, io.EOF) {
			return out
		}
		var o object
		if err == nil {
			o.text, err = yaml3.Marshal(&node)
		}
		if err == nil {
			o.text, err = yaml.YAMLToJSON(o.text)
		}
		if err == nil {
			err = json.Unmarshal(o.text, &o)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		out = append(out, o)
	}
}

// Define installs a kind whose content the API server does not look into.
func (c *Cluster) Define(group, kind string, versions ...string) {
	c.t.Helper()
	var served strings.Builder
	for i, version := range versions {
		fmt.Fprintf(&served, `
  - name: %s
    served: true
    storage: %v
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}`, version, i == 0)
	}
	c.Apply(fmt.Sprintf(`apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: %[1]s.%[2]s
  annotations: {api-approved.kubernetes.io: "unapproved, for a test"}
spec:
  group: %[2]s
  scope: Namespaced
  names: {kind: %[3]s, plural: %[1]s}
  versions:%[4]s
`, plural(kind), group, kind, served.String()))
}

func (c *Cluster) eventually(what string, holds func() error) {
	c.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	c.t.Fatalf("never came: %s: %v", what, err)
}

// launch starts a program that ends with the test. What it wrote is shown when the
// test fails.
func launch(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait() // Down may have waited already
		_ = log.Close()
		if text, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s:\n…%s", filepath.Base(cmd.Path), text[max(0, len(text)-4000):])
		}
	})
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
