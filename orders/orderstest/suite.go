package orderstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/notice"
	"github.com/belfry-eid/belfry/orders/register"
)

// Run holds a Service upon the databases that open makes to every promise of package orders.
func Run(t *testing.T, open func(testing.TB) *sqldb.DB) {
	for name, test := range map[string]func(*testing.T, *World){
		"a paper's whole way":              wholeWay,
		"a form sent twice":                sentTwice,
		"answers that were not parsed":     notParsed,
		"too many open orders":             tooMany,
		"somebody who lives elsewhere":     elsewhere,
		"special people":                   special,
		"what each paper says":             papers,
		"papers that need a clerk":         oddPapers,
		"a register that does not answer":  registerDown,
		"an address from the card":         cardAddress,
		"a clerk's own order":              ownOrder,
		"an order of a clerk's household":  ownHousehold,
		"two clerks":                       twoClerks,
		"what is approved":                 whatIsApproved,
		"numbers":                          numbers,
		"a step that fails leaves nothing": allOrNothing,
		"death while preparing":            deathPreparing,
		"death while sealing":              deathSealing,
		"two workers on one order":         twoWorkers,
		"no time stamp":                    noStamp,
		"a file is renewed":                renewed,
		"looking a paper up":               lookUp,
		"entered by a clerk":               entered,
		"what a clerk may not enter":       notEntered,
		"a card read at the counter":       cardRead,
		"a card that is not read":          cardNotRead,
		"a fee taken at the counter":       paidAtCounter,
		"who came for a child":             cameForAChild,
		"who came with a mandate":          cameWithAMandate,
		"in whose name":                    inWhoseName,
		"whose delegation counts":          whoseDelegation,
		"a paper is withdrawn":             withdrawn,
		"two withdraw one paper":           withdrawnOnce,
		"a paper in the place of another":  replaced,
		"a commune's own questions":        ownQuestions,
		"questions that are refused":       questionsRefused,
		"what waits for a register":        atTheRegister,
		"what waits for its fee":           unpaidMarked,
		"the inbox":                        inbox,
		"taken and given back":             takenAndGivenBack,
		"taken once":                       takenOnce,
		"asked and answered":               askedAndAnswered,
		"what people write":                written,
		"a note to colleagues":             noteToColleagues,
		"a year's figures":                 figures,
		"a commune's own way to appeal":    ownAppeal,
		"the lists of the desk":            lists,
		"what the person sees":             personSees,
		"mail":                             mail,
		"forms begun and not sent":         drafts,
		"what was begun is forgotten":      draftsEnd,
		"followed by its code":             followed,
		"followed where the number tells":  followedByNumber,
		"lost codes":                       lostCodes,
		"reminded of what was begun":       reminded,
		"a proof of an order":              proof,
		"a proof without a key":            proofUnsealed,
		"a proof of what it costs":         proofPriced,
		"a proof after a death":            proofAgain,
		"a person's papers":                issuedTo,
		"who looked":                       looks,
		"how a person is told":             contacts,
		"signed by a clerk's card":         signedByClerk,
		"signed once":                      signedOnce,
		"what is ready":                    ready,
		"a training commune is emptied":    emptied,
		"a training commune":               practised,
		"sealed by the source":             relayed,
		"a source that cannot":             sourceFails,
		"a source that does not answer":    sourceSilent,
		"a source and special people":      sourceSpecial,
		"death while relaying":             deathRelaying,
		"attached by a clerk":              attached,
		"attached again":                   attachedAgain,
		"which way":                        whichWay,
		"no national number anywhere":      noNumberAnywhere,
		"what an order costs":              priced,
		"what was never offered":           overpriced,
		"a fee is received":                paidFirst,
		"a fee before the source is asked": paidRelay,
		"a receipt undone too late":        paidRelayUndone,
		"a fee received too late":          receivedLate,
		"letters are sent":                 lettersSent,
		"a replacement is free":            freeReplacement,
		"commune B sees nothing of A":      isolation,
	} {
		t.Run(name, func(t *testing.T) {
			w := New(t, open(t))
			test(t, w)
			for _, c := range []commune.ID{A, B} {
				if err := w.Audit.Verify(ctx, c); err != nil {
					t.Errorf("the audit log of %s: %v", c, err)
				}
			}
		})
	}
}

var ctx = context.Background()

// wants fails unless err is the fault of this kind and key; it returns its values.
func wants(t testing.TB, err error, kind fault.Kind, key string) map[string]any {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind || fault.KeyOf(err) != key {
		t.Errorf("got %v, want %s (%s)", err, key, kind)
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Args
	}
	return nil
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kinds are those of events, without the mail that says that an order has arrived: it goes
// when there is time.
func kinds(events []orders.Event) string {
	var list []string
	for _, e := range events {
		if e.Detail["About"] == string(notice.Received) {
			continue
		}
		list = append(list, string(e.Kind))
	}
	return strings.Join(list, " ")
}

func wholeWay(t *testing.T, w *World) {
	s, p := w.Service, w.Person(B, 1)
	pre, err := s.Prefill(ctx, B, p, "residence")
	ok(t, err)
	got := map[string]string{}
	for _, a := range pre.Answers {
		got[a.Name+" "+string(a.Origin)] = a.Value
	}
	want := map[string]string{
		"given_names eid": "Luc Marie", "surname eid": "Lambertb", "birth_date register": "1985-07-30",
		"address register": "Rue du Beffroi 12 bus\u00a03, 9901\u00a0Beaumarais", "since register": "2019-05-01",
	}
	if !maps.Equal(got, want) || pre.Attention != "" || len(pre.Languages) != 2 {
		t.Errorf("prefilled with %v, attention %q, languages %v", got, pre.Attention, pre.Languages)
	}
	o, err := s.Submit(ctx, B, p, w.Form(B))
	ok(t, err)
	if o.State != orders.Submitted || o.Paper != nil || o.DueOn.Format(time.DateOnly) != "2026-02-06" || o.Email() != "somebody@example.be" || len(o.Reference) != 9 {
		t.Errorf("submitted: %+v", o)
	}
	o, err = s.Prepare(ctx, B, o.ID, Clerk(1))
	ok(t, err)
	if o.State != orders.InReview || o.Paper.Number != "2026-000001" || o.Paper.Holder != "Luc Marie Lambertb" {
		t.Errorf("prepared: %+v %+v", o, o.Paper)
	}
	preview, err := s.Preview(ctx, B, o.ID, Clerk(1))
	ok(t, err)
	if preview.Digest != o.Paper.Content || blob.Sum(preview.Data) != o.Paper.Content || preview.Name != "preview-zandvoorde-2026-000001.pdf" {
		t.Errorf("preview %s", preview.Name)
	}
	checkPaper(t, w, o)
	o, err = s.Approve(ctx, B, o.ID, Clerk(1), o.Paper.Content)
	ok(t, err)
	if o.State != orders.Approved || o.ChangedBy != "Claire 1" {
		t.Errorf("approved: %+v", o)
	}
	_, err = s.Document(ctx, B, o.ID, p.Subject)
	wants(t, err, fault.Conflict, "orders.not_issued")
	w.Work(t)
	o, err = s.ForCitizen(ctx, B, o.ID, p.Subject)
	ok(t, err)
	if o.State != orders.Issued || o.Paper.IssuedAt.IsZero() || o.Paper.Level != "B-T" || !o.Paper.Specimen || o.Late(Noon.AddDate(1, 0, 0)) {
		t.Errorf("issued: %+v %+v", o, o.Paper)
	}
	if got := kinds(o.Events); got != "submitted in_review approved signed issued notified" {
		t.Errorf("the person sees %q", got)
	}
	f, err := s.Document(ctx, B, o.ID, p.Subject)
	ok(t, err)
	if !strings.HasPrefix(string(f.Data), string(preview.Data)) || f.Digest != o.Paper.Document || f.Name != "zandvoorde-2026-000001.pdf" {
		t.Error("the sealed file does not begin with what was approved")
	}
	all, err := s.ForClerk(ctx, B, o.ID, Clerk(1))
	ok(t, err)
	if got := kinds(all.Events); got != "submitted in_review prepared approved signed issued notified" {
		t.Errorf("the clerk sees %q", got)
	}
	log, err := w.Audit.List(ctx, B, o.ID)
	ok(t, err)
	var actions []string
	for _, e := range log {
		actions = append(actions, e.Action)
	}
	if got := strings.Join(actions, " "); got != "orders.submitted orders.in_review orders.prepared orders.previewed orders.approved orders.signed orders.issued orders.downloaded orders.read" {
		t.Errorf("the audit log has %q", got)
	}
}

// checkPaper reads what was printed as a bank would.
func checkPaper(t *testing.T, w *World, o orders.Order) {
	t.Helper()
	d := w.Renderer.Last()
	rows := map[string]string{}
	for _, f := range d.Facts {
		rows[f.Label] = f.Value
	}
	want := map[string]string{
		"Naam": "Lambertb", "Voornamen": "Luc Marie", "Geboortedatum": "30\u00a0juli 1985",
		"Hoofdverblijfplaats": "Rue du Beffroi 12 bus\u00a03, 9901\u00a0Beaumarais", "Ingeschreven op dit adres sinds": "1\u00a0mei 2019",
	}
	if !maps.Equal(rows, want) {
		t.Errorf("printed %v", rows)
	}
	if d.Language != i18n.Dutch || d.Title != "Attest van hoofdverblijfplaats" || d.Number != "2026-000001" || !strings.Contains(d.Intro, "Zandvoorde") || !strings.Contains(d.Intro, "3\u00a0februari 2026") || strings.Contains(d.Intro, "{") {
		t.Errorf("printed %+v", d)
	}
	if d.Seal != (document.Seal{Name: "Commune zandvoorde"}) || !d.Specimen || d.Verify.Page != "https://loket.zandvoorde.example/verify" ||
		!strings.HasPrefix(d.Verify.URL, d.Verify.Page+"/") || strings.ReplaceAll(d.Verify.Code, "-", "") != o.Paper.Code {
		t.Errorf("printed %+v, seal %+v", d.Verify, d.Seal)
	}
}

func sentTwice(t *testing.T, w *World) {
	p, f := w.Person(A, 1), w.Form(A)
	var wg sync.WaitGroup
	ids := make([]string, 20)
	for i := range ids {
		wg.Go(func() {
			o, err := w.Service.Submit(ctx, A, p, f)
			if err != nil {
				t.Error(err)
			}
			ids[i] = o.ID
		})
	}
	wg.Wait()
	mine, err := w.Service.Mine(ctx, A, p.Subject)
	ok(t, err)
	if len(mine) != 1 {
		t.Fatalf("one form made %d orders", len(mine))
	}
	for _, id := range ids {
		if id != mine[0].ID {
			t.Errorf("a sender got order %q", id)
		}
	}
	// It stays one when the order has moved on and the register is silent.
	_, err = w.Service.Prepare(ctx, A, mine[0].ID, Clerk(1))
	ok(t, err)
	w.Register.Fail(errors.New("down"))
	if o, err := w.Service.Submit(ctx, A, p, f); err != nil || o.ID != mine[0].ID || o.State != orders.InReview {
		t.Errorf("sent again later: %v", err)
	}
	f.Answers = form.Answers{form.DocumentLanguage: "fr", form.Contact: form.NoContact}
	_, err = w.Service.Submit(ctx, A, p, f)
	if args := wants(t, err, fault.Conflict, "orders.form_used"); args["Reference"] != mine[0].Reference {
		t.Errorf("reference %v", args)
	}
	// The key is the form's, not the world's: somebody else's form may have it too.
	w.Register.Fail(nil)
	if o, err := w.Service.Submit(ctx, A, w.Person(A, 2), f); err != nil || o.ID == mine[0].ID {
		t.Errorf("another person's form: %v", err)
	}
}

func notParsed(t *testing.T, w *World) {
	p := w.Person(A, 1)
	for name, c := range map[string]struct {
		kind  fault.Kind
		key   string
		spoil func(*orders.Submission)
	}{
		"English paper":   {fault.Invalid, "orders.form.invalid", func(f *orders.Submission) { f.Answers[form.DocumentLanguage] = "en" }},
		"hidden mark":     {fault.Invalid, "orders.form.invalid", func(f *orders.Submission) { f.Answers[form.Email] = "a\u202e@b.be" }},
		"no key":          {fault.Invalid, "orders.form.invalid", func(f *orders.Submission) { f.Key = "" }},
		"strange key":     {fault.Invalid, "orders.form.invalid", func(f *orders.Submission) { f.Key = "'; DROP TABLE orders_order" }},
		"unknown product": {fault.NotFound, "orders.no_product", func(f *orders.Submission) { f.Product = "passport" }},
		"other version":   {fault.Conflict, "orders.product_changed", func(f *orders.Submission) { f.Version = 7 }},
	} {
		f := w.Form(A)
		c.spoil(&f)
		_, err := w.Service.Submit(ctx, A, p, f)
		t.Log(name)
		wants(t, err, c.kind, c.key)
	}
	p.Number = Number(-1)
	_, err := w.Service.Submit(ctx, A, orders.Person{Subject: p.Subject}, w.Form(A))
	wants(t, err, fault.Forbidden, "orders.no_number")
	if list, err := w.Service.Mine(ctx, A, p.Subject); err != nil || len(list) != 0 {
		t.Errorf("%d orders were made", len(list))
	}
}

func tooMany(t *testing.T, w *World) {
	p := w.Person(A, 1)
	var last orders.Order
	for range 10 {
		var err error
		last, err = w.Service.Submit(ctx, A, p, w.Form(A))
		ok(t, err)
	}
	again := w.Form(A)
	_, err := w.Service.Submit(ctx, A, p, again)
	wants(t, err, fault.TooMany, "orders.too_many_open")
	// Another subject of the same person is the same person.
	other := p
	other.Subject = "another way in"
	_, err = w.Service.Submit(ctx, A, other, w.Form(A))
	wants(t, err, fault.TooMany, "orders.too_many_open")
	_, err = w.Service.Cancel(ctx, A, last.ID, p.Subject)
	ok(t, err)
	_, err = w.Service.Submit(ctx, A, p, again)
	ok(t, err)
}

func elsewhere(t *testing.T, w *World) {
	p := w.Person(A, 1)
	o := w.Order(t, A, 1)
	moved := w.Home(B, p)
	moved.NIS, moved.Commune, moved.Website = "99003", map[i18n.Language]string{i18n.German: "Lindenberg"}, "https://www.lindenberg.example"
	w.Register.Move(p, moved)
	check := func(err error) {
		t.Helper()
		args := wants(t, err, fault.Forbidden, "orders.lives_elsewhere")
		if args["Commune"] != "Lindenberg" || args["Link"] != "https://www.lindenberg.example" {
			t.Errorf("it names %v", args)
		}
	}
	_, err := w.Service.Prefill(ctx, A, p, "residence")
	check(err)
	_, err = w.Service.Submit(ctx, A, p, w.Form(A))
	check(err)
	_, err = w.Service.Prepare(ctx, A, o.ID, Clerk(1))
	check(err)
	o = w.Get(t, A, o.ID)
	if o.State != orders.Submitted || o.Paper != nil {
		t.Errorf("the order of somebody who moved is %s and has paper %v", o.State, o.Paper)
	}
	if list, _ := w.Service.Mine(ctx, A, p.Subject); len(list) != 1 {
		t.Errorf("%d orders", len(list))
	}
	o, err = w.Service.Refuse(ctx, A, o.ID, Clerk(1), orders.Reasons{Ground: orders.LivesElsewhere, Text: "Vous habitez Lindenberg."})
	ok(t, err)
	if o.State != orders.Refused || o.Refusal.Text != "Vous habitez Lindenberg." || o.Refusal.By != "Claire 1" {
		t.Errorf("refused %+v", o.Refusal)
	}
	if !strings.Contains(o.Refusal.Appeal, "Conseil d’État") || !strings.Contains(o.Refusal.Appeal, "soixante jours") {
		t.Errorf("about appeals it says %q", o.Refusal.Appeal)
	}
}

func special(t *testing.T, w *World) {
	for i, c := range []struct {
		change   func(*register.Residence)
		want     orders.Attention
		possible bool // with a reason
	}{
		{func(r *register.Residence) { r.Status = register.ReferenceAddress }, orders.AtReferenceAddress, true},
		{func(r *register.Residence) { r.Status = register.Undisclosed }, orders.Undisclosed, true},
		{func(r *register.Residence) { r.Status, r.NIS = register.StruckOff, "" }, orders.StruckOff, false},
		{func(r *register.Residence) { r.Status = register.Deceased }, orders.Deceased, false},
		{func(r *register.Residence) { r.Status = "in_orbit" }, orders.OtherStatus, false},
		{func(r *register.Residence) { r.Surname = "Janssens" }, orders.NameDiffers, true},
	} {
		p := w.Person(A, i)
		home := w.Home(A, p)
		c.change(&home)
		w.Register.Move(p, home)
		pre, err := w.Service.Prefill(ctx, A, p, "residence")
		ok(t, err)
		o, err := w.Service.Submit(ctx, A, p, w.Form(A))
		ok(t, err)
		if o.Attention != c.want || pre.Attention != c.want {
			t.Errorf("%s: attention %q, want %q", home.Status, o.Attention, c.want)
		}
		if (o.Answer(orders.Address) != "") != (c.want == orders.NameDiffers) {
			t.Errorf("%s: the page shows the address %q", home.Status, o.Answer(orders.Address))
		}
		_, err = w.Service.Prepare(ctx, A, o.ID, Clerk(1))
		if !c.possible {
			wants(t, err, fault.Forbidden, "orders.nothing_to_certify")
			_, err = w.Service.PrepareDespite(ctx, A, o.ID, Clerk(1), "because")
			wants(t, err, fault.Forbidden, "orders.nothing_to_certify")
			continue
		}
		wants(t, err, fault.Conflict, "orders.needs_reason")
		if w.Get(t, A, o.ID).Paper != nil {
			t.Errorf("%s: a number was spent", home.Status)
		}
		_, err = w.Service.PrepareDespite(ctx, A, o.ID, Clerk(1), " \u200b")
		wants(t, err, fault.Invalid, "orders.form.invalid")
		o, err = w.Service.PrepareDespite(ctx, A, o.ID, Clerk(1), "Vu la personne au guichet.")
		ok(t, err)
		if got := kinds(o.Events); got != "submitted decided in_review prepared" || o.Events[1].Public || o.Events[1].Detail["Reason"] != "Vu la personne au guichet." {
			t.Errorf("%s: %s", home.Status, got)
		}
		labels := map[string]bool{}
		for _, f := range w.Renderer.Last().Facts {
			labels[f.Label] = true
		}
		if labels["Adresse de référence"] != (c.want == orders.AtReferenceAddress) || labels["Résidence principale"] == labels["Adresse de référence"] {
			t.Errorf("%s: printed %v", home.Status, labels)
		}
	}
}

func registerDown(t *testing.T, w *World) {
	p, o := w.Person(A, 1), w.Order(t, A, 2)
	down := fault.New(fault.Unreachable, "register.down", nil)
	w.Register.Fail(down)
	_, err := w.Service.Prefill(ctx, A, p, "residence")
	wants(t, err, fault.Unreachable, "register.down")
	_, err = w.Service.Submit(ctx, A, p, w.Form(A))
	wants(t, err, fault.Unreachable, "register.down")
	_, err = w.Service.Prepare(ctx, A, o.ID, Clerk(1))
	wants(t, err, fault.Unreachable, "register.down")
	if o = w.Get(t, A, o.ID); o.State != orders.Submitted || o.Paper != nil {
		t.Error("the order moved without an answer")
	}
}

func ownOrder(t *testing.T, w *World) {
	p := w.Person(A, 1)
	o := w.Prepared(t, A, 1)
	for name, clerk := range map[string]orders.Clerk{
		"same subject":                   {Subject: p.Subject, Name: "Luc"},
		"same number, another subject":   {Subject: "staff-7", Name: "Luc", Number: p.Number},
		"nobody":                         {},
		"same subject, number not known": {Subject: p.Subject},
	} {
		t.Log(name)
		_, err := w.Service.Prepare(ctx, A, o.ID, clerk)
		wants(t, err, fault.Forbidden, "orders.own")
		_, err = w.Service.PrepareDespite(ctx, A, o.ID, clerk, "because")
		wants(t, err, fault.Forbidden, "orders.own")
		_, err = w.Service.Approve(ctx, A, o.ID, clerk, o.Paper.Content)
		wants(t, err, fault.Forbidden, "orders.own")
		_, err = w.Service.Refuse(ctx, A, o.ID, clerk, orders.Reasons{Ground: orders.OtherGround, Text: "x"})
		wants(t, err, fault.Forbidden, "orders.own")
		if own, err := w.Service.Own(ctx, A, o.ID, clerk); err != nil || !own {
			t.Errorf("not known as own: %v", err)
		}
	}
	if w.Get(t, A, o.ID).Version != o.Version {
		t.Error("the order has moved")
	}
	if own, err := w.Service.Own(ctx, A, o.ID, Clerk(1)); err != nil || own {
		t.Errorf("a colleague's order is taken for one's own: %v", err)
	}
}

// twoClerks: many people at one order, one step wins.
func twoClerks(t *testing.T, w *World) {
	rounds := 100
	switch {
	case testing.Short():
		rounds = 3
	case w.DB.Engine() != "sqlite" && os.Getenv("BELFRY_TORTURE") == "": // 50 connections of PostgreSQL want the machine for themselves
		rounds = 20
	}
	decided := map[string]int{}
	for round := range rounds {
		o := w.Prepared(t, A, round)
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := map[string]int{}
		for i := range 50 {
			clerk := Clerk(i)
			wg.Go(func() {
				var err error
				step := "approve"
				switch i % 3 {
				case 0:
					clerk = Clerk(1) // whose name it bears, in many windows
					_, err = w.Service.Approve(ctx, A, o.ID, clerk, o.Paper.Content)
				case 1:
					step = "refuse"
					_, err = w.Service.Refuse(ctx, A, o.ID, clerk, orders.Reasons{Ground: orders.OtherGround, Text: "non"})
				case 2:
					step = "cancel"
					_, err = w.Service.Cancel(ctx, A, o.ID, o.Subject)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won[step+" by "+clerk.Name]++
					return
				}
				if args := wants(t, err, fault.Conflict, "orders.moved"); args["By"] == "" || args["When"] != "03/02/2026 12:00" {
					t.Errorf("the loser hears %v", args)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d steps won: %v", len(won), won)
		}
		for step := range won {
			decided[step[:strings.Index(step, " ")]]++
		}
		after := w.Get(t, A, o.ID)
		if after.Version != o.Version+1 || len(after.Events) != len(o.Events)+1 {
			t.Errorf("version %d after %d, %d events after %d", after.Version, o.Version, len(after.Events), len(o.Events))
		}
	}
	t.Logf("%d orders, 50 people at each at once, one decision each: %v", rounds, decided)
}

func whatIsApproved(t *testing.T, w *World) {
	o := w.Order(t, A, 1)
	_, err := w.Service.Approve(ctx, A, o.ID, Clerk(1), blob.Sum([]byte("x")))
	wants(t, err, fault.Conflict, "orders.moved")
	_, err = w.Service.Preview(ctx, A, o.ID, Clerk(1))
	wants(t, err, fault.Conflict, "orders.not_prepared")
	first, err := w.Service.Prepare(ctx, A, o.ID, Clerk(1))
	ok(t, err)
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), blob.Digest{})
	wants(t, err, fault.Conflict, "orders.content_changed")
	// The person moves house between the two preparations: the clerk who read the first must not approve the second.
	home := w.Home(A, w.Person(A, 1))
	home.House = "99"
	w.Register.Move(w.Person(A, 1), home)
	w.Register.Move(orders.Person{Number: Number(1)}, home)
	second, err := w.Service.Prepare(ctx, A, o.ID, Clerk(2))
	ok(t, err)
	if second.Paper.Content == first.Paper.Content || second.Paper.Number != first.Paper.Number || second.Paper.Code != first.Paper.Code {
		t.Errorf("prepared again: %+v after %+v", second.Paper, first.Paper)
	}
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), first.Paper.Content)
	wants(t, err, fault.Conflict, "orders.content_changed")
	w.Clock.Add(13 * time.Hour) // one in the morning
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), second.Paper.Content)
	wants(t, err, fault.Conflict, "orders.content_stale")
	_, err = w.Service.Prepare(ctx, A, o.ID, Clerk(2))
	ok(t, err)
	w.Sealer.Real() // what says SPECIMEN is not sealed for good, nor the other way round
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), w.Get(t, A, o.ID).Paper.Content)
	wants(t, err, fault.Conflict, "orders.content_stale")
	third, err := w.Service.PrepareFor(ctx, A, o.ID, Clerk(2), Clerk(1).Subject, nil)
	ok(t, err)
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), third.Paper.Content)
	ok(t, err)
	_, err = w.Service.Prepare(ctx, A, o.ID, Clerk(2))
	wants(t, err, fault.Conflict, "orders.moved")
	w.Work(t)
	o = w.Get(t, A, o.ID)
	f, err := w.Service.Document(ctx, A, o.ID, o.Subject)
	ok(t, err)
	if !strings.Contains(string(f.Data), "Rue du Beffroi 99") || o.Paper.Content != third.Paper.Content {
		t.Error("something else was sealed than was approved")
	}
}

// numbers are given once, and every number is a paper's or a void one's.
func numbers(t *testing.T, w *World) {
	const n = 30
	var ids [2][]string
	for i := range n {
		ids[0] = append(ids[0], w.Order(t, A, i).ID)
		ids[1] = append(ids[1], w.Order(t, B, 1000+i).ID)
	}
	var wg sync.WaitGroup
	for i, c := range []commune.ID{A, B} {
		for k, id := range ids[i] {
			wg.Go(func() {
				if _, err := w.Service.Prepare(ctx, c, id, Clerk(1)); err != nil {
					t.Error(err)
				}
				if k%5 == 0 {
					if _, err := w.Service.Refuse(ctx, c, id, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for i, c := range []commune.ID{A, B} {
		seen := map[orders.Number]bool{}
		for _, id := range ids[i] {
			o := w.Get(t, c, id)
			if seen[o.Paper.Number] {
				t.Errorf("%s: %s twice", c, o.Paper.Number)
			}
			seen[o.Paper.Number] = true
			if o.Paper.Void != (o.State == orders.Refused) {
				t.Errorf("%s is %s, void %v", o.Paper.Number, o.State, o.Paper.Void)
			}
		}
		for k := 1; k <= n; k++ {
			if number := orders.Number(fmt.Sprintf("2026-%06d", k)); !seen[number] {
				t.Errorf("%s: %s is nobody's", c, number)
			}
		}
	}
	w.Clock.Add(365 * 24 * time.Hour)
	if o := w.Prepared(t, A, 500); o.Paper.Number != "2027-000001" {
		t.Errorf("the first of a new year is %s", o.Paper.Number)
	}
}
