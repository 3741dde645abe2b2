package graph

import "github.com/sidelight-mesh/sidelight/mesh/expr"

// Schema declares the operands of find expressions over a graph.
func Schema() *expr.Schema { return &expr.Schema{} }

// ParseFind compiles a find expression. The error is an *expr.SyntaxError.
func ParseFind(src string) (*expr.Expr, error) { return expr.Parse(src, Schema()) }
