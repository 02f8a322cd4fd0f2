// Package s3test starts an S3 server for tests: versitygw, which keeps objects as files
// and checks signatures and sums as strictly as Amazon's.
//
// It owns the process and ends it with the test. The server is built from its Go module,
// which tools/go.mod pins; where that cannot be done tests are skipped, and fail when CI=true.
package s3test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob/s3"
)

// Bucket is there from the start.
const Bucket = "belfry"

// Server is one S3 server.
type Server struct {
	Address   string // host:port, plain http
	AccessKey string
	SecretKey string
	Folder    string // where the bucket's objects lie, each a file of its key's name

	attributes string // folder of what is known of them
	t          testing.TB
	cmd        *exec.Cmd
}

// program is built once for a process; the build cache has it after that.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "belfry-s3")
	if err != nil {
		return "", err
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "versitygw")
	build := exec.Command("go", "build", "-modfile=tools/go.mod", "-o", path, "github.com/versity/versitygw/cmd/versitygw")
	build.Dir = string(root[:len(root)-1])
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("versitygw: %w: %s", err, out)
	}
	return path, nil
})

// New starts a server with an empty bucket.
func New(t testing.TB) *Server {
	t.Helper()
	if _, err := program(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := &Server{t: t, Address: freeAddress(t), AccessKey: rand.Text(), SecretKey: rand.Text(), Folder: filepath.Join(t.TempDir(), Bucket)}
	s.attributes = filepath.Join(t.TempDir(), "attributes")
	for _, dir := range []string{s.Folder, s.attributes} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Start starts the server again, after Kill.
func (s *Server) Start() {
	s.t.Helper()
	path, _ := program()
	s.cmd = exec.Command(path, "--quiet", "--port", s.Address, "posix", "--sidecar", s.attributes, filepath.Dir(s.Folder))
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	store := s.Store(s3.Config{})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err := store.Ping(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("versitygw at %s does not answer: %v", s.Address, err)
		}
	}
}

// Kill ends the server as a power cut would.
func (s *Server) Kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// Store is a store at this server; what cfg leaves out is the server's.
func (s *Server) Store(cfg s3.Config) *s3.Store {
	s.t.Helper()
	if cfg.Endpoint == "" {
		cfg.Endpoint, cfg.Plain = s.Address, true
	}
	if cfg.Bucket == "" {
		cfg.Bucket = Bucket
	}
	if cfg.AccessKey == "" {
		cfg.AccessKey, cfg.SecretKey = s.AccessKey, s.SecretKey
	}
	store, err := s3.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return store
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
