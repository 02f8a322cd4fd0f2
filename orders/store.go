package orders

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/delegation"
)

// The SQL of orders. Every statement names the commune first.

// Migrate brings the tables of orders up to date.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	if err := errors.Join(db.Migrate(ctx, "orders", migrations), delegation.Migrate(ctx, db)); err != nil || db.Engine() != sqldb.Postgres {
		return err
	}
	unlock, err := db.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return db.Write(ctx, func(tx *sqldb.Tx) error {
		// Which states are open ones PostgreSQL does not know by itself: it would think that
		// nearly none is, and sort them all. SQLite has no such statement.
		_, err := tx.Exec(`CREATE STATISTICS IF NOT EXISTS orders_order_open (mcv) ON closed_at, state FROM orders_order`)
		return err
	})
}

// EachFile calls f with every file that a commune's papers name: what was attached, what was
// prepared, and what was sealed.
func EachFile(ctx context.Context, db *sqldb.DB, c commune.ID, f func(Number, blob.Digest) error) error {
	rows, err := db.Query(ctx, `SELECT number, attached, content, document FROM orders_paper WHERE commune = $1 ORDER BY number`, string(c))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var number, attached, content, document string
		if err := rows.Scan(&number, &attached, &content, &document); err != nil {
			return err
		}
		for _, text := range []string{attached, content, document} {
			if text == "" {
				continue
			}
			digest, err := blob.ParseDigest(text)
			if err == nil {
				err = f(Number(number), digest)
			}
			if err != nil {
				return fmt.Errorf("paper %s: %w", number, err)
			}
		}
	}
	return rows.Err()
}

// row is an order with what does not leave the package.
type row struct {
	Order
	formHash  string
	person    string // HMAC of the national number
	household string // HMACs of those the person lives with
	sealed    []byte // the national number
	token     string // of the QR; "" while there is no paper
}

// numberless says whether the person is known by their subject only.
func (r row) numberless() bool { return strings.HasPrefix(r.person, numberless) }

const selectOrder = `SELECT
	o.id, o.reference, o.product, o.product_version, o.state, o.version, o.subject, o.form_hash, o.person, o.household, o.number_sealed,
	o.given_names, o.surname, o.language, o.answers, o.attention, o.submitted_at, o.due_on, o.changed_at, o.changed_by, o.refusal, o.way,
	o.assignee, o.assignee_name, o.assigned_at, o.answered_at, o.closed_at, o.paused_at,
	COALESCE(p.number, ''), COALESCE(p.token, ''), COALESCE(p.code, ''), COALESCE(p.content, ''), COALESCE(p.holder, ''), COALESCE(p.told, ''), p.prepared_at,
	COALESCE(p.prepared_by, ''), COALESCE(p.signatory, ''), COALESCE(p.signatory_name, ''), COALESCE(p.signatory_office, ''), COALESCE(p.document, ''), p.signed_at, p.issued_at, COALESCE(p.level, ''), COALESCE(p.signer, ''),
	COALESCE(p.specimen, 0), COALESCE(p.void, 0), COALESCE(p.source, ''),
	COALESCE(p.attached, ''), COALESCE(p.attachment, ''), COALESCE(p.access, '')
	FROM orders_order o LEFT JOIN orders_paper p ON p.commune = o.commune AND p.order_id = o.id
	WHERE o.commune = $1 `

type scanner interface{ Scan(dest ...any) error }

func (s *Service) scan(c commune.ID, from scanner) (row, error) {
	r := row{Order: Order{Commune: c}}
	var (
		p                              Paper
		product, answers, due, refusal string
		version                        int
		submitted, changed             sqldb.Time
		assigned, answered             int64
		closed, paused                 int64
		prepared, signed, issued       sqldb.Time
		specimen, void                 int64
		attached, attachment, access   string
	)
	if err := from.Scan(
		&r.ID, &r.Reference, &product, &version, &r.State, &r.Version, &r.Subject, &r.formHash, &r.person, &r.household, &r.sealed,
		&r.GivenNames, &r.Surname, &r.Language, &answers, &r.Attention, &submitted, &due, &changed, &r.ChangedBy, &refusal, &r.Way,
		&r.Assignee.Subject, &r.Assignee.Name, &assigned, &answered, &closed, &paused,
		&p.Number, &r.token, &p.Code, &p.Content, &p.Holder, &p.Household, &prepared,
		&p.PreparedBy, &p.Signatory.Subject, &p.Signatory.Name, &p.Signatory.Office, &p.Document, &signed, &issued, &p.Level, &p.Signer,
		&specimen, &void, &p.Source,
		&attached, &attachment, &access,
	); err != nil {
		return row{}, err
	}
	var ok bool
	if r.Product, ok = s.Catalogue.Version(product, version); !ok {
		return row{}, fmt.Errorf("order %s: product %s has no version %d any more", r.ID, product, version)
	}
	if err := json.Unmarshal([]byte(answers), &r.Answers); err != nil {
		return row{}, fmt.Errorf("order %s: answers: %w", r.ID, err)
	}
	if refusal != "" {
		r.Refusal = new(Refusal)
		if err := json.Unmarshal([]byte(refusal), r.Refusal); err != nil {
			return row{}, fmt.Errorf("order %s: refusal: %w", r.ID, err)
		}
	}
	var err error
	if r.DueOn, err = time.ParseInLocation(time.DateOnly, due, i18n.Brussels()); err != nil {
		return row{}, fmt.Errorf("order %s: due: %w", r.ID, err)
	}
	r.Reference = grouped(r.Reference)
	r.SubmittedAt, r.ChangedAt = submitted.Time, changed.Time
	r.AssignedAt, r.AnsweredAt, r.ClosedAt, r.PausedAt = sinceZero(assigned), sinceZero(answered), sinceZero(closed), sinceZero(paused)
	if p.Number != "" {
		p.PreparedAt, p.SignedAt, p.IssuedAt = prepared.Time, signed.Time, issued.Time
		p.Specimen, p.Void = specimen == 1, void == 1
		if p.Source != "" {
			p.Number = shown(string(p.Number))
		}
		if err := p.scanFile(attached, attachment, access); err != nil {
			return row{}, fmt.Errorf("order %s: its file: %w", r.ID, err)
		}
		r.Paper = &p
	}
	return r, nil
}

// load reads one order as it is committed now.
func (s *Service) load(ctx context.Context, c commune.ID, id string) (row, error) {
	if _, err := s.commune(c); err != nil {
		return row{}, err
	}
	r, err := s.scan(c, s.DB.QueryRow(ctx, selectOrder+`AND o.id = $2`, string(c), id))
	if errors.Is(err, sqldb.ErrNoRows) {
		return row{}, errNotFound
	}
	if err != nil {
		return row{}, err
	}
	return r, errors.Join(s.link(ctx, &r), s.entry(ctx, &r), s.fee(ctx, &r))
}

func (s *Service) list(ctx context.Context, c commune.ID, where string, args ...any) ([]Order, error) {
	found, err := s.rows(ctx, c, where, args...)
	var list []Order
	for _, r := range found {
		list = append(list, r.Order)
	}
	return list, err
}

func (s *Service) rows(ctx context.Context, c commune.ID, where string, args ...any) ([]row, error) {
	rows, err := s.DB.Query(ctx, selectOrder+where, append([]any{string(c)}, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []row
	for rows.Next() {
		r, err := s.scan(c, rows)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// insert adds a new order with its fee; false where this form has made one already.
func insert(tx *sqldb.Tx, r row, formKey, searchName string) (bool, error) {
	answers, err := json.Marshal(r.Answers)
	if err != nil {
		return false, err
	}
	res, err := tx.Exec(`INSERT INTO orders_order (
		commune, id, reference, product, product_version, state, version, subject, form_key, form_hash, person, number_sealed,
		given_names, surname, search_name, language, answers, attention, submitted_at, due_on, changed_at, changed_by, refusal, household, way)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, '', $23, $24)
		ON CONFLICT (commune, subject, form_key) DO NOTHING`,
		string(r.Commune), r.ID, r.Reference, r.Product.ID, r.Product.Version, string(r.State), r.Version, r.Subject, formKey, r.formHash, r.person, r.sealed,
		r.GivenNames, r.Surname, searchName, string(r.Language), string(answers), string(r.Attention),
		sqldb.Micros(r.SubmittedAt), r.DueOn.Format(time.DateOnly), sqldb.Micros(r.ChangedAt), r.ChangedBy, r.household, string(r.Way))
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return false, err
	}
	return true, addFee(tx, r.Commune, r.ID, r.Fee)
}

// errMoved is the answer of step when somebody else was first.
var errMoved = errors.New("the order has moved")

// step moves an order on, if it still is as r has it, and notes who did it.
func (s *Service) step(tx *sqldb.Tx, r row, to State, by Actor, at time.Time) error {
	if !May(r.State, to, by.Kind) {
		return errMoved
	}
	closed, answered := r.ClosedAt, r.AnsweredAt
	switch {
	case to.Open():
		closed = time.Time{}
	case closed.IsZero():
		closed = at
	}
	if by.Kind == ByClerk {
		answered = time.Time{} // whoever goes on has read it
	}
	due, paused := r.DueOn, time.Time{}
	if to == AwaitingCitizen {
		paused = at
	} else if !r.PausedAt.IsZero() {
		of, err := s.commune(r.Commune)
		if err != nil {
			return err
		}
		due = Postponed(of.Calendar(), due, r.PausedAt, at)
	}
	if err := one(tx.Exec(`UPDATE orders_order SET state = $1, version = version + 1, changed_at = $2, changed_by = $3, closed_at = $4, answered_at = $5, due_on = $6, paused_at = $7
		WHERE commune = $8 AND id = $9 AND version = $10 AND state = $11`,
		string(to), sqldb.Micros(at), by.Name, orZero(closed), orZero(answered), due.Format(time.DateOnly), orZero(paused), string(r.Commune), r.ID, r.Version, string(r.State))); err != nil {
		return err
	}
	return letterWaits(tx, r, to)
}

// sinceZero and orZero keep a time that may be none as 0, which an index can be asked for.
func sinceZero(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return sqldb.FromMicros(micros)
}

func orZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return sqldb.Micros(t)
}

// one makes errMoved of an update that found no row.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errMoved, err)
	}
	return nil
}

func addEvent(tx *sqldb.Tx, c commune.ID, order string, e Event) error {
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO orders_event (commune, order_id, seq, at, kind, shown, actor, subject, name, detail)
		SELECT $1, $2, COALESCE(MAX(seq), 0) + 1, $3, $4, $5, $6, $7, $8, $9 FROM orders_event WHERE commune = $1 AND order_id = $2`,
		string(c), order, sqldb.Micros(e.At), string(e.Kind), bit(e.Public), string(e.Actor.Kind), e.Actor.Subject, e.Actor.Name, string(detail))
	return err
}

func (s *Service) events(ctx context.Context, c commune.ID, order string, publicOnly bool) ([]Event, error) {
	query := `SELECT seq, at, kind, shown, actor, subject, name, detail FROM orders_event WHERE commune = $1 AND order_id = $2 `
	if publicOnly {
		query += `AND shown = 1 `
	}
	rows, err := s.DB.Query(ctx, query+`ORDER BY seq`, string(c), order)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Event
	for rows.Next() {
		var e Event
		var at sqldb.Time
		var shown int64
		var detail string
		if err := rows.Scan(&e.Seq, &at, &e.Kind, &shown, &e.Actor.Kind, &e.Actor.Subject, &e.Actor.Name, &detail); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(detail), &e.Detail); err != nil {
			return nil, fmt.Errorf("order %s: event %d: %w", order, e.Seq, err)
		}
		e.At, e.Public = at.Time, shown == 1
		list = append(list, e)
	}
	return list, rows.Err()
}

// nextNumber counts one up. The row's lock orders those who count at the same time,
// and a rollback takes the number back: no gaps.
func nextNumber(tx *sqldb.Tx, c commune.ID, year int) (Number, error) {
	var last int64
	err := tx.QueryRow(`INSERT INTO orders_counter (commune, year, last) VALUES ($1, $2, 1)
		ON CONFLICT (commune, year) DO UPDATE SET last = orders_counter.last + 1 RETURNING last`, string(c), year).Scan(&last)
	return numberOf(year, last), err
}

// Skipped is a stretch of numbers that a commune will never give.
type Skipped struct {
	Year  int
	After Number // the last that is known to have been given
	Next  Number // the one that comes next
}

// SkipNumbers makes every counter of a commune jump by at least gap, up to the year of
// now, and says where. After an older state of the database was restored, numbers that
// were given since are not known: none of them may be given to another paper.
func SkipNumbers(tx *sqldb.Tx, c commune.ID, now time.Time, gap int64) ([]Skipped, error) {
	last, err := counters(tx, c)
	if err != nil {
		return nil, err
	}
	first := now.In(i18n.Brussels()).Year()
	final := first
	for year := range last {
		first, final = min(first, year), max(final, year)
	}
	var all []Skipped
	for year := first; year <= final; year++ {
		known := last[year]         // 0: a year that began since
		to := (known/gap + 2) * gap // a round number shows that it was meant
		if _, err := tx.Exec(`INSERT INTO orders_counter (commune, year, last) VALUES ($1, $2, $3)
			ON CONFLICT (commune, year) DO UPDATE SET last = excluded.last`, string(c), year, to); err != nil {
			return nil, err
		}
		all = append(all, Skipped{year, numberOf(year, known), numberOf(year, to+1)})
	}
	return all, nil
}

// counters are the last numbers of a commune, by year.
func counters(tx *sqldb.Tx, c commune.ID) (map[int]int64, error) {
	rows, err := tx.Query(`SELECT year, last FROM orders_counter WHERE commune = $1`, string(c))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := map[int]int64{}
	for rows.Next() {
		var year int
		var n int64
		if err := rows.Scan(&year, &n); err != nil {
			return nil, err
		}
		last[year] = n
	}
	return last, rows.Err()
}

// allocate gives an order its paper's number, token and code, once.
func allocate(tx *sqldb.Tx, c commune.ID, order string, n Number, token, code string, at time.Time) error {
	_, err := tx.Exec(`INSERT INTO orders_paper (commune, order_id, number, token, token_hash, code, allocated_at,
		content, holder, prepared_by, grant_id, document, level, signer, specimen, void)
		VALUES ($1, $2, $3, $4, $5, $6, $7, '', '', '', '', '', '', '', 0, 0)`,
		string(c), order, string(n), token, hashToken(token), code, sqldb.Micros(at))
	return err
}

// placeholders are $from, $from+1, ... for a list of n values.
func placeholders(from, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("$%d", from+i)
	}
	return strings.Join(list, ", ")
}
