package orderstest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/signing"
)

// What people take away of their orders.

// words are all that a document says.
func words(d document.Document) string {
	list := []string{d.Title, d.Number, d.Intro, d.Legal, d.Place}
	for _, f := range d.Facts {
		list = append(list, f.Label+": "+f.Value)
	}
	for _, row := range d.List.Rows {
		list = append(list, strings.Join(row, " | "))
	}
	return strings.Join(list, "\n")
}

func proof(t *testing.T, w *World) {
	s := w.Service
	o := w.Order(t, A, 1)
	w.Clock.Add(time.Hour)
	_, err := s.Ask(ctx, A, o.ID, Clerk(1), "Quelle adresse ?")
	ok(t, err)
	w.Clock.Add(time.Hour)
	number := Number(1).Reveal()
	written := "Celle-ci 😀, mon numéro est " + number[:6] + "-" + number[6:9] + "." + number[9:] + ". " + strings.Repeat("Longue explication. ", 150)
	_, err = s.Reply(ctx, A, o.ID, o.Subject, 1, written, []orders.Upload{Picture("bail.png")})
	ok(t, err)
	_, err = s.Refuse(ctx, A, o.ID, Clerk(1), orders.Reasons{Ground: orders.LivesElsewhere, Text: "Vous habitez ailleurs."})
	ok(t, err)
	f, err := s.Proof(ctx, A, o.ID, o.Subject, i18n.French)
	ok(t, err)
	if f.Name != "beaumarais-"+o.Reference+".pdf" || !bytes.Contains(f.Data, []byte("sealed under")) {
		t.Errorf("%s: %.80q", f.Name, f.Data)
	}
	d := w.Renderer.Last()
	said := words(d)
	for _, want := range []string{
		o.Reference, "Luc Marie", "somebody@example.be", "Rue du Beffroi", "3 février 2026", "Quelle adresse ?", "Celle-ci ?, mon numéro est [national number].",
		"bail.png", "SHA-256", "Vous habitez ailleurs.", "Demande envoyée",
	} {
		if !strings.Contains(strings.ReplaceAll(said, "\u00a0", " "), want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	for _, secret := range []string{number, number[9:] + ".", Clerk(1).Name, "Claire"} {
		if strings.Contains(said, secret) {
			t.Errorf("it holds %q:\n%s", secret, said)
		}
	}
	if d.Verify.URL != "" || d.Signatory.Name != "" || d.Date.Before(w.Clock.Now().Add(-time.Hour)) {
		t.Errorf("it looks like a paper: %+v", d)
	}
	for _, row := range d.List.Rows {
		if len([]rune(row[2])) > 1000 {
			t.Errorf("a cell of %d characters", len(row[2]))
		}
	}
	// The key that issues papers has no part in it; the other is called once for one state.
	again, err := s.Proof(ctx, A, o.ID, o.Subject, i18n.French)
	if err != nil || !bytes.Equal(again.Data, f.Data) || w.Proofs.KeyUsed() != 1 || w.Sealer.KeyUsed() != 0 ||
		w.Proofs.Granted(signing.Operator) != 1 || w.Proofs.Granted(signing.Approval) != 0 {
		t.Errorf("asked again: %v, %d calls, %d of the key that issues", err, w.Proofs.KeyUsed(), w.Sealer.KeyUsed())
	}
	// Nobody else's, and in a language in which the commune issues.
	_, err = s.Proof(ctx, A, o.ID, w.Person(A, 2).Subject, i18n.French)
	wants(t, err, fault.NotFound, "orders.not_found")
	_, err = s.Proof(ctx, A, o.ID, o.Subject, i18n.English)
	if d := w.Renderer.Last(); err != nil || d.Language != i18n.French {
		t.Errorf("in %s, %v", d.Language, err)
	}
}

func proofUnsealed(t *testing.T, w *World) {
	o := w.Order(t, A, 1)
	if !w.Service.SealsProofs(A) {
		t.Error("with a key it would be sealed")
	}
	w.Proofs.None(true)
	f, err := w.Service.Proof(ctx, A, o.ID, o.Subject, i18n.French)
	ok(t, err)
	if w.Service.SealsProofs(A) || bytes.Contains(f.Data, []byte("sealed under")) || w.Proofs.KeyUsed() != 0 || w.Renderer.Last().Seal.Name != "" {
		t.Errorf("it claims a seal: %.80q", f.Data)
	}
}

// What it costs stands in it, line by line.
func proofPriced(t *testing.T, w *World) {
	o := w.Owed(t, A, 1)
	_, err := w.Service.Proof(ctx, A, o.ID, o.Subject, i18n.French)
	ok(t, err)
	said := words(w.Renderer.Last())
	for _, line := range o.Fee.Price.Lines {
		if want := line.In(i18n.French) + ": " + i18n.Euro(i18n.French, line.Cents()); !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if want := i18n.T(i18n.French, "fee.total") + ": " + i18n.Euro(i18n.French, o.Fee.Price.Total); o.Fee.Price.Total == 0 || !strings.Contains(said, want) {
		t.Errorf("it does not say %q:\n%s", want, said)
	}
}

// Whatever dies while it is sealed, asking again gives one document.
func proofAgain(t *testing.T, w *World) {
	o := w.Order(t, A, 1)
	for _, p := range Points {
		w.Proofs.Kill(p, 1)
		if _, err := w.Service.Proof(ctx, A, o.ID, o.Subject, i18n.French); p != AfterEverything && !errors.Is(err, ErrKilled) {
			t.Logf("%s: %v", p, err) // the step was passed before
		}
	}
	w.Proofs.Silence(true)
	late := w.Order(t, A, 2)
	_, err := w.Service.Proof(ctx, A, late.ID, late.Subject, i18n.French)
	if fault.KindOf(err) != fault.Unreachable {
		t.Errorf("without a stamp: %v", err)
	}
	w.Proofs.Silence(false)
	for _, of := range []orders.Order{o, late} {
		if f, err := w.Service.Proof(ctx, A, of.ID, of.Subject, i18n.French); err != nil || bytes.Count(f.Data, []byte("sealed under")) != 1 {
			t.Errorf("%v: %.80q", err, f.Data)
		}
	}
	if n := w.Proofs.Granted(signing.Operator); n != 2 {
		t.Errorf("%d grants", n)
	}
}
