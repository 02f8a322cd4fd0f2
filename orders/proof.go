package orders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/signing"
)

// What a person takes away of an order: their answers, what happened when, and what was
// written, as a document. It is no paper of the commune's: it has no number, and the key
// that issues papers never seals it (docs/adr/0004), since some of its words are the
// person's own. Where the commune has a key for it (Config.Proofs) that one does.
//
// One state of an order gives one document on one day, byte for byte: asking again calls no
// key again.

// Proof is the document about a person's own order, in l where the commune issues papers in
// that language. Faults: orders.not_found, also for an order of somebody else; those of
// document.Renderer and of Sealer.Seal (Unreachable and Conflict: ask again).
func (s *Service) Proof(ctx context.Context, c commune.ID, id, subject string, l i18n.Language) (File, error) {
	o, err := s.ForCitizen(ctx, c, id, subject)
	if err != nil {
		return File{}, err
	}
	of, err := s.commune(c)
	if err != nil {
		return File{}, err
	}
	seal, sealed, err := s.proofSeal(c)
	if err != nil {
		return File{}, err
	}
	data, err := s.Renderer.Render(ctx, proofOf(of, o, seal, proofLanguage(of, o, l), s.now()))
	if err != nil {
		return File{}, err
	}
	f := File{Name: fmt.Sprintf("%s-%s.pdf", c, o.Reference), Type: "application/pdf", Digest: blob.Sum(data), Data: data}
	if !sealed {
		return f, s.DB.Write(ctx, func(tx *sqldb.Tx) error { return s.noteProof(tx, o, f.Digest) })
	}
	if f.Digest, err = s.sealProof(ctx, o, data); err != nil {
		return File{}, err
	}
	f.Data, err = s.Blobs.Read(ctx, c, f.Digest)
	return f, err
}

// SealsProofs says whether what Proof gives is sealed.
func (s *Service) SealsProofs(c commune.ID) bool {
	_, sealed, err := s.proofSeal(c)
	return err == nil && sealed
}

func (s *Service) proofSeal(c commune.ID) (seal signing.Seal, sealed bool, err error) {
	if s.Proofs == nil {
		return signing.Seal{}, false, nil
	}
	seal, err = s.Proofs.Describe(c)
	if fault.KeyOf(err) == "seal.no_key" {
		return signing.Seal{}, false, nil
	}
	return seal, err == nil, err
}

// sealProof seals a document once, and finds it again afterwards.
func (s *Service) sealProof(ctx context.Context, o Order, data []byte) (blob.Digest, error) {
	content, err := s.Blobs.Put(ctx, o.Commune, data)
	if err != nil {
		return blob.Digest{}, fmt.Errorf("order %s: keep the proof: %w", o.ID, err)
	}
	fresh, err := uuid.NewV7()
	if err != nil {
		return blob.Digest{}, err
	}
	at, grant := s.now(), ""
	err = s.DB.Write(ctx, func(tx *sqldb.Tx) error {
		if err := tx.QueryRow(`INSERT INTO orders_proof (commune, order_id, content, grant_id, made_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (commune, order_id, content) DO UPDATE SET content = excluded.content RETURNING grant_id`,
			string(o.Commune), o.ID, content, fresh.String(), sqldb.Micros(at)).Scan(&grant); err != nil {
			return err
		}
		if grant == fresh.String() {
			if err := s.Proofs.Grant(tx, signing.Grant{
				ID: grant, Commune: o.Commune, Kind: signing.Operator, Reference: o.ID, Content: content, By: o.Subject,
				Reason: "the person's own proof of their order", At: at,
			}); err != nil {
				return err
			}
		}
		return s.noteProof(tx, o, content)
	})
	if err != nil {
		return blob.Digest{}, err
	}
	receipt, err := s.Proofs.Seal(ctx, o.Commune, grant, func(*sqldb.Tx, signing.Receipt) error { return nil })
	if err == nil && receipt.Document.IsZero() {
		err = errors.New("orders: a finished seal without a document")
	}
	return receipt.Document, err
}

func (s *Service) noteProof(tx *sqldb.Tx, o Order, content blob.Digest) error {
	return s.note(tx, row{Order: o}, Actor{ByCitizen, o.Subject, o.Name()}, "orders.proof", s.now(), map[string]string{"content": content.String()})
}

func proofLanguage(of *commune.Commune, o Order, l i18n.Language) i18n.Language {
	for _, want := range []i18n.Language{l, o.Language, o.DocumentLanguage()} {
		if slices.Contains(of.DocumentLanguages(), want) {
			return want
		}
	}
	return of.DocumentLanguages()[0]
}

// proofOf is all that stands in it. No text of it holds a national number, not one that
// somebody wrote in a message either.
func proofOf(of *commune.Commune, o Order, seal signing.Seal, l i18n.Language, now time.Time) document.Document {
	t := func(key string) string { return i18n.T(l, key) }
	last := o.ChangedAt
	for _, e := range o.Events {
		if !e.ofCodes() {
			last = later(last, e.At)
		}
	}
	for _, m := range o.Messages {
		last = later(last, m.At)
	}
	d := document.Document{
		Template: "residence", Language: l, Title: t("proof.title"), NumberLabel: t("proof.reference"), Number: o.Reference,
		Date:  later(last, commune.Day(now)).Truncate(time.Second),
		Place: of.NameIn(l), Commune: document.Commune{Name: of.NameIn(l), Address: []string{i18n.T(l, authority(of))}, Colour: of.Theme.Brand},
		Intro: t("proof.intro"), Legal: t("proof.legal"),
		Seal: document.Seal{Name: seal.Name, Qualified: seal.Level == signing.Qualified}, Specimen: seal.Specimen || of.Training,
		List: document.List{Title: t("proof.history"), Columns: []document.Column{{Label: t("proof.when"), Width: 4}, {Label: t("proof.who"), Width: 4}, {Label: t("proof.what"), Width: 9}}},
	}
	fact := func(label, value string) {
		for part := range parts(value) {
			d.Facts = append(d.Facts, document.Fact{Label: label, Value: part})
		}
	}
	fact(t("proof.kind"), o.Product.Label.In(l))
	fact(t("proof.person"), o.Name())
	fact(t("proof.sent"), i18n.DateTime(l, o.SubmittedAt))
	fact(t("proof.state"), i18n.T(l, o.State.Key()))
	if o.State.Open() {
		fact(t("proof.promised"), i18n.Date(l, o.DueOn))
	}
	for _, a := range o.Answers {
		fact(i18n.T(l, a.LabelKey()), a.In(l)+" ("+i18n.T(l, a.Origin.Key())+")")
	}
	for _, f := range costOf(o, l) {
		fact(f.Label, f.Value)
	}
	for _, line := range historyOf(of, o, l) {
		when, who := i18n.DateTime(l, line.at), line.who
		for part := range parts(line.what) {
			d.List.Rows = append(d.List.Rows, []string{when, who, part})
			when, who = "…", "…"
		}
	}
	return d
}

// costOf is what the order costs, line by line, and whether that was received.
func costOf(o Order, l i18n.Language) []document.Fact {
	if o.Fee == nil || o.Fee.Price.Total == 0 {
		return nil
	}
	var list []document.Fact
	for _, line := range o.Fee.Price.Lines {
		list = append(list, document.Fact{Label: line.In(l), Value: i18n.Euro(l, line.Cents())})
	}
	list = append(list, document.Fact{Label: i18n.T(l, "fee.total"), Value: i18n.Euro(l, o.Fee.Price.Total)})
	if r := o.Fee.Received; r != nil {
		list = append(list, document.Fact{Label: i18n.T(l, "fee.received_on"), Value: i18n.Date(l, r.At) + " (" + i18n.T(l, r.How.Key()) + ", " + i18n.T(l, "fee.receipt", "Number", r.Number) + ")"})
	}
	return list
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// happened is one line of a history.
type happened struct {
	at        time.Time
	who, what string
}

// historyOf is what the person may see of an order's events, and what was written: a message
// stands in the place of the event that says that there is one. That a lost reference was sent
// once more, as often as somebody asked, is no part of it.
func historyOf(of *commune.Commune, o Order, l i18n.Language) []happened {
	who := map[ActorKind]string{ByCitizen: o.Name(), ByClerk: of.NameIn(l), ByService: i18n.T(l, "proof.service")}
	var list []happened
	for _, e := range o.Events {
		if e.Kind == EventAsked || e.Kind == EventAnswered || e.Kind == EventAdded || e.ofCodes() {
			continue
		}
		args := map[string]any{}
		for name, value := range e.Detail {
			args[name] = value
		}
		what := i18n.Message(l, e.Kind.Key(), args)
		if e.Kind == EventRefused && o.Refusal != nil {
			what += ": " + i18n.T(l, o.Refusal.Ground.Key()) + " “" + o.Refusal.Text + "” " + o.Refusal.Appeal
		}
		list = append(list, happened{e.At, who[e.Actor.Kind], what})
	}
	written := map[MessageKind]EventKind{MessageQuestion: EventAsked, MessageAnswer: EventAnswered, MessageAddition: EventAdded}
	for _, m := range o.Messages {
		by := ByClerk
		if m.FromPerson() {
			by = ByCitizen
		}
		what := i18n.T(l, written[m.Kind].Key())
		if m.Text != "" {
			what += ": “" + m.Text + "”"
		}
		for _, f := range m.Files {
			what += " — " + i18n.T(l, "proof.file", "Name", f.Name) + " SHA-256 " + inFours(f.Digest.String())
		}
		list = append(list, happened{m.At, who[by], what})
	}
	slices.SortStableFunc(list, func(a, b happened) int { return cmp.Compare(a.at.UnixMicro(), b.at.UnixMicro()) })
	return list
}

// inFours breaks a hash where a line may end.
func inFours(hash string) string {
	var groups []string
	for group := range slices.Chunk([]byte(hash), 16) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, " ")
}

// maxCell is how much of a text a cell takes; the renderer refuses more than a thousand.
const maxCell = 900

// parts are a text as cells take it: without national numbers and what no font of the
// typesetter has, cut between words.
func parts(text string) func(yield func(string) bool) {
	text = eid.HideNumbers(strings.Map(printed, form.Line(text)))
	return func(yield func(string) bool) {
		rest := []rune(text)
		for len(rest) > maxCell {
			cut := maxCell
			for i := maxCell; i > maxCell-100; i-- {
				if rest[i] == ' ' {
					cut = i
					break
				}
			}
			if !yield(string(rest[:cut])) {
				return
			}
			rest = rest[cut:]
		}
		yield(string(rest))
	}
}

// printed is a character of somebody's message as it is printed: scripts and signs that
// the fonts lack must not cost them the proof.
func printed(r rune) rune {
	if r < 0x250 || 0x370 <= r && r < 0x530 || 0x1e00 <= r && r < 0x1f00 || strings.ContainsRune("–—‘’‚“”„…•€′″", r) {
		return r
	}
	return '?'
}
