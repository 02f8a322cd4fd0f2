package orders

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/audit"
	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/register"
)

// maxOpen is how many orders of one person may be open in one commune: enough for
// anybody, too few to bury a clerk.
const maxOpen = 10

// Prefill asks the register where a person lives and says what the form will hold.
// Faults: orders.no_product, orders.no_number and orders.no_birth_date (Forbidden), orders.lives_elsewhere
// (Forbidden; Args Commune, Link), and those of register.Client.Residence.
func (s *Service) Prefill(ctx context.Context, c commune.ID, p Person, product string) (Prefill, error) {
	chosen, err := s.Product(c, product)
	if err != nil {
		return Prefill{}, err
	}
	of, err := s.commune(c)
	if err != nil {
		return Prefill{}, err
	}
	tariff, err := fee.Of(of, chosen)
	if err != nil {
		return Prefill{}, err
	}
	answers, attention, err := s.ask(ctx, of, chosen, p)
	if err != nil {
		return Prefill{}, err
	}
	contact, err := s.Contact(ctx, c, p)
	if err != nil {
		return Prefill{}, err
	}
	return Prefill{Product: chosen, Answers: answers, Languages: of.DocumentLanguages(), Contact: contact, Attention: attention, Tariff: Offered(tariff, answers)}, nil
}

// Offered is a tariff for somebody of whom this is known: without an official address
// nothing goes by post.
func Offered(t fee.Tariff, known []Answer) fee.Tariff {
	if official(known) == nil {
		return t.Without(fee.Post)
	}
	return t
}

// shows says whether a form shows a fact: what stands on the paper, and the address where a
// paper may go there.
func (s *Service) shows(of *commune.Commune, chosen *catalogue.Product, fact string) bool {
	if chosen.Paper.Says(fact) {
		return true
	}
	t, err := fee.Of(of, chosen)
	return err == nil && slices.Contains(t.Deliveries, fee.Post) && (fact == Address || fact == ReferenceAddress)
}

// ask reads sign-in and register. It issues nothing, and stops at the border of the commune.
func (s *Service) ask(ctx context.Context, of *commune.Commune, chosen *catalogue.Product, p Person) ([]Answer, Attention, error) {
	if !chosen.Registered() {
		answers, err := told(p)
		return answers, NoAttention, err
	}
	if p.Number.IsZero() || p.Subject == "" {
		return nil, "", fault.New(fault.Forbidden, "orders.no_number", nil)
	}
	if s.Register == nil {
		return unasked(p), NoAttention, nil
	}
	r, err := s.Register.Residence(ctx, p.Number)
	if RegisterIsSilent(err) && p.CardAddress != "" {
		return s.written(of, p, chosen), RegisterSilent, nil
	}
	if err != nil {
		return nil, "", err
	}
	if err := inside(of, r); err != nil {
		return nil, "", err
	}
	if chosen.OnlyBelgians {
		if _, err := s.belgian(ctx, p.Number); err != nil {
			return nil, "", err
		}
	}
	answers := []Answer{
		{GivenNames, form.Line(p.GivenNames), FromCard},
		{Surname, form.Line(p.Surname), FromCard},
	}
	answers = slices.DeleteFunc(answers, func(a Answer) bool { return a.Value == "" }) // some people have one name
	for _, f := range facts(r, of.Languages()[0]) {
		if f.name != Surname && f.name != GivenNames && s.shows(of, chosen, f.name) {
			answers = append(answers, Answer{f.name, f.value, FromRegister})
		}
	}
	var members []register.Member
	if chosen.Paper.Lists(catalogue.Household) && (r.Status == register.Registered || r.Status == register.ReferenceAddress) {
		if members, err = s.members(ctx, chosen, p.Number); err != nil {
			return nil, "", err
		}
		answers = append(answers, Answer{Household, firstNames(living(members)), FromRegister})
	}
	return answers, attentionFor(chosen, r, p.Surname, members), nil
}

// firstNames is enough for somebody to see whether everybody is there.
func firstNames(members []register.Member) string {
	var names []string
	for _, m := range members {
		first, _, _ := strings.Cut(m.GivenNames, " ")
		names = append(names, cmp.Or(first, m.Surname))
	}
	return strings.Join(names, ", ")
}

// unasked are the answers of somebody whom no register of this install knows: a clerk looks
// them up in the commune's own software.
func unasked(p Person) []Answer {
	answers := []Answer{{GivenNames, form.Line(p.GivenNames), FromCard}, {Surname, form.Line(p.Surname), FromCard}}
	return slices.DeleteFunc(answers, func(a Answer) bool { return a.Value == "" })
}

// written are the answers of somebody for whom the card speaks while the register is silent.
func (s *Service) written(of *commune.Commune, p Person, chosen *catalogue.Product) []Answer {
	answers := []Answer{{GivenNames, form.Line(p.GivenNames), FromCard}, {Surname, form.Line(p.Surname), FromCard}, {Address, form.Line(p.CardAddress), FromCard}}
	return slices.DeleteFunc(answers, func(a Answer) bool { return a.Value == "" || a.Name == Address && !s.shows(of, chosen, Address) })
}

// RegisterIsSilent says whether err is that nobody answered who knows where people live.
func RegisterIsSilent(err error) bool {
	switch fault.KeyOf(err) {
	case "register.down", "register.refused", "register.unreadable":
		return true
	}
	return false
}

// told are the answers of somebody whom no register knows: what their sign-in tells.
func told(p Person) ([]Answer, error) {
	birth, ok := register.ParseDay(p.BirthDate)
	if !ok || p.Subject == "" {
		return nil, fault.New(fault.Forbidden, "orders.no_birth_date", nil)
	}
	answers := []Answer{{Surname, form.Line(p.Surname), FromSignIn}, {GivenNames, form.Line(p.GivenNames), FromSignIn}, {BirthDate, string(birth), FromSignIn}}
	return slices.DeleteFunc(answers, func(a Answer) bool { return a.Value == "" }), nil
}

// inside refuses those whose main residence is in another commune: only that one may certify it.
func inside(of *commune.Commune, r register.Residence) error {
	if r.NIS == "" || r.NIS == of.NIS {
		return nil
	}
	return fault.New(fault.Forbidden, "orders.lives_elsewhere", nil).
		With("Commune", r.CommuneName(of.Languages()[0])).With("Link", r.Website)
}

// attentionOf says why somebody has to look twice. A surname differs where neither
// holds the other: cards cut long names, and cards of foreigners join them.
func attentionOf(r register.Residence, surname string) Attention {
	switch r.Status {
	case register.Registered:
	case register.ReferenceAddress:
		return AtReferenceAddress
	case register.Undisclosed:
		return Undisclosed
	case register.StruckOff:
		return StruckOff
	case register.Deceased:
		return Deceased
	default:
		return OtherStatus
	}
	if !sameName(r.Surname, surname) {
		return NameDiffers
	}
	return NoAttention
}

type fact struct{ name, value string }

// facts are what the register tells, as far as it may be shown: an undisclosed
// address stays where it is until a clerk has decided.
func facts(r register.Residence, l i18n.Language) []fact {
	list := []fact{{Surname, r.Surname}, {GivenNames, r.GivenNames}, {BirthDate, string(r.BirthDate)}}
	switch r.Status {
	case register.Registered:
		list = append(list, fact{Address, r.Address(l)}, fact{Since, string(r.Since)})
	case register.ReferenceAddress:
		list = append(list, fact{ReferenceAddress, r.Address(l)}, fact{Since, string(r.Since)})
	}
	kept := list[:0]
	for _, f := range list {
		if f.value != "" {
			kept = append(kept, f)
		}
	}
	return kept
}

var formKey = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// Submit makes an order of a form, or returns the one that this form has made before.
// Faults: those of Prefill; orders.product_changed (Conflict) where the product has a
// newer version than the page showed; orders.form.invalid (Invalid) for answers that
// form.Parse would refuse; orders.form_used (Conflict; Args Reference) where the form
// has made an order with other answers; orders.too_many_open (TooMany; Args Count);
// fee.changed (Conflict) where the price is not the one that was shown; fee.no_address
// (Conflict) where no official address is known to send the paper to.
func (s *Service) Submit(ctx context.Context, c commune.ID, p Person, sub Submission) (Order, error) {
	of, err := s.commune(c)
	if err != nil {
		return Order{}, err
	}
	chosen, err := s.Product(c, sub.Product)
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
	hash := hashForm(sub.Product, sub.Version, typed)
	if made, err := s.made(ctx, c, p.Subject, sub.Key, hash); !errors.Is(err, errNotFound) {
		return made, err
	}
	if sub.Version != chosen.Version {
		return Order{}, fault.New(fault.Conflict, "orders.product_changed", nil)
	}
	answers, attention, err := s.ask(ctx, of, chosen, p)
	if err != nil {
		return Order{}, err
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
	r, err := s.newOrder(ctx, of, chosen, p, answers, attention, hash)
	if err != nil {
		return Order{}, err
	}
	r.Fee = cost
	r.Language = pageLanguage(of, sub.Language)
	if err := s.add(ctx, r, sub.Key, contactOf(typed)); err != nil {
		return Order{}, err
	}
	return s.made(ctx, c, p.Subject, sub.Key, hash)
}

// recheck does not take the page's word that the answers were parsed.
func recheck(p *catalogue.Product, t fee.Tariff, sub Submission, of *commune.Commune) (form.Answers, error) {
	values := url.Values{}
	for name, v := range sub.Answers {
		values.Set(string(name), v)
	}
	typed, faults := ParseForm(p, t, values, of.DocumentLanguages(), of.Country)
	if len(faults) > 0 || !formKey.MatchString(sub.Key) {
		return nil, fault.New(fault.Invalid, "orders.form.invalid", fmt.Errorf("%d answers refused, key of %d characters", len(faults), len(sub.Key)))
	}
	return typed, nil
}

func pageLanguage(of *commune.Commune, l i18n.Language) i18n.Language {
	if of.Offers(l) {
		return l
	}
	return of.Languages()[0]
}

func hashForm(product string, version int, typed form.Answers) string {
	b, err := json.Marshal([]any{product, version, typed}) // keys of maps are written in order
	if err != nil {
		panic(err) // strings and numbers
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// OfForm is the order that a person's form of this key has made. Fault orders.not_found.
func (s *Service) OfForm(ctx context.Context, c commune.ID, subject, key string) (Order, error) {
	if _, err := s.commune(c); err != nil {
		return Order{}, err
	}
	r, err := s.scan(c, s.DB.QueryRow(ctx, selectOrder+`AND o.subject = $2 AND o.form_key = $3`, string(c), subject, key))
	if errors.Is(err, sqldb.ErrNoRows) {
		return Order{}, errNotFound
	}
	return r.Order, err
}

// made is the order that a form has made.
func (s *Service) made(ctx context.Context, c commune.ID, subject, key, hash string) (Order, error) {
	r, err := s.scan(c, s.DB.QueryRow(ctx, selectOrder+`AND o.subject = $2 AND o.form_key = $3`, string(c), subject, key))
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return Order{}, errNotFound
	case err != nil:
		return Order{}, err
	case r.formHash != hash:
		return Order{}, fault.New(fault.Conflict, "orders.form_used", nil).With("Reference", r.Reference)
	}
	return r.Order, nil
}

// newOrder is an order not yet written. It asks the register with whom the person lives.
func (s *Service) newOrder(ctx context.Context, of *commune.Commune, chosen *catalogue.Product, p Person, answers []Answer, a Attention, hash string) (row, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return row{}, err
	}
	at := s.now()
	r := row{formHash: hash, Order: Order{
		Commune: of.ID, ID: id.String(), Reference: code.New(referenceLength), Product: chosen, State: Submitted, Version: 1,
		Subject: p.Subject, GivenNames: form.Line(p.GivenNames), Surname: form.Line(p.Surname), Answers: answers, Attention: a, Way: s.way(of, chosen),
		SubmittedAt: at, DueOn: Due(of.Calendar(), at, chosen.WorkingDays), ChangedAt: at,
	}}
	r.ChangedBy = r.Name()
	var members []register.Member
	if a != RegisterSilent { // else they are known once the register answers, before anything is drawn
		if members, err = s.members(ctx, chosen, p.Number); err != nil {
			return row{}, err
		}
	}
	if r.household, err = s.vault.household(of.ID, members); err != nil {
		return row{}, err
	}
	if r.person, err = s.vault.person(of.ID, p.Number, p.Subject); err != nil {
		return row{}, err
	}
	r.sealed, err = s.vault.seal(of.ID, r.ID, p.Number)
	return r, err
}

// add writes a new order, or nothing where its form has made one. It remembers how the person
// wants to be told, and has them told that the order has arrived.
func (s *Service) add(ctx context.Context, r row, key string, contact form.Answers) error {
	by := Actor{ByCitizen, r.Subject, r.Name()}
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		var open int
		states := []any{string(r.Commune), r.person}
		for _, st := range OpenStates {
			states = append(states, string(st))
		}
		if err := tx.QueryRow(`SELECT COUNT(*) FROM orders_order WHERE commune = $1 AND person = $2 AND state IN (`+
			placeholders(3, len(OpenStates))+`)`, states...).Scan(&open); err != nil {
			return err
		}
		added, err := insert(tx, r, key, searchName(r.Surname, r.GivenNames))
		if err != nil || !added {
			return err
		}
		if open >= maxOpen {
			return fault.New(fault.TooMany, "orders.too_many_open", nil).With("Count", open)
		}
		if err := addEvent(tx, r.Commune, r.ID, Event{At: r.SubmittedAt, Actor: by, Kind: EventSubmitted, Public: true}); err != nil {
			return err
		}
		if err := dropDraft(tx, r.Commune, r.person, r.Product.ID); err != nil {
			return err
		}
		if len(contact) > 0 {
			if err := s.remember(tx, r.Commune, r.person, contact); err != nil {
				return err
			}
		}
		if err := s.received(tx, r); err != nil {
			return err
		}
		if err := s.note(tx, r, by, "orders.submitted", r.SubmittedAt, map[string]string{"product": r.Product.ID}); err != nil {
			return err
		}
		return s.begins(tx, r)
	})
}

// note writes a line of the audit log about an order.
func (s *Service) note(tx *sqldb.Tx, r row, by Actor, action string, at time.Time, detail map[string]string) error {
	actor := by.Subject
	if actor == "" {
		actor = "belfry"
	}
	return s.Audit.Append(tx, audit.Entry{Commune: r.Commune, At: at, Actor: actor, Action: action, Subject: r.ID, Detail: detail})
}

func (s *Service) now() time.Time { return s.Clock().UTC().Truncate(time.Microsecond) }
