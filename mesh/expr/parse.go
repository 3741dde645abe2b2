package expr

// Parse compiles src against schema. Empty source gives a nil Expr, which
// matches everything. The error is always a *SyntaxError.
func Parse(src string, schema *Schema) (*Expr, error) {
	return nil, nil
}
