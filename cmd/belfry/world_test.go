package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/signing/verify"
)

// world is a local world on ports of its own: devworld, belfry and eid-agent as
// `make run` starts them.
type world struct {
	t        testing.TB
	dir      string
	http     int
	Provider struct{ Issuers []string }
	Communes []worldCommune
	Cards    []worldCard
	Clerks   []struct{ Name, Commune, Desk, Invitation string }
	PKI      struct{ Roots string }
	Control  struct{ URL string }
	TLS      struct{ CA string }
	Mail     struct{ URL string }
	Belfry   struct{ Config, Operator, Log string }
	belfry   string // the program
}

type worldCommune struct {
	ID      string
	Origins []string
}

type worldCard struct {
	Name, PIN, NationalNumber string
	GivenNames, Surname       string
	AuthenticateURL, SignURL  string
	Authentication, Signature []byte // certificates, DER
}

// programs builds the three programs once for all tests of this package.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "belfry-bin")
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{{"../devworld", "../belfry"}, {"-tags", "dev", "../eid-agent"}} {
		build := exec.Command("go", append([]string{"build", "-o", dir + "/"}, args...)...)
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%v: %s", err, out)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	verify.RunIfChild() // what reads foreign files are children of this program
	outside.RunIfChild()
	code := m.Run()
	if dir := os.Getenv("BELFRY_SHOTS"); dir != "" {
		if err := indexShots(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if dir, err := programs(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// startWorld makes a world in a folder of its own and starts all of it. More
// arguments go to devworld.
func startWorld(t testing.TB, args ...string) *world {
	t.Helper()
	w := startOutside(t, args...)
	w.waitReady()
	w.read() // invitations are made once belfry is up
	return w
}

// startOutside starts devworld, and returns before what it starts is ready.
func startOutside(t testing.TB, args ...string) *world {
	t.Helper()
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		missing(t, "softhsm2")
	}
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), belfry: filepath.Join(bin, "belfry")}
	ports := freePorts(t, 7)
	w.http = ports[0]
	flags := []string{"--dir", w.dir, "--bin", bin, "--modules", nodeModules(t)}
	for i, name := range []string{"http", "https", "services", "belfry", "operator", "smtp", "agent"} {
		flags = append(flags, "--"+name, strconv.Itoa(ports[i]))
	}
	w.run(exec.Command(filepath.Join(bin, "devworld"), append(flags, args...)...))
	w.read()
	return w
}

// nodeModules is the folder that `make test` fills.
func nodeModules(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		missing(t, "node_modules")
	}
	return path
}

// given are the ports that freePorts has given; tests run beside one another.
var given struct {
	sync.Mutex
	ports map[int]bool
}

// freePorts gives ports that nobody listens on and no other test has. They lie below those
// that a kernel gives to connections, which could take one of them before its program starts.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	const first, last = 15_000, 32_000
	var ports []int
	for range last - first {
		port := first + rand.IntN(last-first)
		if given.ports[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		given.ports[port] = true
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatal("no port is free")
	return nil
}

// run starts a program and sees that it ends with the test.
func (w *world) run(cmd *exec.Cmd) *exec.Cmd {
	w.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() { cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
		if w.t.Failed() {
			w.t.Logf("%s said:\n%s", filepath.Base(cmd.Path), out.String())
			if log, err := os.ReadFile(w.Belfry.Log); err == nil {
				w.t.Logf("belfry's log:\n%s", tail(string(log), 40))
			}
		}
	})
	return cmd
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// read reads world.json, for which it waits a minute.
func (w *world) read() {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(w.dir, "world.json"))
		if err == nil {
			if err := json.Unmarshal(text, w); err != nil {
				w.t.Fatal(err)
			}
			return
		}
		if time.Now().After(end) {
			w.t.Fatal("devworld wrote no world.json")
		}
	}
}

// waitReady waits until belfry answers and every clerk has an invitation.
func (w *world) waitReady() {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		answer, err := http.Get(w.Belfry.Operator + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(w.Belfry.Log)
			w.t.Fatalf("belfry does not get ready: %v\n%s", err, tail(string(log), 20))
		}
	}
}

// secure is the same world by its https addresses.
func (w *world) secure() *world {
	other := *w
	other.Communes = nil
	for _, c := range w.Communes {
		if len(c.Origins) > 1 {
			c.Origins = c.Origins[1:]
		}
		other.Communes = append(other.Communes, c)
	}
	return &other
}

// plain is an address of the secure world in this one.
func (w *world) plain(address string) string {
	for i, c := range w.secure().Communes {
		if len(c.Origins) == 0 {
			continue
		}
		if path, ok := strings.CutPrefix(address, c.Origins[0]); ok {
			return w.Communes[i].Origins[0] + path
		}
	}
	return address
}

// origin is the first address of a commune.
func (w *world) origin(id string) string {
	w.t.Helper()
	for _, c := range w.Communes {
		if c.ID == id {
			return c.Origins[0]
		}
	}
	w.t.Fatalf("no commune %q", id)
	return ""
}

func (w *world) card(name string) worldCard {
	w.t.Helper()
	for _, c := range w.Cards {
		if c.Name == name {
			return c
		}
	}
	w.t.Fatalf("no card %q", name)
	return worldCard{}
}

// invite makes an invitation to a commune's desk, as an operator does.
func (w *world) invite(commune, name string) string {
	w.t.Helper()
	return strings.TrimSpace(w.command(0, "staff", "invite", "--config", w.Belfry.Config, "--delegate", "mayor", "--decision", "essai", commune, name))
}

// command runs belfry and returns what it printed; it must end with this code.
func (w *world) command(code int, args ...string) string {
	w.t.Helper()
	return ended(w.t, code, exec.Command(w.belfry, args...))
}

// ended runs a program, which must end with this code, and returns what it printed.
func ended(t testing.TB, code int, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		t.Fatalf("%s: %v, want exit %d\n%s", strings.Join(cmd.Args, " "), err, code, out)
	}
	return string(out)
}

// tell makes a service outside misbehave until the test ends.
func (w *world) tell(service, behaviour string) {
	w.t.Helper()
	w.post(w.Control.URL, map[string]any{"service": service, "behaviour": behaviour})
}

func (w *world) post(address string, order map[string]any) []byte {
	w.t.Helper()
	body, err := json.Marshal(order)
	if err != nil {
		w.t.Fatal(err)
	}
	answer, err := http.Post(address, "application/json", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	var out bytes.Buffer
	out.ReadFrom(answer.Body)
	if answer.StatusCode != http.StatusOK {
		w.t.Fatalf("%s: %s: %s", address, answer.Status, out.String())
	}
	return out.Bytes()
}

// token has a card answer a challenge through the card service.
func (w *world) token(c worldCard, origin, nonce string) string {
	w.t.Helper()
	return string(w.post(c.AuthenticateURL, map[string]any{"origin": origin, "nonce": nonce, "pin": c.PIN}))
}
