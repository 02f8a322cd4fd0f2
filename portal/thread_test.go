package portal_test

import (
	"bytes"
	"image"
	"image/png"
	"mime/multipart"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/attachment"
	"github.com/belfry-eid/belfry/orders/orderstest"
	"github.com/belfry-eid/belfry/portal/staff"
)

func picture(t *testing.T) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// write posts a message about an order, with files by name.
func (b *browser) write(order string, seen int, text string, files map[string][]byte) *answer {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	form.WriteField("seen", strconv.Itoa(seen))
	form.WriteField("text", text)
	if len(files) == 0 { // as a browser sends a field left empty
		if _, err := form.CreateFormFile("files", ""); err != nil {
			b.t.Fatal(err)
		}
	}
	for name, content := range files {
		part, err := form.CreateFormFile("files", name)
		if err != nil {
			b.t.Fatal(err)
		}
		part.Write(content)
	}
	form.Close()
	r := httptest.NewRequest("POST", order+"/message", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

// A clerk asks, the person is told and answers with a file, and the clerk sees it (J9).
func TestAClerkAsksAndThePersonAnswers(t *testing.T) {
	w := newWorld(t)
	b, p := w.citizen(orderstest.A, 1)
	o := w.Order(t, orderstest.A, 1)
	desk := w.clerk(orderstest.A, 5, staff.Clerk)
	at, mine := "/fr/desk/orders/"+o.ID, "/fr/orders/"+o.ID
	if a := desk.get(at + "/ask?template=proof"); !strings.Contains(text(a.doc), "nous avons besoin d’un document") || !strings.Contains(text(a.doc), o.Reference) {
		t.Errorf("the ready-made text is not there: %s", text(a.doc))
	}
	if a := desk.post(at+"/ask", url.Values{"text": {" "}}); a.status != 422 || !strings.Contains(text(a.doc), "Écrivez un texte") {
		t.Errorf("an empty question: %d", a.status)
	}
	if to := desk.post(at+"/ask", url.Values{"text": {"Où habitez-vous ?"}}).to(t); to != at+"#thread" {
		t.Errorf("asking leads to %s", to)
	}
	if said := text(desk.get(at).doc); !strings.Contains(said, "Où habitez-vous ?") || !strings.Contains(said, "attend la réponse de la personne") || strings.Contains(said, "Poser une question") {
		t.Errorf("the desk says %s", said)
	}
	if a := desk.get(at + "/ask"); a.status != 303 {
		t.Errorf("asked once more: %d", a.status)
	}
	w.Clock.Add(24 * time.Hour)
	b.signIn("/fr/orders", card(p))
	if said := text(b.get("/fr/orders").doc); !strings.Contains(said, "Votre réponse est attendue") {
		t.Errorf("the list says %s", said)
	}
	page := b.get(mine)
	if said := text(page.doc); !strings.Contains(said, "Nous avons besoin d’une réponse") || !strings.Contains(said, "Où habitez-vous ?") || strings.Contains(said, "Claire") {
		t.Errorf("the person reads %s", said)
	}
	seen, _ := strconv.Atoi(page.value("seen"))
	for name, c := range map[string]struct {
		files map[string][]byte
		text  string
		says  string
	}{
		"nothing": {nil, "", "Écrivez un message ou joignez un fichier"},
		"a page":  {map[string][]byte{"x.pdf": []byte("<html><script>")}, "Voici.", "n’est ni un PDF"},
		"large":   {map[string][]byte{"x.png": append(picture(t), make([]byte, attachment.MaxSize)...)}, "Voici.", "trop grand"},
		"a lot":   {map[string][]byte{"x.png": make([]byte, orders.MaxFiles*attachment.MaxSize+1<<20)}, "Voici.", "trop grands ensemble"},
	} {
		a := b.write(mine, seen, c.text, c.files)
		if a.status != 422 || !strings.Contains(text(a.doc), c.says) || c.text != "" && name != "a lot" && !strings.Contains(text(a.doc), c.text) {
			t.Errorf("%s: %d %s", name, a.status, text(a.doc))
		}
	}
	b.write(mine, seen, "Rue Haute 3.", map[string][]byte{"bail.png": picture(t)}).to(t)
	if now := w.Get(t, orderstest.A, o.ID); now.State != orders.Submitted || len(now.Messages) != 2 {
		t.Fatalf("answered: %s, %d messages", now.State, len(now.Messages))
	}
	desk = w.again(5)
	if said := text(desk.get("/fr/desk?show=answered").doc); !strings.Contains(said, "La personne a écrit (1)") || !strings.Contains(said, p.Surname) {
		t.Errorf("the inbox says %s", said)
	}
	if said := text(desk.get(at).doc); !strings.Contains(said, "Rue Haute 3.") || !strings.Contains(said, "bail.png") {
		t.Errorf("the clerk reads %s", said)
	}
	for name, a := range map[string]*answer{"clerk": desk.get(at + "/files/2/1"), "person": b.get(mine + "/files/2/1")} {
		if a.body != string(picture(t)) || a.header.Get("Content-Disposition") != "attachment; filename=bail.png" || !strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("the %s gets %d bytes with %v", name, len(a.body), a.header)
		}
	}
	for _, path := range []string{"/files/2/2", "/files/x/1", "/files/1/1", "/files/99999999999999999999/1"} {
		if a := desk.get(at + path); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	neighbour, _ := w.citizen(orderstest.A, 2)
	if a := neighbour.get(mine + "/files/2/1"); a.status != 404 {
		t.Errorf("a neighbour gets the file: %d", a.status)
	}
	if a := neighbour.write(mine, 2, "Moi aussi.", nil); a.status != 404 {
		t.Errorf("a neighbour writes: %d", a.status)
	}
}

// again is clerk n of the first commune, signed in anew.
func (w *world) again(n int) *browser {
	b := w.browser(orderstest.A)
	b.signIn("/fr/desk", clerkCard(n))
	return b
}

// What clerks note for each other is on no page of the person's.
func TestANoteStaysAtTheDesk(t *testing.T) {
	w := newWorld(t)
	o := w.Order(t, orderstest.A, 1)
	b, _ := w.citizen(orderstest.A, 1)
	desk := w.clerk(orderstest.A, 5, staff.Clerk)
	at := "/fr/desk/orders/" + o.ID
	desk.post(at+"/note", url.Values{"note": {"Voir Zoé."}}).to(t)
	if a := desk.post(at+"/note", url.Values{"note": {"\u202e"}}); a.status != 422 || !strings.Contains(text(a.doc), "caractères invisibles") {
		t.Errorf("%d", a.status)
	}
	if said := text(desk.get(at).doc); !strings.Contains(said, "Voir Zoé.") || !strings.Contains(said, "Note interne ajoutée") {
		t.Errorf("the desk says %s", said)
	}
	for _, path := range []string{"/fr/orders", "/fr/orders/" + o.ID, "/fr/orders/" + o.ID + "/sent"} {
		if said := text(b.get(path).doc); strings.Contains(said, "Zoé") || strings.Contains(said, "Note interne") {
			t.Errorf("%s says %s", path, said)
		}
	}
}
