package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	maxFiles = 20_000
	maxDepth = 16 // of folders
)

// tree is what a directory held when it was read.
type tree struct {
	files map[string]*file // by path, relative to the root, with slashes
	dirs  []string         // absolute, to be watched
}

// file is one YAML file and its documents.
type file struct {
	info   fs.FileInfo
	linked bool // reached over a symbolic link: not ours to write
	sum    [sha256.Size]byte
	docs   []document
	text   string   // of a source's
	err    *Problem // it could not be read
}

// readTree reads all YAML files below a directory. Files whose content is that
// of the tree before keep its decoded documents. An error means that the
// directory as a whole could not be read: that is not the same as an empty one.
func readTree(root string, before tree) (tree, error) {
	t := tree{files: map[string]*file{}}
	w := &treeWalk{root: root, before: before, tree: &t}
	if err := w.dir("", false, nil); err != nil {
		return tree{}, err
	}
	return t, nil
}

type treeWalk struct {
	root   string
	before tree
	tree   *tree
}

// dir walks one folder. Names that begin with a dot are left out: editors and
// mounted ConfigMaps ("..data") keep their own there. Symbolic links are
// followed, because that is how ConfigMaps show their files.
func (w *treeWalk) dir(rel string, linked bool, above []fs.FileInfo) error {
	abs := filepath.Join(w.root, filepath.FromSlash(rel))
	info, err := os.Stat(abs)
	if err != nil {
		return fmt.Errorf("read directory: %w", err)
	}
	for _, a := range above {
		if os.SameFile(a, info) {
			return nil // a link back up
		}
	}
	if len(above) >= maxDepth {
		return fmt.Errorf("read directory %s: folders are nested deeper than %d", abs, maxDepth)
	}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return fmt.Errorf("read directory: %w", err)
	}
	w.tree.dirs = append(w.tree.dirs, abs)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := w.entry(path.Join(rel, e.Name()), e, linked, append(above, info)); err != nil {
			return err
		}
	}
	return nil
}

func (w *treeWalk) entry(rel string, e fs.DirEntry, linked bool, above []fs.FileInfo) error {
	isYAML := strings.HasSuffix(rel, ".yaml") || strings.HasSuffix(rel, ".yml")
	isLink := e.Type()&fs.ModeSymlink != 0
	linked = linked || isLink
	info, err := os.Stat(filepath.Join(w.root, filepath.FromSlash(rel)))
	switch {
	case errors.Is(err, fs.ErrNotExist) && !isLink:
		return nil // went while we looked
	case err != nil && isYAML:
		w.add(rel, &file{linked: linked, err: fileProblem(rel, "check the file's permissions and where its link leads", err)})
		return nil
	case err != nil:
		return nil
	case info.IsDir():
		if err := w.dir(rel, linked, above); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case !isYAML:
		return nil
	}
	if len(w.tree.files) >= maxFiles {
		return fmt.Errorf("read directory %s: more than %d files", w.root, maxFiles)
	}
	w.add(rel, w.read(rel, info, linked))
	return nil
}

func (w *treeWalk) add(rel string, f *file) { w.tree.files[rel] = f }

func (w *treeWalk) read(rel string, info fs.FileInfo, linked bool) *file {
	f := &file{info: info, linked: linked}
	if !info.Mode().IsRegular() {
		// Opening a pipe or a device could block for ever.
		f.err = fileProblem(rel, "", errors.New("not a regular file"))
		return f
	}
	data, err := readFile(filepath.Join(w.root, filepath.FromSlash(rel)))
	if err != nil {
		f.err = fileProblem(rel, "check the file's permissions", err)
		return f
	}
	f.sum = sha256.Sum256(data)
	if b := w.before.files[rel]; b != nil && b.err == nil && b.sum == f.sum {
		f.docs = b.docs
		return f
	}
	f.docs = decodeFile(rel, data)
	return f
}

// readFile reads a little more than the limit at most, so that decodeFile sees
// that it is passed without a huge file in memory.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFileBytes+1))
}

func fileProblem(rel, hint string, err error) *Problem {
	return &Problem{
		Severity: SeverityError, Code: CodeFile, File: rel, Line: 1, Column: 1,
		Message: "the file cannot be read: " + err.Error(), Hint: hint,
	}
}

// sameAs reports whether the directory looks as it did, by the files' places,
// sizes, times and identities, without reading them.
func (t tree) sameAs(root string) bool {
	seen := 0
	w := &statWalk{t: t, root: root, seen: &seen}
	return w.dir("", 0) && seen == len(t.files)
}

type statWalk struct {
	t    tree
	root string
	seen *int
}

func (w *statWalk) dir(rel string, depth int) bool {
	entries, err := os.ReadDir(filepath.Join(w.root, filepath.FromSlash(rel)))
	if err != nil || depth > maxDepth {
		return false
	}
	for _, e := range entries {
		name := path.Join(rel, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		known := w.t.files[name]
		info, err := os.Stat(filepath.Join(w.root, filepath.FromSlash(name)))
		switch {
		case err != nil:
			if known != nil && known.info == nil {
				*w.seen++ // could not be read then, cannot be now
			}
		case info.IsDir():
			if !w.dir(name, depth+1) {
				return false
			}
		case strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml"):
			if known == nil || known.info == nil || known.info.Size() != info.Size() ||
				!known.info.ModTime().Equal(info.ModTime()) || !os.SameFile(known.info, info) {
				return false
			}
			*w.seen++
		}
	}
	return true
}
