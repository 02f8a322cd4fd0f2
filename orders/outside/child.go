package outside

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/belfry-eid/belfry/internal/cell"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
)

const (
	childArgument = "read-one-paper" // hidden: belfry's own second life
	childTime     = 20 * time.Second
	childOutput   = 2 << 20 // bytes of its answer: a box has some 30 KB
)

// slots keep processes from crowding out the server.
var slots = make(chan struct{}, max(2, runtime.NumCPU()))

const (
	doCheck = "check"
	doLook  = "look"
	doMark  = "mark"
	doBind  = "bind"
)

// task is the line that a process reads before the file.
type task struct {
	Do   string `json:"do"`
	Mark Mark   `json:"mark"`
	// Letters cut the bytes that follow, where they are to be bound.
	Letters []bound `json:"letters,omitempty"`
}

// answer is what it says.
type answer struct {
	Access  Access `json:"access"`
	Refused string `json:"refused,omitempty"` // a message key
	Cause   string `json:"cause,omitempty"`   // for the log
	Tail    []byte `json:"tail,omitempty"`    // to be appended
}

// run has a process of our own do a task on a file.
func run(ctx context.Context, t task, file []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, childTime)
	defer cancel()
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return answer{}, unread(ctx.Err())
	}
	out, err := child(ctx, t, file)
	if err != nil {
		// A file that is too much for a process is a file to be refused: it will be too much again.
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return answer{}, fault.New(fault.Invalid, "outside.too_much", err)
		}
		return answer{}, unread(err)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		return answer{}, unread(fmt.Errorf("the process's answer: %w", err))
	}
	if err := a.plausible(); err != nil {
		return answer{}, unread(err)
	}
	if a.Refused != "" {
		return answer{}, fault.New(fault.Invalid, a.Refused, errors.New(a.Cause))
	}
	return a, nil
}

func child(ctx context.Context, t task, file []byte) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, childArgument)
	cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=none"}
	cmd.Dir = "/"
	cmd.Stdin = io.MultiReader(bytes.NewReader(append(line, '\n')), bytes.NewReader(file))
	cmd.WaitDelay = time.Second
	out, complaint := &limited{room: childOutput + room(t, len(file))}, &limited{room: 4096}
	cmd.Stdout, cmd.Stderr = out, complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the process: %w: %.300q", err, complaint.Bytes())
	}
	return out.Bytes(), nil
}

// room is what an answer may need besides: the bytes that are bound, in base64.
func room(t task, size int) int {
	if t.Do != doBind {
		return 0
	}
	return 2 * size
}

// limited is a buffer that takes no more than its room and drops the rest.
type limited struct {
	bytes.Buffer
	room int
}

func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), l.room-l.Len())])
	return len(p), nil
}

// RunIfChild does a process's work and ends it, where this process was started by a Reader;
// otherwise it returns at once.
func RunIfChild() {
	if len(os.Args) != 2 || os.Args[1] != childArgument {
		return
	}
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

func work(in io.Reader, out io.Writer) error {
	if err := cell.Enter(); err != nil {
		return err
	}
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	var t task
	if err := json.Unmarshal(line, &t); err != nil {
		return err
	}
	file, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(do(t, file))
}

// do is a task without its process.
func do(t task, file []byte) (a answer) {
	var err error
	switch t.Do {
	case doCheck:
		a.Access, err = examine(file)
	case doLook:
		a.Access, err = look(file)
	case doMark:
		a.Tail, err = draw(file, t.Mark)
	case doBind:
		a.Tail, err = bind(t.Letters, file)
	default:
		err = fmt.Errorf("no task is called %q", t.Do)
	}
	if err == nil {
		return a
	}
	refused := &refusal{key: "outside.broken", cause: err}
	if r, ok := errors.AsType[*refusal](err); ok {
		refused = r
	} else if errors.Is(err, pdf.ErrLimit) {
		refused.key = "outside.too_much"
	}
	return answer{Refused: refused.key, Cause: refused.Error()}
}

// refusal is why a file is not taken.
type refusal struct {
	key   string
	cause error
}

func (r *refusal) Error() string { return fmt.Sprint(r.cause) }

func refuse(key, format string, args ...any) error { return &refusal{key, fmt.Errorf(format, args...)} }
