package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a program of ours that runs in this world.
type child struct {
	name    string
	logFile string
	cmd     *exec.Cmd
	done    chan struct{}

	mu  sync.Mutex
	end string // why it is no more, "" while it runs
}

// start starts a program of the bin folder with its output in a log file. A program that
// cannot be started is a child that has ended.
func (w *world) start(name string, env []string, args ...string) *child {
	c := &child{name: name, logFile: w.path("log", name+".log"), done: make(chan struct{})}
	if err := w.launch(c, env, args); err != nil {
		c.end = fmt.Sprintf("%s could not be started: %v", name, err)
		close(c.done)
	}
	return c
}

func (w *world) launch(c *child, env, args []string) error {
	program, err := w.program(c.name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.logFile), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Fprintf(log, "--- %s %s %s\n", time.Now().Format(time.RFC3339), program, strings.Join(args, " "))
	c.cmd = exec.Command(program, args...)
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.Env = append(os.Environ(), env...)
	c.cmd.SysProcAttr = childAttributes()
	if err := c.cmd.Start(); err != nil {
		return err
	}
	go func() {
		err := c.cmd.Wait()
		c.mu.Lock()
		c.end = fmt.Sprintf("%s has ended: %v", c.name, c.cmd.ProcessState)
		if err == nil {
			c.end = c.name + " has ended by itself."
		}
		c.mu.Unlock()
		close(c.done)
	}()
	return nil
}

// program is the path of one of our programs.
func (w *world) program(name string) (string, error) {
	dir := w.bin
	if dir == "" {
		own, err := os.Executable()
		if err != nil {
			return "", err
		}
		dir = filepath.Dir(own)
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not there; build it with `make build`", path)
	}
	return path, nil
}

// ended says why the child is no more, "" while it runs.
func (c *child) ended() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// tail is the last of what the child wrote.
func (c *child) tail() string {
	f, err := os.Open(c.logFile)
	if err != nil {
		return ""
	}
	defer f.Close()
	const most = 4 << 10
	if info, err := f.Stat(); err == nil && info.Size() > most {
		f.Seek(-most, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	return string(b)
}

// stop asks the child to end, and makes it after ten seconds.
func (c *child) stop() {
	if c.cmd == nil || c.cmd.Process == nil {
		return
	}
	c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(10 * time.Second):
		c.cmd.Process.Kill()
		<-c.done
	}
}

// startChildren starts Belfry and the card reading program, each with its own tokens, and
// waits until Belfry answers or has given up.
func (w *world) startChildren(ctx context.Context) {
	w.belfry = w.start("belfry", nil, "serve", "--config", w.settingsFile())
	w.agent = w.startAgent()
	deadline := time.After(2 * time.Minute)
	for !w.ready(ctx) {
		select {
		case <-w.belfry.done:
			return
		case <-ctx.Done():
			return
		case <-deadline:
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
	w.inviteClerks(ctx)
}

// ready asks Belfry's operator address.
func (w *world) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+loopback(w.operator)+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// command runs a program of ours to its end and returns what it says.
func (w *world) command(ctx context.Context, name string, env []string, args ...string) (string, error) {
	program, err := w.program(name)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}

func (w *world) stopChildren() {
	var wg sync.WaitGroup
	for _, c := range []*child{w.belfry, w.agent} {
		if c != nil {
			wg.Go(c.stop)
		}
	}
	wg.Wait()
}
