// Package redistest starts Redis servers for tests, on ports of their own.
//
// It owns the processes and ends them with the test. Where Redis is not
// installed tests are skipped, and fail when CI=true.
package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Server is one redis-server.
type Server struct {
	Address string
	t       testing.TB
	program string
	args    []string
	cmd     *exec.Cmd
}

// program finds Redis. It is one program that goes by the name it is called with: Debian's
// redis-tools has it without the service that its redis-server would start.
func program() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		path, err = exec.LookPath("redis-check-rdb")
	}
	return path, err
}

// New starts a server with more settings, as arguments of redis-server.
func New(t testing.TB, settings ...string) *Server {
	t.Helper()
	port := freePort(t)
	dir := t.TempDir()
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no"}, settings...)
	return launch(t, port, args)
}

func launch(t testing.TB, port string, args []string) *Server {
	t.Helper()
	program, err := program()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	s := &Server{program: program, Address: "127.0.0.1:" + port, t: t, args: args}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// Start starts the server again, after Kill.
func (s *Server) Start() {
	s.t.Helper()
	s.cmd = &exec.Cmd{Path: s.program, Args: append([]string{"redis-server"}, s.args...)}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if answer := s.Do("PING"); answer == "PONG" || strings.HasPrefix(answer, "NOAUTH") {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("redis-server at %s does not answer", s.Address)
		}
	}
}

// Kill ends the server as a power cut does.
func (s *Server) Kill() {
	if s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
}

// Do sends one command and returns its answer as text, or the error.
func (s *Server) Do(args ...any) string {
	c := goredis.NewClient(&goredis.Options{Addr: s.Address, DialTimeout: time.Second, ReadTimeout: 5 * time.Second, MaxRetries: -1})
	defer c.Close()
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(v)
}

// Group is a primary, its replica and three sentinels that watch them.
type Group struct {
	Name      string // of the primary
	Nodes     []*Server
	Sentinels []string // addresses
}

// NewGroup starts a group that takes a silent primary for dead after a second.
func NewGroup(t testing.TB) *Group {
	t.Helper()
	primary := New(t, "--repl-diskless-sync-delay", "0")
	host, port, err := net.SplitHostPort(primary.Address)
	if err != nil {
		t.Fatal(err)
	}
	g := &Group{Name: "belfry", Nodes: []*Server{primary, New(t, "--replicaof", host+" "+port)}}
	g.follow(t)
	for range 3 {
		own := freePort(t)
		file := filepath.Join(t.TempDir(), "sentinel.conf")
		text := strings.Join([]string{
			"port " + own, "bind 127.0.0.1", "dir " + filepath.Dir(file),
			fmt.Sprintf("sentinel monitor %s %s %s 2", g.Name, host, port),
			"sentinel down-after-milliseconds " + g.Name + " 1000",
			"sentinel failover-timeout " + g.Name + " 5000",
		}, "\n")
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		g.Sentinels = append(g.Sentinels, launch(t, own, []string{file, "--sentinel"}).Address)
	}
	g.settle(t)
	return g
}

// follow waits until the replica has what the primary has. Before that a fail-over would
// promote an empty server, which loses every session and not the last few.
func (g *Group) follow(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		info := g.Nodes[1].Do("INFO", "replication")
		if strings.Contains(info, "master_link_status:up") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the replica does not follow:\n%s", info)
		}
	}
}

// settle waits until every sentinel knows the replica and the two others.
func (g *Group) settle(t testing.TB) {
	t.Helper()
	for _, address := range g.Sentinels {
		s := &Server{Address: address, t: t}
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			info := s.Do("INFO", "sentinel")
			if strings.Contains(info, "status=ok,") && strings.Contains(info, "slaves=1,sentinels=3") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the sentinels do not know each other:\n%s", info)
			}
		}
	}
}

// Primary is the node that takes writes now, nil where none does.
func (g *Group) Primary() *Server {
	for _, n := range g.Nodes {
		if strings.Contains(n.Do("ROLE"), "master") {
			return n
		}
	}
	return nil
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
