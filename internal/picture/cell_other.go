//go:build !linux

package picture

// become never runs: Draw refuses first.
func become(string, []string) error { return ErrNoProgram }
