package mesh

import "errors"

// The kinds of failure that cross package borders. Wrap them with %w; the API
// maps each kind to one HTTP status in a single table.
var (
	// ErrNotFound says that the thing asked for does not exist (404).
	ErrNotFound = errors.New("not found")
	// ErrInvalid says that the input is at fault, not the system (400).
	ErrInvalid = errors.New("invalid")
	// ErrForbidden says that whoever asks may not (403).
	ErrForbidden = errors.New("not permitted")
	// ErrUnauthenticated says that nobody knows who asks (401).
	ErrUnauthenticated = errors.New("not signed in")
	// ErrUnavailable says that a part that is needed does not answer now (503).
	ErrUnavailable = errors.New("unavailable")
	// ErrConflict says that the state changed under the caller (409).
	ErrConflict = errors.New("conflict")
	// ErrExhausted says that a limit was reached; try later (429).
	ErrExhausted = errors.New("limit reached")
)
