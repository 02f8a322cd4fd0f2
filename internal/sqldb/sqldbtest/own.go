package sqldbtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Server is a PostgreSQL server that one test has for itself, to end it as it likes.
type Server struct {
	URL string // of its database

	t    testing.TB
	bin  string
	dir  string
	attr *syscall.SysProcAttr
	cmd  *exec.Cmd
}

// OwnPostgres starts a server. Where PostgreSQL is not installed the test is skipped, or
// fails when CI=true.
func OwnPostgres(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, bin: binaries()}
	if s.bin == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("PostgreSQL is not installed")
		}
		t.Skip("PostgreSQL is not installed")
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "belfry-pg-"); err != nil { // a short path: a socket lies in it
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Kill(); os.RemoveAll(s.dir) })
	if s.attr, err = cluster(s.bin, s.dir); err != nil {
		t.Fatal(err)
	}
	s.URL = addressIn(s.dir)
	s.Start()
	return s
}

// Start starts the server, again after Kill.
func (s *Server) Start() {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		s.cmd = exec.Command(filepath.Join(s.bin, "postgres"), "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=32MB")
		s.cmd.Dir, s.cmd.SysProcAttr = s.dir, s.attr
		if err := s.cmd.Start(); err != nil {
			s.t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func(cmd *exec.Cmd) { ended <- cmd.Wait() }(s.cmd)
		answers := make(chan error, 1)
		go func() { answers <- wait(s.URL) }()
		select {
		case err := <-answers:
			if err != nil {
				s.t.Fatal(err)
			}
			return
		case err := <-ended: // children of the last life still hold its memory
			if time.Now().After(end) {
				s.t.Fatalf("postgres does not start: %v", err)
			}
		}
	}
}

// Kill is kill -9 of the server and of whoever works in it.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		s.t.Errorf("kill: %v", err)
	}
	s.cmd = nil
}
