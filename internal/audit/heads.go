package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/belfry-eid/belfry/internal/commune"
)

// heads are the head files: COMMUNE.heads, one line "seq hash" for each head
// written, the last whole line counts. Lines are appended and not synced: a power
// cut may cost the newest, which then say less, and never something wrong.
type heads struct {
	dir   string
	mu    sync.Mutex
	known map[commune.ID]*headFile
}

type headFile struct {
	f    *os.File
	last int64
	size int64
}

// headFileMax is the size after which a head file begins anew with its last line.
const headFileMax = 4 << 20

func openHeads(dir string) (*heads, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &heads{dir: dir, known: map[commune.ID]*headFile{}}, nil
}

func (h *heads) path(c commune.ID) string { return filepath.Join(h.dir, string(c)+".heads") }

// write adds a line, unless a newer head is there already: commits end in
// order, their callers wake up in any. A head that cannot be written is left
// out: the entry itself is safe in the database, and the next line says more.
func (h *heads) write(c commune.ID, head head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	file, err := h.open(c)
	if err != nil || head.seq <= file.last {
		return
	}
	n, err := fmt.Fprintf(file.f, "%d %s\n", head.seq, head.hash)
	file.size += int64(n)
	if err != nil {
		return
	}
	file.last = head.seq
	if file.size > headFileMax {
		h.shorten(c, head)
	}
}

func (h *heads) open(c commune.ID) (*headFile, error) {
	if file := h.known[c]; file != nil {
		return file, nil
	}
	last, err := h.read(c)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(h.path(c), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, err
	}
	if size > 0 { // a line that a power cut has left half ends here
		f.WriteString("\n")
	}
	file := &headFile{f: f, last: last.seq, size: size}
	h.known[c] = file
	return file, nil
}

// shorten replaces the file by one that holds its last line.
func (h *heads) shorten(c commune.ID, last head) {
	tmp := h.path(c) + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return
	}
	_, err = fmt.Fprintf(f, "%d %s\n", last.seq, last.hash)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil || os.Rename(tmp, h.path(c)) != nil {
		return
	}
	h.known[c].f.Close()
	delete(h.known, c)
}

// read returns the last whole line, the zero head where there is no file.
func (h *heads) read(c commune.ID) (last head, err error) {
	if err := c.Check(); err != nil {
		return head{}, err
	}
	data, err := os.ReadFile(h.path(c))
	if errors.Is(err, fs.ErrNotExist) {
		return head{}, nil
	}
	if err != nil {
		return head{}, err
	}
	for line := range bytes.Lines(data) {
		var one head
		if n, err := fmt.Sscanf(string(line), "%d %64s\n", &one.seq, &one.hash); n == 2 && err == nil && len(one.hash) == 64 && one.seq > last.seq {
			last = one
		}
	}
	if last.seq == 0 && len(data) > 0 {
		return head{}, fmt.Errorf("%s holds no head", h.path(c))
	}
	return last, nil
}
