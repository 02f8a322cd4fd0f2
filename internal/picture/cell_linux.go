package picture

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/belfry-eid/belfry/internal/seccomp"
)

// What the program may use; the time of the clock is the caller's to limit.
const (
	drawCPU    = 10      // seconds
	drawMemory = 1 << 30 // bytes of addresses
)

// refused are the calls that drawing has no use for: the network, other processes,
// changes to files and the kernel's inner parts. Opening for reading stays, for fonts.
var refused = []uint32{
	unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT4, unix.SYS_SENDTO, unix.SYS_SENDMSG,
	unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_OPEN,
	unix.SYS_OPENAT2, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_FCHMODAT, unix.SYS_FCHOWNAT, unix.SYS_TRUNCATE, unix.SYS_MOUNT, unix.SYS_UMOUNT2,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_INIT_MODULE,
	unix.SYS_FINIT_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_IO_URING_SETUP, unix.SYS_USERFAULTFD, unix.SYS_KILL, unix.SYS_TKILL,
}

// become gives up what drawing does not need and turns into the program. The filter
// and the limits outlive that.
func become(program string, args []string) error {
	runtime.LockOSThread()
	for resource, most := range map[int]uint64{
		syscall.RLIMIT_CPU: drawCPU, syscall.RLIMIT_FSIZE: 0, syscall.RLIMIT_CORE: 0, syscall.RLIMIT_NOFILE: 32,
	} {
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("picture: limit %d: %w", resource, err)
		}
	}
	if err := seccomp.Refuse(seccomp.Rules{Calls: append(refused, legacy...), ReadOnly: true, ThisThread: true}); err != nil {
		return err
	}
	// Last: Go itself reserves more addresses than the program may have.
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: drawMemory, Max: drawMemory}); err != nil {
		return err
	}
	return syscall.Exec(program, args, os.Environ())
}
