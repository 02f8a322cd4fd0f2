package orderstest

import (
	"reflect"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/eid"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/outside"
)

// isolation has one row for each method of Service: asked in the name of commune B
// about everything of commune A, it answers as if A did not exist, and changes nothing.
func isolation(t *testing.T, w *World) {
	issued := w.Issued(t, A, 1)
	open := w.Prepared(t, A, 2)
	token := tokenOf(w.Renderer.Last())
	writtenForm := w.Form(A)
	written, err := w.Service.Submit(ctx, A, w.Person(A, 3), writtenForm)
	ok(t, err)
	if o, err := w.Service.OfForm(ctx, A, written.Subject, writtenForm.Key); err != nil || o.ID != written.ID {
		t.Errorf("the form's own order: %v", err)
	}
	written, err = w.Service.Reply(ctx, A, written.ID, written.Subject, 0, "", []orders.Upload{Picture("a.png")})
	ok(t, err)
	w.Goes(t, A, commune.Attached)
	waiting := w.Order(t, A, 4)
	w.Goes(t, A, commune.Made)
	w.setting(t, B, commune.OptionalClerkSignature)
	begun := w.Person(A, 1)
	_, err = w.Service.KeepDraft(ctx, A, begun, DraftOf(nil))
	ok(t, err)
	owed := w.Owed(t, A, 5)
	letter := w.Posted(t, A, 7)
	paid := w.Owed(t, A, 6)
	_, err = w.Service.Receive(ctx, A, paid.ID, Clerk(1), orders.Cash, "1")
	ok(t, err)
	s := w.Service
	permission, err := s.AllowReading(ctx, A, Clerk(1), "session")
	ok(t, err)
	own, err := s.SaveQuestion(ctx, A, boss(1), question("Bail", "Votre bail ?"))
	ok(t, err)
	theirs := own // with words in the official language of B
	theirs.Label, theirs.Text = map[i18n.Language]string{i18n.Dutch: "Huur"}, map[i18n.Language]string{i18n.Dutch: "Uw huurcontract?"}
	before := dump(t, w.DB)
	missing := func(err error) bool { return fault.KindOf(err) == fault.NotFound }
	rows := map[string]func() bool{
		// What is offered to all, or asks only about the caller, has nothing of A to give.
		"Products": func() bool { return len(s.Products("nowhere")) == 0 },
		"Product":  func() bool { _, err := s.Product("nowhere", "residence"); return err != nil },
		"Way":      func() bool { _, err := s.Way("nowhere", "residence"); return err != nil },
		"Prefill": func() bool {
			_, err := s.Prefill(ctx, B, w.Person(A, 1), "residence")
			return fault.KeyOf(err) == "orders.lives_elsewhere"
		},
		"Submit": func() bool {
			_, err := s.Submit(ctx, B, w.Person(A, 1), w.Form(B))
			return fault.KeyOf(err) == "orders.lives_elsewhere"
		},
		"OfForm":    func() bool { _, err := s.OfForm(ctx, B, written.Subject, writtenForm.Key); return missing(err) },
		"KeepDraft": func() bool { _, err := s.KeepDraft(ctx, "nowhere", begun, DraftOf(nil)); return err != nil },
		"Contact": func() bool {
			known, err := s.Contact(ctx, B, w.Person(A, 3))
			return err == nil && len(known) == 0
		},
		"SetContact": func() bool { return s.SetContact(ctx, B, w.Person(A, 3), nil) == nil },
		"Draft":      func() bool { d, err := s.Draft(ctx, B, begun, "residence"); return err == nil && !d.Kept() },
		"Drafts":     func() bool { list, err := s.Drafts(ctx, B, begun); return err == nil && len(list) == 0 },
		"DropDraft":  func() bool { return s.DropDraft(ctx, B, begun, "residence") == nil },
		"IssuedTo": func() bool {
			page, err := s.IssuedTo(ctx, B, []string{issued.Subject}, "")
			return err == nil && len(page.Orders) == 0
		},
		"Looks": func() bool {
			page, err := s.Looks(ctx, B, []string{issued.Subject}, time.Time{})
			return err == nil && len(page.Looks) == 0
		},
		"Copy": func() bool {
			f, err := s.LookupNumber(ctx, A, string(issued.Paper.Number), issued.Paper.Code)
			if err != nil {
				return false
			}
			for _, of := range w.Communes.All() {
				of.CheckCopy = true
				defer func() { of.CheckCopy = false }()
			}
			_, err = s.Copy(ctx, B, f)
			f.Commune = B
			_, err2 := s.Copy(ctx, B, f)
			return missing(err) && missing(err2)
		},
		"Proof":       func() bool { _, err := s.Proof(ctx, B, written.ID, written.Subject, i18n.French); return missing(err) },
		"SealsProofs": func() bool { w.Proofs.None(true); defer w.Proofs.None(false); return !s.SealsProofs("nowhere") },
		"Follow":      func() bool { _, err := s.Follow(ctx, B, written.Reference, born); return missing(err) },
		"SendCodes":   func() bool { return s.SendCodes(ctx, "nowhere", "somebody@example.be", born) != nil },
		"Mine":        func() bool { list, err := s.Mine(ctx, B, issued.Subject); return err == nil && len(list) == 0 },
		"Get":         func() bool { _, err := s.Get(ctx, B, issued.ID); return missing(err) },
		"ForCitizen":  func() bool { _, err := s.ForCitizen(ctx, B, issued.ID, issued.Subject); return missing(err) },
		"ForClerk":    func() bool { _, err := s.ForClerk(ctx, B, issued.ID, Clerk(1)); return missing(err) },
		"Own":         func() bool { _, err := s.Own(ctx, B, issued.ID, Clerk(1)); return missing(err) },
		"Inbox": func() bool {
			for _, f := range []orders.Filter{{States: orders.States}, {Search: open.Reference, States: orders.States}, {Search: string(issued.Paper.Number), States: orders.States}} {
				if page, err := s.Inbox(ctx, B, f); err != nil || len(page.Orders) != 0 {
					return false
				}
			}
			return true
		},
		"Counts": func() bool {
			counts, err := s.Counts(ctx, B, open.Assignee.Subject)
			if counts.Mine+counts.Unassigned+counts.Answered > 0 {
				return false
			}
			for _, n := range counts.ByState {
				if n != 0 {
					return false
				}
			}
			return err == nil
		},
		"Preview":        func() bool { _, err := s.Preview(ctx, B, open.ID, Clerk(1)); return missing(err) },
		"Document":       func() bool { _, err := s.Document(ctx, B, issued.ID, issued.Subject); return missing(err) },
		"Prepare":        func() bool { _, err := s.Prepare(ctx, B, open.ID, Clerk(1)); return missing(err) },
		"PrepareDespite": func() bool { _, err := s.PrepareDespite(ctx, B, open.ID, Clerk(1), "because"); return missing(err) },
		"PrefillFor": func() bool {
			_, err := s.PrefillFor(ctx, "nowhere", Clerk(1), orders.Applicant{Number: Number(1)}, "residence")
			return err != nil
		},
		"Enter": func() bool {
			_, err := s.Enter(ctx, "nowhere", Clerk(1), atCounter, orders.Applicant{Number: Number(1)}, w.Form(B))
			return err != nil
		},
		"AllowReading": func() bool { _, err := s.AllowReading(ctx, "nowhere", Clerk(1), "session"); return err != nil },
		"ReadCard": func() bool {
			_, err := s.ReadCard(ctx, B, Clerk(1), "session", permission, w.card(t, w.Person(A, 1), 1), eid.NationalNumber{})
			return missing(err)
		},
		"EndMandate": func() bool { return missing(s.EndMandate(ctx, B, issued.ID, Clerk(1))) },
		"Claim": func() bool {
			list, err := s.Mine(ctx, B, issued.Subject)
			return s.Claim(ctx, B, w.Person(A, 1)) == nil && err == nil && len(list) == 0
		},
		"Sealed":      func() bool { _, err := s.Sealed(ctx, B, issued.ID, Clerk(1)); return missing(err) },
		"PrepareFor":  func() bool { _, err := s.PrepareFor(ctx, B, open.ID, Clerk(1), "clerk-1", nil); return missing(err) },
		"Signatories": func() bool { _, err := s.Signatories(ctx, B, open.ID, Clerk(1)); return missing(err) },
		"Approve":     func() bool { _, err := s.Approve(ctx, B, open.ID, Clerk(1), open.Paper.Content); return missing(err) },
		"PrepareSignature": func() bool {
			_, err := s.PrepareSignature(ctx, B, open.ID, Clerk(1), open.Paper.Content, certificate(Clerk(1)))
			return missing(err)
		},
		"ApproveSigned": func() bool {
			_, err := s.ApproveSigned(ctx, B, open.ID, Clerk(1), open.Paper.Content, "request-1", nil)
			return missing(err)
		},
		"Attach": func() bool {
			_, err := s.Attach(ctx, B, waiting.ID, Clerk(1), orders.AttachedPaper{File: PDF("x"), Corner: outside.TopLeft})
			return missing(err)
		},
		"AskSource": func() bool { _, err := s.AskSource(ctx, B, waiting.ID, Clerk(1), ""); return missing(err) },
		"Await":     func() bool { _, err := s.Await(ctx, B, issued.ID, issued.Subject, 0); return missing(err) },
		"Ready":     func() bool { list, err := s.Ready(ctx, B, Clerk(1)); return err == nil && len(list) == 0 },
		"Refuse": func() bool {
			_, err := s.Refuse(ctx, B, open.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
			return missing(err)
		},
		"Assign": func() bool {
			_, err := s.Assign(ctx, B, open.ID, Clerk(2), open.Assignee.Subject, colleague(2))
			return missing(err)
		},
		"Withdraw": func() bool {
			_, err := s.Withdraw(ctx, B, issued.ID, Clerk(1), orders.FactsWrong, "faux")
			return missing(err)
		},
		"Replace": func() bool { _, err := s.Replace(ctx, B, issued.ID, Clerk(1)); return missing(err) },
		"Figures": func() bool {
			f, err := s.Figures(ctx, B, 2026)
			return err == nil && f.Total == (orders.Figure{}) && len(f.Products) == 0
		},
		"Workloads": func() bool { list, err := s.Workloads(ctx, B); return err == nil && len(list) == 0 },
		"Ask":       func() bool { _, err := s.Ask(ctx, B, open.ID, Clerk(1), "Quoi ?"); return missing(err) },
		"Resume":    func() bool { _, err := s.Resume(ctx, B, open.ID, Clerk(1)); return missing(err) },
		"Reply":     func() bool { _, err := s.Reply(ctx, B, open.ID, open.Subject, 0, "Ceci.", nil); return missing(err) },
		"AddNote":   func() bool { return missing(s.AddNote(ctx, B, open.ID, Clerk(1), "Note.")) },
		"Attachment": func() bool {
			_, err := s.Attachment(ctx, B, written.ID, written.Subject, 1, 1)
			return missing(err)
		},
		"AttachmentForClerk": func() bool {
			_, err := s.AttachmentForClerk(ctx, B, written.ID, Clerk(1), 1, 1)
			return missing(err)
		},
		"Cancel": func() bool { _, err := s.Cancel(ctx, B, open.ID, open.Subject); return missing(err) },
		"Lookup": func() bool { _, err := s.Lookup(ctx, B, token); return missing(err) },
		"LookupNumber": func() bool {
			_, err := s.LookupNumber(ctx, B, string(issued.Paper.Number), issued.Paper.Code)
			return missing(err)
		},
		"Letters": func() bool {
			list, _, err := s.Letters(ctx, B, Clerk(1))
			return err == nil && len(list) == 0
		},
		"WaitingLetters": func() bool { n, err := s.WaitingLetters(ctx, B); return err == nil && n == 0 },
		"PrintLetters":   func() bool { _, err := s.PrintLetters(ctx, B, Clerk(1), []string{letter.ID}); return missing(err) },
		"PostLetters":    func() bool { _, err := s.PostLetters(ctx, B, Clerk(1), []string{letter.ID}); return missing(err) },
		"Tariff":         func() bool { _, err := s.Tariff("nowhere", "residence"); return err != nil },
		"Receive":        func() bool { _, err := s.Receive(ctx, B, owed.ID, Clerk(1), orders.Cash, "1"); return missing(err) },
		"UndoReceipt":    func() bool { _, err := s.UndoReceipt(ctx, B, paid.ID, Clerk(1), 1, "faux"); return missing(err) },
		"Questions":      func() bool { list, err := s.Questions(ctx, B); return err == nil && len(list) == 0 },
		"SaveQuestion": func() bool {
			_, err := s.SaveQuestion(ctx, B, boss(1), theirs)
			return missing(err)
		},
		"DropQuestion": func() bool { return missing(s.DropQuestion(ctx, B, boss(1), own.ID, own.Version)) },
		"LookupFile":   func() bool { _, err := s.LookupFile(ctx, B, issued.Paper.Document); return missing(err) },
	}
	for m := range reflect.TypeFor[*orders.Service]().Methods() {
		row, there := rows[m.Name]
		if !there {
			t.Errorf("%s has no row in this table", m.Name)
			continue
		}
		if !row() {
			t.Errorf("%s shows or does something of another commune", m.Name)
		}
	}
	for table, text := range dump(t, w.DB) {
		if text != before[table] {
			t.Errorf("%s has changed", table)
		}
	}
}
