package orderstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
		"a register that does not answer":  registerDown,
		"a clerk's own order":              ownOrder,
		"two clerks":                       twoClerks,
		"what is approved":                 whatIsApproved,
		"numbers":                          numbers,
		"a step that fails leaves nothing": allOrNothing,
		"death while preparing":            deathPreparing,
		"death while sealing":              deathSealing,
		"two workers on one order":         twoWorkers,
		"no time stamp":                    noStamp,
		"looking a paper up":               lookUp,
		"the inbox":                        inbox,
		"what the person sees":             personSees,
		"mail":                             mail,
		"no national number anywhere":      noNumberAnywhere,
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

func kinds(events []orders.Event) string {
	var list []string
	for _, e := range events {
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
	o, err = s.Approve(ctx, B, o.ID, Clerk(2), o.Paper.Content)
	ok(t, err)
	if o.State != orders.Approved || o.ChangedBy != "Claire 2" {
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
	f.Answers = form.Answers{form.DocumentLanguage: "fr"}
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
	for round := range 3 {
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
		after := w.Get(t, A, o.ID)
		if after.Version != o.Version+1 || len(after.Events) != len(o.Events)+1 {
			t.Errorf("version %d after %d, %d events after %d", after.Version, o.Version, len(after.Events), len(o.Events))
		}
	}
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
	third, err := w.Service.Prepare(ctx, A, o.ID, Clerk(2))
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

// allOrNothing has the audit log, and then the grant, refuse at each step: nothing of the step stays.
func allOrNothing(t *testing.T, w *World) {
	boom := errors.New("boom")
	p, fresh, open := w.Person(A, 1), w.Order(t, A, 2), w.Prepared(t, A, 3)
	issued := w.Issued(t, A, 4)
	s, f := w.Service, w.Form(A)
	before := dump(t, w.DB)
	steps := map[string]func() error{
		"submit":  func() error { _, err := s.Submit(ctx, A, p, f); return err },
		"prepare": func() error { _, err := s.Prepare(ctx, A, fresh.ID, Clerk(1)); return err },
		"again":   func() error { _, err := s.Prepare(ctx, A, open.ID, Clerk(1)); return err },
		"decide":  func() error { _, err := s.PrepareDespite(ctx, A, fresh.ID, Clerk(1), "because"); return err },
		"approve": func() error { _, err := s.Approve(ctx, A, open.ID, Clerk(1), open.Paper.Content); return err },
		"refuse": func() error {
			_, err := s.Refuse(ctx, A, open.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
			return err
		},
		"cancel":   func() error { _, err := s.Cancel(ctx, A, open.ID, open.Subject); return err },
		"download": func() error { _, err := s.Document(ctx, A, issued.ID, issued.Subject); return err },
		"look":     func() error { _, err := s.ForClerk(ctx, A, open.ID, Clerk(1)); return err },
		"preview":  func() error { _, err := s.Preview(ctx, A, open.ID, Clerk(1)); return err },
	}
	w.Auditor.Fail(boom)
	for name, step := range steps {
		if err := step(); !errors.Is(err, boom) {
			t.Errorf("%s without an audit entry: %v", name, err)
		}
	}
	w.Auditor.Fail(nil)
	w.Sealer.FailGrant(boom)
	if err := steps["approve"](); !errors.Is(err, boom) {
		t.Errorf("approve without a grant: %v", err)
	}
	w.Sealer.FailGrant(nil)
	for table, text := range dump(t, w.DB) {
		if text != before[table] {
			t.Errorf("%s has changed", table)
		}
	}
	for _, name := range []string{"submit", "prepare", "again", "look", "preview"} {
		if err := steps[name](); err != nil {
			t.Errorf("%s afterwards: %v", name, err)
		}
	}
}

// deathPreparing stops Prepare at each place where something outside is asked, and tries again.
func deathPreparing(t *testing.T, w *World) {
	boom := errors.New("boom")
	for i, c := range []struct {
		name   string
		fail   func(error)
		number bool // has been given by then
	}{
		{"the register", w.Register.Fail, false},
		{"the renderer", w.Renderer.Fail, true},
		{"the disk", w.Blobs.Fail, true},
	} {
		o := w.Order(t, A, i)
		c.fail(boom)
		if _, err := w.Service.Prepare(ctx, A, o.ID, Clerk(1)); !errors.Is(err, boom) {
			t.Errorf("%s: %v", c.name, err)
		}
		c.fail(nil)
		before := w.Get(t, A, o.ID)
		if (before.Paper != nil) != c.number {
			t.Errorf("%s: paper %v", c.name, before.Paper)
		}
		if c.number {
			_, err := w.Service.Approve(ctx, A, o.ID, Clerk(1), blob.Digest{})
			wants(t, err, fault.Conflict, "orders.content_changed")
		}
		after, err := w.Service.Prepare(ctx, A, o.ID, Clerk(2))
		ok(t, err)
		if after.Paper.Content.IsZero() || c.number && (after.Paper.Number != before.Paper.Number || after.Paper.Code != before.Paper.Code) {
			t.Errorf("%s: went on as %+v", c.name, after.Paper)
		}
	}
	if o := w.Prepared(t, A, 50); o.Paper.Number != "2026-000004" {
		t.Errorf("the fourth paper has number %s", o.Paper.Number)
	}
}

// deathSealing kills the sealer once, and twice, at each of its places; one paper comes out.
func deathSealing(t *testing.T, w *World) {
	for i, p := range Points {
		for _, times := range []int{1, 2} {
			o := w.Approved(t, A, 10*i+times)
			w.Sealer.Kill(p, times)
			for range times + 1 {
				w.Work(t)
			}
			w.Sealer.Kill(p, 0)
			after := w.Get(t, A, o.ID)
			if after.State != orders.Issued || after.Paper.Number != o.Paper.Number || after.Paper.Document.IsZero() {
				t.Errorf("killed %d times %s: %s, %+v", times, p, after.State, after.Paper)
				continue
			}
			if got := kinds(after.Events); got != "submitted in_review prepared approved signed issued notified" {
				t.Errorf("killed %s: %s", p, got)
			}
			if _, err := w.Service.LookupFile(ctx, A, after.Paper.Document); err != nil {
				t.Errorf("killed %s: the paper is not known: %v", p, err)
			}
		}
	}
}

// twoWorkers run the same sealing at the same time.
func twoWorkers(t *testing.T, w *World) {
	var made []orders.Order
	for i := range 5 {
		o := w.Approved(t, A, i)
		made = append(made, o)
		ok(t, w.DB.Write(ctx, func(tx *sqldb.Tx) error {
			for range 4 {
				if err := w.Jobs.Insert(tx, orders.SealJob{Commune: A, Order: o.ID}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	w.Work(t)
	w.Work(t)
	for _, o := range made {
		o = w.Get(t, A, o.ID)
		if got := kinds(o.Events); o.State != orders.Issued || got != "submitted in_review prepared approved signed issued notified" {
			t.Errorf("%s: %s", o.State, got)
		}
	}
}

func noStamp(t *testing.T, w *World) {
	w.Sealer.Silence(true)
	o := w.Approved(t, A, 1)
	w.Work(t)
	o = w.Get(t, A, o.ID)
	if o.State != orders.Signed || o.Paper.SignedAt.IsZero() || !o.Paper.Document.IsZero() {
		t.Errorf("without a stamp: %s %+v", o.State, o.Paper)
	}
	_, err := w.Service.Document(ctx, A, o.ID, o.Subject)
	wants(t, err, fault.Conflict, "orders.not_issued")
	_, err = w.Service.LookupNumber(ctx, A, string(o.Paper.Number), o.Paper.Code)
	wants(t, err, fault.NotFound, "orders.document_unknown")
	_, err = w.Service.Cancel(ctx, A, o.ID, o.Subject)
	wants(t, err, fault.Conflict, "orders.moved")
	w.Sealer.Silence(false)
	w.Work(t)
	if o = w.Get(t, A, o.ID); o.State != orders.Issued || w.Sealer.KeyUsed() != 1 {
		t.Errorf("with a stamp: %s, the key was called %d times", o.State, w.Sealer.KeyUsed())
	}
}

func lookUp(t *testing.T, w *World) {
	pending := w.Prepared(t, A, 2)
	pendingToken := tokenOf(w.Renderer.Last())
	o := w.Prepared(t, A, 1)
	token := tokenOf(w.Renderer.Last())
	_, err := w.Service.Lookup(ctx, A, token)
	wants(t, err, fault.NotFound, "orders.document_unknown")
	_, err = w.Service.Approve(ctx, A, o.ID, Clerk(1), o.Paper.Content)
	ok(t, err)
	w.Work(t)
	o = w.Get(t, A, o.ID)
	for name, find := range map[string]func() (orders.Facts, error){
		"QR": func() (orders.Facts, error) { return w.Service.Lookup(ctx, A, token) },
		"code": func() (orders.Facts, error) {
			return w.Service.LookupNumber(ctx, A, " 2026-2 ", strings.ToLower(o.Paper.Code[:5]+" "+o.Paper.Code[5:]))
		},
		"file": func() (orders.Facts, error) { return w.Service.LookupFile(ctx, A, o.Paper.Document) },
	} {
		f, err := find()
		if err != nil || f.Holder != "Luc Marie Lambertb" || f.Number != "2026-000002" || f.Status != orders.Valid || f.Product.ID != "residence" ||
			f.Document != o.Paper.Document || f.Commune != A || !f.Specimen || f.Language != i18n.French || !f.IssuedOn.Equal(Noon) {
			t.Errorf("by %s: %+v, %v", name, f, err)
		}
	}
	// Two communes have a paper of the same number.
	there := w.Issued(t, B, 50)
	if f, err := w.Service.LookupNumber(ctx, B, "2026-1", there.Paper.Code); err != nil || f.Commune != B {
		t.Errorf("the other commune's first paper: %+v, %v", f, err)
	}
	if f, err := w.Service.LookupNumber(ctx, A, "2026-2", o.Paper.Code); err != nil || f.Commune != A {
		t.Errorf("the own second paper: %+v, %v", f, err)
	}
	void := w.Prepared(t, A, 3)
	voidToken := tokenOf(w.Renderer.Last())
	_, err = w.Service.Cancel(ctx, A, void.ID, void.Subject)
	ok(t, err)
	var answers []string
	for name, find := range map[string]func() (orders.Facts, error){
		"wrong code":           func() (orders.Facts, error) { return w.Service.LookupNumber(ctx, A, "2026-2", "2345678923") },
		"another paper's code": func() (orders.Facts, error) { return w.Service.LookupNumber(ctx, A, "2026-2", pending.Paper.Code) },
		"unknown number":       func() (orders.Facts, error) { return w.Service.LookupNumber(ctx, A, "2026-999", o.Paper.Code) },
		"number alone":         func() (orders.Facts, error) { return w.Service.LookupNumber(ctx, A, "2026-2", "") },
		"not yet issued":       func() (orders.Facts, error) { return w.Service.LookupNumber(ctx, A, "2026-1", pending.Paper.Code) },
		"QR not yet issued":    func() (orders.Facts, error) { return w.Service.Lookup(ctx, A, pendingToken) },
		"void":                 func() (orders.Facts, error) { return w.Service.LookupNumber(ctx, A, "2026-3", void.Paper.Code) },
		"QR void":              func() (orders.Facts, error) { return w.Service.Lookup(ctx, A, voidToken) },
		"unknown QR":           func() (orders.Facts, error) { return w.Service.Lookup(ctx, A, orders.NewKey()) },
		"no QR":                func() (orders.Facts, error) { return w.Service.Lookup(ctx, A, "") },
		"unsealed file":        func() (orders.Facts, error) { return w.Service.LookupFile(ctx, A, o.Paper.Content) },
		"no file":              func() (orders.Facts, error) { return w.Service.LookupFile(ctx, A, blob.Digest{}) },
	} {
		f, err := find()
		t.Log(name)
		wants(t, err, fault.NotFound, "orders.document_unknown")
		answers = append(answers, fmt.Sprintf("%+v %v", f, err))
	}
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("answers differ: %q and %q", a, answers[0])
		}
	}
}

func tokenOf(d document.Document) string {
	return d.Verify.URL[strings.LastIndex(d.Verify.URL, "/")+1:]
}

func inbox(t *testing.T, w *World) {
	var all []orders.Order
	for i := range 7 {
		all = append(all, w.Order(t, A, i))
		w.Clock.Add(24 * time.Hour)
	}
	w.Order(t, B, 100)
	_, err := w.Service.Cancel(ctx, A, all[3].ID, all[3].Subject)
	ok(t, err)
	one, err := w.Service.Prepare(ctx, A, all[5].ID, Clerk(1))
	ok(t, err)
	var got []string
	f := orders.Filter{Limit: 2}
	for pages := 0; ; pages++ {
		page, err := w.Service.Inbox(ctx, A, f)
		ok(t, err)
		for _, o := range page.Orders {
			got = append(got, o.ID)
		}
		if f.After = page.Next; f.After == "" {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
	}
	var want []string
	for _, i := range []int{0, 1, 2, 4, 5, 6} {
		want = append(want, all[i].ID)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("in order of the promised day: got %v, want %v", got, want)
	}
	for name, c := range map[string]struct {
		f    orders.Filter
		want int
	}{
		"by state":               {orders.Filter{States: []orders.State{orders.InReview}}, 1},
		"closed":                 {orders.Filter{States: []orders.State{orders.Cancelled, orders.Refused}}, 1},
		"late":                   {orders.Filter{Late: true}, 2}, // ordered on the 3rd and 4th, promised for the 6th and 9th, today is the 10th
		"by number":              {orders.Filter{Search: string(one.Paper.Number)}, 1},
		"by reference":           {orders.Filter{Search: strings.ToLower(all[0].Reference)}, 1},
		"by surname":             {orders.Filter{Search: "LAMBERTC"}, 1},
		"by a beginning":         {orders.Filter{Search: "lamb"}, 6},
		"surname and given name": {orders.Filter{Search: "Lamberta Luc"}, 1},
		"a pattern":              {orders.Filter{Search: "%mbert_"}, 0},
		"nothing":                {orders.Filter{Search: "Peeters"}, 0},
	} {
		page, err := w.Service.Inbox(ctx, A, c.f)
		if err != nil || len(page.Orders) != c.want {
			t.Errorf("%s: %d orders, want %d (%v)", name, len(page.Orders), c.want, err)
		}
	}
	for _, bad := range []orders.Filter{{Limit: 500}, {Limit: -1}, {States: []orders.State{"x"}}, {After: "x"}} {
		_, err := w.Service.Inbox(ctx, A, bad)
		wants(t, err, fault.Invalid, "orders.bad_filter")
	}
	counts, err := w.Service.Counts(ctx, A)
	if err != nil || counts.Late != 2 || counts.ByState[orders.Submitted] != 5 || counts.ByState[orders.InReview] != 1 || counts.ByState[orders.Signed] != 0 {
		t.Errorf("%+v %v", counts, err)
	}
}

func personSees(t *testing.T, w *World) {
	o := w.Issued(t, A, 1)
	other := w.Person(A, 2)
	for name, read := range map[string]func(subject string) error{
		"page":   func(subject string) error { _, err := w.Service.ForCitizen(ctx, A, o.ID, subject); return err },
		"paper":  func(subject string) error { _, err := w.Service.Document(ctx, A, o.ID, subject); return err },
		"cancel": func(subject string) error { _, err := w.Service.Cancel(ctx, A, o.ID, subject); return err },
	} {
		for _, subject := range []string{other.Subject, "", "clerk-1"} {
			t.Log(name, subject)
			wants(t, read(subject), fault.NotFound, "orders.not_found")
		}
	}
	seen, err := w.Service.ForCitizen(ctx, A, o.ID, o.Subject)
	ok(t, err)
	for _, e := range seen.Events {
		if !e.Public {
			t.Errorf("the person sees %s", e.Kind)
		}
	}
	if list, err := w.Service.Mine(ctx, A, other.Subject); err != nil || len(list) != 0 {
		t.Errorf("somebody else's list has %d orders", len(list))
	}
	list, err := w.Service.Mine(ctx, A, o.Subject)
	if err != nil || len(list) != 1 || list[0].Paper.Number != o.Paper.Number {
		t.Errorf("the own list has %d orders, %v", len(list), err)
	}
}

func mail(t *testing.T, w *World) {
	o := w.Issued(t, A, 1)
	sent := w.Mail.Sent()
	if len(sent) != 1 {
		t.Fatalf("%d mails", len(sent))
	}
	m := sent[0]
	if m.To != "somebody@example.be" || m.ID != "issued."+o.ID || m.Language != i18n.French || !strings.Contains(m.Text, "https://guichet.beaumarais.example/orders/"+o.ID) {
		t.Errorf("%+v", m)
	}
	for _, secret := range []string{"Lambert", "Beffroi", "résidence", o.Paper.Code, string(o.Paper.Number)} {
		if strings.Contains(m.Subject+m.Text, secret) {
			t.Errorf("the mail tells %q", secret)
		}
	}
	refused := w.Prepared(t, A, 2)
	_, err := w.Service.Refuse(ctx, A, refused.ID, Clerk(1), orders.Reasons{Ground: orders.DataWrong, Text: "Un secret."})
	ok(t, err)
	w.Mail.Fail(fault.New(fault.Invalid, "mail.refused", nil))
	w.Work(t)
	if got := kinds(w.Get(t, A, refused.ID).Events); !strings.HasSuffix(got, "refused unnotified") {
		t.Errorf("a mail that cannot be delivered: %s", got)
	}
	w.Mail.Fail(nil)
	f := w.Form(A)
	delete(f.Answers, form.Email)
	silent, err := w.Service.Submit(ctx, A, w.Person(A, 3), f)
	ok(t, err)
	_, err = w.Service.Refuse(ctx, A, silent.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
	ok(t, err)
	w.Work(t)
	if n := len(w.Mail.Sent()); n != 1 {
		t.Errorf("%d mails, one of them to nobody", n)
	}
	for name, bad := range map[string]orders.Reasons{"no text": {Ground: orders.OtherGround}, "no ground": {Text: "non"}} {
		_, err := w.Service.Refuse(ctx, A, w.Order(t, A, 4).ID, Clerk(1), bad)
		t.Log(name)
		wants(t, err, fault.Invalid, "orders.form.invalid")
	}
}

// noNumberAnywhere looks at every row, log line, error, paper and mail of a busy day.
func noNumberAnywhere(t *testing.T, w *World) {
	p := w.Person(A, 1)
	digits := p.Number.Reveal()
	o := w.Issued(t, A, 1)
	f, err := w.Service.Document(ctx, A, o.ID, p.Subject)
	ok(t, err)
	w.Register.Fail(fault.New(fault.Unreachable, "register.down", errors.New("refused")))
	_, failed := w.Service.Submit(ctx, A, p, w.Form(A))
	w.Register.Fail(nil)
	printed, err := json.Marshal(o)
	ok(t, err)
	texts := map[string]string{
		"paper": string(f.Data), "log": w.Log.String(), "error": fmt.Sprint(failed), "order as JSON": string(printed),
		"order": fmt.Sprintf("%+v %#v", o, o), "person": fmt.Sprintf("%+v %#v", p, p), "mail": fmt.Sprint(w.Mail.Sent()),
	}
	rows := dump(t, w.DB)
	if len(rows) < 8 {
		t.Fatalf("only %d tables were read", len(rows))
	}
	maps.Copy(texts, rows)
	for where, text := range texts {
		flat := strings.NewReplacer(".", "", "-", "", " ", "").Replace(text)
		if strings.Contains(text, digits) || strings.Contains(flat, digits) || strings.Contains(text, digits[:9]) {
			t.Errorf("the national number is in: %s", where)
		}
	}
	// The same person has another name in another commune.
	w.Register.Move(p, w.Home(B, p))
	_, err = w.Service.Submit(ctx, B, p, w.Form(B))
	ok(t, err)
	var names int
	ok(t, w.DB.QueryRow(ctx, `SELECT COUNT(DISTINCT person) FROM orders_order WHERE subject = $1`, p.Subject).Scan(&names))
	if names != 2 {
		t.Error("two communes know a person by the same HMAC")
	}
}

// dump is every row of every table as text, by table; what is bytes in hexadecimal and raw.
func dump(t *testing.T, db *sqldb.DB) map[string]string {
	t.Helper()
	query := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`
	if db.Engine() == sqldb.Postgres {
		query = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	}
	var tables []string
	rows, err := db.Query(ctx, query)
	ok(t, err)
	for rows.Next() {
		var name string
		ok(t, rows.Scan(&name))
		tables = append(tables, name)
	}
	ok(t, errors.Join(rows.Err(), rows.Close()))
	all := map[string]string{}
	for _, table := range tables {
		rows, err := db.Query(ctx, `SELECT * FROM `+table)
		ok(t, err)
		columns, err := rows.Columns()
		ok(t, err)
		var text strings.Builder
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			ok(t, rows.Scan(values...))
			for _, v := range values {
				v = *v.(*any)
				if b, isBytes := v.([]byte); isBytes {
					fmt.Fprintf(&text, "%s %x|", b, b)
				} else {
					fmt.Fprintf(&text, "%v|", v)
				}
			}
		}
		ok(t, errors.Join(rows.Err(), rows.Close()))
		all["table "+table] = text.String()
	}
	return all
}
