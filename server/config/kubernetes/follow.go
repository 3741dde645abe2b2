package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	pageSize   = 500
	listTime   = time.Minute // for one page
	watchTime  = 5 * time.Minute
	pauseFirst = 250 * time.Millisecond
	pauseMost  = 5 * time.Second
	// mostObjects is how many of one resource are held. A cluster has less; what
	// fills memory without end is a mistake or an attack.
	mostObjects = 100_000
)

// errGone says that the API server does not serve the resource.
var errGone = errors.New("the API server does not serve it")

// condition is how the following of a resource goes.
type condition struct {
	known bool      // all there is was read, once
	err   error     // why it is not followed just now
	since time.Time // of err, or of the list
	over  int       // objects beyond mostObjects, as they were listed
}

// follower holds the objects of one resource as they are in the cluster, in the
// form that is wanted of them.
type follower[T any] struct {
	kind    string
	read    func(metav1.Object) T
	same    func(a, b T) bool
	changed func() // that what is held, or the condition, is another

	mu   sync.Mutex
	held map[string]T // by "namespace/name", or name
	condition
}

func newFollower[T any](kind string, read func(metav1.Object) T, same func(a, b T) bool, changed func()) *follower[T] {
	return &follower[T]{kind: kind, read: read, same: same, changed: changed, held: map[string]T{}}
}

// snapshot gives what is held now, which the caller may keep.
func (f *follower[T]) snapshot() map[string]T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.held)
}

func (f *follower[T]) now() condition {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.condition
}

// forget lets go of what is held: there is nothing of the kind in the cluster.
func (f *follower[T]) forget() {
	f.mu.Lock()
	f.held, f.condition = map[string]T{}, condition{known: true}
	f.mu.Unlock()
	f.changed()
}

// follow keeps what is held up to date until ctx ends, or with errGone until the
// resource is not served any more. What breaks off goes on where it was; it begins
// anew when the API server remembers that place no more.
func (f *follower[T]) follow(ctx context.Context, from reader) error {
	pause := pauseFirst
	version := ""
	for {
		var err error
		if version == "" {
			version, err = f.list(ctx, from)
		}
		if err == nil {
			began := time.Now()
			version, err = f.watch(ctx, from, version)
			if time.Since(began) > pauseMost {
				pause = pauseFirst
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if apierrors.IsNotFound(err) {
			return errGone
		}
		if err != nil {
			f.failed(err)
		}
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return ctx.Err()
		}
		if pause = min(2*pause, pauseMost); err == nil {
			pause = pauseFirst
		}
	}
}

// list reads all there is, by pages, and gives the version from which to watch.
func (f *follower[T]) list(ctx context.Context, from reader) (version string, err error) {
	found := map[string]T{}
	over := 0
	opts := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := f.page(ctx, from, opts)
		if err != nil {
			return "", err
		}
		err = meta.EachListItem(page, func(o runtime.Object) error {
			if len(found) >= mostObjects {
				over++
				return nil
			}
			object, err := meta.Accessor(o)
			if err == nil {
				found[keyOf(object)] = f.read(object)
			}
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read a list: %w", err)
		}
		of, err := meta.ListAccessor(page)
		if err != nil {
			return "", fmt.Errorf("read a list: %w", err)
		}
		if opts.Continue = of.GetContinue(); opts.Continue == "" {
			f.replace(found, over)
			return of.GetResourceVersion(), nil
		}
	}
}

func (f *follower[T]) page(ctx context.Context, from reader, opts metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	return from.list(ctx, opts)
}

// watch takes changes from a version on, until the API server ends the watch, and
// gives the version to go on from: "" when that is not to be had any more.
func (f *follower[T]) watch(ctx context.Context, from reader, version string) (string, error) {
	seconds := int64((watchTime + rand.N(watchTime)).Seconds())
	w, err := from.watch(ctx, metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true, TimeoutSeconds: &seconds})
	if err != nil {
		return resumable(version, err)
	}
	defer w.Stop()
	f.well()
	for e := range w.ResultChan() {
		if e.Type == watch.Error {
			return resumable(version, apierrors.FromObject(e.Object))
		}
		object, err := meta.Accessor(e.Object)
		if err != nil {
			return "", fmt.Errorf("read a change: %w", err)
		}
		version = object.GetResourceVersion()
		switch e.Type {
		case watch.Added, watch.Modified:
			f.set(keyOf(object), f.read(object))
		case watch.Deleted:
			f.remove(keyOf(object))
		}
	}
	return version, nil
}

// resumable gives the version to go on from after an error. That it is too old is
// no fault: all is read anew.
func resumable(version string, err error) (string, error) {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return "", nil
	}
	return version, err
}

func (f *follower[T]) replace(found map[string]T, over int) {
	f.mu.Lock()
	for key, before := range f.held {
		// What is the same stays the same, so that nothing is made of it anew.
		if after, ok := found[key]; ok && f.same(before, after) {
			found[key] = before
		}
	}
	f.held, f.condition = found, condition{known: true, over: over, since: time.Now()}
	f.mu.Unlock()
	f.changed()
}

func (f *follower[T]) set(key string, value T) {
	f.mu.Lock()
	before, ok := f.held[key]
	switch {
	case ok && f.same(before, value):
		f.mu.Unlock()
		return
	case !ok && len(f.held) >= mostObjects:
		f.over++
		f.since = time.Now()
	default:
		f.held[key] = value
	}
	f.mu.Unlock()
	f.changed()
}

func (f *follower[T]) remove(key string) {
	f.mu.Lock()
	delete(f.held, key)
	f.mu.Unlock()
	f.changed()
}

// well says that the resource is followed.
func (f *follower[T]) well() {
	f.mu.Lock()
	mended := f.err != nil
	f.err = nil
	f.mu.Unlock()
	if mended {
		f.changed()
	}
}

// failed says why it is not.
func (f *follower[T]) failed(err error) {
	f.mu.Lock()
	news := f.err == nil || f.err.Error() != err.Error()
	if f.err == nil {
		f.since = time.Now()
	}
	f.err = err
	f.mu.Unlock()
	if news {
		f.changed()
	}
}

// answered reports whether an error is one that the API server tells.
func answered(err error) bool {
	_, ok := errors.AsType[*apierrors.StatusError](err)
	return ok
}

// refused reports whether an error is the API server's own answer to what was
// asked, which asking again does not change. It says nothing of one that is away
// or not well.
func refused(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		return false
	}
	code := status.Status().Code
	return code >= 400 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusRequestTimeout
}

func keyOf(o metav1.Object) string {
	if o.GetNamespace() == "" {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}

func resource(group, version, plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: plural}
}
