package orders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/register"
)

// Who came: whoever asks a clerk for a paper is its person, a parent with whom a child lives,
// the holder of a mandate, or whom a judge or the law has put in the person's place. What a
// clerk has seen of it is kept with the order. It gives no right to ask online.

// CameAs is on what ground somebody asks.
type CameAs string

const (
	AsSelf     CameAs = "self"
	AsParent   CameAs = "parent"   // of a child, in whose household the register tells them
	AsMandated CameAs = "mandate"  // by the person
	AsGuardian CameAs = "guardian" // guardian, administrator, or a parent whom the register does not tell: by an act or a judgment
)

// CameAses lists every ground, in the order of the page.
var CameAses = []CameAs{AsSelf, AsParent, AsMandated, AsGuardian}

// Key is the message key of its words.
func (a CameAs) Key() string { return "came.as." + string(a) }

// Came is who asked. Its zero value is nobody, for orders of before this was kept.
type Came struct {
	As    CameAs
	Name  string // "" where it is the person
	Proof string // that the clerk has seen; "" where the register or the identity is it
	// From and To are the days of a mandate that stands, YYYY-MM-DD, both included; "" where
	// it is for this order only.
	From, To string
	// RestsOn is the order with which a standing mandate was recorded, where this one relies on it.
	RestsOn string

	CheckedBy string // the clerk
	CheckedAt time.Time
	EndedBy   string // who has ended what stood; "" while nobody has
	EndedAt   time.Time
}

// Standing says whether it was recorded for more than its own order.
func (c Came) Standing() bool { return c.To != "" }

// Stands says whether another order may rely on it on a day.
func (c Came) Stands(day string) bool {
	return c.Standing() && c.EndedAt.IsZero() && c.From <= day && day <= c.To
}

// MaxProof and MaxCameName are the longest texts about who came, in characters;
// maxMandate how long a mandate may stand before it is to be seen again, in years.
const (
	MaxCameName = 100
	MaxProof    = 200
	maxMandate  = 5
)

// alone is the age from which somebody may ask for their own paper; younger people's cards
// have no certificates either (royal decree of 10 December 1996 on identity papers of children).
const alone = 12

const adult = 18

// CameChoice is who may have come for a person.
type CameChoice struct {
	Self     bool     // the person may ask: they are no child
	Parents  []string // names, as the register tells; of a minor only
	Mandates []Came   // that stand today
}

// cameChoice asks the register and the mandates that stand.
func (s *Service) cameChoice(ctx context.Context, c commune.ID, q inquiry) (CameChoice, error) {
	list := CameChoice{Self: !q.child}
	if q.minor {
		members, err := s.members(ctx, q.product, q.person.Number)
		if err != nil {
			return CameChoice{}, err
		}
		list.Parents = parentsOf(q, members, s.today())
	}
	var err error
	list.Mandates, err = s.mandates(ctx, c, q.name)
	return list, err
}

// parentsOf are the names of those who, by the register, may be parents of a child: the
// adults whose relation to the reference person leads to the child's. Of a grandchild nobody
// is: an aunt would be too.
func parentsOf(q inquiry, members []register.Member, today string) (names []string) {
	n := slices.IndexFunc(members, func(m register.Member) bool { return m.Number == q.person.Number })
	if n < 0 || q.person.Number.IsZero() {
		return nil
	}
	wanted := map[register.Relation][]register.Relation{
		"child": {"reference", "spouse", "partner"}, "stepchild": {"spouse", "partner"}, "reference": {"parent"}, "sibling": {"parent"},
	}[members[n].Relation]
	for _, m := range members {
		if slices.Contains(wanted, m.Relation) && !m.LivesElsewhere && !younger(string(m.BirthDate), adult, today) {
			names = append(names, holder(register.Residence{GivenNames: m.GivenNames, Surname: m.Surname}))
		}
	}
	return names
}

// younger says whether somebody born on a day is surely younger than so many years. Where
// month or day are not known, the earliest one counts.
func younger(birth string, years int, today string) bool {
	day, ok := register.ParseDay(birth)
	if !ok {
		return false
	}
	year, err := strconv.Atoi(string(day[:4]))
	return err == nil && fmt.Sprintf("%04d%s", year+years, day[4:]) > today
}

// mandates are those that stand today for a person.
func (s *Service) mandates(ctx context.Context, c commune.ID, person string) ([]Came, error) {
	today := s.today()
	rows, err := s.DB.Query(ctx, selectCame+`AND person = $2 AND to_day >= $3 AND from_day <= $3 AND from_day <> '' AND ended_at = 0 ORDER BY at, order_id`, string(c), person, today)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Came
	for rows.Next() {
		one, order, err := scanCame(rows)
		if err != nil {
			return nil, err
		}
		one.RestsOn = order
		list = append(list, one)
	}
	return list, rows.Err()
}

const selectCame = `SELECT order_id, kind, name, proof, from_day, to_day, rests_on, by_name, at, ended_at, ended_by FROM orders_came WHERE commune = $1 `

func scanCame(from scanner) (c Came, order string, err error) {
	var at, ended int64
	err = from.Scan(&order, &c.As, &c.Name, &c.Proof, &c.From, &c.To, &c.RestsOn, &c.CheckedBy, &at, &ended, &c.EndedBy)
	c.CheckedAt, c.EndedAt = sinceZero(at), sinceZero(ended)
	return c, order, err
}

// came reads who asked for an order.
func (s *Service) came(ctx context.Context, c commune.ID, order string) (Came, error) {
	one, _, err := scanCame(s.DB.QueryRow(ctx, selectCame+`AND order_id = $2`, string(c), order))
	if errors.Is(err, sqldb.ErrNoRows) {
		return Came{}, nil
	}
	return one, err
}

// Faults of who came; each belongs to a field of the page.
var (
	errCameChild = fault.New(fault.Invalid, "came.child", nil)      // a child asks for nothing alone
	errCameWho   = fault.New(fault.Invalid, "came.who", nil)        // no ground, or a parent whom the register does not tell
	errCameName  = fault.New(fault.Invalid, "came.name_wrong", nil) // no name on one line
	errCameProof = fault.New(fault.Invalid, "came.proof_wrong", nil)
	errCameDays  = fault.New(fault.Invalid, "came.days_wrong", nil)
	errCameOver  = fault.New(fault.Conflict, "came.over", nil) // the mandate that it relies on stands no more
)

// cameChecked is who came as it is to be written, or the fault of what was typed.
func (s *Service) cameChecked(ctx context.Context, c commune.ID, clerk Clerk, q inquiry, typed Came) (Came, error) {
	typed = Came{As: cmp.Or(typed.As, AsSelf), Name: typed.Name, Proof: typed.Proof, From: typed.From, To: typed.To, RestsOn: typed.RestsOn}
	if typed.As == AsSelf {
		if q.child {
			return Came{}, errCameChild
		}
		return Came{As: AsSelf}, nil
	}
	choice, err := s.cameChoice(ctx, c, q)
	if err != nil {
		return Came{}, err
	}
	var made Came
	switch {
	case typed.As == AsParent:
		if !slices.Contains(choice.Parents, typed.Name) {
			return Came{}, errCameWho
		}
		return Came{As: AsParent, Name: typed.Name}, nil
	case !slices.Contains(CameAses, typed.As):
		return Came{}, errCameWho
	case typed.RestsOn != "":
		n := slices.IndexFunc(choice.Mandates, func(m Came) bool { return m.RestsOn == typed.RestsOn })
		if n < 0 {
			return Came{}, errCameOver
		}
		m := choice.Mandates[n]
		made = Came{As: m.As, Name: m.Name, Proof: m.Proof, RestsOn: m.RestsOn}
	default:
		if made, err = s.cameTyped(typed); err != nil {
			return Came{}, err
		}
	}
	if mayBe(Order{Surname: made.Name}, clerk.Name) { // nobody serves themselves, whoever they stand for
		return Came{}, fault.New(fault.Forbidden, "orders.own", nil)
	}
	return made, nil
}

// cameTyped reads what a clerk has typed about a mandate or a judgment.
func (s *Service) cameTyped(typed Came) (Came, error) {
	made := Came{As: typed.As, From: typed.From, To: typed.To}
	var good bool
	if made.Name, good = oneLine(typed.Name, MaxCameName); !good || words(made.Name) == "" {
		return Came{}, errCameName
	}
	if made.Proof, good = oneLine(typed.Proof, MaxProof); !good {
		return Came{}, errCameProof
	}
	if typed.From == "" && typed.To == "" {
		return made, nil
	}
	today := s.today()
	made.From = cmp.Or(typed.From, today)
	from, err := time.Parse(time.DateOnly, made.From)
	if err != nil {
		return Came{}, errCameDays
	}
	if _, err := time.Parse(time.DateOnly, made.To); err != nil || made.To < made.From || made.To < today || made.From > today || made.To > from.AddDate(maxMandate, 0, 0).Format(time.DateOnly) {
		return Came{}, errCameDays
	}
	return made, nil
}

// oneLine is what a clerk has typed on one line, which must be there.
func oneLine(raw string, max int) (string, bool) {
	text, fault := form.Text(raw, 1, max)
	return text, fault == "" && !strings.Contains(text, "\n")
}

// addCame writes who asked, and tells the person where it was somebody else.
func (s *Service) addCame(tx *sqldb.Tx, r row, clerk Clerk, came Came) error {
	if _, err := tx.Exec(`INSERT INTO orders_came (commune, order_id, person, kind, name, proof, from_day, to_day, rests_on, by_subject, by_name, at, ended_at, ended_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, '')`,
		string(r.Commune), r.ID, r.person, string(came.As), came.Name, came.Proof, came.From, came.To, came.RestsOn, clerk.Subject, clerk.Name, sqldb.Micros(r.SubmittedAt)); err != nil {
		return err
	}
	if came.As == AsSelf {
		return nil
	}
	if came.RestsOn != "" { // it may have been ended since it was looked at
		var stands int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM orders_came WHERE commune = $1 AND order_id = $2 AND person = $3 AND ended_at = 0`,
			string(r.Commune), came.RestsOn, r.person).Scan(&stands); err != nil {
			return err
		}
		if stands == 0 {
			return errCameOver
		}
	}
	return addEvent(tx, r.Commune, r.ID, Event{At: r.SubmittedAt, Actor: clerk.actor(), Kind: EventCame, Public: true, Detail: map[string]string{"Name": came.Name}})
}

// EndMandate ends the standing mandate that was recorded with an order: no other order can
// rely on it from now on. Faults: orders.not_found; orders.own (Forbidden); came.none
// (Conflict) where none stands with it.
func (s *Service) EndMandate(ctx context.Context, c commune.ID, id string, clerk Clerk) error {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return err
	}
	if err := s.notOwn(r, clerk); err != nil {
		return err
	}
	by, at := clerk.actor(), s.now()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := one(tx.Exec(`UPDATE orders_came SET ended_at = $1, ended_by = $2 WHERE commune = $3 AND order_id = $4 AND to_day <> '' AND ended_at = 0`,
			sqldb.Micros(at), clerk.Name, string(c), id)); err != nil {
			return err
		}
		if err := addEvent(tx, c, id, Event{At: at, Actor: by, Kind: EventMandateEnded, Public: true, Detail: map[string]string{"Name": r.Entry.Came.Name}}); err != nil {
			return err
		}
		return s.note(tx, r, by, "orders.mandate_ended", at, nil)
	})
	if errors.Is(err, errMoved) {
		return fault.New(fault.Conflict, "came.none", nil)
	}
	return err
}
