package orderstest

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/signing"
)

// Point is a place in the sealer's work where it can be told to die.
type Point string

const (
	BeforeKey       Point = "before the key is called"
	AfterKey        Point = "after the key has signed, before anything is kept"
	InSigned        Point = "in the transaction that records the signature"
	AfterSigned     Point = "after the signature was recorded"
	AfterBlob       Point = "after the finished file was kept, before its transaction"
	InFinished      Point = "in the transaction that records the finished file"
	AfterEverything Point = "after the finished file was recorded, before saying so"
)

// Points lists them in the order of the work.
var Points = []Point{BeforeKey, AfterKey, InSigned, AfterSigned, AfterBlob, InFinished, AfterEverything}

// ErrKilled is what a sealer returns that was told to die.
var ErrKilled = errors.New("killed")

// Sealer stands in for signing/seal: same promises, no key. Its files are the frozen
// bytes and a line behind them.
type Sealer struct {
	db    *sqldb.DB
	blobs *Blobs

	mu      sync.Mutex
	kill    map[Point]int // how many more times to die there
	keyUsed int
	silent  bool
	grant   error
	real    bool                      // the key is no test key
	aged    bool                      // every finished file wants to be renewed
	none    bool                      // the commune has no such key
	kinds   map[signing.GrantKind]int // of grants
}

//go:embed migrations
var migrations embed.FS

func newSealer(ctx context.Context, db *sqldb.DB, blobs *Blobs) (*Sealer, error) {
	return &Sealer{db: db, blobs: blobs, kill: map[Point]int{}, kinds: map[signing.GrantKind]int{}}, db.Migrate(ctx, "orderstest", migrations)
}

// Kill has the sealer die at a point, the next n times it comes there.
func (s *Sealer) Kill(p Point, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill[p] = n
}

// KeyUsed is how often the key was called.
func (s *Sealer) KeyUsed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keyUsed
}

// Silence has the time-stamping authority not answer, or answer again.
func (s *Sealer) Silence(silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = silent
}

// Real has the seal's key be a real one from now on.
func (s *Sealer) Real() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.real = true
}

func (s *Sealer) isReal() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.real
}

// None has there be no key, or one again.
func (s *Sealer) None(none bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.none = none
}

// Granted is how many grants of a kind there were.
func (s *Sealer) Granted(k signing.GrantKind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kinds[k]
}

// FailGrant has every grant be refused with err from now on, until it is nil.
func (s *Sealer) FailGrant(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grant = err
}

func (s *Sealer) dies(p Point) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kill[p] == 0 {
		return nil
	}
	s.kill[p]--
	return fmt.Errorf("%w %s", ErrKilled, p)
}

// Grant implements orders.Sealer.
func (s *Sealer) Grant(tx *sqldb.Tx, g signing.Grant) error {
	_, err := tx.Exec(`INSERT INTO orderstest_grant (commune, id, reference, content, stage, document) VALUES ($1, $2, $3, $4, 'prepared', '')`,
		string(g.Commune), g.ID, g.Reference, g.Content)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds[g.Kind]++
	return errors.Join(err, s.grant)
}

// Describe implements orders.Sealer.
func (s *Sealer) Describe(c commune.ID) (signing.Seal, error) {
	s.mu.Lock()
	none := s.none
	s.mu.Unlock()
	if none {
		return signing.Seal{}, fault.New(fault.Internal, "seal.no_key", nil)
	}
	return signing.Seal{Name: "Commune " + string(c), Level: signing.Advanced, Specimen: !s.isReal()}, nil
}

// Seal implements orders.Sealer.
func (s *Sealer) Seal(ctx context.Context, c commune.ID, grant string, record func(*sqldb.Tx, signing.Receipt) error) (signing.Receipt, error) {
	var content, finished blob.Digest
	var stage signing.Stage
	if err := s.db.QueryRow(ctx, `SELECT content, stage, document FROM orderstest_grant WHERE commune = $1 AND id = $2`, string(c), grant).
		Scan(&content, &stage, &finished); err != nil {
		return signing.Receipt{}, fmt.Errorf("grant: %w", err)
	}
	receipt := signing.Receipt{Grant: grant, Stage: signing.Signed, SignedAt: Noon.Add(time.Minute), Level: signing.LevelBT, Signer: "Commune " + string(c), Specimen: !s.isReal()}
	switch stage {
	case signing.Prepared:
		if err := s.sign(ctx, c, receipt, record); err != nil {
			return signing.Receipt{}, err
		}
	case signing.Signed: // a sealer that is not sure may record again
		if err := s.db.Write(ctx, func(tx *sqldb.Tx) error { return record(tx, receipt) }); err != nil {
			return signing.Receipt{}, err
		}
	case signing.Finished:
		receipt.Stage, receipt.Document, receipt.Sealed = signing.Finished, finished, finished
		return receipt, s.db.Write(ctx, func(tx *sqldb.Tx) error { return record(tx, receipt) })
	}
	return s.stamp(ctx, c, receipt, content, record)
}

func (s *Sealer) sign(ctx context.Context, c commune.ID, receipt signing.Receipt, record func(*sqldb.Tx, signing.Receipt) error) error {
	if err := s.dies(BeforeKey); err != nil {
		return err
	}
	s.mu.Lock()
	s.keyUsed++
	s.mu.Unlock()
	if err := s.dies(AfterKey); err != nil {
		return err
	}
	if err := s.move(ctx, c, receipt, signing.Prepared, InSigned, record); err != nil {
		return err
	}
	return s.dies(AfterSigned)
}

func (s *Sealer) stamp(ctx context.Context, c commune.ID, receipt signing.Receipt, content blob.Digest, record func(*sqldb.Tx, signing.Receipt) error) (signing.Receipt, error) {
	s.mu.Lock()
	silent := s.silent
	s.mu.Unlock()
	if silent {
		return receipt, fault.New(fault.Unreachable, "fault.unreachable", errors.New("no stamp"))
	}
	data, err := s.blobs.Read(ctx, c, content)
	if err != nil {
		return signing.Receipt{}, err
	}
	receipt.Document, err = s.blobs.Put(ctx, c, append(data, "\nsealed under "+receipt.Grant...))
	if err != nil {
		return signing.Receipt{}, err
	}
	if err := s.dies(AfterBlob); err != nil {
		return signing.Receipt{}, err
	}
	receipt.Sealed = receipt.Document
	receipt.Stage, receipt.StampedAt = signing.Finished, receipt.SignedAt.Add(time.Second)
	if err := s.move(ctx, c, receipt, signing.Signed, InFinished, record); err != nil {
		return signing.Receipt{}, err
	}
	return receipt, s.dies(AfterEverything)
}

var errBeaten = errors.New("another attempt has won")

func (s *Sealer) move(ctx context.Context, c commune.ID, receipt signing.Receipt, from signing.Stage, dying Point, record func(*sqldb.Tx, signing.Receipt) error) error {
	return s.db.Write(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`UPDATE orderstest_grant SET stage = $1, document = $2 WHERE commune = $3 AND id = $4 AND stage = $5`,
			string(receipt.Stage), receipt.Document, string(c), receipt.Grant, string(from))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(errBeaten, err)
		}
		if err := record(tx, receipt); err != nil {
			return err
		}
		return s.dies(dying)
	})
}

// Age has every finished file want to be renewed, once.
func (s *Sealer) Age() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aged = true
}

// Due implements orders.Sealer.
func (s *Sealer) Due(ctx context.Context, c commune.ID, limit int, skip ...string) ([]string, error) {
	s.mu.Lock()
	aged := s.aged
	s.mu.Unlock()
	if !aged {
		return nil, nil
	}
	rows, err := s.db.Query(ctx, `SELECT id FROM orderstest_grant WHERE commune = $1 AND stage = $2 ORDER BY id`, string(c), string(signing.Finished))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var due []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		if !slices.Contains(skip, id) && len(due) < limit {
			due = append(due, id)
		}
	}
	return due, rows.Err()
}

// Renew implements orders.Sealer.
func (s *Sealer) Renew(ctx context.Context, c commune.ID, grant string, record func(*sqldb.Tx, signing.Receipt) error) (signing.Receipt, error) {
	s.mu.Lock()
	silent := s.silent
	s.mu.Unlock()
	if silent {
		return signing.Receipt{}, fault.New(fault.Unreachable, "fault.unreachable", errors.New("no stamp"))
	}
	var old blob.Digest
	if err := s.db.QueryRow(ctx, `SELECT document FROM orderstest_grant WHERE commune = $1 AND id = $2`, string(c), grant).Scan(&old); err != nil {
		return signing.Receipt{}, fmt.Errorf("grant: %w", err)
	}
	data, err := s.blobs.Read(ctx, c, old)
	if err != nil {
		return signing.Receipt{}, err
	}
	receipt := signing.Receipt{Grant: grant, Stage: signing.Finished, Level: signing.LevelBLTA, Sealed: old}
	if receipt.Document, err = s.blobs.Put(ctx, c, append(data, "\nstamped again"...)); err != nil {
		return signing.Receipt{}, err
	}
	return receipt, s.db.Write(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`UPDATE orderstest_grant SET stage = 'renewed', document = $1 WHERE commune = $2 AND id = $3`, receipt.Document, string(c), grant); err != nil {
			return err
		}
		return record(tx, receipt)
	})
}
