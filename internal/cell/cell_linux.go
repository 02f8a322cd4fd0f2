package cell

import (
	"golang.org/x/sys/unix"

	"github.com/belfry-eid/belfry/internal/seccomp"
)

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

// sandbox makes the kernel refuse the denied calls, in every thread, for good.
// tgkill stays: Go's own scheduler sends signals between its threads.
func sandbox() error { return seccomp.Refuse(seccomp.Rules{Calls: denied}) }
