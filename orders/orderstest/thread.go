package orderstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
)

// What is written between clerks and people.

// Picture is a file that people may send.
func Picture(name string) orders.Upload {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		panic(err)
	}
	return file(name, b.Bytes())
}

func file(name string, content []byte) orders.Upload {
	return orders.Upload{Name: name, Size: int64(len(content)), Content: bytes.NewReader(content)}
}

// askedAndAnswered is a question on a Tuesday that is answered on the Friday after.
func askedAndAnswered(t *testing.T, w *World) {
	s := w.Service
	o := w.Order(t, A, 1) // promised for Friday 6 February
	subject := o.Subject
	o, err := s.Ask(ctx, A, o.ID, Clerk(1), "  Une copie de votre carte ?\r\nMerci. ")
	ok(t, err)
	if o.State != orders.AwaitingCitizen || o.Assignee != colleague(1) || !o.PausedAt.Equal(Noon) {
		t.Errorf("asked: %s, %+v since %s", o.State, o.Assignee, o.PausedAt)
	}
	w.Work(t)
	sent := w.told("asked")
	if len(sent) != 1 || sent[0].ID != "asked.1."+o.ID || strings.Contains(sent[0].Subject+sent[0].Text, "carte") || strings.Contains(sent[0].Text, "Lambert") {
		t.Errorf("mail: %+v", sent)
	}
	w.Clock.Add(8 * 24 * time.Hour) // Wednesday 11 February: six working days after
	if o.Late(w.Clock.Now()) {
		t.Error("it is late while it waits for the person")
	}
	if counts, err := s.Counts(ctx, A); err != nil || counts.Late != 0 || counts.ByState[orders.AwaitingCitizen] != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
	if page, err := s.Inbox(ctx, A, orders.Filter{Late: true}); err != nil || len(page.Orders) != 0 {
		t.Errorf("%d late, %v", len(page.Orders), err)
	}
	seen, err := s.ForCitizen(ctx, A, o.ID, subject)
	ok(t, err)
	if len(seen.Messages) != 1 || seen.Messages[0].Text != "Une copie de votre carte ?\nMerci." || seen.Messages[0].By.Name != "" {
		t.Errorf("the person reads %+v", seen.Messages)
	}
	o, err = s.Reply(ctx, A, o.ID, subject, 1, "", []orders.Upload{Picture("carte recto.PNG"), Picture(`C:\x\carte".exe`)})
	ok(t, err)
	if o.State != orders.Submitted || o.DueOn.Format(time.DateOnly) != "2026-02-16" || !o.PausedAt.IsZero() || !o.AnsweredAt.Equal(w.Clock.Now()) {
		t.Errorf("answered: %s, due %s, paused %s", o.State, o.DueOn, o.PausedAt)
	}
	if got := kinds(o.Events); got != "submitted asked notified answered" {
		t.Errorf("the person sees %q", got)
	}
	if counts, err := s.Counts(ctx, A); err != nil || counts.Answered != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
	if page, err := s.Inbox(ctx, A, orders.Filter{Answered: true}); err != nil || len(page.Orders) != 1 {
		t.Errorf("%d answered, %v", len(page.Orders), err)
	}
	attachments(t, w, o)
	o, err = s.Prepare(ctx, A, o.ID, Clerk(2))
	ok(t, err)
	if !o.AnsweredAt.IsZero() {
		t.Error("it still counts as answered, and a clerk has acted")
	}
	if o.Assignee != colleague(1) {
		t.Errorf("%+v is on it", o.Assignee)
	}
}

func attachments(t *testing.T, w *World, o orders.Order) {
	t.Helper()
	s, files := w.Service, o.Messages[1].Files
	if len(files) != 2 || files[0].Name != "carte recto.png" || files[1].Name != "carte.png" || files[0].Type != "image/png" {
		t.Fatalf("files: %+v", files)
	}
	f, err := s.Attachment(ctx, A, o.ID, o.Subject, 2, 1)
	ok(t, err)
	defer f.Content.Close()
	data, err := io.ReadAll(f.Content)
	if err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) || int64(len(data)) != files[0].Size {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	g, err := s.AttachmentForClerk(ctx, A, o.ID, Clerk(1), 2, 2)
	ok(t, err)
	g.Content.Close()
	for name, read := range map[string]func() error{
		"somebody else": func() error { _, err := s.Attachment(ctx, A, o.ID, "somebody", 2, 1); return err },
		"no third":      func() error { _, err := s.Attachment(ctx, A, o.ID, o.Subject, 2, 3); return err },
		"no zeroth":     func() error { _, err := s.AttachmentForClerk(ctx, A, o.ID, Clerk(1), 2, 0); return err },
		"of a question": func() error { _, err := s.AttachmentForClerk(ctx, A, o.ID, Clerk(1), 1, 1); return err },
	} {
		t.Log(name)
		wants(t, read(), fault.NotFound, "orders.not_found")
	}
	log, err := w.Audit.List(ctx, A, o.ID)
	ok(t, err)
	read := 0
	for _, e := range log {
		if e.Action == "orders.attachment_read" {
			read++
		}
	}
	if read != 2 {
		t.Errorf("%d of 2 readings are logged", read)
	}
}

// written are the ways to write that are refused, and that count once.
func written(t *testing.T, w *World) {
	s := w.Service
	o := w.Prepared(t, A, 1)
	subject := o.Subject
	w.Blobs.Fail(errors.New("full"))
	if _, err := s.Reply(ctx, A, o.ID, subject, 0, "x", []orders.Upload{Picture("a.png")}); err == nil {
		t.Error("a file that was not kept")
	}
	w.Blobs.Fail(nil)
	for name, c := range map[string]struct {
		key   string
		text  string
		files []orders.Upload
	}{
		"nothing":    {"orders.message_missing", " \n", nil},
		"long":       {"orders.form.too_long", strings.Repeat("x", orders.MaxMessage+1), nil},
		"invisible":  {"orders.form.characters", "a\u202eb", nil},
		"a page":     {"orders.file_kind", "", []orders.Upload{Picture("a.png"), file("b.pdf", []byte("<html>"))}},
		"empty":      {"orders.file_empty", "x", []orders.Upload{file("b.pdf", nil)}},
		"half a pdf": {"orders.file_broken", "x", []orders.Upload{file("b.pdf", []byte("%PDF-1.7 and no more"))}},
		"many":       {"orders.files_many", "x", make([]orders.Upload, orders.MaxFiles+1)},
	} {
		_, err := s.Reply(ctx, A, o.ID, subject, 0, c.text, c.files)
		t.Log(name)
		if args := wants(t, err, fault.Invalid, c.key); strings.HasPrefix(c.key, "orders.file_") && args["File"] != "b" {
			t.Errorf("it names %v", args)
		}
	}
	if after := w.Get(t, A, o.ID); after.Version != o.Version || len(after.Messages) != 0 {
		t.Errorf("what was refused left %d messages", len(after.Messages))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Reply(ctx, A, o.ID, subject, 0, "Encore ceci.", nil); err != nil && fault.KeyOf(err) != "orders.thread_moved" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	o = w.Get(t, A, o.ID)
	if len(o.Messages) != 1 || o.Messages[0].Kind != orders.MessageAddition || o.State != orders.InReview || o.AnsweredAt.IsZero() {
		t.Errorf("sent eight times: %d messages, %s", len(o.Messages), o.State)
	}
	_, err := s.Reply(ctx, A, o.ID, subject, 0, "Encore ceci.", nil)
	ok(t, err) // it has come already
	_, err = s.Reply(ctx, A, o.ID, subject, 0, "Encore ceci.", []orders.Upload{Picture("recto.png")})
	wants(t, err, fault.Conflict, "orders.thread_moved") // this has not: a file is never lost silently
	_, err = s.Ask(ctx, A, o.ID, Clerk(1), "Quoi ?")
	ok(t, err)
	_, err = s.Reply(ctx, A, o.ID, subject, 1, "Autre chose.", nil)
	wants(t, err, fault.Conflict, "orders.thread_moved")
	_, err = s.Ask(ctx, A, o.ID, Clerk(2), "Quoi encore ?")
	wants(t, err, fault.Conflict, "orders.moved")
	_, err = s.Approve(ctx, A, o.ID, Clerk(1), o.Paper.Content)
	wants(t, err, fault.Conflict, "orders.moved")
	o, err = s.Resume(ctx, A, o.ID, Clerk(2))
	ok(t, err)
	if o.State != orders.InReview || !o.DueOn.Equal(orders.Due(commune.Calendar{}, Noon, 3)) {
		t.Errorf("resumed: %s, due %s", o.State, o.DueOn)
	}
	_, err = s.Resume(ctx, A, o.ID, Clerk(2))
	wants(t, err, fault.Conflict, "orders.moved")
	_, err = s.Approve(ctx, A, o.ID, Clerk(1), o.Paper.Content)
	ok(t, err)
	_, err = s.Reply(ctx, A, o.ID, subject, 2, "Trop tard.", nil)
	wants(t, err, fault.Conflict, "orders.thread_closed")
	// Somebody who only asked and never got an answer may still refuse, or be left by the person.
	asked := w.Order(t, A, 2)
	_, err = s.Ask(ctx, A, asked.ID, Clerk(1), "Quoi ?")
	ok(t, err)
	_, err = s.Cancel(ctx, A, asked.ID, asked.Subject)
	ok(t, err)
	own := w.Order(t, A, 3)
	_, err = s.Ask(ctx, A, own.ID, orders.Clerk{Subject: own.Subject, Name: "x", Number: Number(3)}, "Moi ?")
	wants(t, err, fault.Forbidden, "orders.own")
	for i := range 30 {
		_, err = s.Reply(ctx, A, own.ID, own.Subject, i, "Et encore "+strings.Repeat("!", i+1), nil)
		ok(t, err)
	}
	_, err = s.Reply(ctx, A, own.ID, own.Subject, 30, "Assez", nil)
	wants(t, err, fault.TooMany, "orders.messages_many")
}

// noteToColleagues is read at the desk, and by nothing that the person or a stranger asks.
func noteToColleagues(t *testing.T, w *World) {
	const secret = "Voisin bruyant."
	o := w.Order(t, A, 1)
	ok(t, w.Service.AddNote(ctx, A, o.ID, Clerk(1), secret))
	seen, err := w.Service.ForClerk(ctx, A, o.ID, Clerk(2))
	ok(t, err)
	if len(seen.Notes) != 1 || seen.Notes[0].Text != secret || seen.Notes[0].By != colleague(1) {
		t.Errorf("a colleague reads %+v", seen.Notes)
	}
	me := orders.Clerk{Subject: o.Subject, Name: "Luc Lambertb", Number: Number(1)}
	wants(t, w.Service.AddNote(ctx, A, o.ID, me, "Bravo."), fault.Forbidden, "orders.own")
	mine, err := w.Service.ForClerk(ctx, A, o.ID, me)
	ok(t, err)
	person, err := w.Service.ForCitizen(ctx, A, o.ID, o.Subject)
	ok(t, err)
	list, err := w.Service.Mine(ctx, A, o.Subject)
	ok(t, err)
	text, err := json.Marshal([]any{mine, person, list})
	ok(t, err)
	if strings.Contains(string(text), "bruyant") || strings.Contains(kinds(person.Events), "noted") {
		t.Errorf("the person reads what clerks wrote for each other: %s", text)
	}
	wants(t, w.Service.AddNote(ctx, A, o.ID, Clerk(1), ""), fault.Invalid, "orders.message_missing")
	for _, l := range i18n.Languages {
		for _, q := range orders.Templates {
			if i18n.T(l, q.TextKey(), "Reference", o.Reference) == q.TextKey() {
				t.Errorf("%s in %s", q, l)
			}
		}
	}
}

// ownAppeal is a commune's own text about appeals, in the person's language, as it was said.
func ownAppeal(t *testing.T, w *World) {
	of, _ := w.Communes.ByID(B)
	of.Appeal = map[i18n.Language]string{i18n.Dutch: "Ga naar de gouverneur.", i18n.French: "Allez chez le gouverneur."}
	refuse := func(l i18n.Language, n int) orders.Order {
		f := w.Form(B)
		f.Language = l
		o, err := w.Service.Submit(ctx, B, w.Person(B, n), f)
		ok(t, err)
		o, err = w.Service.Refuse(ctx, B, o.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "nee"})
		ok(t, err)
		return o
	}
	first := refuse(i18n.French, 1)
	for o, want := range map[string]string{first.Refusal.Appeal: "Allez chez le gouverneur.", refuse(i18n.English, 2).Refusal.Appeal: "Ga naar de gouverneur."} {
		if o != want {
			t.Errorf("%q, want %q", o, want)
		}
	}
	of.Appeal = nil
	if now := w.Get(t, B, first.ID); now.Refusal.Appeal != first.Refusal.Appeal {
		t.Errorf("what was said then is now %q", now.Refusal.Appeal)
	}
	there := w.Order(t, B, 3)
	of.Country = commune.France
	there, err := w.Service.Refuse(ctx, B, there.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
	if err != nil || !strings.Contains(there.Refusal.Appeal, "tribunal administratif") && !strings.Contains(there.Refusal.Appeal, "bestuursrechtbank") {
		t.Errorf("under French law: %+v, %v", there.Refusal, err)
	}
}
