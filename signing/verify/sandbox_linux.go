package verify

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nameless is a file in memory that no path leads to.
func nameless() (*os.File, error) {
	fd, err := unix.MemfdCreate("verify", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("verify: a file in memory: %w", err)
	}
	return os.NewFile(uintptr(fd), "verify"), nil
}

// denied are the system calls a child has no use for: whatever reaches the
// network, other processes, other files or the kernel's inner parts.
var denied = []uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT4, unix.SYS_SENDTO, unix.SYS_SENDMSG,
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_OPEN,
	unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT, unix.SYS_TRUNCATE, unix.SYS_MOUNT, unix.SYS_UMOUNT2,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_INIT_MODULE,
	unix.SYS_FINIT_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_IO_URING_SETUP, unix.SYS_USERFAULTFD, unix.SYS_MEMFD_CREATE, unix.SYS_KILL, unix.SYS_TKILL,
}

// architectures are those the numbers above are right for, with the kernel's names for them.
var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

const x32 = 0x40000000 // the bit of amd64's second set of numbers

// sandbox makes the kernel refuse the denied calls, in every thread, for good.
// tgkill stays: Go's own scheduler sends signals between its threads.
func sandbox() error {
	arch, ok := architectures[runtime.GOARCH]
	if !ok {
		return nil // the limits hold all the same
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("verify: no new privileges: %w", err)
	}
	filter := program(arch)
	p := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&p)))
	runtime.KeepAlive(filter)
	if errno == unix.ENOSYS || errno == unix.EINVAL {
		return nil // a kernel built without filters
	}
	if errno != 0 {
		return fmt.Errorf("verify: filter system calls: %w", errno)
	}
	return nil
}

// program is the filter: another architecture dies, a denied call answers EPERM.
func program(arch uint32) []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	answer := func(value uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}
	}
	const nrOffset, archOffset = 0, 4 // of struct seccomp_data
	refuse := uint32(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	out := []unix.SockFilter{
		load(archOffset),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jt: 1},
		answer(unix.SECCOMP_RET_KILL_PROCESS),
		load(nrOffset),
		{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: x32, Jf: 1},
		answer(unix.SECCOMP_RET_KILL_PROCESS),
	}
	for _, nr := range denied {
		out = append(out, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1}, answer(refuse))
	}
	return append(out, answer(unix.SECCOMP_RET_ALLOW))
}
