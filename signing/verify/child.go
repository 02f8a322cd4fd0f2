package verify

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/belfry-eid/belfry/internal/cell"
	"github.com/belfry-eid/belfry/signing/trustlist"
)

// What a child may use. A file that needs more is one nobody can tell about.
const (
	childArgument = "verify-one-file" // hidden: belfry's own second life
	childFile     = 3                 // the descriptor of the PDF
	childTime     = 20 * time.Second
	childOutput   = 1 << 20   // bytes of JSON read from it
	maxFile       = 200 << 20 // bytes of a PDF
)

// slots keep children from crowding out the server.
var slots = make(chan struct{}, max(2, runtime.NumCPU()))

// task is what a child is told on its standard input.
type task struct {
	Roots, StampRoots, Intermediates [][]byte
	OCSPs, CRLs                      [][]byte
	OwnStampRoots                    bool
	Services                         []trustlist.Service
	Now                              time.Time
	Password                         string
}

// answer is what a child says.
type answer struct {
	*Report
	Asks []ask `json:"asks"`
}

// Child checks a PDF in a process of its own with limits on time, memory and
// files, and with no network. Whatever goes wrong there is a report of Unknown;
// there is no error. The file is read from its beginning, wherever it stands.
// Files and network are closed to a child on Linux only; the limits hold elsewhere too.
// The program must call RunIfChild first thing in main.
func Child(ctx context.Context, file *os.File, o Options) *Report {
	report := func(c Code, err error) *Report {
		r := &Report{Result: Unknown, Findings: []Finding{{Code: c}}, At: o.Now.UTC().Truncate(time.Second)}
		if err != nil {
			r.Findings[0].Detail = err.Error()
		}
		if info, err := file.Stat(); err == nil {
			r.Size = info.Size()
		}
		r.indicate()
		return r
	}
	info, err := file.Stat()
	if err != nil {
		return report(Crashed, err)
	}
	if info.Size() > maxFile {
		return report(TooLarge, nil)
	}
	ctx, cancel := context.WithTimeout(ctx, childTime)
	defer cancel()
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return report(TimedOut, ctx.Err())
	}
	out, err := runChild(ctx, file, o)
	if ctx.Err() != nil {
		return report(TimedOut, ctx.Err())
	}
	if err != nil {
		return report(Crashed, err)
	}
	r := &Report{}
	said := answer{Report: r}
	if err := json.Unmarshal(out, &said); err != nil || !r.plausible() {
		return report(Crashed, fmt.Errorf("verify: the child's answer makes no sense: %w", err))
	}
	r.asks = said.Asks
	return r
}

// ChildBytes is Child for a PDF in memory.
func ChildBytes(ctx context.Context, b []byte, o Options) *Report {
	unknown := func(err error) *Report {
		r := &Report{Result: Unknown, Findings: []Finding{{Code: Crashed, Detail: err.Error()}}, Size: int64(len(b)), At: o.Now.UTC().Truncate(time.Second)}
		r.indicate()
		return r
	}
	file, err := nameless()
	if err != nil {
		return unknown(err)
	}
	defer file.Close()
	if _, err := file.Write(b); err != nil {
		return unknown(err)
	}
	return Child(ctx, file, o)
}

// plausible keeps a child that was taken over from saying more than a report can.
func (r *Report) plausible() bool {
	if r.Result != Valid && r.Result != NotValid && r.Result != Unknown {
		return false
	}
	for _, f := range r.Findings {
		if _, known := meaning[f.Code]; !known {
			return false
		}
	}
	return r.Result != Valid || len(r.Signatures) > 0
}

func runChild(ctx context.Context, file *os.File, o Options) ([]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	told, err := json.Marshal(task{raws(o.Roots), raws(o.StampRoots), raws(o.Intermediates), o.OCSPs, o.CRLs, o.StampRoots != nil, o.Services, o.Now, o.Password})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, childArgument)
	cmd.Env = []string{"GOMAXPROCS=1", "GOTRACEBACK=none"}
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(told)
	cmd.ExtraFiles = []*os.File{file}
	cmd.WaitDelay = time.Second
	var out, complaint limited
	out.room, complaint.room = childOutput, 4096
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("verify: the child: %w: %.300s", err, complaint.Bytes())
	}
	return out.Bytes(), nil
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

func raws(list []*x509.Certificate) [][]byte {
	out := make([][]byte, 0, len(list))
	for _, c := range list {
		out = append(out, c.Raw)
	}
	return out
}

// RunIfChild does a child's work and ends the process, where this process was
// started by Child; otherwise it returns at once.
func RunIfChild() {
	if len(os.Args) != 2 || os.Args[1] != childArgument {
		return
	}
	if err := child(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	os.Exit(0)
}

func child(in io.Reader, out io.Writer) error {
	if err := cell.Enter(); err != nil {
		return err
	}
	var told task
	if err := json.NewDecoder(in).Decode(&told); err != nil {
		return err
	}
	o := Options{Now: told.Now, Password: told.Password, Services: told.Services, OCSPs: told.OCSPs, CRLs: told.CRLs}
	var err1, err2, err3 error
	o.Roots, err1 = certificates(told.Roots)
	o.StampRoots, err2 = certificates(told.StampRoots)
	o.Intermediates, err3 = certificates(told.Intermediates)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if !told.OwnStampRoots {
		o.StampRoots = nil
	}
	file := os.NewFile(childFile, "file")
	if file == nil {
		return errors.New("verify: no file")
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r := File(file, info.Size(), o)
	return json.NewEncoder(out).Encode(answer{r, r.asks})
}

func certificates(list [][]byte) ([]*x509.Certificate, error) {
	out := make([]*x509.Certificate, 0, len(list))
	for _, der := range list {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}
