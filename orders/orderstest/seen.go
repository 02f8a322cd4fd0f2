package orderstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/blob"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/notice"
)

// Who sees what, and who does not.

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

// told holds a mail to what mails may say.
func told(t *testing.T, o orders.Order, m notice.Message) {
	t.Helper()
	if m.To != "somebody@example.be" || !strings.Contains(m.Text, "/fr/orders/"+o.ID) {
		t.Errorf("%+v", m)
	}
	for _, secret := range []string{"Lambert", "Beffroi", "résidence", o.Paper.Code, string(o.Paper.Number)} {
		if strings.Contains(m.Subject+m.Text, secret) {
			t.Errorf("the mail tells %q", secret)
		}
	}
}

// told are the mails about something, by the beginning of their IDs.
func (w *World) told(about string) (list []notice.Message) {
	for _, m := range w.Mail.Sent() {
		if strings.HasPrefix(m.ID, about+".") {
			list = append(list, m)
		}
	}
	return list
}

func mail(t *testing.T, w *World) {
	o := w.Issued(t, A, 1)
	sent := w.Mail.Sent()
	if len(sent) != 2 {
		t.Fatalf("%d mails", len(sent))
	}
	for _, m := range sent {
		told(t, o, m)
	}
	m := w.told("issued")[0]
	if m.To != "somebody@example.be" || m.ID != "issued."+o.ID || m.Language != i18n.French || !strings.Contains(m.Text, "https://guichet.beaumarais.example/fr/orders/"+o.ID) {
		t.Errorf("%+v", m)
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
	f.Answers[form.Contact] = form.NoContact
	silent, err := w.Service.Submit(ctx, A, w.Person(A, 3), f)
	ok(t, err)
	_, err = w.Service.Refuse(ctx, A, silent.ID, Clerk(1), orders.Reasons{Ground: orders.OtherGround, Text: "non"})
	ok(t, err)
	w.Work(t)
	if n := len(w.Mail.Sent()); n != 2 {
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
