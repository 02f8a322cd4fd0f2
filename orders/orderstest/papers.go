package orderstest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/document"
	"github.com/belfry-eid/belfry/orders/register"
)

// said is what stands on a paper, on a line for each fact and each row.
func said(d document.Document) string {
	var lines []string
	for _, f := range d.Facts {
		lines = append(lines, f.Label+": "+f.Value)
	}
	for _, row := range d.List.Rows {
		lines = append(lines, strings.Join(row, " | "))
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "\u00a0", " ")
}

// papers: each paper says its own and nothing more.
func papers(t *testing.T, w *World) {
	p := w.Person(B, 1)
	wife, child := w.Person(B, 2), w.Person(B, 3)
	wife.GivenNames, wife.Surname = "", "Aung" // has one name only
	young := Member(child, "child")
	young.BirthDate, young.GivenNames, young.Since = "2012-00-00", "Hugo", ""
	w.Register.House(Member(p, "reference"), Member(wife, "spouse"), young)
	w.Register.Lived(p,
		register.Stay{From: "2019-05-01", Country: register.Belgian, NIS: "99002", Street: "Kerkplein", House: "2", PostalCode: "8999", Locality: "Zandvoorde"},
		register.Stay{From: "2004-10-15", Until: "2019-05-01", Country: "FR"},
		register.Stay{From: "1985-07-30", Until: "2004-10-15", Country: register.Belgian, NIS: "99001", Commune: map[i18n.Language]string{i18n.French: "Beaumarais"}},
	)
	const names = "Naam: Lambertb\nVoornamen: Luc Marie\nGeboortedatum: 30 juli 1985"
	const home = "\nHoofdverblijfplaats: Rue du Beffroi 12 bus 3, 9901 Beaumarais"
	for product, want := range map[string]string{
		"residence": names + home + "\nIngeschreven op dit adres sinds: 1 mei 2019",
		"household": names + home + "\nAantal personen: 3\n" +
			"Lambertb, Luc Marie | 30 juli 1985 | referentiepersoon | 1 mei 2019\n" +
			"Aung | 30 juli 1985 | echtgenoot of echtgenote | 1 mei 2019\n" +
			"Lambertd, Hugo | 2012 | kind | ",
		"residence_history": names + home + "\nIngeschreven op dit adres sinds: 1 mei 2019\n" +
			"1 mei 2019 | vandaag | Kerkplein 2, 8999 Zandvoorde\n15 oktober 2004 | 1 mei 2019 | Frankrijk\n30 juli 1985 | 15 oktober 2004 | Beaumarais",
		"life":        names,
		"nationality": names + "\nNationaliteit: Belg\nBelg sinds: 30 juli 1985",
	} {
		pre, err := w.Service.Prefill(ctx, B, p, product)
		ok(t, err)
		o, err := w.Service.Submit(ctx, B, p, w.FormOf(B, product, i18n.Dutch))
		ok(t, err)
		for _, a := range o.Answers {
			if shown := a.Name == orders.Address; shown && (product == "life" || product == "nationality") {
				t.Errorf("%s: the order keeps an address that the paper does not say", product)
			}
			if a.Name == orders.Household && a.Value != "Luc, Aung, Hugo" {
				t.Errorf("the form shows the household as %q", a.Value)
			}
		}
		if len(pre.Answers) == 0 || pre.Attention != orders.NoAttention || o.Attention != orders.NoAttention {
			t.Errorf("%s: attention %q", product, o.Attention)
		}
		_, err = w.Service.Prepare(ctx, B, o.ID, Clerk(1))
		ok(t, err)
		if got := said(w.Renderer.Last()); got != want {
			t.Errorf("%s says\n%s\nand not\n%s", product, got, want)
		}
		o = w.Get(t, B, o.ID)
		o, err = w.Service.Approve(ctx, B, o.ID, Clerk(1), o.Paper.Content)
		ok(t, err)
		w.Work(t)
		shown, err := w.Service.LookupNumber(ctx, B, string(o.Paper.Number), o.Paper.Code)
		ok(t, err)
		if names := map[string]string{"household": "Luc, Aung, Hugo"}[product]; shown.Household != names {
			t.Errorf("%s: who checks it is told of %q", product, shown.Household)
		}
	}
}

// oddPapers: what a clerk decides about, what is not certified at all, and what each
// paper needs no look for.
func oddPapers(t *testing.T, w *World) {
	for i, k := range []struct {
		name      string
		change    func(*register.Residence)
		product   string
		attention orders.Attention // asks a clerk for a reason; nothing where empty
		nothing   bool             // no paper, whatever the reason
	}{
		{"reference address", func(r *register.Residence) { r.Status = register.ReferenceAddress }, "household", orders.AtReferenceAddress, false},
		{"undisclosed", func(r *register.Residence) {
			r.Status, r.Street, r.House, r.Box, r.PostalCode, r.Locality = register.Undisclosed, "", "", "", "", ""
		}, "life", orders.Undisclosed, false},
		{"undisclosed", func(r *register.Residence) {
			r.Status, r.Street, r.House, r.Box, r.PostalCode, r.Locality = register.Undisclosed, "", "", "", "", ""
		}, "household", orders.Undisclosed, true},
		{"struck off", func(r *register.Residence) { r.Status, r.NIS = register.StruckOff, "" }, "life", orders.StruckOff, true},
		{"struck off", func(r *register.Residence) { r.Status, r.NIS = register.StruckOff, "" }, "nationality", orders.StruckOff, true},
		{"deceased", func(r *register.Residence) { r.Status = register.Deceased }, "life", orders.Deceased, true},
		{"a declared move", func(r *register.Residence) { r.DeclaredMove = true }, "residence_history", orders.MoveDeclared, false},
		{"a declared move", func(r *register.Residence) { r.DeclaredMove = true }, "household", orders.MoveDeclared, false},
		{"a declared move", func(r *register.Residence) { r.DeclaredMove = true }, "life", orders.NoAttention, false},
		{"a single name", func(r *register.Residence) { r.GivenNames = "" }, "nationality", orders.NoAttention, false},
	} {
		t.Log(k.name, k.product)
		p := w.Person(A, 10+i)
		home := w.Home(A, p)
		k.change(&home)
		w.Register.Move(p, home)
		decided(t, w, p, k.product, k.attention, k.nothing)
	}
	p, child, other := w.Person(A, 30), w.Person(A, 31), w.Person(A, 32)
	away := Member(child, "child")
	away.LivesElsewhere = true
	w.Register.House(Member(p, "reference"), away)
	decided(t, w, p, "household", orders.OddHousehold, false)
	if got := said(w.Renderer.Last()); strings.Contains(got, child.Surname) || !strings.Contains(got, "Nombre de personnes: 1") {
		t.Errorf("a child who is registered elsewhere is on the paper:\n%s", got)
	}
	decided(t, w, p, "residence", orders.NoAttention, false)
	w.Register.House(Member(p, "reference"), Member(other, "godparent"))
	decided(t, w, p, "household", orders.OddHousehold, false)
	if got := said(w.Renderer.Last()); strings.Contains(got, "godparent") || strings.Contains(got, "orders.") {
		t.Errorf("a relation without a word is printed:\n%s", got)
	}

	foreigner := w.Person(A, 33)
	w.Register.Belongs(foreigner, register.Nationality{Code: "MA"})
	_, err := w.Service.Prefill(ctx, A, foreigner, "nationality")
	wants(t, err, fault.Forbidden, "orders.not_belgian")
	_, err = w.Service.Submit(ctx, A, foreigner, w.FormOf(A, "nationality", i18n.French))
	wants(t, err, fault.Forbidden, "orders.not_belgian")
	decided(t, w, foreigner, "household", orders.NoAttention, false)
	w.Register.Belongs(foreigner, register.Nationality{Code: "MA"}, register.Nationality{Code: "BE"})
	o, err := w.Service.Submit(ctx, A, foreigner, w.FormOf(A, "nationality", i18n.French))
	ok(t, err)
	w.Register.Belongs(foreigner, register.Nationality{Code: "MA"})
	_, err = w.Service.Prepare(ctx, A, o.ID, Clerk(1)) // lost since
	wants(t, err, fault.Forbidden, "orders.not_belgian")
}

// decided orders a paper and has a clerk prepare it: at once, with a reason, or not at all.
func decided(t *testing.T, w *World, p orders.Person, product string, a orders.Attention, nothing bool) {
	t.Helper()
	o, err := w.Service.Submit(ctx, A, p, w.FormOf(A, product, i18n.French))
	ok(t, err)
	if o.Attention != a {
		t.Errorf("submitted with attention %q", o.Attention)
	}
	_, err = w.Service.Prepare(ctx, A, o.ID, Clerk(1))
	switch {
	case nothing:
		wants(t, err, fault.Forbidden, "orders.nothing_to_certify")
		_, err = w.Service.PrepareDespite(ctx, A, o.ID, Clerk(1), "because")
		wants(t, err, fault.Forbidden, "orders.nothing_to_certify")
	case a != orders.NoAttention:
		if args := wants(t, err, fault.Conflict, "orders.needs_reason"); fmt.Sprint(args["Attention"]) != string(a) {
			t.Errorf("needs a reason for %v", args)
		}
		_, err = w.Service.PrepareDespite(ctx, A, o.ID, Clerk(1), "because")
		ok(t, err)
	default:
		ok(t, err)
	}
}
