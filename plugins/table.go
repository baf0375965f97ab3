package plugins

import (
	"maps"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A table has the objects of one kind by their numbers. Its methods are safe for concurrent use.
type table[T any] struct {
	kind string // "session"

	mu      sync.Mutex
	last    uint64
	objects map[uint64]T
}

// add adds an object and returns its number.
func (t *table[T]) add(object T) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.objects[t.last] = object
	return t.last
}

// get returns an object.
func (t *table[T]) get(id uint64) (T, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.find(id)
}

// remove removes an object and returns it.
func (t *table[T]) remove(id uint64) (T, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	object, err := t.find(id)
	delete(t.objects, id)
	return object, err
}

// removeAll removes the objects that match.
func (t *table[T]) removeAll(match func(T) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.objects, func(_ uint64, object T) bool { return match(object) })
}

// find returns an object. The caller holds mu.
func (t *table[T]) find(id uint64) (T, error) {
	object, ok := t.objects[id]
	if !ok {
		return object, status.Errorf(codes.NotFound, "no %s %d", t.kind, id)
	}
	return object, nil
}
