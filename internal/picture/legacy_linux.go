//go:build !amd64

package picture

var legacy []uint32
