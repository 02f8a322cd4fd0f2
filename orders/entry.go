package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
)

// Orders that a clerk makes for somebody at the counter, on the phone or by letter. They
// belong to the person, who is known by their number: until they sign in with it, the
// order has a subject of its own kind, which no provider gives.

// Besides Online: an order that a clerk has entered.
const (
	Counter Channel = "counter"
	Phone   Channel = "phone"
	Post    Channel = "post"
)

// Key is the message key of the channel's name.
func (c Channel) Key() string { return "counter.channel." + string(c) }

// Identified is how a clerk checked who asks.
type Identified string

const (
	CardRead     Identified = "card_read"     // the card was read and its signatures checked, the photo compared with the person
	CardSeen     Identified = "card_seen"     // identity card or residence permit, in the clerk's hand
	PassportSeen Identified = "passport_seen" // or another official document with a photograph
	CalledBack   Identified = "called_back"   // on a number that the commune had
	Questions    Identified = "questions"     // questions whose answers the register knows
	LetterCopy   Identified = "letter_copy"   // a signed letter with a copy of the card
)

// Key is the message key of its words.
func (i Identified) Key() string { return "counter.identified." + string(i) }

// Ways are the channels a clerk enters orders from, and how identity is checked in each by
// the clerk's own word. CardRead is nobody's word: it comes with a reading.
var Ways = []struct {
	Channel    Channel
	Identified []Identified
}{
	{Counter, []Identified{CardSeen, PassportSeen}},
	{Phone, []Identified{CalledBack, Questions}},
	{Post, []Identified{LetterCopy}},
}

// Entry is how a clerk came to make an order for somebody.
type Entry struct {
	Channel    Channel
	Identified Identified
	By         string // name of the clerk
	Came       Came   // who asked
	// Document and Ending are the identity document by which the person was taken down, and
	// the last characters of its number; "" where they were not.
	Document DocumentKind
	Ending   string
	// Paid is the fee that the clerk has taken with it, zero where none was; Enter reads it
	// and Order.Fee tells it afterwards.
	Paid Paid
}

// Paid is a fee as it is taken at the counter.
type Paid struct {
	How    Payment
	Number string // of the receipt
}

// known says whether channel and way of checking go together. A card is read where there
// is a reading of it, and then nothing weaker is said.
func (e Entry) known(who Applicant) bool {
	if read := who.Reading != ""; read || e.Identified == CardRead {
		return read && e.Identified == CardRead && e.Channel == Counter
	}
	if shown := who.Shown != nil; shown || e.Identified == DocumentShown {
		return shown && e.Identified == DocumentShown && e.Channel == Counter
	}
	for _, w := range Ways {
		if w.Channel == e.Channel {
			return slices.Contains(w.Identified, e.Identified)
		}
	}
	return false
}

// Applicant is somebody in front of a clerk: by the card that was read, by the number that the
// clerk has typed, or as an identity document says.
type Applicant struct {
	Number  eid.NationalNumber
	Reading string // the permission by which the card was read
	Session string // in which it was
	Shown   *Shown // where no register knows them, and nothing else is told
}

// unclaimed begins the subject of a person who has not signed in since an order was
// entered for them.
const unclaimed = "entered/"

// PrefillFor asks the register about somebody in front of a clerk, which is logged (T11).
// Faults: those of Prefill; counter.not_registered (Conflict) for a paper that rests on no
// register and whose person comes by number or card; shown.registered (Conflict) for one that
// does, where they come by a document; shown.name_wrong, shown.birth_wrong, shown.document_wrong
// and shown.ending_wrong (Invalid); orders.own (Forbidden) where it is the clerk; those of ReadCard about a reading.
func (s *Service) PrefillFor(ctx context.Context, c commune.ID, clerk Clerk, who Applicant, product string) (Prefill, error) {
	q, err := s.inquire(ctx, c, clerk, who, product)
	if err != nil {
		return Prefill{}, err
	}
	came, err := s.cameChoice(ctx, c, q)
	if err != nil {
		return Prefill{}, err
	}
	of, err := s.commune(c)
	if err != nil {
		return Prefill{}, err
	}
	tariff, err := fee.Of(of, q.product)
	if err != nil {
		return Prefill{}, err
	}
	return Prefill{Product: q.product, Answers: q.answers, Languages: of.DocumentLanguages(), Attention: q.attention, Tariff: Offered(tariff, q.answers), Came: came}, nil
}

// inquiry is what is known of the person of an entry.
type inquiry struct {
	person    Person
	name      string // by which orders know them: the HMAC
	product   *catalogue.Product
	answers   []Answer
	attention Attention
	child     bool // asks for nothing alone
	minor     bool
	shown     *Shown // nil where a register knows them
}

// inquire asks the register about the person of an entry.
func (s *Service) inquire(ctx context.Context, c commune.ID, clerk Clerk, who Applicant, product string) (q inquiry, err error) {
	if who.Shown != nil {
		return s.takeDown(c, clerk, *who.Shown, product)
	}
	number, read := who.Number, Reading{}
	if who.Reading != "" {
		if read, err = s.reading(ctx, c, clerk, who.Session, who.Reading); err != nil {
			return q, err
		}
		number = read.Number
	}
	of, err := s.commune(c)
	if err != nil {
		return q, err
	}
	if q.product, err = s.Product(c, product); err != nil {
		return q, err
	}
	if !q.product.Registered() || number.IsZero() {
		return q, fault.New(fault.Conflict, "counter.not_registered", nil)
	}
	person, err := s.vault.person(c, number, "")
	if err != nil {
		return q, err
	}
	if err := s.notOwn(row{person: person, Order: Order{Commune: c, Subject: unclaimed + person}}, clerk); err != nil {
		return q, err
	}
	at := s.now()
	if err := s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		return s.Audit.Append(tx, audit.Entry{Commune: c, At: at, Actor: clerk.Subject, Action: "orders.inquired", Subject: person, Detail: map[string]string{"product": q.product.ID}})
	}); err != nil {
		return q, err
	}
	r, err := s.Register.Residence(ctx, number)
	if err == nil {
		err = inside(of, r)
	}
	if err != nil {
		return q, err
	}
	for _, f := range facts(r, of.Languages()[0]) {
		q.answers = append(q.answers, Answer{f.name, f.value, FromRegister})
	}
	q.name = person
	q.person = Person{Subject: unclaimed + person, Number: number, GivenNames: r.GivenNames, Surname: r.Surname, BirthDate: string(r.BirthDate)}
	if who.Reading != "" {
		q.person.GivenNames, q.person.Surname = read.GivenNames, read.Surname
		q.answers = read.fromCard(q.answers)
	}
	q.attention = attentionOf(r, q.person.Surname)
	q.child = read.Child || younger(q.person.BirthDate, alone, s.today())
	q.minor = q.child || younger(q.person.BirthDate, adult, s.today())
	return q, nil
}

// Enter makes an order for somebody, or returns the one that this form has made. It is
// made, and decided, like any other; whoever entered it may decide it. Faults: those of
// PrefillFor and Submit but for too many open orders; counter.way_wrong (Invalid) where
// the channel and the way of checking do not go together; came.child, came.who,
// came.name_wrong, came.proof_wrong and came.days_wrong (Invalid) and came.over (Conflict)
// about who came; fee.how_missing and fee.number_wrong (Invalid) and fee.nothing_owed
// (Conflict) about what was paid.
func (s *Service) Enter(ctx context.Context, c commune.ID, clerk Clerk, e Entry, who Applicant, sub Submission) (Order, error) {
	if !e.known(who) {
		return Order{}, fault.New(fault.Invalid, "counter.way_wrong", nil)
	}
	of, err := s.commune(c)
	if err != nil {
		return Order{}, err
	}
	q, err := s.inquire(ctx, c, clerk, who, sub.Product)
	if errors.Is(err, errReadingUsed) { // by this form, perhaps: a second click
		if made, again := s.enteredBefore(ctx, of, clerk, who, sub); !errors.Is(again, errNotFound) {
			return made, again
		}
	}
	if err != nil {
		return Order{}, err
	}
	if e.Came, err = s.cameChecked(ctx, c, clerk, q, e.Came); err != nil {
		return Order{}, err
	}
	p, chosen, answers := q.person, q.product, q.answers
	tariff, err := fee.Of(of, chosen)
	if err != nil {
		return Order{}, err
	}
	typed, err := recheck(chosen, tariff, sub, of)
	if err != nil {
		return Order{}, err
	}
	if sub.Version != chosen.Version {
		return Order{}, fault.New(fault.Conflict, "orders.product_changed", nil)
	}
	cost, err := charge(tariff, typed, answers, sub.Price)
	if err != nil {
		return Order{}, err
	}
	for _, name := range asked(chosen, tariff) {
		if typed[name] != "" {
			answers = append(answers, Answer{string(name), typed[name], FromPerson})
		}
	}
	hash := hashForm(sub.Product, sub.Version, typed)
	r, err := s.newOrder(ctx, of, chosen, p, answers, q.attention, hash)
	if err != nil {
		return Order{}, err
	}
	r.Fee = cost
	if e.Paid != (Paid{}) {
		if !cost.Owed() || e.Channel != Counter {
			return Order{}, fault.New(fault.Conflict, "fee.nothing_owed", nil)
		}
		if e.Paid.Number, err = receiptNumber(e.Paid.How, e.Paid.Number); err != nil {
			return Order{}, err
		}
	}
	if err := s.notOwn(r, clerk); err != nil { // those they live with
		return Order{}, err
	}
	r.Language, r.ChangedBy = pageLanguage(of, r.DocumentLanguage()), clerk.Name
	if err := s.enter(ctx, r, clerk, e, who, q.shown, sub.Key); err != nil {
		return Order{}, err
	}
	made, err := s.made(ctx, c, p.Subject, sub.Key, hash)
	if err != nil {
		return Order{}, err
	}
	return s.Get(ctx, c, made.ID)
}

// enteredBefore is the order that the form of a reading has made: the reading is used up, and
// would refuse a second click.
func (s *Service) enteredBefore(ctx context.Context, of *commune.Commune, clerk Clerk, who Applicant, sub Submission) (Order, error) {
	person, err := s.readingOf(ctx, of.ID, clerk, who.Session, who.Reading)
	if err != nil {
		return Order{}, err
	}
	chosen, err := s.Product(of.ID, sub.Product)
	if err != nil {
		return Order{}, err
	}
	tariff, err := fee.Of(of, chosen)
	if err != nil {
		return Order{}, err
	}
	typed, err := recheck(chosen, tariff, sub, of)
	if err != nil {
		return Order{}, err
	}
	made, err := s.made(ctx, of.ID, unclaimed+person, sub.Key, hashForm(sub.Product, sub.Version, typed))
	if err != nil {
		return Order{}, err
	}
	return s.Get(ctx, of.ID, made.ID)
}

// enter writes an entered order, or nothing where its form has made one.
func (s *Service) enter(ctx context.Context, r row, clerk Clerk, e Entry, who Applicant, shown *Shown, key string) error {
	by := clerk.actor()
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		added, err := insert(tx, r, key, searchName(r.Surname, r.GivenNames))
		if err != nil || !added {
			return err
		}
		if who.Reading != "" {
			if err := s.useReading(tx, r.Commune, clerk, who.Session, who.Reading, r.person, r.SubmittedAt); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(`INSERT INTO orders_entry (commune, order_id, channel, identified, by_subject, by_name) VALUES ($1, $2, $3, $4, $5, $6)`,
			string(r.Commune), r.ID, string(e.Channel), string(e.Identified), clerk.Subject, clerk.Name); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE orders_order SET channel = $1 WHERE commune = $2 AND id = $3`, string(e.Channel), string(r.Commune), r.ID); err != nil {
			return err
		}
		if err := addEvent(tx, r.Commune, r.ID, Event{At: r.SubmittedAt, Actor: by, Kind: EventEntered, Public: true}); err != nil {
			return err
		}
		if err := addShown(tx, r, shown); err != nil {
			return err
		}
		if err := s.addCame(tx, r, clerk, e.Came); err != nil {
			return err
		}
		if err := s.note(tx, r, by, "orders.entered", r.SubmittedAt, map[string]string{
			"product": r.Product.ID, "channel": string(e.Channel), "identified": string(e.Identified), "came": string(e.Came.As),
		}); err != nil {
			return err
		}
		if e.Paid != (Paid{}) {
			if err := s.addReceipt(tx, r, by, e.Paid.How, e.Paid.Number, r.SubmittedAt); err != nil {
				return err
			}
			paid := *r.Fee
			paid.Received = &Receipt{At: r.SubmittedAt}
			r.Fee = &paid
		}
		return s.begins(tx, r)
	})
}

// Claim gives a person who has signed in the orders that were entered for their number
// before. It may be asked at each visit.
func (s *Service) Claim(ctx context.Context, c commune.ID, p Person) error {
	if _, err := s.commune(c); err != nil {
		return err
	}
	if p.Number.IsZero() || p.Subject == "" || strings.HasPrefix(p.Subject, unclaimed) {
		return nil
	}
	person, err := s.vault.person(c, p.Number, "")
	if err != nil {
		return err
	}
	var id string
	err = s.DB.QueryRow(ctx, `SELECT id FROM orders_order WHERE commune = $1 AND subject = $2 LIMIT 1`, string(c), unclaimed+person).Scan(&id)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	at := s.now()
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		res, err := tx.Exec(`UPDATE orders_order SET subject = $1 WHERE commune = $2 AND subject = $3`, p.Subject, string(c), unclaimed+person)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		return s.Audit.Append(tx, audit.Entry{Commune: c, At: at, Actor: p.Subject, Action: "orders.claimed", Subject: person, Detail: map[string]string{"orders": fmt.Sprint(n)}})
	})
}

// entry reads how an order came, where a clerk entered it.
func (s *Service) entry(ctx context.Context, r *row) error {
	e := Entry{}
	err := s.DB.QueryRow(ctx, `SELECT channel, identified, by_name FROM orders_entry WHERE commune = $1 AND order_id = $2`, string(r.Commune), r.ID).
		Scan(&e.Channel, &e.Identified, &e.By)
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Document, e.Ending, err = s.shownFor(ctx, r.Commune, r.ID); err != nil {
		return err
	}
	e.Came, err = s.came(ctx, r.Commune, r.ID)
	r.Entry = &e
	return err
}

// Sealed returns an issued paper for a clerk to print for the person, and logs it. Faults:
// orders.not_found; orders.own (Forbidden); orders.not_issued and withdrawal.no_file (Conflict).
func (s *Service) Sealed(ctx context.Context, c commune.ID, id string, clerk Clerk) (File, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return File{}, err
	}
	if err := s.notOwn(r, clerk); err != nil {
		return File{}, err
	}
	switch r.State {
	case Issued:
	case Withdrawn:
		return File{}, fault.New(fault.Conflict, "withdrawal.no_file", nil)
	default:
		return File{}, fault.New(fault.Conflict, "orders.not_issued", nil)
	}
	if err := s.looked(ctx, r, clerk, "orders.printed"); err != nil {
		return File{}, err
	}
	return s.file(ctx, r, r.Paper.Document, "")
}
