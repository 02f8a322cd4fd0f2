// Package picture draws pages of a foreign PDF.
//
// It owns the program that draws, poppler's pdftoppm, and the cell in which it
// runs: a process with limits on time, memory and files, without network and
// without leave to write. It refuses to know what is drawn and why. It guarantees
// that a hostile file costs a process, never the server; that what leaves the cell
// was decoded and encoded again here, so that a program that was taken over cannot
// hand on more than coloured points; and that no picture is larger than asked for.
//
// The program must call RunIfChild first thing in main. The cell is Linux's; on
// other systems nothing is drawn.
package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

// Limits of one drawing.
const (
	childArgument = "draw-one-file" // hidden: belfry's own second life
	longSide      = 1000            // points of the longer side of a page
	drawTime      = 15 * time.Second
	maxOutput     = 24 << 20 // bytes of all pictures as the program writes them
	MaxFile       = 24 << 20 // bytes of a PDF
)

var (
	// ErrNoProgram: pdftoppm is not installed, or cannot be shut in here.
	ErrNoProgram = errors.New("picture: no program that draws")
	// ErrFailed: the file cannot be drawn within the limits.
	ErrFailed = errors.New("picture: the file cannot be drawn")
)

// Page is one page as PNG.
type Page struct {
	PNG           []byte
	Width, Height int
}

// slots keep drawings from crowding out the server.
var slots = make(chan struct{}, max(1, runtime.NumCPU()/2))

// Draw draws the first pages of a PDF, most at the most; more says that there are others.
func Draw(ctx context.Context, pdf []byte, most int) (pages []Page, more bool, err error) {
	if len(pdf) > MaxFile {
		return nil, false, ErrFailed
	}
	program, err := exec.LookPath("pdftoppm")
	if err != nil || runtime.GOOS != "linux" {
		return nil, false, ErrNoProgram
	}
	ctx, cancel := context.WithTimeout(ctx, drawTime)
	defer cancel()
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return nil, false, fmt.Errorf("%w: %w", ErrFailed, ctx.Err())
	}
	out, err := run(ctx, program, pdf, most+1)
	if err != nil {
		return nil, false, err
	}
	for len(out) > 0 && len(pages) <= most {
		page, rest, err := next(out)
		if err != nil {
			return nil, false, fmt.Errorf("%w: %w", ErrFailed, err)
		}
		pages, out = append(pages, page), rest
	}
	if len(pages) == 0 {
		return nil, false, ErrFailed
	}
	if len(pages) > most {
		return pages[:most], true, nil
	}
	return pages, false, nil
}

func run(ctx context.Context, program string, pdf []byte, last int) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, childArgument, program, "-q", "-png", "-f", "1", "-l", strconv.Itoa(last), "-scale-to", strconv.Itoa(longSide), "-")
	cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=none", "LC_ALL=C", "HOME=/nonexistent", "PATH=/nonexistent"}
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(pdf)
	cmd.WaitDelay = time.Second
	var out, complaint limited
	out.room, complaint.room = maxOutput, 4096
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %w: %.300q", ErrFailed, err, complaint.Bytes())
	}
	if out.over {
		return nil, fmt.Errorf("%w: too large", ErrFailed)
	}
	return out.Bytes(), nil
}

// limited is a buffer that takes no more than its room and drops the rest.
type limited struct {
	bytes.Buffer
	room int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.room-l.Len())
	l.over = l.over || n < len(p)
	l.Buffer.Write(p[:n])
	return len(p), nil
}

// next reads one picture and writes it anew.
func next(b []byte) (Page, []byte, error) {
	end, err := length(b)
	if err != nil {
		return Page{}, nil, err
	}
	size, err := png.DecodeConfig(bytes.NewReader(b[:end]))
	if err != nil {
		return Page{}, nil, err
	}
	// The program rounds up.
	if size.Width < 1 || size.Height < 1 || size.Width > longSide+1 || size.Height > longSide+1 {
		return Page{}, nil, fmt.Errorf("%d by %d points", size.Width, size.Height)
	}
	drawn, err := png.Decode(bytes.NewReader(b[:end]))
	if err != nil {
		return Page{}, nil, err
	}
	var again bytes.Buffer
	if err := png.Encode(&again, drawn); err != nil {
		return Page{}, nil, err
	}
	return Page{again.Bytes(), size.Width, size.Height}, b[end:], nil
}

var signature = []byte("\x89PNG\r\n\x1a\n")

// length is that of the picture at the beginning: up to the end of its last chunk.
func length(b []byte) (int, error) {
	if !bytes.HasPrefix(b, signature) {
		return 0, errors.New("no PNG")
	}
	for at := len(signature); len(b)-at >= 12; {
		n := binary.BigEndian.Uint32(b[at:])
		if uint64(n)+12 > uint64(len(b)-at) {
			break
		}
		kind := string(b[at+4 : at+8])
		at += int(n) + 12
		if kind == "IEND" {
			return at, nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// RunIfChild becomes the program that draws, where this process was started by
// Draw; otherwise it returns at once.
func RunIfChild() {
	if len(os.Args) < 3 || os.Args[1] != childArgument {
		return
	}
	fmt.Fprintln(os.Stderr, become(os.Args[2], os.Args[2:]))
	os.Exit(3)
}
