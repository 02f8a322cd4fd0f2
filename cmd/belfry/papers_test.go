package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// orderOf asks for a paper, from its page in a language to the confirmation; signs in
// where the person has not. in is the language of the paper, "" where there is no choice.
func (p *person) orderOf(w *world, commune string, c worldCard, product string, read, in i18n.Language) string {
	p.t.Helper()
	p.get(w.origin(commune) + "/" + string(read) + "/documents/" + product)
	p.want(200)
	p.follow("/form")
	if strings.Contains(p.at.Path, "/login/") {
		p.signIn(w, c)
	}
	p.want(200)
	if in != "" {
		p.send("/form", "document_language", string(in), "contact", "none", "delivery", "download")
	} else {
		p.send("/form", "contact", "none", "delivery", "download")
	}
	p.want(200)
	p.send("/send")
	p.want(200)
	if !strings.HasSuffix(p.at.Path, "/sent") {
		p.t.Fatalf("sent, and now at %s:\n%s", p.at, p.text())
	}
	return strings.TrimSuffix(p.at.String(), "/sent")
}

// deskOf is the page of an order at its commune's desk, which has its own language.
func deskOf(order string, desk i18n.Language) string {
	scheme, rest, _ := strings.Cut(order, "://")
	host, path, _ := strings.Cut(rest, "/")
	_, path, _ = strings.Cut(path, "/")
	return scheme + "://" + host + "/" + string(desk) + "/desk/" + path
}

// decide takes an order at the desk to approval.
func (p *person) decide(order string, desk i18n.Language, prepare ...string) {
	p.t.Helper()
	p.get(deskOf(order, desk))
	p.want(200)
	p.send("/prepare", prepare...)
	p.want(200)
	p.send("/approve")
	p.want(200)
}

// Each paper, from the form to the sealed file, in communes of each regime. What is read
// on it is what the register of this world knows.
func TestPapers(t *testing.T) {
	w := startWorld(t)
	people, desks := map[string]*person{}, map[string]*person{}
	for _, k := range []struct {
		commune, clerk string
		desk           i18n.Language
		citizen        string
		product        string
		read, in       i18n.Language
		says           string // parts that follow one another
	}{
		{"beaumarais", "claire", "fr", "luc", "household", "fr", "", "Composition de ménage | Nombre de personnes | 4 | Membres du ménage | Lambert, Luc Marie | personne de référence | Simon, Nathalie Anne | conjoint | Wathelet, Emma | enfant du conjoint"},
		{"beaumarais", "claire", "fr", "luc", "residence_history", "fr", "", "certificat de résidence avec historique | Du | Au | 1er mai 2009 | aujourd’hui | 15 octobre 2004 | Lindenweg 31 | 1er février 2001 | France | 30 juillet 1975"},
		{"beaumarais", "claire", "fr", "luc", "life", "en", "", "Certificat de vie | est en vie | Lambert"},
		{"beaumarais", "claire", "fr", "luc", "nationality", "fr", "", "nationalité belge | Nationalité | belge"},
		{"beaumarais", "claire", "fr", "aung", "residence", "fr", "", "Nom | Aung | Date de naissance | 1990 | Rue des Tanneurs 3"},
		{"ahornfeld", "ute", "de", "heidi", "household", "de", "de", "Gemeinde Ahornfeld | Mitglieder des Haushalts | Schmitz, Heidi Maria | Bezugsperson | Schmitz, Maria | Elternteil"},
		{"ahornfeld", "ute", "de", "heidi", "life", "fr", "fr", "Certificat de vie | est en vie | Schmitz"},
		{"montclair", "leila", "fr", "samira", "residence_history", "nl", "nl", "Attest van hoofdverblijfplaats met historiek | Van | Tot | vandaag | Zandvoorde"},
		{"wilgenrode", "tine", "nl", "chloe", "residence", "fr", "nl", "Attest van hoofdverblijfplaats | Fontaine | Wilgenlaan 11"},
	} {
		t.Run(k.commune+" "+k.product+" "+string(k.in), func(t *testing.T) {
			if people[k.citizen] == nil {
				people[k.citizen] = newPerson(t)
			}
			if desks[k.clerk] == nil {
				desks[k.clerk] = w.clerk(k.commune, k.clerk)
			}
			citizen := people[k.citizen]
			order := citizen.orderOf(w, k.commune, w.card(k.citizen), k.product, k.read, k.in)
			desks[k.clerk].decide(order, k.desk)
			file := filepath.Join(t.TempDir(), k.product+".pdf")
			if err := os.WriteFile(file, citizen.waitIssued(order, 30*time.Second), 0o600); err != nil {
				t.Fatal(err)
			}
			accepted(t, file)
			keepAs(t, file, k.commune+"-"+k.product+"-"+string(k.in)+".pdf")
			text := printed(t, file)
			rest := strings.ToLower(text)
			for _, part := range strings.Split(strings.ToLower(k.says), " | ") {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Fatalf("the paper does not say %q where it should:\n%s", part, text)
				}
				rest = after
			}
		})
	}

	amina := newPerson(t)
	amina.get(w.origin("beaumarais") + "/fr/documents/nationality/form")
	amina.signIn(w, w.card("amina"))
	amina.want(http.StatusForbidden, "votre consulat")

	// Claire is the wife of Thomas: a colleague decides, who also weighs that a child lives
	// there by turns.
	thomas := newPerson(t)
	order := thomas.orderOf(w, "beaumarais", w.card("thomas"), "household", "fr", "")
	claire := desks["claire"]
	claire.get(deskOf(order, "fr"))
	claire.want(200)
	if claire.form("/prepare") != nil {
		t.Error("Claire may prepare her husband's paper")
	}
	colleague := w.clerk("beaumarais", "jonas")
	colleague.decide(order, "fr", "reason", "Vu le dossier : l’enfant est inscrit chez sa mère.")
	file := filepath.Join(t.TempDir(), "thomas.pdf")
	if err := os.WriteFile(file, thomas.waitIssued(order, 30*time.Second), 0o600); err != nil {
		t.Fatal(err)
	}
	text := printed(t, file)
	if strings.Contains(text, "Zoé") || !strings.Contains(text, "Dubois, Claire Louise") {
		t.Errorf("the household of Thomas:\n%s", text)
	}
}

// printed is the text of a paper in reading order, spaces folded.
func printed(t *testing.T, file string) string {
	t.Helper()
	if _, err := exec.LookPath("pdftotext"); err != nil {
		missing(t, "pdftotext")
	}
	out, err := exec.Command("pdftotext", "-raw", file, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}
