// Package seccomp makes the kernel refuse system calls that a process has no use
// for any more.
//
// It owns the filter's program. It refuses to know why a call is not wanted. It
// guarantees that what was refused stays so, through execve too, and that calls of
// another architecture or of amd64's second set of numbers end the process. Where
// the kernel has no filters nothing is refused: the limits of the caller must hold
// by themselves.
package seccomp

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rules say what is refused.
type Rules struct {
	Calls []uint32 // numbers of this architecture
	// ReadOnly refuses to open files for writing.
	ReadOnly bool
	// ThisThread filters the calling thread only, which is about to execve.
	ThisThread bool
}

// architectures are those whose numbers the unix package has, with the kernel's names for them.
var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

const x32 = 0x40000000 // the bit of amd64's second set of numbers

// Refuse makes the kernel answer EPERM to the calls, for good.
func Refuse(r Rules) error {
	arch, ok := architectures[runtime.GOARCH]
	if !ok {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("seccomp: no new privileges: %w", err)
	}
	filter := program(arch, r)
	p := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	var flags uintptr = unix.SECCOMP_FILTER_FLAG_TSYNC
	if r.ThisThread {
		flags = 0
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&p)))
	runtime.KeepAlive(filter)
	if errno == unix.ENOSYS || errno == unix.EINVAL {
		return nil // a kernel built without filters
	}
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", os.NewSyscallError("seccomp", errno))
	}
	return nil
}

// program is the filter: another architecture dies, a refused call answers EPERM.
func program(arch uint32, r Rules) []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	answer := func(value uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
	}
	const nrOffset, archOffset, flagsOffset = 0, 4, 16 + 2*8 // of struct seccomp_data; the flags are openat's third argument
	refuse := uint32(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	out := []unix.SockFilter{
		load(archOffset),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jt: 1},
		answer(unix.SECCOMP_RET_KILL_PROCESS),
		load(nrOffset),
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: x32, Jf: 1},
		answer(unix.SECCOMP_RET_KILL_PROCESS),
	}
	for _, nr := range r.Calls {
		out = append(out, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1}, answer(refuse))
	}
	if r.ReadOnly {
		out = append(out,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_OPENAT, Jf: 4},
			load(flagsOffset),
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC, Jf: 1},
			answer(refuse),
			answer(unix.SECCOMP_RET_ALLOW))
	}
	return append(out, answer(unix.SECCOMP_RET_ALLOW))
}
