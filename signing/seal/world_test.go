package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/clock"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/internal/sqldb/sqldbtest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/signingsql"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
	"github.com/belfry-eid/belfry/signing/verify"
)

var ctx = context.Background()

const here = commune.ID("beaumarais")

// errOutage is what everything that a test breaks answers.
var errOutage = errors.New("made to fail")

// world is a Sealer with a key, a time-stamping authority, a blob store and a
// database that fail when told to.
type world struct {
	t     testing.TB
	db    *sqldb.DB
	blobs *faultyBlobs
	audit *audit.Log
	clock *clock.Hand
	key   *countingKey
	tsa   *signingtest.Authority
	cfg   Config
	*Sealer
}

func newWorld(t testing.TB, db *sqldb.DB, level string, id signingtest.Identity) *world {
	t.Helper()
	dir := t.TempDir()
	blobs, err := blob.NewDir(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.New(db, filepath.Join(dir, "heads"))
	if err != nil {
		t.Fatal(err)
	}
	migrateRecorded(t, db)
	w := &world{t: t, db: db, blobs: &faultyBlobs{Store: blobs}, audit: log, clock: clock.NewHand(signingtest.Now), key: &countingKey{Signer: id.Key}}
	w.tsa = signingtest.NewAuthority(t, signingtest.Shared().TSA)
	stamper, err := tsa.New(tsa.Config{Clock: w.clock.Now, Timeout: 5 * time.Second,
		Authorities: []tsa.Authority{{URL: w.tsa.Server.URL, Roots: signingtest.Shared().RootCertificates}}})
	if err != nil {
		t.Fatal(err)
	}
	w.cfg = Config{DB: db, Blobs: w.blobs, Audit: log, Clock: w.clock.Now, Stamper: stamper, KeyTimeout: 5 * time.Second, Keys: oneKey(level, w.key, id.Chain)}
	w.restart()
	return w
}

// oneKey is the key of the only commune, in one token.
func oneKey(level string, key crypto.Signer, chain []*x509.Certificate) map[commune.ID]Key {
	return map[commune.ID]Key{here: {Kind: signing.Approval, Level: level, Tokens: []Token{{Signer: key, Chain: chain}}}}
}

// migrateRecorded makes the table of what record was told.
func migrateRecorded(t testing.TB, db *sqldb.DB) {
	t.Helper()
	err := db.Migrate(ctx, "recorded", fstest.MapFS{"migrations/001_recorded.sql": {Data: []byte(
		`CREATE TABLE recorded (id TEXT NOT NULL, stage TEXT NOT NULL, document TEXT, times BIGINT NOT NULL, PRIMARY KEY (id, stage));`)}})
	if err != nil {
		t.Fatal(err)
	}
}

// restart is what a new process has: the settings and the database.
func (w *world) restart() {
	w.t.Helper()
	s, err := New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Sealer = s
}

// grant keeps a content and a grant for it.
func (w *world) grant(content []byte) string {
	w.t.Helper()
	d, err := w.blobs.Store.Put(ctx, here, content)
	if err != nil {
		w.t.Fatal(err)
	}
	id := uuid.Must(uuid.NewV7()).String()
	err = w.db.Write(ctx, func(tx *sqldb.Tx) error {
		return w.Grant(tx, signing.Grant{ID: id, Commune: here, Kind: signing.Approval, Reference: "order " + id, Content: d, By: "claire", Reason: "approved", At: w.clock.Now()})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// seal is Seal with a record that counts in the database.
func (w *world) seal(id string) (signing.Receipt, error) { return w.sealBy(w.Sealer, id) }

func (w *world) sealBy(s *Sealer, id string) (signing.Receipt, error) {
	return s.Seal(ctx, here, id, func(tx *sqldb.Tx, r signing.Receipt) error {
		if (r.Stage == signing.Finished) == r.Document.IsZero() || r.Grant != id {
			return fmt.Errorf("a receipt that cannot be: %+v", r)
		}
		_, err := tx.Exec(`INSERT INTO recorded (id, stage, document, times) VALUES ($1, $2, $3, 1)
			ON CONFLICT (id, stage) DO UPDATE SET times = recorded.times + 1`, id, string(r.Stage), r.Document)
		return err
	})
}

// recorded is how often record was committed for a stage, and with which document.
func (w *world) recorded(id string, stage signing.Stage) (n int, d blob.Digest) {
	w.t.Helper()
	err := w.db.QueryRow(ctx, `SELECT times, document FROM recorded WHERE id = $1 AND stage = $2`, id, string(stage)).Scan(&n, &d)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		w.t.Fatal(err)
	}
	return n, d
}

func (w *world) attempts(id string) []signingsql.Attempt {
	w.t.Helper()
	list, err := w.store.Attempts(ctx, here, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// neverTooMuch checks what must hold at every moment.
func (w *world) neverTooMuch(id string) {
	w.t.Helper()
	list := w.attempts(id)
	var all int64
	if err := w.db.QueryRow(ctx, `SELECT COUNT(*) FROM signing_attempt`).Scan(&all); err != nil {
		w.t.Fatal(err)
	}
	if calls := w.key.calls.Load(); calls > all {
		w.t.Errorf("%d calls of the key, %d attempts", calls, all)
	}
	live := 0
	for _, a := range list {
		if a.State != signingsql.Void {
			live++
		}
	}
	if live > 1 {
		w.t.Errorf("%d attempts are alive", live)
	}
	g, err := w.store.Get(ctx, here, id)
	if err != nil {
		w.t.Fatal(err)
	}
	times, document := w.recorded(id, signing.Finished)
	if stamped := g.Receipt.Stage == signing.Finished; stamped != (times == 1) || (stamped && document != g.Receipt.Document) {
		w.t.Errorf("stage %s, and the stamped document recorded %d times (%s)", g.Receipt.Stage, times, document)
	}
	if g.Receipt.Stage != signing.Finished && !g.Receipt.Document.IsZero() {
		w.t.Errorf("a document at stage %s", g.Receipt.Stage)
	}
	if err := w.audit.Verify(ctx, here); err != nil {
		w.t.Error(err)
	}
}

// finished checks the end: one document, one finished attempt.
func (w *world) finished(id string, r signing.Receipt) []byte {
	w.t.Helper()
	w.neverTooMuch(id)
	if r.Stage != signing.Finished || r.Document.IsZero() || r.Grant != id {
		w.t.Fatalf("receipt %+v", r)
	}
	list := w.attempts(id)
	last := list[len(list)-1]
	if last.State != signingsql.Finished || last.Prepared != nil {
		w.t.Errorf("the last attempt: %s", last.State)
	}
	file, err := w.blobs.Store.Read(ctx, here, r.Document)
	if err != nil {
		w.t.Fatal(err)
	}
	g, err := w.store.Get(ctx, here, id)
	if err != nil || g.Receipt != r {
		w.t.Errorf("kept %+v (%v), returned %+v", g.Receipt, err, r)
	}
	content, err := w.blobs.Store.Read(ctx, here, g.Content)
	if err != nil || !bytes.HasPrefix(file, content) {
		w.t.Errorf("the document does not begin with the content (%v)", err)
	}
	o := verify.Options{Roots: signingtest.Shared().RootCertificates, Now: w.clock.Now()}
	if report := verify.File(bytes.NewReader(file), int64(len(file)), o); report.Result != verify.Valid || len(report.Signatures) != 1 || report.Signatures[0].Level != r.Level || report.Signatures[0].Certification != 1 {
		w.t.Errorf("%+v", report)
	}
	return file
}

// silence makes the time-stamping authority answer with an error.
func (w *world) silence(on bool) {
	w.tsa.Answer = nil
	if on {
		w.tsa.Answer = func(rw http.ResponseWriter, r *http.Request, _ []byte) {
			http.Error(rw, "out of order", http.StatusServiceUnavailable)
		}
	}
}

// countingKey counts what it is asked to sign.
type countingKey struct {
	crypto.Signer
	calls  atomic.Int64
	mu     sync.Mutex
	before func() error // in place of the signature
	after  func() error // instead of the answer
	wrong  bool         // signs something else
	delay  time.Duration
}

func (k *countingKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.calls.Add(1)
	k.mu.Lock()
	before, after, wrong, delay := k.before, k.after, k.wrong, k.delay
	k.mu.Unlock()
	time.Sleep(delay)
	if before != nil {
		if err := before(); err != nil {
			return nil, err
		}
	}
	if wrong {
		digest = bytes.Repeat([]byte{7}, len(digest))
	}
	signature, err := k.Signer.Sign(rand, digest, opts)
	if after != nil {
		if err := after(); err != nil {
			return nil, err
		}
	}
	return signature, err
}

func (k *countingKey) set(f func(k *countingKey)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.before, k.after, k.wrong, k.delay = nil, nil, false, 0
	if f != nil {
		f(k)
	}
}

// faultyBlobs fails before or after it has put.
type faultyBlobs struct {
	blob.Store
	before, after error
	spoil         func([]byte) []byte // what is read
}

func (b *faultyBlobs) Read(ctx context.Context, c commune.ID, d blob.Digest) ([]byte, error) {
	data, err := b.Store.Read(ctx, c, d)
	if err == nil && b.spoil != nil {
		data = b.spoil(data)
	}
	return data, err
}

// Open is Read for who reads at any place.
func (b *faultyBlobs) Open(ctx context.Context, c commune.ID, d blob.Digest) (blob.File, error) {
	data, err := b.Read(ctx, c, d)
	if err != nil {
		return nil, err
	}
	return inMemory{bytes.NewReader(data)}, nil
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

func (b *faultyBlobs) PutFrom(ctx context.Context, c commune.ID, write func(io.Writer) error) (blob.Digest, error) {
	if b.before != nil {
		return blob.Digest{}, b.before
	}
	d, err := b.Store.PutFrom(ctx, c, write)
	if b.after != nil {
		return blob.Digest{}, b.after
	}
	return d, err
}

// inStore is a file without anything appended.
func inStore(b []byte) whole { return whole{base: bytes.NewReader(b), size: int64(len(b))} }

// paper is a PDF of about size bytes, different for each text.
func paper(text string, size int) []byte {
	o := pdftest.Plain()
	stream := "% " + text + "\n" + strings.Repeat("0 0 m\n", max(size-700, 0)/6)
	o[3] = fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(stream), stream)
	return pdftest.Build(pdftest.Table, o)
}

func each(t *testing.T, f func(*testing.T, *sqldb.DB)) {
	for name, open := range sqldbtest.Engines(t) {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}
