package seal

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
)

// These tests kill a real process with kill -9: once at each point between two
// steps, then at random moments. The process is this test
// program, run again with these variables.
const (
	childDir   = "BELFRY_SEAL_TEST_DIR"
	childPoint = "BELFRY_SEAL_TEST_POINT" // die when passing it for the nth time
	childTSA   = "BELFRY_SEAL_TEST_TSA"
)

// child is the key and the blob store of such a process, and counts the points
// that it passes: before and after each write, call and put.
type child struct {
	mu          sync.Mutex
	passed, die int
	key         crypto.Signer
	calls       *os.File
	blob.Store
}

func (c *child) pass() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.passed++; c.passed == c.die {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (c *child) Public() crypto.PublicKey { return c.key.Public() }

func (c *child) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	c.pass()
	c.calls.Write([]byte("x")) // a byte for each call; a killed process loses no finished write
	signature, err := c.key.Sign(rand, digest, opts)
	c.pass()
	return signature, err
}

func (c *child) PutFrom(ctx context.Context, id commune.ID, write func(io.Writer) error) (blob.Digest, error) {
	c.pass()
	d, err := c.Store.PutFrom(ctx, id, write)
	c.pass()
	return d, err
}

// openWorld opens the world that lies in dir.
func openWorld(t *testing.T, dir, authority string, c *child) (*world, *sqldb.DB) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "a.db"))
	must(err)
	blobs, err := blob.NewDir(filepath.Join(dir, "blobs"))
	must(err)
	log, err := audit.New(db, filepath.Join(dir, "heads"))
	must(err)
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	must(err)
	parsed, err := x509.ParsePKCS8PrivateKey(key)
	must(err)
	der, err := os.ReadFile(filepath.Join(dir, "chain"))
	must(err)
	chain, err := x509.ParseCertificates(der)
	must(err)
	root, err := os.ReadFile(filepath.Join(dir, "root"))
	must(err)
	roots, err := x509.ParseCertificates(root)
	must(err)
	stamper, err := tsa.New(tsa.Config{Clock: clock.At(signingtest.Now), Authorities: []tsa.Authority{{URL: authority, Roots: roots}}})
	must(err)
	c.key, c.Store = parsed.(crypto.Signer), blobs
	c.calls, err = os.OpenFile(filepath.Join(dir, "calls"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(err)
	w := &world{t: t, db: db, blobs: &faultyBlobs{Store: blobs}, audit: log, clock: clock.NewHand(signingtest.Now), key: &countingKey{}}
	w.cfg = Config{DB: db, Blobs: c, Audit: log, Clock: w.clock.Now, Stamper: stamper,
		Keys: oneKey(signing.LevelBT, c, chain)}
	w.restart()
	write := w.Sealer.write
	w.Sealer.write = func(ctx context.Context, f func(*sqldb.Tx) error) error {
		c.pass()
		err := write(ctx, f)
		c.pass()
		return err
	}
	return w, db
}

// sealAll is what the process does: it seals whatever is open, several at a time.
func sealAll(t *testing.T, w *world) {
	ids, err := w.store.Open(ctx, here, 100)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() {
			if _, err := w.sealBy(w.Sealer, id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestKilledProcess(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		die, _ := strconv.Atoi(os.Getenv(childPoint))
		w, db := openWorld(t, dir, os.Getenv(childTSA), &child{die: die})
		sealAll(t, w)
		db.Close()
		return
	}
	t.Run("at each point", func(t *testing.T) {
		for point := 1; ; point++ {
			w := newKillWorld(t, 1)
			if w.run(t, point, 0) {
				if point < 11 {
					t.Errorf("only %d points", point-1)
				}
				t.Logf("killed at %d points", point-1)
				return
			}
			w.check(t)
			if !w.run(t, 0, 0) {
				t.Fatal("the second process died")
			}
			w.finished(t)
		}
	})
	t.Run("at random", func(t *testing.T) {
		w := newKillWorld(t, 60)
		kills := 0
		for range 25 {
			if w.run(t, 0, 15*time.Millisecond+rand.N(45*time.Millisecond)) {
				break
			}
			kills++
			w.check(t)
		}
		if !w.run(t, 0, 0) {
			t.Fatal("the last process died")
		}
		w.finished(t)
		calls, attempts := w.counts(t)
		t.Logf("killed %d times; %d grants, %d attempts, %d calls of the key", kills, len(w.grants), attempts, calls)
	})
}

// killWorld is a world on disk that processes open one after the other.
type killWorld struct {
	dir    string
	tsa    *signingtest.Authority
	grants []string
}

func newKillWorld(t *testing.T, grants int) *killWorld {
	t.Helper()
	id := signingtest.Shared().P256
	k := &killWorld{dir: t.TempDir(), tsa: signingtest.NewAuthority(t, signingtest.Shared().TSA)}
	key, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		t.Fatal(err)
	}
	var chain []byte
	for _, c := range id.Chain {
		chain = append(chain, c.Raw...)
	}
	for name, data := range map[string][]byte{"key": key, "chain": chain, "root": signingtest.Shared().Root.Cert.Raw} {
		if err := os.WriteFile(filepath.Join(k.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, db := openWorld(t, k.dir, k.tsa.Server.URL, &child{})
	defer db.Close()
	migrateRecorded(t, db)
	for i := range grants {
		k.grants = append(k.grants, w.grant(paper(fmt.Sprint(i), 1500)))
	}
	return k
}

// run runs the process, which is to die at a point, or after a time, and says
// whether it came to its end.
func (k *killWorld) run(t *testing.T, point int, after time.Duration) bool {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	c.Env = append(os.Environ(), childDir+"="+k.dir, childPoint+"="+strconv.Itoa(point), childTSA+"="+k.tsa.Server.URL)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		time.AfterFunc(after, func() { c.Process.Kill() })
	}
	err := c.Wait()
	if err != nil && !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return err == nil
}

func (k *killWorld) open(t *testing.T) (*world, *sqldb.DB) {
	t.Helper()
	return openWorld(t, k.dir, k.tsa.Server.URL, &child{})
}

// check is neverTooMuch for all grants, in a process of its own making.
func (k *killWorld) check(t *testing.T) {
	t.Helper()
	w, db := k.open(t)
	defer db.Close()
	for _, id := range k.grants {
		w.neverTooMuch(id)
	}
	if calls, attempts := k.counts(t); calls > attempts {
		t.Errorf("%d calls of the key, %d attempts", calls, attempts)
	}
}

func (k *killWorld) counts(t *testing.T) (calls, attempts int) {
	t.Helper()
	w, db := k.open(t)
	defer db.Close()
	for _, id := range k.grants {
		attempts += len(w.attempts(id))
	}
	b, err := os.ReadFile(filepath.Join(k.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(b), attempts
}

func (k *killWorld) finished(t *testing.T) {
	t.Helper()
	k.check(t)
	w, db := k.open(t)
	defer db.Close()
	for _, id := range k.grants {
		g, err := w.store.Get(ctx, here, id)
		if err != nil {
			t.Fatal(err)
		}
		w.finished(id, g.Receipt)
	}
}
