package orderstest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/outside"
	"github.com/belfry-eid/belfry/orders/register"
)

// The second and the third way to a paper.

func relayed(t *testing.T, w *World) {
	w.Goes(t, B, commune.FromSource)
	p := w.Person(B, 1)
	o, err := w.Service.Submit(ctx, B, p, w.Form(B))
	ok(t, err)
	if o.Way != commune.FromSource || o.State != orders.Submitted {
		t.Errorf("submitted: %+v", o)
	}
	w.Work(t)
	o, err = w.Service.Await(ctx, B, o.ID, p.Subject, time.Second)
	ok(t, err)
	if o.State != orders.Issued || o.ChangedBy != "" || o.Paper.Source != "rn" || string(o.Paper.Number) != "RN/"+o.ID || o.Paper.Code != "" || !o.Paper.Content.IsZero() ||
		o.Paper.Signer != "The Register" || o.Paper.Level != "B-T" || o.Paper.Holder != "Luc Marie Lambertb" || o.Paper.Access == nil || o.Paper.Access.Full() {
		t.Fatalf("relayed: %+v %+v", o, o.Paper)
	}
	if got := kinds(o.Events); got != "submitted relayed notified" {
		t.Errorf("the person sees %q", got)
	}
	if q := w.Source.Asked(); len(q) != 1 || q[0] != (register.Question{Request: o.ID, Number: p.Number, Product: "MainResidence", Language: i18n.Dutch}) {
		t.Errorf("asked %+v", q)
	}
	f, err := w.Service.Document(ctx, B, o.ID, p.Subject)
	ok(t, err)
	if string(f.Data) != string(PDF("sealed MainResidence nl for "+o.ID)) || f.Digest != o.Paper.Document || f.Name != "zandvoorde-RN-"+o.ID+".pdf" {
		t.Errorf("%s is not what the source gave, byte for byte", f.Name)
	}
	if w.Sealer.KeyUsed() != 0 {
		t.Error("our key was called")
	}
	facts, err := w.Service.LookupFile(ctx, B, blob.Sum(f.Data))
	if err != nil || facts.Source != "rn" || facts.Signer != "The Register" || facts.Number != o.Paper.Number || !facts.IssuedOn.Equal(Noon.Truncate(24*time.Hour)) {
		t.Errorf("by file: %+v, %v", facts, err)
	}
	_, err = w.Service.LookupNumber(ctx, B, string(o.Paper.Number), "")
	wants(t, err, fault.NotFound, "orders.document_unknown")
	// Withdrawn and replaced, the register gives another, and each is known for what it is.
	_, err = w.Service.Withdraw(ctx, B, o.ID, Clerk(2), orders.Causes[0], "Fout.")
	ok(t, err)
	again, err := w.Service.Replace(ctx, B, o.ID, Clerk(2))
	ok(t, err)
	var jobs int
	ok(t, w.DB.QueryRow(ctx, `SELECT COUNT(*) FROM jobs_job WHERE kind = $1`, orders.RelayJob{}.Kind()).Scan(&jobs))
	if jobs != 1 {
		t.Errorf("the register is asked for the new paper %d times", jobs)
	}
	w.Work(t)
	if again = w.Get(t, B, again.ID); again.State != orders.Issued || again.Paper.Source != "rn" || again.ReplacesNumber != o.Paper.Number {
		t.Errorf("in its place: %s, in the place of %q", again.State, again.ReplacesNumber)
	}
	if facts, err := w.Service.LookupFile(ctx, B, o.Paper.Document); err != nil || facts.Status != orders.PaperReplaced || facts.ReplacedBy != again.Paper.Number {
		t.Errorf("the withdrawn one: %+v, %v", facts, err)
	}
	// None of ours was spent: the next paper that the commune makes is its first.
	w.Goes(t, B, commune.Made)
	if made := w.Prepared(t, B, 2); made.Paper.Number != "2026-000001" {
		t.Errorf("the first number is %s", made.Paper.Number)
	}
	w.Sealer.Age() // nothing of ours is in it to be renewed
	w.Work(t)
	if still := w.Get(t, B, o.ID); still.Paper.Document != o.Paper.Document {
		t.Error("the source's file was changed")
	}
}

// sourceFails: what the source cannot or must not give comes to a clerk, who hears why, and
// nothing of it is to be seen.
func sourceFails(t *testing.T, w *World) {
	w.Goes(t, A, commune.FromSource)
	taken := w.Order(t, A, 90)
	w.Work(t)
	first := w.Get(t, A, taken.ID)
	for i, c := range []struct {
		name, key string
		do        func()
	}{
		{"no such paper", "way.source.none", func() { w.Source.Fail(fault.New(fault.Forbidden, "way.source.none", nil)) }},
		{"about another person", "way.source.mismatch", func() { w.Source.Fail(fault.New(fault.Invalid, "way.source.mismatch", nil)) }},
		{"unknown person", "register.unknown_person", func() { w.Source.Fail(fault.New(fault.NotFound, "register.unknown_person", nil)) }},
		{"unsealed", "way.source.unsealed", func() { w.Source.Unseal(fault.New(fault.Invalid, "way.source.unsealed", nil)) }},
		{"altered", "way.source.altered", func() { w.Source.Unseal(fault.New(fault.Invalid, "way.source.altered", nil)) }},
		{"a stranger's seal", "way.source.stranger", func() { w.Source.Unseal(fault.New(fault.Invalid, "way.source.stranger", nil)) }},
		{"in another language", "way.source.mismatch", func() { w.Source.Change(func(s *register.Sealed) { s.File = PDF("in German") }) }},
		{"another order's reference", "way.source.mismatch", func() { w.Source.Change(func(s *register.Sealed) { s.Reference = string(first.Paper.Number) }) }},
		{"another order's file", "way.source.mismatch", func() {
			w.Source.Change(func(s *register.Sealed) { s.File = PDF("sealed MainResidence fr for " + first.ID) })
		}},
	} {
		c.do()
		o := w.Order(t, A, i)
		w.Work(t)
		w.Source.Fail(nil)
		w.Source.Unseal(nil)
		w.Source.Change(nil)
		o = w.Get(t, A, o.ID)
		last := o.Events[len(o.Events)-1]
		if o.State != orders.Submitted || o.Way != commune.Attached || o.Paper != nil || last.Kind != orders.EventSourceFailed || last.Detail["Key"] != c.key || last.Public {
			t.Errorf("%s: %s, %s, paper %+v, %+v", c.name, o.State, o.Way, o.Paper, last)
		}
		_, err := w.Service.Document(ctx, A, o.ID, o.Subject)
		wants(t, err, fault.Conflict, "orders.not_issued")
	}
	if facts, err := w.Service.LookupFile(ctx, A, first.Paper.Document); err != nil || facts.Number != first.Paper.Number {
		t.Errorf("the first paper is now %+v, %v", facts, err)
	}
}

func sourceSilent(t *testing.T, w *World) {
	w.Goes(t, A, commune.FromSource)
	w.Source.Fail(fault.New(fault.Unreachable, "way.source.down", nil))
	o := w.Order(t, A, 1)
	w.Work(t)
	if o = w.Get(t, A, o.ID); o.State != orders.Submitted || o.Way != commune.FromSource || len(o.Events) != 1 {
		t.Errorf("while the source is down: %+v", o)
	}
	w.Source.Fail(fault.New(fault.Internal, "way.source.unreadable", nil)) // a page in the place of an answer
	w.Work(t)
	w.Source.Fail(nil)
	w.Work(t)
	if o = w.Get(t, A, o.ID); o.State != orders.Issued {
		t.Errorf("after the source came back: %s", o.State)
	}
	// A question to the person in between holds it up, and does not lose it.
	w.Source.Fail(fault.New(fault.Unreachable, "way.source.down", nil))
	held := w.Order(t, A, 4)
	w.Work(t)
	_, err := w.Service.Ask(ctx, A, held.ID, Clerk(1), "Pour quelle banque ?")
	ok(t, err)
	w.Source.Fail(nil)
	w.Work(t)
	if held = w.Get(t, A, held.ID); held.State != orders.AwaitingCitizen {
		t.Errorf("while the person is asked: %s", held.State)
	}
	_, err = w.Service.Resume(ctx, A, held.ID, Clerk(1))
	ok(t, err)
	w.Work(t)
	if held = w.Get(t, A, held.ID); held.State != orders.Issued {
		t.Errorf("after the question: %s", held.State)
	}
	w.Source.Fail(fault.New(fault.Unreachable, "way.source.down", nil))
	late, taken := w.Order(t, A, 2), w.Order(t, A, 3)
	_, err = w.Service.Attach(ctx, A, taken.ID, Clerk(1), orders.AttachedPaper{File: PDF("x"), Corner: outside.TopLeft})
	ok(t, err) // a clerk need not wait
	w.Clock.Add(25 * time.Hour)
	w.Work(t)
	if late = w.Get(t, A, late.ID); late.Way != commune.Attached || late.State != orders.Submitted {
		t.Errorf("a day later it still waits for the source: %+v", late)
	}
	w.Source.Fail(nil)
	late, err = w.Service.AskSource(ctx, A, late.ID, Clerk(1), "")
	ok(t, err)
	w.Work(t)
	if late = w.Get(t, A, late.ID); late.State != orders.Issued || kinds(late.Events) != "submitted source_failed source_asked relayed notified" {
		t.Errorf("asked again: %s, %s", late.State, kinds(late.Events))
	}
	if taken = w.Get(t, A, taken.ID); taken.State != orders.InReview || taken.Way != commune.Attached || taken.Paper.Source != "" {
		t.Errorf("what a clerk had taken is %+v", taken)
	}
}

// sourceSpecial: nothing about somebody whose registration is special without a clerk.
func sourceSpecial(t *testing.T, w *World) {
	w.Goes(t, A, commune.FromSource)
	p := w.Person(A, 1)
	home := w.Home(A, p)
	home.Status = register.Undisclosed
	w.Register.Move(p, home)
	o, err := w.Service.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	w.Work(t)
	if o = w.Get(t, A, o.ID); o.State != orders.Submitted || len(w.Source.Asked()) != 0 {
		t.Fatalf("without a clerk: %s, the source was asked %d times", o.State, len(w.Source.Asked()))
	}
	for _, none := range []string{"", " \n"} {
		_, err = w.Service.AskSource(ctx, A, o.ID, Clerk(1), none)
		wants(t, err, fault.Conflict, "orders.needs_reason")
	}
	_, err = w.Service.AskSource(ctx, A, o.ID, orders.Clerk{Subject: p.Subject}, "because")
	wants(t, err, fault.Forbidden, "orders.own")
	_, err = w.Service.AskSource(ctx, A, o.ID, Clerk(1), "Vu la personne au guichet.")
	ok(t, err)
	w.Work(t)
	if o = w.Get(t, A, o.ID); o.State != orders.Issued || !slices.ContainsFunc(o.Events, func(e orders.Event) bool { return e.Detail["Reason"] == "Vu la personne au guichet." }) {
		t.Errorf("with a reason: %s, %s", o.State, kinds(o.Events))
	}
	// What changes after a clerk has looked is looked at again.
	for i, c := range []struct {
		change func(*register.Residence)
		key    string
	}{
		{func(r *register.Residence) { r.Status = register.ReferenceAddress }, "orders.needs_reason"},
		{func(r *register.Residence) { r.NIS = "99002" }, "orders.lives_elsewhere"},
		{func(r *register.Residence) { r.Status = register.Deceased }, "orders.nothing_to_certify"},
	} {
		p := w.Person(A, 10+i)
		o, err := w.Service.Submit(ctx, A, p, w.Form(A))
		ok(t, err)
		home := w.Home(A, p)
		c.change(&home)
		w.Register.Move(p, home)
		w.Work(t)
		o = w.Get(t, A, o.ID)
		if o.State != orders.Submitted || o.Way != commune.Attached || o.Events[len(o.Events)-1].Detail["Key"] != c.key {
			t.Errorf("%s: %s, %s", c.key, o.State, kinds(o.Events))
		}
	}
	of, _ := w.Communes.ByID(B)
	w.Goes(t, B, commune.FromSource)
	there := w.Order(t, B, 20)
	regime, only := of.LanguageRegime, of.DocumentsOnly
	of.LanguageRegime, of.DocumentsOnly = "fr", nil
	w.Work(t)
	of.LanguageRegime, of.DocumentsOnly = regime, only
	if there = w.Get(t, B, there.ID); there.Way != commune.Attached || there.Events[len(there.Events)-1].Detail["Key"] != "way.source.language" {
		t.Errorf("in a language that the commune does not issue in: %s, %s", there.State, kinds(there.Events))
	}
}

// deathRelaying stops the relay at each place where something else is asked: nothing of it is
// to be seen, and the paper comes when all works again.
func deathRelaying(t *testing.T, w *World) {
	boom := errors.New("boom")
	w.Goes(t, A, commune.FromSource)
	for i, fail := range []func(error){w.Register.Fail, w.Source.Fail, w.Source.Unseal, w.Blobs.Fail, w.Auditor.Fail} {
		o := w.Order(t, A, i)
		fail(boom)
		w.Work(t)
		half := w.Get(t, A, o.ID)
		if half.State != orders.Submitted || half.Paper != nil || len(half.Events) != 1 || half.Version != o.Version {
			t.Errorf("%d: half of it is to be seen: %+v", i, half)
		}
		fail(nil)
		w.Work(t)
		if o = w.Get(t, A, o.ID); o.State != orders.Issued {
			t.Errorf("%d: %s", i, o.State)
		}
	}
	o := w.Order(t, A, 50)
	w.Work(t)
	if mine, err := w.Service.Cancel(ctx, A, o.ID, o.Subject); err == nil {
		t.Errorf("what is issued was withdrawn: %s", mine.State)
	}
}

func attached(t *testing.T, w *World) {
	w.Goes(t, B, commune.Attached)
	o := w.Order(t, B, 1)
	_, err := w.Service.Prepare(ctx, B, o.ID, Clerk(1))
	wants(t, err, fault.Conflict, "way.attach.missing")
	give := orders.AttachedPaper{File: PDF("made elsewhere"), Corner: outside.TopRight}
	_, err = w.Service.Attach(ctx, B, o.ID, orders.Clerk{Subject: o.Subject}, give)
	wants(t, err, fault.Forbidden, "orders.own")
	_, err = w.Service.Attach(ctx, B, o.ID, Clerk(1), orders.AttachedPaper{File: []byte("<html>"), Corner: outside.TopRight})
	wants(t, err, fault.Invalid, "outside.not_pdf")
	_, err = w.Service.Attach(ctx, B, o.ID, Clerk(1), orders.AttachedPaper{File: give.File, Corner: "middle"})
	wants(t, err, fault.Invalid, "orders.form.invalid")
	if w.Get(t, B, o.ID).Paper != nil {
		t.Error("a number was spent on a file that was refused")
	}
	o, err = w.Service.Attach(ctx, B, o.ID, Clerk(1), give)
	ok(t, err)
	if o.State != orders.InReview || o.Paper.Number != "2026-000001" || o.Paper.Holder != "Luc Marie Lambertb" || o.Paper.File == nil || o.Paper.File.By != "Claire 1" ||
		o.Paper.File.Digest != blob.Sum(give.File) || o.Paper.Access == nil || !o.Paper.Access.Tagged {
		t.Fatalf("attached: %+v %+v", o, o.Paper)
	}
	m := w.Files.Last()
	if m.Corner != outside.TopRight || m.Specimen == "" || !strings.HasPrefix(m.QR, "https://loket.zandvoorde.example/verify/") ||
		!strings.Contains(m.Lines[0], "2026-000001") || !strings.Contains(strings.Join(m.Lines, "\n"), "loket.zandvoorde.example/verify") || !strings.Contains(strings.ReplaceAll(strings.Join(m.Lines, "\n"), "-", ""), o.Paper.Code) {
		t.Errorf("marked with %+v", m)
	}
	preview, err := w.Service.Preview(ctx, B, o.ID, Clerk(1))
	ok(t, err)
	if !strings.HasPrefix(string(preview.Data), string(give.File)) || preview.Digest != o.Paper.Content {
		t.Error("the preview is not the file with its mark")
	}
	_, err = w.Service.Approve(ctx, B, o.ID, Clerk(1), blob.Sum(give.File)) // without its number it is not approved
	wants(t, err, fault.Conflict, "orders.content_changed")
	_, err = w.Service.Approve(ctx, B, o.ID, Clerk(1), o.Paper.Content)
	ok(t, err)
	w.Work(t)
	o = w.Get(t, B, o.ID)
	if got := kinds(o.Events); o.State != orders.Issued || got != "submitted in_review attached approved signed issued notified" {
		t.Errorf("%s, %s", o.State, got)
	}
	f, err := w.Service.Document(ctx, B, o.ID, o.Subject)
	ok(t, err)
	if !strings.HasPrefix(string(f.Data), string(preview.Data)) {
		t.Error("something else was sealed than was previewed")
	}
	if facts, err := w.Service.Lookup(ctx, B, strings.TrimPrefix(m.QR, "https://loket.zandvoorde.example/verify/")); err != nil || facts.Number != "2026-000001" || facts.Source != "" {
		t.Errorf("by the QR: %+v, %v", facts, err)
	}
	_, err = w.Service.Withdraw(ctx, B, o.ID, Clerk(2), orders.Causes[0], "Erreur.")
	ok(t, err)
	second, err := w.Service.Replace(ctx, B, o.ID, Clerk(2))
	ok(t, err)
	second, err = w.Service.Attach(ctx, B, second.ID, Clerk(2), give)
	ok(t, err)
	if m := w.Files.Last(); second.Paper.Number != "2026-000002" || !strings.Contains(m.Lines[len(m.Lines)-1], "2026-000001") {
		t.Errorf("the paper in its place is marked with %q", m.Lines)
	}
	log, err := w.Audit.List(ctx, B, o.ID)
	ok(t, err)
	var who string
	for _, e := range log {
		if e.Action == "orders.attached" {
			who = e.Actor + " " + e.Detail["attached"]
		}
	}
	if who != Clerk(1).Subject+" "+blob.Sum(give.File).String() {
		t.Errorf("the audit log says of the file: %q", who)
	}
	w.Goes(t, B, commune.Made)
	made := w.Order(t, B, 2)
	_, err = w.Service.Attach(ctx, B, made.ID, Clerk(1), give)
	wants(t, err, fault.Forbidden, "way.attach.off")
}

func attachedAgain(t *testing.T, w *World) {
	w.Goes(t, A, commune.Attached)
	o := w.Order(t, A, 1)
	first, err := w.Service.Attach(ctx, A, o.ID, Clerk(1), orders.AttachedPaper{File: PDF("of another person"), Corner: outside.TopLeft})
	ok(t, err)
	second, err := w.Service.Attach(ctx, A, o.ID, Clerk(2), orders.AttachedPaper{File: PDF("untagged"), Corner: outside.TopLeft})
	ok(t, err)
	if second.Paper.Number != first.Paper.Number || second.Paper.Code != first.Paper.Code || second.Paper.Content == first.Paper.Content || second.Paper.File.By != "Claire 2" || second.Paper.Access.Tagged {
		t.Errorf("%+v after %+v", second.Paper, first.Paper)
	}
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), first.Paper.Content)
	wants(t, err, fault.Conflict, "orders.content_changed")
	// The next day the same file is prepared anew: what the register says may have changed.
	w.Clock.Add(24 * time.Hour)
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), second.Paper.Content)
	wants(t, err, fault.Conflict, "orders.content_stale")
	third, err := w.Service.PrepareFor(ctx, A, o.ID, Clerk(3), Clerk(2).Subject, nil)
	ok(t, err)
	if third.Paper.File.Digest != second.Paper.File.Digest || third.Paper.File.By != "Claire 2" || third.Paper.Content != second.Paper.Content || third.Paper.PreparedBy != "Claire 3" {
		t.Errorf("prepared anew: %+v", third.Paper)
	}
	w.Files.Fail(fault.New(fault.Unreachable, "outside.unread", nil))
	_, err = w.Service.Attach(ctx, A, o.ID, Clerk(1), orders.AttachedPaper{File: PDF("z"), Corner: outside.TopLeft})
	wants(t, err, fault.Unreachable, "outside.unread")
	w.Files.Fail(nil)
	if now := w.Get(t, A, o.ID); now.Paper.Content != third.Paper.Content || now.Paper.File.Digest != third.Paper.File.Digest {
		t.Error("a file that could not be marked took another one's place")
	}
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(2), third.Paper.Content)
	ok(t, err)
	_, err = w.Service.Attach(ctx, A, o.ID, Clerk(1), orders.AttachedPaper{File: PDF("late"), Corner: outside.TopLeft})
	wants(t, err, fault.Conflict, "orders.moved")
	// A special registration wants its reason here too.
	p := w.Person(A, 2)
	home := w.Home(A, p)
	home.Status = register.ReferenceAddress
	w.Register.Move(p, home)
	special, err := w.Service.Submit(ctx, A, p, w.Form(A))
	ok(t, err)
	_, err = w.Service.Attach(ctx, A, special.ID, Clerk(1), orders.AttachedPaper{File: PDF("x"), Corner: outside.TopLeft, Reason: " "})
	wants(t, err, fault.Conflict, "orders.needs_reason")
	special, err = w.Service.Attach(ctx, A, special.ID, Clerk(1), orders.AttachedPaper{File: PDF("x"), Corner: outside.TopLeft, Reason: "Vu."})
	ok(t, err)
	if got := kinds(special.Events); got != "submitted decided in_review attached" {
		t.Errorf("with a reason: %s", got)
	}
}

// whichWay: the commune's setting, and what is there to go by.
func whichWay(t *testing.T, w *World) {
	for _, want := range commune.Ways {
		w.Goes(t, A, want)
		if got, err := w.Service.Way(A, "residence"); err != nil || got != want {
			t.Errorf("set to %s: %s, %v", want, got, err)
		}
	}
	w.Goes(t, A, "")
	if got, err := w.Service.Way(A, "residence"); err != nil || got != commune.Made {
		t.Errorf("by the catalogue: %s, %v", got, err)
	}
	bare := *w.Service
	bare.Sources = nil
	w.Goes(t, A, commune.FromSource)
	if got, err := bare.Way(A, "residence"); err != nil || got != commune.Attached {
		t.Errorf("without a source: %s, %v", got, err)
	}
	bare.Register = nil
	w.Goes(t, A, "")
	if got, err := bare.Way(A, "residence"); err != nil || got != commune.Attached {
		t.Errorf("without a register: %s, %v", got, err)
	}
	o, err := bare.Submit(ctx, A, w.Person(A, 1), w.Form(A))
	ok(t, err)
	if o.Way != commune.Attached || o.Answer(orders.Surname) == "" || o.Answer(orders.Address) != "" {
		t.Errorf("without a register: %+v", o)
	}
	o, err = bare.Attach(ctx, A, o.ID, Clerk(1), orders.AttachedPaper{File: PDF("x"), Corner: outside.TopLeft})
	ok(t, err)
	if o.Paper.Holder != "Luc Marie Lambertb" {
		t.Errorf("the holder is %q", o.Paper.Holder)
	}
	_, err = w.Service.AskSource(ctx, A, w.made(t).ID, Clerk(1), "")
	wants(t, err, fault.Forbidden, "way.source.off")
}

// made is an order whose paper this program makes.
func (w *World) made(t *testing.T) orders.Order {
	t.Helper()
	w.Goes(t, A, commune.Made)
	return w.Order(t, A, 7)
}
