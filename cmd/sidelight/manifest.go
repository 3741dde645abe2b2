package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/sidelight-mesh/sidelight/server/config"
)

// maxYAML bounds what is read from files and standard input.
const maxYAML = 16 << 20

// manifest is the YAML of several files as one text, all of which is applied
// or nothing. It remembers which line came from where.
type manifest struct {
	yaml  []byte
	lines int // begun in yaml
	parts []part
}

// part is one file's place in a manifest.
type part struct {
	name  string
	first int // the manifest's line that is the file's first
}

// readManifest joins files and folders; "-" is standard input.
func readManifest(paths []string, stdin io.Reader) (*manifest, error) {
	if len(paths) == 0 {
		return nil, usageError{errors.New("name what to read with -f FILE, -f FOLDER or -f -")}
	}
	m := &manifest{lines: 1}
	for _, path := range paths {
		if err := m.read(path, stdin); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *manifest) read(path string, stdin io.Reader) error {
	if path == "-" {
		content, err := io.ReadAll(io.LimitReader(stdin, maxYAML+1))
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		return m.add("standard input", content)
	}
	info, err := os.Stat(path)
	if err != nil {
		return usageError{fmt.Errorf("-f %s: %w", path, errors.Unwrap(err))}
	}
	if !info.IsDir() {
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("-f %s: %w", path, errors.Unwrap(err))
		}
		return m.add(path, content)
	}
	var files []string
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		found, err := filepath.Glob(filepath.Join(path, pattern))
		if err != nil {
			return fmt.Errorf("-f %s: %w", path, err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return usageError{fmt.Errorf("-f %s: no .yaml file in this folder", path)}
	}
	for _, file := range files {
		if err := m.read(file, stdin); err != nil {
			return err
		}
	}
	return nil
}

func (m *manifest) add(name string, content []byte) error {
	if len(m.parts) > 0 {
		m.write([]byte("\n---\n"))
	}
	m.parts = append(m.parts, part{name, m.lines})
	if m.write(content); len(m.yaml) > maxYAML {
		return usageError{fmt.Errorf("-f %s: more than %d MiB of YAML", name, maxYAML>>20)}
	}
	return nil
}

func (m *manifest) write(content []byte) {
	m.yaml = append(m.yaml, content...)
	m.lines += bytes.Count(content, []byte("\n"))
}

// locate turns the places of problems, which the server knows as lines of the
// whole text, into places in the files.
func (m *manifest) locate(problems []config.Problem) {
	for i := range problems {
		p := &problems[i]
		if p.File != "" || p.Line == 0 || len(m.parts) == 0 {
			continue // in a file of the server's, or nowhere
		}
		after := slices.IndexFunc(m.parts, func(next part) bool { return next.first > p.Line })
		if after < 0 {
			after = len(m.parts)
		}
		from := m.parts[after-1]
		p.File, p.Line = from.name, p.Line-from.first+1
	}
}
