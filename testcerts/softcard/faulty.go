package softcard

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The source is no part of the Go build, which would link it into every test.
//
//go:embed faulty.c.txt
var faultySource []byte

// Faulty is a PKCS#11 module that passes everything to SoftHSM and fails when told to.
// One exists for a test process and its children, by the environment.
type Faulty struct {
	Module string // path for p11.Load

	control, count, logins string
	generation             int
}

// Failure is how a function of PKCS#11 fails.
type Failure struct {
	Function string        // GetSlotList, OpenSession, Login, SignInit or Sign
	After    int           // good calls before, counted from Fail
	Times    int           // how often; 0 means for ever
	Code     uint          // CKR_…; 0: it is only slow; NoSlots for GetSlotList
	Sleep    time.Duration // or until the next Fail or Heal, where that comes sooner
	Lose     bool          // Sign does the work and loses the answer
	Token    string        // label of the one token concerned; every one where empty. Not for GetSlotList
}

// NoSlots makes GetSlotList answer, well, that no slot has a token: the card was taken out.
const NoSlots = 0xffffffff

var faulty = sync.OnceValues(func() (*Faulty, error) {
	real, err := Module()
	if err != nil {
		return nil, err
	}
	dir, err := scratch()
	if err != nil {
		return nil, err
	}
	f := &Faulty{Module: filepath.Join(dir, "faulty.so"), control: filepath.Join(dir, "control"), count: filepath.Join(dir, "count"), logins: filepath.Join(dir, "logins")}
	source := filepath.Join(dir, "faulty.c")
	if err := os.WriteFile(source, faultySource, 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-O1", "-o", f.Module, source, "-ldl", "-lpthread").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cc: %w: %s", err, out)
	}
	for name, value := range map[string]string{"BELFRY_FAULTY_MODULE": real, "BELFRY_FAULTY_CONTROL": f.control, "BELFRY_FAULTY_COUNT": f.count, "BELFRY_FAULTY_LOGINS": f.logins} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	return f, nil
})

// NewFaulty returns the failing module of this test process, good at first and again
// after the test. Like Test, it points the process at tokens of its own. Load it with
// internal/p11 beside SoftHSM itself or instead of it: they share one set of tokens.
func NewFaulty(t testing.TB) *Faulty {
	t.Helper()
	Test(t)
	f, err := faulty()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	f.Heal()
	t.Cleanup(f.Heal)
	return f
}

// Fail makes functions fail from now on, instead of what Fail said before.
func (f *Faulty) Fail(failures ...Failure) {
	f.generation++
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", f.generation)
	for _, x := range failures {
		times, lose, token := x.Times, 0, x.Token
		if times == 0 {
			times = 1 << 30
		}
		if x.Lose {
			lose = 1
		}
		if token == "" {
			token = "*"
		}
		fmt.Fprintf(&b, "%s %d %d %x %d %d %s\n", x.Function, x.After, times, x.Code, x.Sleep.Milliseconds(), lose, token)
	}
	tmp := f.control + ".new"
	if err := os.WriteFile(tmp, []byte(b.String()), 0o600); err != nil {
		panic(err) // a test without its control file would say nothing
	}
	if err := os.Rename(tmp, f.control); err != nil {
		panic(err)
	}
}

// Heal makes everything work again.
func (f *Faulty) Heal() { f.Fail() }

// Signatures is how many signatures the token has made through this module, in every
// process: those whose answer was lost are among them.
func (f *Faulty) Signatures() int { return size(f.count) }

// Logins is how often a PIN was given to a token through this module, in every process.
func (f *Faulty) Logins() int { return size(f.logins) }

func size(path string) int {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return int(info.Size())
}
