package orders

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/notice"
	"github.com/belfry-eid/belfry/orders/register"
)

// Following an order without signing in. Two things are needed: its reference, 40 random
// bits, and the day on which its person was born. The reference serves as the code: with
// the portal's limits (portal/follow) nobody meets one of somebody they mean in less than
// years, and they would learn less of it than a clerk says on the phone.

// Followed is what somebody may learn of an order without signing in.
type Followed struct {
	Product *catalogue.Product
	State   State
	DueOn   time.Time // the promised day, at midnight in Brussels
	Late    bool
}

// followedFor is how long a closed order can still be followed.
const followedFor = 90 * 24 * time.Hour

func errNotFollowed() error { return fault.New(fault.NotFound, "follow.unknown", nil) }

// ParseReference reads an order's reference as people type it.
func ParseReference(s string) (string, bool) { return code.Parse(s, referenceLength) }

// Follow is the state of the order with this reference, of a person born on this day. No
// such order, another day, an order that was closed long ago and one whose person's day of
// birth is not known are one and the same answer, on the same way: fault follow.unknown
// (NotFound). The portal limits how often anybody may ask.
func (s *Service) Follow(ctx context.Context, c commune.ID, reference string, born register.Day) (Followed, error) {
	if _, err := s.commune(c); err != nil {
		return Followed{}, err
	}
	typed, ok := ParseReference(reference)
	if !ok {
		return Followed{}, errNotFollowed()
	}
	id, answers := "", nobody
	var sealed []byte
	var closed int64
	err := s.DB.QueryRow(ctx, `SELECT id, answers, number_sealed, closed_at FROM orders_order WHERE commune = $1 AND reference = $2`,
		string(c), typed).Scan(&id, &answers, &sealed, &closed)
	if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
		return Followed{}, err
	}
	if err != nil { // something to open, for as long as it takes
		if sealed, err = s.vault.seal(c, "", eid.NationalNumber{}); err != nil {
			return Followed{}, err
		}
	}
	known, err := s.bornOn(c, id, answers, sealed)
	if err != nil {
		return Followed{}, err
	}
	long := closed != 0 && s.now().Sub(sqldb.FromMicros(closed)) > followedFor
	if !sameDay(known, born) || id == "" || long {
		return Followed{}, errNotFollowed()
	}
	r, err := s.scan(c, s.DB.QueryRow(ctx, selectOrder+`AND o.id = $2`, string(c), id))
	if err != nil {
		return Followed{}, err
	}
	return Followed{Product: r.Product, State: r.State, DueOn: r.DueOn, Late: r.Late(s.now())}, nil
}

// nobody are the answers of an order that is not there, to be read for as long as others.
var nobody = func() string {
	var list []Answer
	for _, name := range []string{GivenNames, Surname, Address, Since, Household, string(form.DocumentLanguage), string(form.Contact), string(form.Email), BirthDate} {
		list = append(list, Answer{name, "somebody's answer, of a usual length", FromRegister})
	}
	list[len(list)-1].Value = ""
	b, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings
	}
	return string(b)
}()

// sameDay compares in a time that tells nothing; "" is no day.
func sameDay(a, b register.Day) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1 && a != ""
}

// bornOn is the day on which an order's person was born: as the register has it where the
// paper says it, else as their number has it; "" where neither does.
func (s *Service) bornOn(c commune.ID, order, answers string, sealed []byte) (register.Day, error) {
	var list []Answer
	if err := json.Unmarshal([]byte(answers), &list); err != nil {
		return "", fmt.Errorf("order %s: answers: %w", order, err)
	}
	number, err := s.vault.open(c, order, sealed)
	if i := slices.IndexFunc(list, func(a Answer) bool { return a.Name == BirthDate }); i >= 0 {
		return register.Day(list[i].Value), nil
	}
	if err != nil { // somebody without a number, or no order at all
		return "", nil
	}
	if day, ok := number.BirthDate(); ok {
		return register.Day(day.Format(time.DateOnly)), nil
	}
	return "", nil
}

// CodesJob sends somebody the references of their open orders. It holds neither address nor
// day, but what can be compared with them.
type CodesJob struct {
	Commune commune.ID `json:"commune"`
	Mail    string     `json:"mail"` // HMACs
	Born    string     `json:"born"`
	At      int64      `json:"at"` // microseconds; names the mail
}

// Kind implements jobs.Args.
func (CodesJob) Kind() string { return "orders.codes" }

// One order's reference is sent once in codesEvery, and codesMost times in codesWithin: who
// knows somebody's address and day of birth cannot fill their letter box.
const (
	codesEvery  = time.Hour
	codesMost   = 3
	codesWithin = 24 * time.Hour
)

// SendCodes has the references of somebody's open orders sent to the address that is with
// them, if it is this one and the person was born on this day. What comes of it is decided
// later, by a job: the answer is the same, and takes as long, whoever asks.
func (s *Service) SendCodes(ctx context.Context, c commune.ID, email string, born register.Day) error {
	if _, err := s.commune(c); err != nil {
		return err
	}
	mail, err := s.vault.mailName(c, email)
	if err != nil {
		return err
	}
	day, err := s.vault.macFor("follow", c, "born "+string(born))
	if err != nil {
		return err
	}
	j := CodesJob{c, mail, day, sqldb.Micros(s.now())}
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error { return s.Jobs.Insert(tx, j) })
}

func (v vault) mailName(c commune.ID, email string) (string, error) {
	return v.macFor("follow", c, "mail "+strings.ToLower(strings.TrimSpace(email)))
}

// sendCodes finds the orders and sends one mail about all of them. A crash after sending
// and before noting it sends it again, under the same ID.
func (s *Service) sendCodes(ctx context.Context, j CodesJob) error {
	of, err := s.commune(j.Commune)
	if err != nil || s.Mailer == nil {
		return err
	}
	mine, err := s.codesOf(ctx, j)
	if err != nil || len(mine) == 0 {
		return err
	}
	var codes []string
	for _, r := range mine {
		codes = append(codes, r.Reference)
	}
	l := pageLanguage(of, mine[0].Language)
	m := notice.Message{ID: fmt.Sprintf("%s.%d.%s", notice.Codes, j.At, mine[0].ID), To: mine[0].Email(), From: of.NameIn(l), ReplyTo: of.Contact.Email, Language: l}
	follow := followLink(of, l)
	m.Subject, m.Text = notice.Words(notice.Codes, l, m.From, strings.Join(codes, "\n"), follow, follow)
	inTraining(of, &m)
	kind := EventNotified
	if err := s.Mailer.Send(ctx, m); err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return err
		}
		kind = EventUnnotified
	}
	at := s.now()
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		for _, r := range mine {
			e := Event{At: at, Actor: Actor{Kind: ByService}, Kind: kind, Public: true, Detail: map[string]string{"About": string(notice.Codes)}}
			if err := addEvent(tx, j.Commune, r.ID, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// codesOf are the open orders whose references are to be sent, the newest first.
func (s *Service) codesOf(ctx context.Context, j CodesJob) ([]row, error) {
	open, err := s.rows(ctx, j.Commune, `AND o.closed_at = 0 ORDER BY o.id DESC`)
	if err != nil {
		return nil, err
	}
	var mine []row
	for _, r := range open {
		if r.Email() == "" {
			continue
		}
		mail, err := s.vault.mailName(j.Commune, r.Email())
		if err != nil {
			return nil, err
		}
		if !sameText(mail, j.Mail) {
			continue
		}
		answers, err := json.Marshal(r.Answers)
		if err != nil {
			return nil, err
		}
		born, err := s.bornOn(j.Commune, r.ID, string(answers), r.sealed)
		if err != nil {
			return nil, err
		}
		day, err := s.vault.macFor("follow", j.Commune, "born "+string(born))
		if err != nil {
			return nil, err
		}
		if born == "" || !sameText(day, j.Born) {
			continue
		}
		sent, err := s.sentCodes(ctx, j.Commune, r.ID)
		if err != nil {
			return nil, err
		}
		if !sent {
			mine = append(mine, r)
		}
	}
	return mine, nil
}

// sentCodes says whether an order's reference was sent a moment ago, or too often lately.
func (s *Service) sentCodes(ctx context.Context, c commune.ID, order string) (bool, error) {
	events, err := s.events(ctx, c, order, true)
	if err != nil {
		return false, err
	}
	lately := 0
	for _, e := range events {
		age := s.now().Sub(e.At)
		if !e.ofCodes() || age >= codesWithin {
			continue
		}
		if lately++; age < codesEvery || lately >= codesMost {
			return true, nil
		}
	}
	return false, nil
}

// ofCodes says whether an event is that the reference was sent once more.
func (e Event) ofCodes() bool { return e.Detail["About"] == string(notice.Codes) }

// followLink is the page on which somebody follows an order.
func followLink(of *commune.Commune, l i18n.Language) string {
	return of.Origin() + "/" + string(l) + FollowPath
}

func sameText(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
