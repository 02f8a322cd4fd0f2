package portal_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

// door is an address that takes a form. {order} and {prepared} are an order in that state.
type door struct {
	who, path string
	good      url.Values
}

// doors are all of them that take more than a button. Whoever adds one adds it here; that
// none opens for another commune or browser is held by TestNothingOfACommuneLeaksToAnother
// and TestNothingOfAPersonLeaksToAnother, twice and stale by the test of each.
var doors = []door{
	{"citizen", "/fr/documents/residence/form", url.Values{"contact": {"email"}, "email": {"a@example.be"}, "phone": {"+32 2 555 55 55"}, "document_language": {"fr"}}},
	{"citizen", "/fr/documents/residence/send", url.Values{"key": {"x"}}},
	{"citizen", "/fr/account/contact", url.Values{"contact": {"email"}, "email": {"a@example.be"}, "phone": {""}}},
	{"citizen", "/fr/account/sessions", url.Values{"session": {"x"}, "others": {""}}},
	{"citizen", "/fr/orders/{order}/message", url.Values{"seen": {"0"}, "text": {"x"}}},
	{"anybody", "/fr/verify", url.Values{"number": {"2026-000001"}, "code": {"2222222222"}}},
	{"anybody", "/fr/follow", url.Values{"code": {"x"}, "day": {"1"}, "month": {"2"}, "year": {"1985"}}},
	{"anybody", "/fr/follow/code", url.Values{"email": {"a@example.be"}}},
	{"desk", "/fr/desk/new", url.Values{"way": {"counter card_seen"}, "number": {"71715100070"}, "product": {"residence"}}},
	{"desk", "/fr/desk/new/check", url.Values{"key": {"x"}, "email": {"a@example.be"}, "document_language": {"fr"}}},
	{"desk", "/fr/desk/orders/{order}/prepare", url.Values{"reason": {"x"}, "signatory": {""}}},
	{"desk", "/fr/desk/orders/{order}/note", url.Values{"note": {"x"}}},
	{"desk", "/fr/desk/orders/{order}/ask", url.Values{"text": {"x"}, "template": {"call"}}},
	{"desk", "/fr/desk/orders/{order}/assign", url.Values{"seen": {""}, "to": {"x"}}},
	{"desk", "/fr/desk/orders/{order}/refuse", url.Values{"ground": {"other"}, "text": {"x"}}},
	{"desk", "/fr/desk/orders/{prepared}/approve", url.Values{"content": {strings.Repeat("ab", 32)}}},
	{"desk", "/fr/desk/orders/{order}/withdrawal", url.Values{"cause": {"other"}, "words": {"x"}}},
	{"desk", "/fr/desk/assign", url.Values{"order": {"{order} x"}, "to": {"x"}}},
	{"desk", "/fr/desk/ready/begin", url.Values{"order": {"{prepared} x"}, "way": {"sign"}}},
	{"desk", "/fr/desk/absence", url.Values{"subject": {"clerk-7"}, "deputy": {"x"}, "from": {"2026-03-01"}, "to": {"2026-03-02"}}},
	{"desk", "/fr/desk/absence/end", url.Values{"subject": {"clerk-7"}}},
	{"desk", "/fr/desk/staff/invite", url.Values{"name": {"x"}, "role": {"clerk"}}},
	{"desk", "/fr/desk/staff/role", url.Values{"subject": {"x"}, "role": {"clerk"}}},
	{"desk", "/fr/desk/staff/remove", url.Values{"subject": {"x"}}},
	{"desk", "/fr/desk/staff/withdraw", url.Values{"id": {"x"}}},
	{"desk", "/fr/desk/questions", url.Values{"label-fr": {"x"}, "text-fr": {"x"}, "label-nl": {"x"}, "text-nl": {"x"}, "label-de": {"x"}, "text-de": {"x"}, "label-en": {"x"}, "text-en": {"x"}, "version": {"0"}}},
	{"desk", "/fr/desk/new/permission", url.Values{"way": {"counter card_seen"}}},
	{"desk", "/fr/desk/delegations", url.Values{"member": {"clerk-7"}, "office": {"mayor"}, "decision": {"x"}, "from": {"2026-03-01"}, "to": {""}, "products": {"all"}, "product": {""}}},
	{"desk", "/fr/desk/delegations/end", url.Values{"id": {"x"}}},
}

// hostile is what somebody may put into any field.
var hostile = map[string]string{
	"nothing":           "",
	"markup":            `"><script>alert(7)</script><img src=x onerror=alert(7)>`,
	"a template":        "{{.Secret}} ${7*7} %s %d %!",
	"SQL":               `'; DROP TABLE orders_order; --`,
	"a NUL":             "a\x00b",
	"hidden directions": "a\u202eb\u2066c\u200bd",
	"no UTF-8":          "a\xff\xfe\xc0\xafb",
	"combined letters":  "Zo" + strings.Repeat("\u0301", 500),
	"emoji and scripts": "👩‍👩‍👧‍👦 Ω я ﷽ 漢",
	"lines":             "a\r\nBcc: x@example.org\r\n\r\nb",
	"long":              strings.Repeat("é", 40_000),
	"a great number":    strings.Repeat("9", 400),
	"a path":            "../../../../etc/passwd%00.pdf",
}

// Whatever stands in whichever field of whichever form: no fault of ours, no markup that
// comes back alive, nothing hidden and nothing broken in the database.
func TestHostileInputAtEveryDoor(t *testing.T) {
	w := newWorld(t)
	who := map[string]*browser{"anybody": w.browser(orderstest.A), "desk": w.clerk(orderstest.A, 7, staff.Administrator)}
	who["citizen"], _ = w.citizen(orderstest.A, 1)
	n, tried := 100, 0
	var touched []string
	place := func(text string, o *orders.Order) string {
		for _, state := range []string{"{order}", "{prepared}"} {
			if strings.Contains(text, state) && o.ID == "" {
				n++
				if *o = w.Order(t, orderstest.A, n); state == "{prepared}" {
					*o, _ = w.Service.Prepare(t.Context(), orderstest.A, o.ID, orderstest.Clerk(7))
				}
				touched = append(touched, o.ID)
			}
			text = strings.ReplaceAll(text, state, o.ID)
		}
		return text
	}
	for _, d := range doors {
		b := who[d.who]
		post := func(what, kind string, body io.Reader, path string) *answer {
			r := httptest.NewRequest("POST", path, body)
			r.Header.Set("Content-Type", kind)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			a := b.do(r)
			tried++
			if a.status >= 500 || a.status < 200 {
				t.Errorf("%s, %s: %d", d.path, what, a.status)
			}
			if a.status == http.StatusOK && strings.Contains(d.path, "/desk") && what == "no form" {
				t.Errorf("%s, %s: taken", d.path, what)
			}
			alive(t, d.path+", "+what, a)
			return a
		}
		const urlencoded = "application/x-www-form-urlencoded"
		for field := range d.good {
			for kind, value := range hostile {
				var o orders.Order
				path, form := place(d.path, &o), maps.Clone(d.good)
				for name, v := range form {
					form[name] = []string{place(v[0], &o)}
				}
				form.Set(field, value)
				post(field+" with "+kind, urlencoded, strings.NewReader(form.Encode()), path)
			}
			var o orders.Order
			path, many := place(d.path, &o), maps.Clone(d.good)
			many[field] = slices.Repeat([]string{"x"}, 5000)
			post(field+" five thousand times", urlencoded, strings.NewReader(many.Encode()), path)
		}
		var o orders.Order
		path := place(d.path, &o)
		if a := post("megabytes", urlencoded, io.MultiReader(strings.NewReader("text="), bytes.NewReader(bytes.Repeat([]byte("x"), 12<<20))), path); a.status == http.StatusOK {
			t.Errorf("%s: megabytes are taken", d.path)
		}
		post("percent signs", urlencoded, strings.NewReader("%zz=%&;;a=%f"), path)
		post("JSON", "application/json", strings.NewReader(`{"text":["x"]}`), path)
		post("half a multipart", "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nab"), path)
		post("no kind", "", strings.NewReader("text=x"), path)
	}
	for _, id := range touched {
		alive(t, "the desk's page of an order", who["desk"].get("/fr/desk/orders/"+id))
	}
	for _, path := range []string{"/fr/desk", "/fr/desk/staff", "/fr/desk/absence", "/fr/desk/delegations", "/fr/desk/figures"} {
		alive(t, path, who["desk"].get(path))
	}
	rows := nothingHidden(t, w)
	t.Logf("%d hostile requests at %d doors: no fault of ours, nothing hidden in %d rows", tried, len(doors), rows)
}

// Names and contents of files that people send: what is taken comes back under a name that
// leads nowhere, as a file to be saved; what is not is refused in words.
func TestHostileFilesWithAMessage(t *testing.T) {
	w := newWorld(t)
	b, _ := w.citizen(orderstest.A, 1)
	o := w.Order(t, orderstest.A, 1)
	if _, err := w.Service.Ask(t.Context(), orderstest.A, o.ID, orderstest.Clerk(1), "?"); err != nil {
		t.Fatal(err)
	}
	page := "/fr/orders/" + o.ID
	good := picture(t)
	taken, refused := 0, 0
	send := func(what, name string, content []byte) {
		t.Helper()
		seen, _ := strconv.Atoi(b.get(page).value("seen"))
		a := b.write(page, seen, "Voici.", map[string][]byte{name: content})
		alive(t, what, a)
		switch {
		case a.status == http.StatusSeeOther:
			taken++
		case a.status >= 400 && a.status < 500:
			refused++
		default:
			t.Errorf("%s: %d", what, a.status)
		}
	}
	for kind, name := range hostile {
		send("a picture named with "+kind, name+".png", good)
	}
	for _, name := range []string{"a.png.html", "CON.png", ".htaccess", "a/b.png", `a\b.png`, "a.png\x00.html", "a.svg", strings.Repeat("n", 5000) + ".png"} {
		send("a picture named "+name[:min(len(name), 20)], name, good)
	}
	for what, content := range map[string][]byte{"nothing": {}, "half a picture": good[:len(good)/2], "a page behind a picture": append(bytes.Clone(good), "<script>alert(7)</script>"...),
		"SVG": []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(7)"/>`), "a zip": []byte("PK\x03\x04"), "half a PDF": []byte("%PDF-1.7\n")} {
		send(what, "x.png", content)
	}
	names := regexp.MustCompile(`/fr/orders/[0-9a-f-]+/files/[0-9]+/[0-9]+`)
	for _, at := range names.FindAllString(b.get(page).body, -1) {
		a := b.get(at)
		if d := a.header.Get("Content-Disposition"); a.status != 200 || !strings.HasPrefix(d, "attachment;") || strings.ContainsAny(d, "/\\\x00\r\n\u202e<>") || !strings.Contains(a.header.Get("Content-Type"), "image/png") {
			t.Errorf("%s: %d, %q as %q", at, a.status, d, a.header.Get("Content-Type"))
		}
	}
	nothingHidden(t, w)
	if taken == 0 || refused == 0 {
		t.Errorf("%d taken, %d refused", taken, refused)
	}
	t.Logf("%d files with hostile names taken under names that lead nowhere, %d refused in words", taken, refused)
}

// alive fails the test for markup of ours that a page gives back as markup.
func alive(t *testing.T, where string, a *answer) {
	t.Helper()
	for _, s := range []string{"<script>alert", "<img src=x", "onerror=alert(7)>"} {
		if strings.Contains(a.body, s) {
			t.Errorf("%s: %q comes back alive", where, s)
		}
	}
	if strings.Contains(a.header.Get("Location"), "evil") || !utf8.ValidString(a.header.Get("Location")) {
		t.Errorf("%s leads to %q", where, a.header.Get("Location"))
	}
}

// nothingHidden reads every text of the database.
func nothingHidden(t *testing.T, w *world) (read int) {
	t.Helper()
	var tables []string
	each := func(query string, row func(values []any)) {
		rows, err := w.DB.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			row(values)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	each(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`, func(v []any) { tables = append(tables, fmt.Sprint(*v[0].(*any))) })
	for _, table := range tables {
		each(`SELECT * FROM `+table, func(values []any) {
			read++
			for _, v := range values {
				if s, ok := (*v.(*any)).(string); ok && (strings.ContainsAny(s, "\x00\u202e\u2066\u200b") || !utf8.ValidString(s)) {
					t.Errorf("%s holds what nobody sees: %.60q", table, s)
				}
			}
		})
	}
	return read
}
