// Package cell shuts a process in before it reads a stranger's file.
//
// It owns the limits of a child that only computes: what came in through its open files
// goes out through them. It refuses to know what is computed and how a child is started.
// It guarantees that Enter cannot be undone, and that on Linux whoever takes the process
// over reaches no network, no other file and no other process.
package cell

import (
	"fmt"
	"runtime/debug"
	"syscall"
)

const (
	cpu    = 15        // seconds
	memory = 512 << 20 // bytes of writable memory
	heap   = 384 << 20 // bytes at which Go collects harder
	stack  = 64 << 20  // bytes of one goroutine
	files  = 16        // open at once
)

// Enter gives up what the process does not need, for good.
func Enter() error {
	debug.SetMemoryLimit(heap)
	debug.SetMaxStack(stack)
	for resource, most := range map[int]uint64{
		syscall.RLIMIT_CPU: cpu, syscall.RLIMIT_DATA: memory, syscall.RLIMIT_FSIZE: 0, syscall.RLIMIT_CORE: 0, syscall.RLIMIT_NOFILE: files,
	} {
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("cell: limit %d: %w", resource, err)
		}
	}
	return sandbox()
}
