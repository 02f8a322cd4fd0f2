package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A trap stops a process at each call by which something is made to last, before the
// call is done, and decides: on, never, or failed. The kernel counts for all threads of
// the process together (seccomp's user notification), so that "the seventh fsync" is
// the same moment in every run; `strace -e inject` counts for each thread apart.
type trap struct {
	pid      int
	listener int

	mu    sync.Mutex
	watch func(point) fate // nil: everything goes on
}

// point is one such call.
type point struct {
	call string // fsync, pwrite64, …
	file string // its name below the world's folder, without what differs between runs
}

func (p point) String() string { return p.call + " " + p.file }

// fate is what becomes of a call.
type fate int

const (
	goOn fate = iota
	die       // kill -9, before the call is done
	fail      // EIO
)

// lasting are the calls that are stopped.
var lasting = map[int32]string{
	unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync", unix.SYS_PWRITE64: "pwrite64", unix.SYS_FTRUNCATE: "ftruncate",
	unix.SYS_RENAMEAT: "rename", unix.SYS_RENAMEAT2: "rename", unix.SYS_UNLINKAT: "unlink",
}

const trapVariable = "BELFRY_TEST_TRAP"

// This test program run again with the variable becomes the program of its arguments,
// with the filter on and its listener handed over on file 3.
func init() {
	if os.Getenv(trapVariable) != "" {
		fmt.Fprintln(os.Stderr, "trap:", becomeTrapped())
		os.Exit(127)
	}
}

func becomeTrapped() error {
	runtime.LockOSThread() // the filter is this thread's, and so is the exec
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	// struct seccomp_data begins with the number of the call. A call of another
	// architecture's numbering cannot come: these programs have none.
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for nr := range lasting {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(nr)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	listener, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if err := unix.Sendmsg(3, []byte{1}, unix.UnixRights(int(listener)), nil, 0); err != nil {
		return err
	}
	unix.CloseOnExec(int(listener))
	unix.CloseOnExec(3)
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, trapVariable+"=") {
			env = append(env, e)
		}
	}
	return syscall.Exec(os.Args[1], os.Args[1:], env)
}

// startTrapped starts a command inside a trap, which ends with it.
func startTrapped(t testing.TB, cmd *exec.Cmd) *trap {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := ends[0], os.NewFile(uintptr(ends[1]), "trap")
	defer unix.Close(ours)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Args = append([]string{self, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.ExtraFiles, cmd.Env = self, []*os.File{theirs}, append(cmd.Env, trapVariable+"=1")
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(ours, make([]byte, 1), control, 0)
	if err == nil && n == 0 {
		err = errors.New("no listener came: this kernel or container does not let a process be trapped")
	}
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		missing(t, "seccomp ("+err.Error()+")")
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	unix.CloseOnExec(fds[0])
	tr := &trap{pid: cmd.Process.Pid, listener: fds[0]}
	go tr.serve()
	return tr
}

// set makes f decide on every call from now on, one after the other.
func (tr *trap) set(f func(point) fate) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.watch = f
}

// The two messages of linux/seccomp.h.
type notification struct {
	ID         uint64
	Pid, Flags uint32
	NR         int32
	Arch       uint32
	IP         uint64
	Args       [6]uint64
}

type response struct {
	ID    uint64
	Val   int64
	Error int32
	Flags uint32
}

func (tr *trap) serve() {
	defer unix.Close(tr.listener)
	for {
		poll := []unix.PollFd{{Fd: int32(tr.listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if poll[0].Revents&unix.POLLHUP != 0 { // the process is no more
			return
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			continue
		}
		var n notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(tr.listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue // ENOENT: the thread was killed meanwhile
		}
		r := response{ID: n.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		switch tr.decide(n) {
		case die:
			unix.Kill(tr.pid, unix.SIGKILL)
			continue
		case fail:
			r.Flags, r.Error = 0, -int32(unix.EIO)
		}
		unix.Syscall(unix.SYS_IOCTL, uintptr(tr.listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
	}
}

func (tr *trap) decide(n notification) fate {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.watch == nil {
		return goOn
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", tr.pid, n.Pid)); err != nil {
		return goOn // a child of the process, such as the renderer
	}
	return tr.watch(point{lasting[n.NR], tr.fileOf(n)})
}

// fileOf names the file of a call: that of the descriptor, or the new name of a rename.
func (tr *trap) fileOf(n notification) string {
	var path string
	switch lasting[n.NR] {
	case "rename":
		path = tr.text(n.Args[3])
	case "unlink":
		path = tr.text(n.Args[1])
	default:
		path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tr.pid, n.Args[0]))
	}
	return nameless(path)
}

// text reads a path from the process's memory.
func (tr *trap) text(address uint64) string {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", tr.pid))
	if err != nil {
		return ""
	}
	defer memory.Close()
	b := make([]byte, 512)
	n, _ := memory.ReadAt(b, int64(address))
	text, _, _ := strings.Cut(string(b[:n]), "\x00")
	return text
}

// nameless is a path's last names without digests and numbers.
func nameless(path string) string {
	for _, known := range []string{"/data/blobs/", "/data/heads/"} {
		if _, rest, ok := strings.Cut(path, known); ok {
			name := filepath.Base(rest)
			switch {
			case strings.Contains(rest, ".new/"):
				name = "new"
			case len(name) == 64:
				name = "blob"
			case len(name) == 2:
				name = "folder"
			}
			return filepath.Base(known) + " " + name
		}
	}
	if strings.HasSuffix(path, " (deleted)") {
		return "temporary" // SQLite's journal of a savepoint
	}
	return filepath.Base(path)
}

// The size of the kernel's messages is part of the numbers of its ioctls.
func TestTrapMessages(t *testing.T) {
	if n, r := binary.Size(notification{}), binary.Size(response{}); n != 80 || r != 24 {
		t.Errorf("%d and %d bytes, linux/seccomp.h has 80 and 24", n, r)
	}
}
