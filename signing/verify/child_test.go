package verify_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/verify"
)

// misbehave plays a child that a hostile file has taken over: what it does is
// written at the beginning of the file.
func misbehave() {
	if len(os.Args) != 2 || os.Args[1] != verify.ChildArgument {
		return
	}
	b := make([]byte, 16)
	n, _ := unix.Pread(3, b, 0) // no os.File: its end would close the descriptor
	what, hostile := strings.CutPrefix(string(b[:n]), "%HOSTILE ")
	if !hostile {
		return
	}
	if err := verify.Confine(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	fmt.Println(misdeed(strings.TrimSpace(what)))
	os.Exit(0)
}

var hoard [][]byte

func misdeed(what string) string {
	var err error
	switch what {
	case "hang":
		for {
			time.Sleep(time.Hour)
		}
	case "burn":
		for i := 0; ; i++ {
			_ = i
		}
	case "hoard":
		for {
			b := make([]byte, 16<<20)
			for i := range b {
				b[i] = 1
			}
			hoard = append(hoard, b)
		}
	case "panic":
		panic("taken over")
	case "lie":
		return `{"result":"valid"}`
	case "lie2":
		return `{"result":"excellent"}`
	case "talk":
		return strings.Repeat("x", 10<<20)
	case "network":
		_, err = net.Dial("tcp", "127.0.0.1:1")
	case "read":
		_, err = os.ReadFile("/etc/passwd")
	case "write":
		err = os.WriteFile("/tmp/belfry-verify-was-here", []byte("x"), 0o600)
	case "run":
		err = exec.Command("/bin/true").Run()
	}
	if err == nil {
		return `{"result":"valid","signatures":[{}]}` // what must not happen
	}
	return `{"result":"unknown","findings":[{"code":"broken","detail":"` + strings.ReplaceAll(err.Error(), `"`, "") + `"}]}`
}

func TestChildSaysTheSame(t *testing.T) {
	w := signingtest.Shared()
	file := sign(t, pdftest.Build(pdftest.Stream, pdftest.Fields()), w.P384, how{certify: true, stamped: true})
	here, there := check(file), verify.ChildBytes(t.Context(), file, trust())
	if there.Result != verify.Valid || dump(here) != dump(there) {
		t.Errorf("here %s\nthere %s", dump(here), dump(there))
	}
	path := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(path, content(t, file, "x"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r := verify.Child(t.Context(), f, trust()); r.Result != verify.NotValid || !slices.Contains(codes(r), "altered") {
		t.Errorf("from a file: %s", dump(r))
	}
}

func TestAHostileFileCostsAProcess(t *testing.T) {
	for what, want := range map[string]struct{ code, detail string }{
		"hang":    {"timed_out", ""},
		"hoard":   {"crashed", ""},
		"panic":   {"crashed", ""},
		"lie":     {"crashed", ""},
		"lie2":    {"crashed", ""},
		"talk":    {"crashed", ""},
		"network": {"broken", "not permitted"},
		"read":    {"broken", "not permitted"},
		"write":   {"broken", "not permitted"},
		"run":     {"broken", ""},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if want.code == "broken" && runtime.GOOS != "linux" {
				t.Skip("only Linux filters system calls")
			}
			limit := 15 * time.Second
			if what == "hang" {
				limit = 2 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			r := verify.ChildBytes(ctx, []byte("%HOSTILE "+what+"\n"), trust())
			if r.Result != verify.Unknown || !slices.Contains(codes(r), want.code) || !strings.Contains(dump(r), want.detail) {
				t.Errorf("want %s: %s", want.code, dump(r))
			}
		})
	}
	if _, err := os.Stat("/tmp/belfry-verify-was-here"); err == nil {
		t.Error("a child can write files")
	}
}

func TestBombsInAChild(t *testing.T) {
	bomb := pdftest.Bomb(128 << 20)
	head := "%PDF-1.7\n"
	crossStream := fmt.Sprintf("%s1 0 obj\n<</Type/XRef/W[1 3 1]/Size 20000000/Root 1 0 R/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n",
		head, len(bomb), bomb, len(head))
	deep := pdftest.Plain()
	deep[0] = "<</Type/Catalog/AcroForm" + strings.Repeat("<</Fields[", 1<<16)
	start := time.Now()
	for name, file := range map[string][]byte{"cross-reference stream": []byte(crossStream), "nesting": pdftest.Build(pdftest.Table, deep)} {
		if r := verify.ChildBytes(t.Context(), file, trust()); r.Result != verify.Unknown || !slices.Contains(codes(r), "broken") || !strings.Contains(dump(r), "too much") {
			t.Errorf("%s: %s", name, dump(r))
		}
	}
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("it took %v", d)
	}
}
