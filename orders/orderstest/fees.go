package orderstest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/register"
)

// Charge has a commune ask for the residence paper what set says.
func (w *World) Charge(t testing.TB, c commune.ID, set commune.Tariff) {
	t.Helper()
	ok(t, set.Check())
	w.set(t, c, func(p *commune.Product) { p.Tariff = set })
}

// Fees are 2 euro for a bank and 1 for the letter.
func Fees() commune.Tariff {
	return commune.Tariff{SurchargeCents: map[string]int64{"bank": 200}, PostCents: 100, Deliveries: []string{"download", "post", "counter"}, Regulation: "https://beaumarais.example/redevances"}
}

// Letter is a form for two copies for a bank by post, at the price of today.
func (w *World) Letter(t testing.TB, c commune.ID) orders.Submission {
	t.Helper()
	f := w.Form(c)
	f.Answers[form.Delivery], f.Answers[form.Copies], f.Answers[form.Purpose] = "post", "2", "bank"
	tariff, err := w.Service.Tariff(c, "residence")
	ok(t, err)
	f.Price = tariff.PriceOf(tariff.ChoiceOf(f.Answers)).Mark()
	return f
}

// Owed is an order of a new person n for two copies by post, not yet paid.
func (w *World) Owed(t testing.TB, c commune.ID, n int) orders.Order {
	t.Helper()
	w.Charge(t, c, Fees())
	o, err := w.Service.Submit(ctx, c, w.Person(c, n), w.Letter(t, c))
	ok(t, err)
	return w.Get(t, c, o.ID)
}

// priced: what an order costs is what its person saw, and stays so.
func priced(t *testing.T, w *World) {
	s := w.Service
	w.Charge(t, A, Fees())
	p, f := w.Person(A, 1), w.Letter(t, A)
	pre, err := s.Prefill(ctx, A, p, "residence")
	ok(t, err)
	if pre.Tariff.UpTo(fee.Post) != 300 || !pre.Tariff.AsksPurpose(fee.Post) {
		t.Errorf("offered %+v", pre.Tariff)
	}
	// The commune raises its price between the page and the sending.
	dearer := Fees()
	dearer.PostCents = 250
	w.Charge(t, A, dearer)
	_, err = s.Submit(ctx, A, p, f)
	wants(t, err, fault.Conflict, "fee.changed")
	unseen := w.Letter(t, A)
	unseen.Price = ""
	_, err = s.Submit(ctx, A, p, unseen)
	wants(t, err, fault.Conflict, "fee.changed")
	if list, err := s.Mine(ctx, A, p.Subject); err != nil || len(list) != 0 {
		t.Errorf("%d orders at a price that nobody saw", len(list))
	}
	w.Charge(t, A, Fees())
	made, err := s.Submit(ctx, A, p, f)
	ok(t, err)
	w.Charge(t, A, dearer) // too late for this order
	if again, err := s.Submit(ctx, A, p, f); err != nil || again.ID != made.ID {
		t.Errorf("sent again: %v", err)
	}
	o, err := s.ForCitizen(ctx, A, made.ID, p.Subject)
	ok(t, err)
	got := o.Fee
	if got == nil || got.Price.Total != 500 || len(got.Price.Lines) != 2 || got.Copies != 2 || got.Delivery != fee.Post || !got.Due() ||
		strings.Join(got.To, "|") != "Rue du Beffroi 12 boîte\u00a03|9901\u00a0Beaumarais" || got.Regulation != Fees().Regulation {
		t.Errorf("it costs %+v", got)
	}
	if o.Answer("purpose") != "bank" || o.Answer("copies") != "2" {
		t.Errorf("answers %v", o.Answers)
	}
	w.Work(t)
	mail := w.Mail.Sent()[0].Text
	if !strings.Contains(mail, "2 exemplaires à "+i18n.Euro(i18n.French, 200)) || !strings.Contains(mail, i18n.Euro(i18n.French, 500)) || strings.Contains(strings.ToLower(mail), "banque") {
		t.Errorf("the mail says %q", mail)
	}
	// A free download is as before.
	plain := w.Form(A)
	plain.Answers[form.Delivery] = "download"
	free, err := s.Submit(ctx, A, w.Person(A, 2), plain)
	ok(t, err)
	if o := w.Get(t, A, free.ID); o.Fee != nil {
		t.Errorf("a download costs %+v", o.Fee)
	}
}

// overpriced: what was never offered is not taken, whatever a program sends.
func overpriced(t *testing.T, w *World) {
	w.Charge(t, A, Fees())
	for name, change := range map[string]func(form.Answers){
		"unknown purpose":   func(a form.Answers) { a[form.Purpose] = "bribery" },
		"no purpose":        func(a form.Answers) { delete(a, form.Purpose) },
		"no copy":           func(a form.Answers) { a[form.Copies] = "0" },
		"less than none":    func(a form.Answers) { a[form.Copies] = "-1" },
		"too many":          func(a form.Answers) { a[form.Copies] = "1000000000" },
		"by fax":            func(a form.Answers) { a[form.Delivery] = "fax" },
		"nothing chosen":    func(a form.Answers) { delete(a, form.Delivery) },
		"a hidden mark":     func(a form.Answers) { a[form.Purpose] = "bank\u202e" },
		"copies in letters": func(a form.Answers) { a[form.Copies] = "two" },
	} {
		f := w.Letter(t, A)
		change(f.Answers)
		_, err := w.Service.Submit(ctx, A, w.Person(A, 1), f)
		t.Log(name)
		wants(t, err, fault.Invalid, "orders.form.invalid")
	}
	// Nobody's address is known: nothing goes by post, the rest does.
	p := w.Person(A, 2)
	home := w.Home(A, p)
	home.Status = register.Undisclosed
	w.Register.Move(p, home)
	pre, err := w.Service.Prefill(ctx, A, p, "residence")
	ok(t, err)
	if pre.Tariff.AsksCopies(fee.Post) || len(pre.Tariff.Deliveries) != 2 {
		t.Errorf("offered %v", pre.Tariff.Deliveries)
	}
	_, err = w.Service.Submit(ctx, A, p, w.Letter(t, A))
	wants(t, err, fault.Conflict, "fee.no_address")
	// Where the price does not depend on it, a purpose sent along is dropped and costs nothing.
	w.Charge(t, A, commune.Tariff{})
	f := w.Form(A)
	f.Answers[form.Purpose], f.Answers[form.Copies] = "bank", "7"
	o, err := w.Service.Submit(ctx, A, w.Person(A, 3), f)
	ok(t, err)
	if got := w.Get(t, A, o.ID); got.Fee != nil || got.Answer("purpose") != "" || got.Answer("copies") != "" {
		t.Errorf("%+v, %v", got.Fee, got.Answers)
	}
}

// paidFirst: a paper that costs something waits for its fee, unless the commune says otherwise.
func paidFirst(t *testing.T, w *World) {
	s := w.Service
	o := w.Owed(t, A, 1)
	o, err := s.Prepare(ctx, A, o.ID, Clerk(1))
	ok(t, err)
	_, err = s.Approve(ctx, A, o.ID, Clerk(1), o.Paper.Content)
	wants(t, err, fault.Conflict, "fee.due")
	if list, err := s.Ready(ctx, A, Clerk(1)); err != nil || len(list) != 0 {
		t.Errorf("%d are ready, %v", len(list), err)
	}
	for how, number := range map[orders.Payment]string{"": "1", "shells": "1", orders.Cash: "", orders.Transfer: "a\nb", orders.BankCard: strings.Repeat("9", 41)} {
		if _, err := s.Receive(ctx, A, o.ID, Clerk(2), how, number); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q %q: %v", how, number, err)
		}
	}
	// Ten colleagues at once record one receipt.
	var wg sync.WaitGroup
	var mu sync.Mutex
	took := 0
	for range 10 {
		wg.Go(func() {
			_, err := s.Receive(ctx, A, o.ID, Clerk(2), orders.Cash, "2026/17")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				took++
			} else if fault.KeyOf(err) != "fee.nothing_owed" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	o = w.Get(t, A, o.ID)
	if r := o.Fee.Received; took != 1 || r == nil || r.How != orders.Cash || r.Number != "2026/17" || r.Cents != 500 || r.By.Name != "Claire 2" || o.Fee.Owed() {
		t.Errorf("%d receipts: %+v", took, o.Fee.Received)
	}
	if list, err := s.Ready(ctx, A, Clerk(1)); err != nil || len(list) != 1 {
		t.Errorf("%d are ready, %v", len(list), err)
	}
	// A slip is undone, with a reason, and the paper waits again.
	_, err = s.UndoReceipt(ctx, A, o.ID, Clerk(1), o.Fee.Received.Seq, "")
	wants(t, err, fault.Invalid, "orders.form.invalid")
	_, err = s.UndoReceipt(ctx, A, o.ID, Clerk(1), 7, "Erreur de dossier.")
	wants(t, err, fault.Conflict, "fee.not_received")
	o, err = s.UndoReceipt(ctx, A, o.ID, Clerk(1), o.Fee.Received.Seq, "Erreur de dossier.")
	ok(t, err)
	if !o.Fee.Due() {
		t.Error("undone, and still paid")
	}
	_, err = s.Approve(ctx, A, o.ID, Clerk(1), o.Paper.Content)
	wants(t, err, fault.Conflict, "fee.due")
	o, err = s.Receive(ctx, A, o.ID, Clerk(1), orders.Transfer, "2026/18")
	ok(t, err)
	o, err = s.Approve(ctx, A, o.ID, Clerk(1), o.Paper.Content)
	ok(t, err)
	if got := kinds(o.Events); got != "submitted in_review prepared fee_received fee_undone fee_received approved" {
		t.Errorf("journal %q", got)
	}
	log, err := w.Audit.List(ctx, A, o.ID)
	ok(t, err)
	actions := ""
	for _, e := range log {
		if e.Action != "orders.listed" {
			actions += e.Action + " "
		}
	}
	if !strings.Contains(actions, "orders.fee_received orders.fee_undone orders.fee_received orders.approved") {
		t.Errorf("audit log %q", actions)
	}
	// Another order, whose commune asks for the money afterwards.
	home, _ := w.Communes.ByID(A)
	later := false
	home.FeeBeforeIssue = &later
	second := w.Owed(t, A, 2)
	second, err = s.Prepare(ctx, A, second.ID, Clerk(1))
	ok(t, err)
	_, err = s.Approve(ctx, A, second.ID, Clerk(1), second.Paper.Content)
	ok(t, err)
	w.Work(t)
	_, err = s.Receive(ctx, A, second.ID, Clerk(1), orders.Transfer, "2026/19")
	ok(t, err)
	// Nothing is received for what was refused, nor by whom it is about.
	third := w.Owed(t, A, 3)
	_, err = s.Receive(ctx, A, third.ID, orders.Clerk{Subject: third.Subject, Name: "Luc"}, orders.Cash, "1")
	wants(t, err, fault.Forbidden, "orders.own")
	_, err = s.Cancel(ctx, A, third.ID, third.Subject)
	ok(t, err)
	_, err = s.Receive(ctx, A, third.ID, Clerk(1), orders.Cash, "1")
	wants(t, err, fault.Conflict, "orders.moved")
}

// paidRelay: a register is asked for its sealed paper once the fee is there.
func paidRelay(t *testing.T, w *World) {
	w.Charge(t, A, Fees())
	w.Goes(t, A, commune.FromSource)
	o, err := w.Service.Submit(ctx, A, w.Person(A, 1), w.Letter(t, A))
	ok(t, err)
	w.Work(t)
	if got := w.Get(t, A, o.ID); got.State != orders.Submitted {
		t.Fatalf("%s before it was paid", got.State)
	}
	_, err = w.Service.Receive(ctx, A, o.ID, Clerk(1), orders.BankCard, "T-1")
	ok(t, err)
	w.Work(t)
	if got := w.Get(t, A, o.ID); got.State != orders.Issued {
		t.Errorf("%s after it was paid: %v", got.State, kinds(got.Events))
	}
}

// paidRelayUndone: a receipt that is undone while the source is asked issues nothing.
func paidRelayUndone(t *testing.T, w *World) {
	w.Charge(t, A, Fees())
	w.Goes(t, A, commune.FromSource)
	o, err := w.Service.Submit(ctx, A, w.Person(A, 1), w.Letter(t, A))
	ok(t, err)
	_, err = w.Service.Receive(ctx, A, o.ID, Clerk(1), orders.BankCard, "T-1")
	ok(t, err)
	w.Source.Change(func(*register.Sealed) {
		_, err := w.Service.UndoReceipt(ctx, A, o.ID, Clerk(1), 1, "erreur")
		ok(t, err)
	})
	w.Work(t)
	w.Source.Change(nil)
	if got := w.Get(t, A, o.ID); got.State != orders.Submitted || got.Way != commune.FromSource {
		t.Errorf("%s unpaid, %s", got.State, kinds(got.Events))
	}
	_, err = w.Service.Receive(ctx, A, o.ID, Clerk(1), orders.BankCard, "T-2")
	ok(t, err)
	w.Work(t)
	if got := w.Get(t, A, o.ID); got.State != orders.Issued {
		t.Errorf("%s after it was paid again: %s", got.State, kinds(got.Events))
	}
}

// receivedLate: a fee is not received for an order that a colleague refuses at that moment.
func receivedLate(t *testing.T, w *World) {
	o := w.Owed(t, A, 1)
	late := *w.Service
	late.Clock = func() time.Time {
		if w.Get(t, A, o.ID).State == orders.Submitted {
			_, err := w.Service.Refuse(ctx, A, o.ID, Clerk(2), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
			ok(t, err)
		}
		return w.Clock.Now()
	}
	_, err := late.Receive(ctx, A, o.ID, Clerk(1), orders.Cash, "1")
	wants(t, err, fault.Conflict, "orders.moved")
	if got := w.Get(t, A, o.ID); got.State != orders.Refused || got.Fee.Received != nil {
		t.Errorf("%s, received %+v", got.State, got.Fee.Received)
	}
}

// freeReplacement: a paper in the place of one that the commune took back costs nothing, and
// is delivered likewise.
func freeReplacement(t *testing.T, w *World) {
	s := w.Service
	o := w.Owed(t, A, 1)
	_, err := s.Receive(ctx, A, o.ID, Clerk(1), orders.Cash, "1")
	ok(t, err)
	o, err = s.Prepare(ctx, A, o.ID, Clerk(1))
	ok(t, err)
	_, err = s.Approve(ctx, A, o.ID, Clerk(1), o.Paper.Content)
	ok(t, err)
	w.Work(t)
	_, err = s.Withdraw(ctx, A, o.ID, Clerk(1), orders.FactsWrong, "faux")
	ok(t, err)
	again, err := s.Replace(ctx, A, o.ID, Clerk(1))
	ok(t, err)
	if f := again.Fee; f == nil || f.Owed() || f.Delivery != fee.Post || f.Copies != 2 || len(f.To) != 2 || f.Received != nil {
		t.Errorf("the replacement costs %+v", f)
	}
}

// Posted is an order by post, paid and issued, whose letter waits.
func (w *World) Posted(t testing.TB, c commune.ID, n int) orders.Order {
	t.Helper()
	s := w.Service
	o := w.Owed(t, c, n)
	_, err := s.Receive(ctx, c, o.ID, Clerk(1), orders.Cash, "1")
	ok(t, err)
	o, err = s.Prepare(ctx, c, o.ID, Clerk(1))
	ok(t, err)
	_, err = s.Approve(ctx, c, o.ID, Clerk(1), o.Paper.Content)
	ok(t, err)
	w.Work(t)
	return w.Get(t, c, o.ID)
}

// lettersSent: what is issued and wanted by post is printed in one file, and marked as sent
// once.
func lettersSent(t *testing.T, w *World) {
	s := w.Service
	owed := w.Owed(t, A, 9) // not issued: no letter
	first, second := w.Posted(t, A, 1), w.Posted(t, A, 2)
	if n, err := s.WaitingLetters(ctx, A); err != nil || n != 2 {
		t.Errorf("%d wait, %v", n, err)
	}
	list, more, err := s.Letters(ctx, A, Clerk(1))
	ok(t, err)
	if len(list) != 2 || more || list[0].ID != first.ID || list[0].Fee.Copies != 2 || list[0].Fee.To[0] != "Rue du Beffroi 12 boîte\u00a03" {
		t.Fatalf("%d letters, %+v", len(list), list)
	}
	ids := []string{second.ID, first.ID}
	f, err := s.PrintLetters(ctx, A, Clerk(1), ids)
	ok(t, err)
	sealed, err := s.Sealed(ctx, A, first.ID, Clerk(1))
	ok(t, err)
	if got := strings.Count(string(f.Data), string(sealed.Data)); got != 2 || !strings.Contains(string(f.Data), `"Recipient":["Luc Marie Lambertb","Rue du Beffroi 12 boîte`) {
		t.Errorf("%d copies of the first paper, %.400s", got, f.Data)
	}
	if _, err := s.PrintLetters(ctx, A, Clerk(2), ids); err != nil { // printing again sends nothing
		t.Error(err)
	}
	for name, wrong := range map[string][]string{"none": nil, "too many": make([]string, orders.MaxLetters+1)} {
		_, err := s.PostLetters(ctx, A, Clerk(1), wrong)
		t.Log(name)
		wants(t, err, fault.Invalid, "letter.none")
	}
	_, err = s.PostLetters(ctx, A, Clerk(1), []string{first.ID, owed.ID})
	wants(t, err, fault.Conflict, "letter.gone")
	if !w.Get(t, A, first.ID).Fee.PostedAt.IsZero() {
		t.Error("one of a batch that failed was marked")
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 8 {
		wg.Go(func() {
			n, err := s.PostLetters(ctx, A, Clerk(1), []string{first.ID, second.ID, first.ID})
			mu.Lock()
			defer mu.Unlock()
			if done += n; err != nil && fault.KeyOf(err) != "letter.gone" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.Work(t)
	o, err := s.ForCitizen(ctx, A, first.ID, first.Subject)
	ok(t, err)
	if done != 2 || o.Fee.PostedAt.IsZero() || o.State != orders.Issued || !strings.HasSuffix(kinds(o.Events), "issued notified posted notified") {
		t.Errorf("%d marked; %s", done, kinds(o.Events))
	}
	sent := w.Mail.Sent()
	if last := sent[len(sent)-1]; !strings.Contains(last.Subject, "parti par courrier") || strings.Contains(last.Text, "Beffroi 12") {
		t.Errorf("the mail says %q", last.Text)
	}
	if list, _, err := s.Letters(ctx, A, Clerk(1)); err != nil || len(list) != 0 {
		t.Errorf("%d letters still wait", len(list))
	}
	// A paper that is withdrawn before its letter was sent is not sent.
	third := w.Posted(t, A, 3)
	_, err = s.Withdraw(ctx, A, third.ID, Clerk(1), orders.FactsWrong, "faux")
	ok(t, err)
	if n, err := s.WaitingLetters(ctx, A); err != nil || n != 0 {
		t.Errorf("%d letters of withdrawn papers wait, %v", n, err)
	}
	_, err = s.PostLetters(ctx, A, Clerk(1), []string{third.ID})
	wants(t, err, fault.Conflict, "letter.gone")
	_, err = s.PrintLetters(ctx, A, Clerk(1), []string{third.ID})
	wants(t, err, fault.Conflict, "letter.gone")
}

// unpaidMarked: the desk's lists say what waits for its fee, and nothing else does: not what
// is free, paid afterwards, paid, refused or of another commune.
func unpaidMarked(t *testing.T, w *World) {
	s := w.Service
	w.Order(t, A, 1)
	w.Owed(t, B, 2)
	of, _ := w.Communes.ByID(A)
	afterwards := false
	of.FeeBeforeIssue = &afterwards
	w.Owed(t, A, 3)
	of.FeeBeforeIssue = nil
	first, asked, prepared, refused := w.Owed(t, A, 4), w.Owed(t, A, 5), w.Owed(t, A, 6), w.Owed(t, A, 7)
	_, err := s.Ask(ctx, A, asked.ID, Clerk(1), "Pour quelle banque ?")
	ok(t, err)
	_, err = s.Prepare(ctx, A, prepared.ID, Clerk(1))
	ok(t, err)
	_, err = s.Refuse(ctx, A, refused.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
	ok(t, err)
	said := func(when string, want ...orders.Order) {
		t.Helper()
		waits := map[string]bool{}
		for _, o := range want {
			waits[o.ID] = true
		}
		page, err := s.Inbox(ctx, A, orders.Filter{})
		ok(t, err)
		for _, o := range page.Orders {
			if o.Unpaid != waits[o.ID] {
				t.Errorf("%s: %s marked %v", when, o.State, o.Unpaid)
			}
		}
		list, err := s.Inbox(ctx, A, orders.Filter{Unpaid: true})
		ok(t, err)
		for _, o := range list.Orders {
			if !o.Unpaid || !waits[o.ID] {
				t.Errorf("%s: a %s order is on the list", when, o.State)
			}
		}
		if counts, err := s.Counts(ctx, A); err != nil || len(list.Orders) != len(want) || counts.Unpaid != len(want) {
			t.Errorf("%s: %d on the list, %d counted, want %d, %v", when, len(list.Orders), counts.Unpaid, len(want), err)
		}
	}
	said("at first", first, asked, prepared)
	paid, err := s.Receive(ctx, A, prepared.ID, Clerk(1), orders.Cash, "17")
	ok(t, err)
	said("one is paid", first, asked)
	_, err = s.UndoReceipt(ctx, A, paid.ID, Clerk(1), paid.Fee.Received.Seq, "Mauvais reçu.")
	ok(t, err)
	said("the receipt is undone", first, asked, prepared)
}
