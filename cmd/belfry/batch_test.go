package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/sqldb"
)

// folder is a batch's two folders and the command for them.
type folder struct {
	*world
	in, out, report string
}

func (w *world) folder() *folder {
	w.t.Helper()
	dir := w.t.TempDir()
	f := &folder{w, filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "report.csv")}
	if err := os.MkdirAll(filepath.Join(f.in, "2026"), 0o700); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// put adds a PDF that is like no other: its page has a width of its own, up to 99 points more.
func (f *folder) put(name string, width int) {
	f.t.Helper()
	f.write(name, bytes.Replace(plainPDF, []byte("[0 0 200 "), fmt.Appendf(nil, "[0 0 %d ", 200+width), 1))
}

func (f *folder) write(name string, content []byte) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.in, name), content, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *folder) args(more ...string) []string {
	return append([]string{"seal", "--batch", f.in, f.out, "--config", f.Belfry.Config, "--commune", "beaumarais", "--reason", "a test", "--report", f.report}, more...)
}

// reported counts the outcomes in the report.
func (f *folder) reported() map[string]int {
	f.t.Helper()
	file, err := os.Open(f.report)
	if err != nil {
		f.t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		f.t.Fatal(err)
	}
	count := map[string]int{}
	for _, row := range rows[1:] {
		count[row[1]]++
	}
	return count
}

// number answers a query that counts.
func (w *world) number(query string) (n int) {
	w.t.Helper()
	s, err := loadSettings(w.Belfry.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	db, err := sqldb.Open(w.t.Context(), s.Database.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(w.t.Context(), query).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// A batch is killed, begun again, refused what is no PDF, kept from its timestamps and let
// go on: each file is sealed once, and never half there.
func TestBatch(t *testing.T) {
	w := startWorld(t)
	f := w.folder()
	const files = 24
	for i := range files {
		f.put(fmt.Sprintf("2026/été %02d.pdf", i), i)
	}
	f.write("notes.txt", []byte("not a PDF and not called one"))
	finished := func() int { return w.number(`SELECT COUNT(*) FROM signing_attempt WHERE state = 'finished'`) }

	first := exec.Command(w.belfry, f.args()...)
	var said bytes.Buffer
	first.Stdout, first.Stderr = &said, &said
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); finished() < 3; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nothing is sealed:\n%s", said.String())
		}
	}
	first.Process.Kill()
	first.Wait()
	w.command(0, f.args()...)
	if got := f.reported(); got["sealed"]+got["already sealed"] != files || got["sealed"] == 0 {
		t.Errorf("after the second run: %v", got)
	}
	if n := finished(); n != files {
		t.Errorf("%d attempts are finished, of %d files", n, files)
	}
	grants := w.number(`SELECT COUNT(*) FROM signing_grant`)
	if grants != files {
		t.Errorf("%d grants for %d files", grants, files)
	}
	for i := range files {
		path := filepath.Join(f.out, fmt.Sprintf("2026/été %02d.pdf", i))
		w.command(0, "verify", path, "--trust", filepath.Dir(w.PKI.Roots))
	}
	t.Logf("%d files, %d calls of the key that were begun", files, w.number(`SELECT COUNT(*) FROM signing_attempt`))

	f.write("letter.pdf", []byte("a letter that somebody called PDF"))
	if out := w.command(1, f.args("--lang", "nl")...); !strings.Contains(out, "letter.pdf: refused: Dit bestand is geen pdf") {
		t.Errorf("the report does not say why:\n%s", out)
	}
	if got := f.reported(); got["already sealed"] != files || got["refused"] != 1 {
		t.Errorf("a third run: %v", got)
	}
	os.Remove(filepath.Join(f.in, "letter.pdf"))

	f.put("late.pdf", 99)
	w.tell("tsa", "gone")
	w.command(2, f.args("--patience", "100ms")...)
	if _, err := os.Stat(filepath.Join(f.out, "late.pdf")); err == nil {
		t.Error("a file without its timestamp is there")
	}
	w.post(w.Control.URL+"/reset", nil)
	w.command(0, f.args()...)
	if n := w.number(`SELECT COUNT(*) FROM signing_attempt WHERE grant_id IN (SELECT id FROM signing_grant WHERE reference = 'late.pdf')`); n != 1 {
		t.Errorf("the key was called %d times for the file whose timestamp was late", n)
	}

	os.WriteFile(filepath.Join(f.out, "late.pdf"), []byte("somebody's own"), 0o600)
	if out := w.command(1, f.args()...); !strings.Contains(out, "late.pdf: refused: Another file") {
		t.Errorf("the report does not say what is in the way:\n%s", out)
	}
	if left, _ := filepath.Glob(filepath.Join(f.out, "2026", ".belfry-*")); len(left) > 4 {
		t.Errorf("half files are left: %v", left) // the killed run may have left one for each that it sealed at once
	}
}

func TestProgressBar(t *testing.T) {
	begin := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	p := &progress{total: 40, begin: begin}
	if got, want := p.bar(begin), "[..............................] 0 of 40"; got != want {
		t.Errorf("at first %q, want %q", got, want)
	}
	for i := range 10 {
		o := sealedNow
		if i == 3 {
			o = refused
		}
		p.done(o)
	}
	if got, want := p.bar(begin.Add(20*time.Second)), "[#######.......................] 10 of 40, 1 with a problem, about 1m0s left"; got != want {
		t.Errorf("later %q, want %q", got, want)
	}
}
