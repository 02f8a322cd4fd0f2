package document

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
)

//go:embed templates
var templates embed.FS

// compiler is the npm package that sets the documents; package.json pins it.
const compiler = "@myriaddreamin/typst-ts-node-compiler"

// TypstConfig says where the typesetter is and what it may take. The zero value
// finds node on the PATH, the modules beside the executable or in the working
// directory or above it, and takes the defaults named here.
type TypstConfig struct {
	Node     string        // path of node; 18 or newer
	Modules  string        // a node_modules folder that holds the compiler
	Workers  int           // processes at most; 2
	Deadline time.Duration // for one document; 10 s
	Start    time.Duration // for a process to be ready; 30 s
	Idle     time.Duration // a process without work ends after it; 2 minutes
	Recycle  int           // documents after which a process is replaced; 500
	MemoryMB int           // writable memory of one process; 1024
	Log      *slog.Logger
}

// Typst renders by child processes that are started when needed, replaced when
// they crash, hang or have worked long, and ended when idle.
type Typst struct {
	cfg  TypstConfig
	busy chan struct{} // one entry for each document being set

	mu     sync.Mutex
	free   []*child // ready processes, the last used one last
	idle   *time.Timer
	closed bool
}

// NewTypst finds the typesetter. It starts nothing: the first document does.
func NewTypst(cfg TypstConfig) (*Typst, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	t := &Typst{cfg: cfg, busy: make(chan struct{}, cfg.Workers)}
	t.idle = time.AfterFunc(cfg.Idle, t.rest)
	return t, nil
}

func (c *TypstConfig) complete() error {
	if c.Node == "" {
		c.Node = "node"
	}
	node, err := exec.LookPath(c.Node)
	if err != nil {
		return fmt.Errorf("document: node is not there (setting node): %w", err)
	}
	if c.Node, err = filepath.Abs(node); err != nil {
		return err
	}
	if c.Modules, err = findModules(c.Modules); err != nil {
		return err
	}
	def(&c.Workers, 2)
	def(&c.Deadline, 10*time.Second)
	def(&c.Start, 30*time.Second)
	def(&c.Idle, 2*time.Minute)
	def(&c.Recycle, 500)
	def(&c.MemoryMB, 1024)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// findModules returns the absolute node_modules folder that holds the compiler.
func findModules(given string) (string, error) {
	tried := []string{given}
	if given == "" {
		tried = standardModules()
	}
	for _, dir := range tried {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(filepath.Join(abs, compiler, "package.json")); err == nil {
			return abs, nil
		}
	}
	return "", fmt.Errorf("document: the npm package %s is in none of %q (setting node_modules; `npm ci` installs it)", compiler, tried)
}

// standardModules are the node_modules beside the executable and one above it
// (bin/belfry), in the working directory and in those above it.
func standardModules() []string {
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		dirs = append(dirs, filepath.Join(dir, "node_modules"), filepath.Join(filepath.Dir(dir), "node_modules"))
	}
	wd, err := os.Getwd()
	if err != nil {
		return dirs
	}
	for {
		dirs = append(dirs, filepath.Join(wd, "node_modules"))
		up := filepath.Dir(wd)
		if up == wd {
			return dirs
		}
		wd = up
	}
}

// Render makes d's PDF: set as PDF/A-2a by the typesetter and then identified as
// PDF/UA-1 too, whose rules the templates are tested against.
func (t *Typst) Render(ctx context.Context, d Document) ([]byte, error) {
	pdf, err := t.set(ctx, d, "a-2a")
	if err != nil {
		return nil, err
	}
	both, err := identifyUA(pdf)
	if err != nil {
		return nil, fault.New(fault.Internal, "document.failed", err)
	}
	return both, nil
}

// set makes d's PDF in one of the typesetter's standards.
func (t *Typst) set(ctx context.Context, d Document, standard string) ([]byte, error) {
	r, err := requestOf(d, standard)
	if err != nil {
		return nil, err
	}
	pdf, err := t.exchange(ctx, r)
	if err == nil {
		return pdf, nil
	}
	if no, ok := errors.AsType[*refusal](err); ok {
		if no.Status == "unprintable" {
			return nil, fault.New(fault.Invalid, "document.unprintable", err)
		}
		return nil, fault.New(fault.Internal, "document.failed", err)
	}
	return nil, fault.New(fault.Unreachable, "document.unavailable", err)
}

func requestOf(d Document, standard string) (request, error) {
	d, err := checked(d)
	if err != nil {
		return request{}, err
	}
	template, err := fs.ReadFile(templates, "templates/"+d.Template+".typ")
	if err != nil {
		return request{}, fault.New(fault.Invalid, "document.incomplete", err)
	}
	p, err := layOut(d)
	if err != nil {
		return request{}, fault.New(fault.Invalid, "document.incomplete", err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return request{}, fault.New(fault.Internal, "document.failed", err)
	}
	return request{Template: string(template), Document: string(data), Created: d.Date.Unix(), Standard: standard}, nil
}

// exchange has r set by a free worker, once more on a fresh process where the
// first one died: rendering changes nothing, so doing it twice harms nobody. A
// document that hangs is not tried again.
func (t *Typst) exchange(ctx context.Context, r request) ([]byte, error) {
	c, err := t.take(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { t.give(c) }()
	for attempt := 1; ; attempt++ {
		var pdf []byte
		if c, pdf, err = t.once(ctx, c, r); err == nil || !errors.Is(err, errDied) || attempt == 2 {
			return pdf, err
		}
		t.cfg.Log.WarnContext(ctx, "typesetter died, starting another", "err", err)
	}
}

// once has r set by c, or by a new process where c is nil, and returns the
// process that is still good, if any.
func (t *Typst) once(ctx context.Context, c *child, r request) (*child, []byte, error) {
	if c == nil {
		var err error
		if c, err = start(ctx, t.cfg); err != nil {
			return nil, nil, err
		}
	}
	pdf, err := c.exchange(ctx, r, t.cfg.Deadline)
	if _, refused := errors.AsType[*refusal](err); (err != nil && !refused) || c.made >= t.cfg.Recycle {
		c.stop()
		c = nil
	}
	return c, pdf, err
}

var errClosed = errors.New("document: the renderer is closed")

// take waits for its turn and returns the process used last, so that others
// become idle, or nil where there is none.
func (t *Typst) take(ctx context.Context) (*child, error) {
	select {
	case t.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		<-t.busy
		return nil, errClosed
	}
	last := len(t.free) - 1
	if last < 0 {
		return nil, nil
	}
	c := t.free[last]
	t.free = t.free[:last]
	return c, nil
}

// give ends a turn; c is a process that is still good, or nil.
func (t *Typst) give(c *child) {
	defer func() { <-t.busy }()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case c == nil:
	case t.closed:
		c.stop()
	default:
		t.free = append(t.free, c)
		t.idle.Reset(t.cfg.Idle)
	}
}

// rest ends the free processes; nobody has asked for a while.
func (t *Typst) rest() {
	t.mu.Lock()
	free := t.free
	t.free = nil
	t.mu.Unlock()
	for _, c := range free {
		c.stop()
	}
}

// Close ends the processes, those at work when their document is done.
func (t *Typst) Close() error {
	t.mu.Lock()
	t.closed = true
	t.idle.Stop()
	t.mu.Unlock()
	t.rest()
	return nil
}
