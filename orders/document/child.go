package document

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

//go:embed typst.js
var script string

// noFonts keeps the fonts of the machine out of the child: a font of the same
// name installed there would be taken before the typesetter's own, and the same
// document would have other bytes.
const noFonts = `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>/nonexistent</dir></fontconfig>`

const (
	maxAnswer = 64 << 10
	maxPDF    = 32 << 20
)

// request is one frame to the child; see typst.js.
type request struct {
	Template string `json:"template"`
	Document string `json:"document"`
	Created  int64  `json:"created"` // Unix seconds
	Standard string `json:"standard"`
}

type answer struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// errDied is any failure of the child itself, not of the document.
var errDied = errors.New("the typesetter's process ended")

// child is one node process that sets documents, one at a time.
type child struct {
	cmd     *exec.Cmd
	in      *os.File
	out     *os.File
	said    *tail
	stopped chan struct{}
	made    int
}

// start runs a child and waits until it is ready.
func start(ctx context.Context, cfg TypstConfig) (*child, error) {
	dir, err := os.MkdirTemp("", "belfry-typst-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // read before the child says that it is ready
	conf := filepath.Join(dir, "fonts.conf")
	if err := os.WriteFile(conf, []byte(noFonts), 0o600); err != nil {
		return nil, err
	}
	requests, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, answers, err := os.Pipe()
	if err != nil {
		requests.Close()
		in.Close()
		return nil, err
	}

	c := &child{in: in, out: out, said: &tail{}, stopped: make(chan struct{})}
	c.cmd = exec.Command(cfg.Node, fmt.Sprintf("--max-old-space-size=%d", cfg.MemoryMB/2), "-e", script, cfg.Modules)
	c.cmd.Dir = "/"
	c.cmd.Env = []string{"FONTCONFIG_FILE=" + conf} // nothing of ours: no settings, no secrets, no proxy
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = requests, c.said, c.said
	c.cmd.ExtraFiles = []*os.File{answers}
	c.cmd.WaitDelay = time.Second
	apart(c.cmd)
	err = c.cmd.Start()
	requests.Close() // the child has its own; held here, they would hide its end
	answers.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("start %s: %w", cfg.Node, err)
	}
	if err := limit(c.cmd.Process.Pid, cfg.MemoryMB); err != nil {
		c.stop()
		return nil, fmt.Errorf("limit the typesetter: %w", err)
	}
	if _, err := c.during(ctx, cfg.Start, c.ready); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// stop ends the process at once. It has nothing to lose.
func (c *child) stop() {
	select {
	case <-c.stopped:
		return
	default:
		close(c.stopped)
	}
	c.cmd.Process.Kill()
	c.in.Close()
	c.cmd.Wait()
	c.out.Close()
}

// exchange sends a request and waits for its PDF, at most d. After an error that
// is no refusal the child is of no more use.
func (c *child) exchange(ctx context.Context, r request, d time.Duration) ([]byte, error) {
	c.made++
	frame, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return c.during(ctx, d, func() ([]byte, error) {
		if err := writeFrame(c.in, frame); err != nil {
			return nil, err
		}
		return c.answer()
	})
}

// during runs f on the pipes; when time is up it kills the process, which ends f.
func (c *child) during(ctx context.Context, d time.Duration, f func() ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { c.cmd.Process.Kill() })
	got, err := f()
	if !stop() {
		return nil, fmt.Errorf("the typesetter took too long: %w", context.Cause(ctx))
	}
	if err == nil {
		return got, nil
	}
	if _, refused := errors.AsType[*refusal](err); refused {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %v; it said: %s", errDied, err, c.said)
}

func (c *child) ready() ([]byte, error) {
	a, err := c.head()
	if err == nil && a.Status != "ok" {
		err = fmt.Errorf("not ready: %s", a.Message)
	}
	return nil, err
}

func (c *child) answer() ([]byte, error) {
	a, err := c.head()
	if err != nil {
		return nil, err
	}
	if a.Status != "ok" {
		return nil, &refusal{a}
	}
	return readFrame(c.out, maxPDF)
}

func (c *child) head() (answer, error) {
	var a answer
	frame, err := readFrame(c.out, maxAnswer)
	if err == nil {
		err = json.Unmarshal(frame, &a)
	}
	return a, err
}

// refusal is the typesetter's no to one document; the child goes on.
type refusal struct{ answer }

func (r *refusal) Error() string { return "typst: " + r.Status + ": " + r.Message }

func writeFrame(w io.Writer, b []byte) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b)))
	_, err := w.Write(append(frame, b...))
	return err
}

func readFrame(r io.Reader, most uint32) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > most {
		return nil, fmt.Errorf("a frame of %d bytes, at most %d", n, most)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// tail keeps the last words of a child for the log.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}
