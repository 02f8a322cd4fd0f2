package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/code"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/signing"
)

// Prepare asks the register, gives the order its number the first time, draws the
// paper and freezes its bytes for approval. It may be repeated until approval, for
// instance on a later day; the number stays. Faults: orders.not_found; orders.own
// (Forbidden); orders.moved (Conflict; Args By, When, State); orders.needs_reason
// (Conflict; Args Attention) where PrepareDespite is needed; orders.nothing_to_certify
// and orders.lives_elsewhere (Forbidden), after which the order is to be refused;
// delegation.none and delegation.choose (Conflict) where it is not clear in whose name;
// those of the register and of document.Renderer.
func (s *Service) Prepare(ctx context.Context, c commune.ID, id string, clerk Clerk) (Order, error) {
	return s.prepareFrom(ctx, c, id, clerk, "", "", nil)
}

// PrepareDespite is Prepare for an order with an attention: the clerk's reason for going
// on (1 to MaxReason characters) is kept in the journal. Faults: those of Prepare, and
// orders.form.invalid (Invalid) for the reason.
func (s *Service) PrepareDespite(ctx context.Context, c commune.ID, id string, clerk Clerk, reason string) (Order, error) {
	reason, err := clerksText(reason)
	if err != nil {
		return Order{}, err
	}
	return s.prepareFrom(ctx, c, id, clerk, "", reason, nil)
}

func clerksText(raw string) (string, error) {
	text, key := form.Text(raw, 1, MaxReason)
	if key != "" {
		return "", fault.New(fault.Invalid, "orders.form.invalid", errors.New(key))
	}
	return text, nil
}

// prepareFrom prepares what this program makes, or what is attached: now, or before.
func (s *Service) prepareFrom(ctx context.Context, c commune.ID, id string, clerk Clerk, chosen, reason string, attached *PaperFile) (Order, error) {
	r, err := s.decidable(ctx, c, id, clerk, InReview)
	if err != nil {
		return Order{}, err
	}
	of, err := s.commune(c)
	if err != nil {
		return Order{}, err
	}
	if err := mustHaveFile(r, attached); err != nil {
		return Order{}, err
	}
	subject, err := s.about(ctx, of, r, reason)
	if err != nil {
		return Order{}, err
	}
	if err := s.apart(&r, subject.members, clerk); err != nil {
		return Order{}, err
	}
	signatory, err := s.signatory(ctx, r, clerk, chosen)
	if err != nil {
		return Order{}, err
	}
	household, by := r.household, clerk.actor()
	if r, err = s.begin(ctx, r, by, subject.attention, reason); err != nil {
		return Order{}, err
	}
	f, err := s.draw(ctx, of, r, subject, signatory, attached)
	if err != nil {
		return Order{}, err
	}
	f.household = household
	if err := s.freeze(ctx, r, by, f); err != nil {
		return Order{}, s.moved(ctx, c, id, err)
	}
	return s.Get(ctx, c, id)
}

// draw makes the paper's bytes and keeps them; nothing refers to them yet.
func (s *Service) draw(ctx context.Context, of *commune.Commune, r row, subject about, by Signatory, attached *PaperFile) (frozen, error) {
	seal, err := s.Sealer.Describe(of.ID)
	if err != nil {
		return frozen{}, err
	}
	f := frozen{holder: subject.holder, specimen: seal.Specimen, attention: subject.attention, signatory: by, at: s.now(), file: attached, fresh: attached != nil}
	if f.file == nil && r.Way != commune.Made {
		f.file = r.Paper.File
	}
	var data []byte
	if f.file != nil {
		data, err = s.drawAttached(ctx, of, r, seal, f)
	} else {
		f.told = subject.told
		data, err = s.Renderer.Render(ctx, paperOf(of, r, subject, by, seal, f.at))
	}
	if err != nil {
		return frozen{}, err
	}
	if f.content, err = s.Blobs.Put(ctx, of.ID, data); err != nil {
		return frozen{}, fmt.Errorf("order %s: keep the content: %w", r.ID, err)
	}
	return f, nil
}

// decidable loads an order that clerk may move to a state.
func (s *Service) decidable(ctx context.Context, c commune.ID, id string, clerk Clerk, to State) (row, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return row{}, err
	}
	if err := s.notOwn(r, clerk); err != nil {
		return row{}, err
	}
	if !May(r.State, to, ByClerk) {
		return row{}, movedFault(r)
	}
	return r, nil
}

// moved makes the loser of a race hear who won.
func (s *Service) moved(ctx context.Context, c commune.ID, id string, err error) error {
	if !errors.Is(err, errMoved) {
		return err
	}
	r, err := s.load(ctx, c, id)
	if err != nil {
		return err
	}
	return movedFault(r)
}

func movedFault(r row) error {
	by := r.ChangedBy
	if by == "" {
		by = "Belfry"
	}
	return fault.New(fault.Conflict, "orders.moved", nil).
		With("By", by).With("When", when(r.ChangedAt)).
		With("State", string(r.State))
}

// begin takes an order into review, where its number is allocated, and notes the
// reason of the clerk. It returns the order as it stands then.
func (s *Service) begin(ctx context.Context, r row, by Actor, attention Attention, reason string) (row, error) {
	first := r.Paper == nil
	if !first && reason == "" {
		return r, nil
	}
	at := s.now()
	token, check := newToken(), code.New(codeLength)
	err := s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := s.step(tx, r, InReview, by, at); err != nil {
			return err
		}
		if err := take(tx, r, by, at); err != nil {
			return err
		}
		if reason != "" {
			e := Event{At: at, Actor: by, Kind: EventDecided, Detail: map[string]string{"Attention": string(attention), "Reason": reason}}
			if err := addEvent(tx, r.Commune, r.ID, e); err != nil {
				return err
			}
		}
		if !first {
			return s.note(tx, r, by, "orders.decided", at, nil)
		}
		n, err := nextNumber(tx, r.Commune, at.In(i18n.Brussels()).Year())
		if err != nil {
			return err
		}
		if err := allocate(tx, r.Commune, r.ID, n, token, check, at); err != nil {
			return err
		}
		if err := addEvent(tx, r.Commune, r.ID, Event{At: at, Actor: by, Kind: EventInReview, Public: true}); err != nil {
			return err
		}
		return s.note(tx, r, by, "orders.in_review", at, map[string]string{"number": string(n)})
	})
	if err != nil {
		return row{}, s.moved(ctx, r.Commune, r.ID, err)
	}
	return s.load(ctx, r.Commune, r.ID)
}

// authority is the message key of what issues the paper.
func authority(of *commune.Commune) string {
	if of.French() {
		return "orders.paper.authority_france"
	}
	return "orders.paper.authority"
}

// paperOf is all that stands on the paper.
func paperOf(of *commune.Commune, r row, subject about, by Signatory, seal signing.Seal, at time.Time) document.Document {
	l := r.DocumentLanguage()
	text := r.Product.Paper
	fill := strings.NewReplacer("{commune}", of.NameIn(l), "{date}", i18n.Date(l, at))
	d := document.Document{
		Template: r.Product.Template, Language: l, Number: string(r.Paper.Number), Date: at.Truncate(time.Second),
		Title: text.Title.In(l), Intro: fill.Replace(text.Introduction.In(l)), Legal: fill.Replace(text.Legal.In(l)), Place: of.NameIn(l),
		Commune: document.Commune{Name: of.NameIn(l), Address: []string{i18n.T(l, authority(of))}, Colour: of.Theme.Brand},
		Seal:    document.Seal{Name: seal.Name, Qualified: seal.Level == signing.Qualified},
		Verify: document.Verify{
			URL: of.Origin() + VerifyPath + "/" + r.token, Page: of.Origin() + VerifyPath, Code: grouped(r.Paper.Code),
		},
		Specimen:  seal.Specimen,
		Signatory: document.Signatory{Mention: by.Office.Mention(of, l), Name: by.Name},
	}
	if r.ReplacesNumber != "" {
		d.Legal = i18n.T(l, "document.replaces", "Number", string(r.ReplacesNumber)) + "\n" + d.Legal
	}
	for _, line := range []string{of.Contact.Street, of.Contact.City, of.Contact.Phone, of.Contact.Email} {
		if line != "" {
			d.Commune.Address = append(d.Commune.Address, line)
		}
	}
	for _, row := range text.Rows {
		if v := subject.values[row.Fact]; v != "" {
			d.Facts = append(d.Facts, document.Fact{Label: row.In(l), Value: v})
		}
	}
	if list := text.List; list != nil {
		d.List.Title = list.Title.In(l)
		for _, c := range list.Columns {
			d.List.Columns = append(d.List.Columns, document.Column{Label: c.In(l), Width: c.Width})
		}
		for _, line := range subject.lines {
			var cells []string
			for _, c := range list.Columns {
				cells = append(cells, line[c.Fact])
			}
			d.List.Rows = append(d.List.Rows, cells)
		}
	}
	return d
}

// frozen is what a clerk is asked to approve.
type frozen struct {
	content   blob.Digest
	holder    string
	told      string // of the paper's list
	specimen  bool
	attention Attention
	household string
	signatory Signatory
	at        time.Time
	file      *PaperFile // that the content is made of; nil where it is ours
	fresh     bool       // the file has been attached just now
}

// freeze makes bytes the order's content, if the order still is as r has it.
func (s *Service) freeze(ctx context.Context, r row, by Actor, f frozen) error {
	return s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := s.step(tx, r, InReview, by, f.at); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE orders_order SET attention = $1, household = $2 WHERE commune = $3 AND id = $4`, string(f.attention), f.household, string(r.Commune), r.ID); err != nil {
			return err
		}
		if err := one(tx.Exec(`UPDATE orders_paper SET content = $1, holder = $2, prepared_at = $3, prepared_by = $4, specimen = $5,
			signatory = $6, signatory_name = $7, signatory_office = $8, told = $11 WHERE commune = $9 AND order_id = $10 AND grant_id = ''`,
			f.content, f.holder, sqldb.Micros(f.at), by.Name, bit(f.specimen), f.signatory.Subject, f.signatory.Name, string(f.signatory.Office), string(r.Commune), r.ID, f.told)); err != nil {
			return err
		}
		e := Event{At: f.at, Actor: by, Kind: EventPrepared, Detail: map[string]string{"Number": string(r.Paper.Number)}}
		detail := map[string]string{"number": string(r.Paper.Number), "content": f.content.String()}
		if f.file != nil {
			if err := s.keepFile(tx, r, f); err != nil {
				return err
			}
			detail["attached"] = f.file.Digest.String()
		}
		if f.fresh {
			e.Kind = EventAttached
		}
		if err := addEvent(tx, r.Commune, r.ID, e); err != nil {
			return err
		}
		return s.note(tx, r, by, "orders."+string(e.Kind), f.at, detail)
	})
}

// Approve allows exactly these bytes to be sealed, and starts the sealing. content is
// the hash of what the clerk has seen (Paper.Content). Faults: orders.not_found;
// orders.own (Forbidden); orders.moved (Conflict; Args By, When, State);
// orders.content_changed (Conflict) where the content is another one by now;
// orders.content_stale (Conflict) where it was prepared on another day, whose date and
// facts the paper bears, or for a key of another kind (test or real);
// fee.due (Conflict; Args Reference) where its fee has not been received;
// delegation.other_signatory (Conflict; Args Name) where the paper bears the name of another
// delegate; delegation.not_yours (Forbidden) where the clerk has no delegation in force for
// it; orders.signature_required (Conflict) where the commune wants it signed (ApproveSigned).
func (s *Service) Approve(ctx context.Context, c commune.ID, id string, clerk Clerk, content blob.Digest) (Order, error) {
	r, err := s.approvable(ctx, c, id, clerk, content)
	if err != nil {
		return Order{}, err
	}
	of, err := s.commune(c)
	if err != nil {
		return Order{}, err
	}
	if of.ClerksMustSign() {
		return Order{}, fault.New(fault.Conflict, "orders.signature_required", nil)
	}
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error { return s.approve(tx, r, clerk, content) })
	if err != nil {
		return Order{}, s.moved(ctx, c, id, err)
	}
	return s.Get(ctx, c, id)
}

// approvable loads an order whose content this clerk may approve now.
func (s *Service) approvable(ctx context.Context, c commune.ID, id string, clerk Clerk, content blob.Digest) (row, error) {
	r, err := s.decidable(ctx, c, id, clerk, Approved)
	if err != nil {
		return row{}, err
	}
	seal, err := s.Sealer.Describe(c)
	if err != nil {
		return row{}, err
	}
	switch {
	case r.Paper == nil || r.Paper.Content.IsZero() || r.Paper.Content != content:
		return row{}, fault.New(fault.Conflict, "orders.content_changed", nil)
	case !commune.Day(r.Paper.PreparedAt).Equal(commune.Day(s.now())), r.Paper.Specimen != seal.Specimen:
		return row{}, fault.New(fault.Conflict, "orders.content_stale", nil)
	}
	if r.Fee.Due() {
		return row{}, feeDue(r)
	}
	return r, s.delegated(r, clerk)
}

// approve moves an order on and grants its seal, in one transaction. What is sealed is
// its content, or the content with the clerk's own signature behind it.
func (s *Service) approve(tx *sqldb.Tx, r row, clerk Clerk, sealed blob.Digest) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	by, at, grant := clerk.actor(), s.now(), id.String()
	if err := s.holds(tx, r); err != nil {
		return err
	}
	if err := s.paid(tx, r); err != nil {
		return err
	}
	if err := s.step(tx, r, Approved, by, at); err != nil {
		return err
	}
	if err := one(tx.Exec(`UPDATE orders_paper SET grant_id = $1 WHERE commune = $2 AND order_id = $3 AND content = $4 AND grant_id = ''`,
		grant, string(r.Commune), r.ID, r.Paper.Content)); err != nil {
		return err
	}
	if err := s.Sealer.Grant(tx, signing.Grant{
		ID: grant, Commune: r.Commune, Kind: signing.Approval, Reference: r.ID, Content: sealed,
		By: clerk.Subject, Reason: "order " + r.Reference + " approved", At: at,
	}); err != nil {
		return err
	}
	if err := addEvent(tx, r.Commune, r.ID, Event{At: at, Actor: by, Kind: EventApproved, Public: true}); err != nil {
		return err
	}
	detail := map[string]string{"number": string(r.Paper.Number), "content": r.Paper.Content.String(), "grant": grant}
	if sealed != r.Paper.Content {
		detail["signed"] = sealed.String()
	}
	if err := s.note(tx, r, by, "orders.approved", at, detail); err != nil {
		return err
	}
	return s.Jobs.Insert(tx, SealJob{Commune: r.Commune, Order: r.ID})
}

// Refuse ends an order with reasons. A number given before becomes void. Faults:
// orders.not_found; orders.own; orders.moved; orders.form.invalid (Invalid) for reasons
// without text or of no known ground.
func (s *Service) Refuse(ctx context.Context, c commune.ID, id string, clerk Clerk, reasons Reasons) (Order, error) {
	r, err := s.decidable(ctx, c, id, clerk, Refused)
	if err != nil {
		return Order{}, err
	}
	text, err := clerksText(reasons.Text)
	if err != nil {
		return Order{}, err
	}
	if !reasons.Ground.Known() {
		return Order{}, fault.New(fault.Invalid, "orders.form.invalid", fmt.Errorf("ground %q", reasons.Ground))
	}
	at := s.now()
	of, err := s.commune(c)
	if err != nil {
		return Order{}, err
	}
	refusal, err := json.Marshal(Refusal{Ground: reasons.Ground, Text: text, By: clerk.Name, At: at, Appeal: appealText(of, r.Language)})
	if err != nil {
		return Order{}, err
	}
	by := clerk.actor()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := s.end(tx, r, Refused, EventRefused, by, at); err != nil {
			return err
		}
		if _, err := tx.Exec(`UPDATE orders_order SET refusal = $1 WHERE commune = $2 AND id = $3`, string(refusal), string(c), id); err != nil {
			return err
		}
		return s.tell(tx, r, Refused)
	})
	if err != nil {
		return Order{}, s.moved(ctx, c, id, err)
	}
	return s.Get(ctx, c, id)
}

// Cancel ends a person's own order at their wish, as long as no clerk has approved it.
// Faults: orders.not_found; orders.moved (Conflict).
func (s *Service) Cancel(ctx context.Context, c commune.ID, id, subject string) (Order, error) {
	r, err := s.load(ctx, c, id)
	if err != nil {
		return Order{}, err
	}
	if r.Subject != subject {
		return Order{}, errNotFound
	}
	if !May(r.State, Cancelled, ByCitizen) {
		return Order{}, movedFault(r)
	}
	at := s.now()
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		return s.end(tx, r, Cancelled, EventCancelled, Actor{ByCitizen, subject, r.Name()}, at)
	})
	if err != nil {
		return Order{}, s.moved(ctx, c, id, err)
	}
	return s.ForCitizen(ctx, c, id, subject)
}

// end closes an order that has no paper, and says of its number that it never will.
func (s *Service) end(tx *sqldb.Tx, r row, to State, kind EventKind, by Actor, at time.Time) error {
	if err := s.step(tx, r, to, by, at); err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE orders_paper SET void = 1 WHERE commune = $1 AND order_id = $2`, string(r.Commune), r.ID); err != nil {
		return err
	}
	if err := addEvent(tx, r.Commune, r.ID, Event{At: at, Actor: by, Kind: kind, Public: true}); err != nil {
		return err
	}
	detail := map[string]string{}
	if r.Paper != nil {
		detail["void"] = string(r.Paper.Number)
	}
	return s.note(tx, r, by, "orders."+string(kind), at, detail)
}
