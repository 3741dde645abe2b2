package traces

import "context"

// WriteBlock writes a block without waiting for the next batch. Nothing else
// may write meanwhile.
func (s *Store) WriteBlock(messages ...[]byte) error {
	_, err := s.write(messages)
	return err
}

// Seal seals what is due.
func (s *Store) Seal(ctx context.Context) error { return s.sealEnded(ctx) }
