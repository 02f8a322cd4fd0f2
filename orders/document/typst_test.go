package document

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
)

// missing ends a test that lacks a tool: as a failure where CI says that everything is there.
func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}

func newTypst(t testing.TB, cfg TypstConfig) *Typst {
	t.Helper()
	r, err := NewTypst(cfg)
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// tool runs a program on the PDF and returns what it says.
func tool(t testing.TB, pdf []byte, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, err)
	}
	file := t.TempDir() + "/x.pdf"
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "FILE", file)
	}
	var out, said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out.String(), said.String())
	}
	return out.String()
}

func residence(l i18n.Language) Document {
	d := Document{
		Template: "residence", Language: l, Number: "2026-000123",
		Date:   time.Date(2026, 11, 24, 9, 30, 15, 0, time.UTC),
		Place:  "Beaumarais",
		Verify: Verify{URL: "https://guichet.beaumarais.example/v/Zk3vT0aJq9m2c7yQxwB1Lg", Page: "https://guichet.beaumarais.example/verify", Code: "7KQ4-M2XW-9A"},
	}
	switch l {
	case i18n.Dutch:
		d.Title, d.Commune.Name = "Attest van woonst", "Gemeente Zandvoorde"
		d.Intro = "De ambtenaar van de burgerlijke stand bevestigt dat de onderstaande persoon is ingeschreven in het bevolkingsregister."
		d.Facts = []Fact{{"Naam", "Peeters"}, {"Voornamen", "Sofie Maria"}, {"Adres", "Duinenlaan 8, 8999 Zandvoorde"}}
		d.Legal = "Afgeleverd op verzoek van de betrokkene."
	case i18n.German:
		d.Title, d.Commune.Name = "Wohnsitzbescheinigung", "Gemeinde Lindenberg"
		d.Intro = "Der Standesbeamte bescheinigt, dass die nachstehende Person im Bevölkerungsregister eingetragen ist."
		d.Facts = []Fact{{"Name", "Schröder"}, {"Vornamen", "Jonas"}, {"Anschrift", "Große Straße 3, 4999 Lindenberg"}}
		d.Legal = "Ausgestellt auf Antrag der betroffenen Person."
	default:
		d.Title, d.Commune.Name = "Certificat de résidence", "Commune de Beaumarais"
		d.Intro = "L’officier de l’état civil certifie que la personne ci-dessous est inscrite au registre de la population."
		d.Facts = []Fact{{"Nom", "Lambert"}, {"Prénoms", "Luc André"}, {"Adresse", "Rue de l’Église 12, 4999 Beaumarais"}, {"Depuis le", "1er février 2019"}}
		d.Legal = "Délivré à la demande de l’intéressé."
	}
	d.Commune.Address = []string{"Place du Marché 1", "4999 Beaumarais", "+32 4 000 00 00"}
	d.Commune.Colour = "#1d4f91"
	d.Seal.Name = d.Commune.Name
	return d
}

var everyLanguage = []i18n.Language{i18n.French, i18n.Dutch, i18n.German}

func render(t testing.TB, r Renderer, d Document) []byte {
	t.Helper()
	pdf, err := r.Render(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	return pdf
}

func TestPDFIsTaggedTitledAndEmbedded(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	for _, l := range everyLanguage {
		t.Run(string(l), func(t *testing.T) {
			d := residence(l)
			pdf := render(t, r, d)
			if out := os.Getenv("BELFRY_KEEP"); out != "" {
				os.WriteFile(out+"/"+string(l)+".pdf", pdf, 0o600)
			}
			tool(t, pdf, "qpdf", "--check", "FILE")
			info := tool(t, pdf, "pdfinfo", "FILE")
			for _, want := range []string{"Tagged:          yes", "Title:           " + d.Title + " " + d.Number, "Author:          " + d.Commune.Name, "JavaScript:      no", "Pages:           1", "CreationDate:    Tue Nov 24"} {
				if !strings.Contains(info, want) {
					t.Errorf("pdfinfo does not say %q:\n%s", want, info)
				}
			}
			fonts(t, pdf)
			identified(t, pdf)
			catalog := tool(t, pdf, "qpdf", "--json", "--json-key=qpdf", "FILE")
			for _, want := range []string{`"/DisplayDocTitle": true`, `"/Lang": "u:` + string(l) + `-BE"`, `"/Marked": true`} {
				if !strings.Contains(catalog, want) {
					t.Errorf("the catalog lacks %s", want)
				}
			}
		})
	}
}

// fonts are all embedded subsets with a map to Unicode: "emb sub uni" of pdffonts.
func fonts(t *testing.T, pdf []byte) {
	t.Helper()
	rows := strings.Split(strings.TrimSpace(tool(t, pdf, "pdffonts", "FILE")), "\n")[2:]
	if len(rows) == 0 {
		t.Error("no font at all")
	}
	for _, row := range rows {
		if f := strings.Fields(row); strings.Join(f[len(f)-5:len(f)-2], " ") != "yes yes yes" {
			t.Errorf("a font is not embedded, no subset or without Unicode: %s", row)
		}
	}
}

func identified(t *testing.T, pdf []byte) {
	t.Helper()
	xmp := tool(t, pdf, "pdfinfo", "-meta", "FILE")
	for _, want := range []string{"<pdfaid:part>2</pdfaid:part>", "<pdfaid:conformance>A</pdfaid:conformance>", "<pdfuaid:part>1</pdfuaid:part>", "<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>"} {
		if !strings.Contains(xmp, want) || !bytes.Contains(pdf, []byte(want)) {
			t.Errorf("the metadata lacks %s, or it is compressed", want)
		}
	}
}

// The typesetter itself holds the templates to PDF/UA-1; Render then only says so.
func TestTemplatesKeepPDFUA(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	for _, l := range everyLanguage {
		d := residence(l)
		d.Specimen = true
		if _, err := r.set(context.Background(), d, "ua-1"); err != nil {
			t.Errorf("%s: %v", l, err)
		}
	}
}

func TestTheTableIsATable(t *testing.T) {
	tree := tool(t, render(t, newTypst(t, TypstConfig{}), residence(i18n.French)), "pdfinfo", "-struct-text", "FILE")
	for _, want := range []string{"H1", "THead", "TH", "/Scope /Column", "TD", "Figure", "H2"} {
		if !strings.Contains(tree, want) {
			t.Errorf("no %s in\n%s", want, tree)
		}
	}
}

func TestSameInputSameBytes(t *testing.T) {
	d := residence(i18n.French)
	one := render(t, newTypst(t, TypstConfig{}), d)
	r := newTypst(t, TypstConfig{})
	render(t, r, residence(i18n.Dutch))
	two := render(t, r, d)
	if !bytes.Equal(one, two) {
		t.Error("another process made other bytes")
	}
	d.Number = "2026-000124"
	if bytes.Equal(one, render(t, r, d)) {
		t.Error("another number made the same bytes")
	}
}

func TestSpecimenOnEachPage(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	d := residence(i18n.Dutch)
	if text := tool(t, render(t, r, d), "pdftotext", "FILE", "-"); strings.Contains(text, "SPECIMEN") {
		t.Error("a real document says SPECIMEN")
	}
	d.Specimen = true
	for range 40 {
		d.Facts = append(d.Facts, Fact{"Nog een gegeven", "waarde"})
	}
	pages := strings.Split(strings.TrimSuffix(tool(t, render(t, r, d), "pdftotext", "-raw", "FILE", "-"), "\f"), "\f")
	if len(pages) < 2 {
		t.Fatalf("%d page", len(pages))
	}
	for i, p := range pages {
		if !strings.Contains(squeeze(p), "SPECIMEN") {
			t.Errorf("page %d does not say SPECIMEN:\n%s", i+1, p)
		}
	}
	if !strings.Contains(pages[0], "bij wijze van proef gemaakt") {
		t.Error("no sentence says so to those who do not see it")
	}
}

// Whatever people write is printed as they wrote it.
func TestPeoplesTextIsData(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	for _, text := range []string{
		`#panic("out")`, `*bold* _it_ = head`, `$ x^2 $`, "`raw` ```typ #1```", `#read("/etc/passwd")`, `#import "@preview/x:1.0.0"`,
		`\u{41} \# \\`, `<label> @ref`, `https://a.example`, `// comment /* x */`, `- list + enum / term: x`, `{{.Place}} {{template "x"}}`,
		`"quoted" 'single' -- --- ... ~`, `</svg><script>`, `%PDF-1.7 endobj`, `#sys.inputs.document`,
	} {
		d := residence(i18n.French)
		d.Facts = []Fact{{"Texte", text}}
		d.Legal = text
		got := tool(t, render(t, r, d), "pdftotext", "-raw", "FILE", "-")
		if n := strings.Count(squeeze(got), squeeze(text)); n < 2 {
			t.Errorf("%q is %d times in\n%s", text, n, got)
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

func TestRefusals(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	for name, c := range map[string]struct {
		spoil func(*Document)
		key   string
	}{
		"a character no font has": {func(d *Document) { d.Facts[0].Value = "漢字" }, "document.unprintable"},
		"broken UTF-8":            {func(d *Document) { d.Title = "\xff" }, "document.unprintable"},
		"too long":                {func(d *Document) { d.Legal = strings.Repeat("a", maxText+1) }, "document.too_long"},
		"too many facts":          {func(d *Document) { d.Facts = make([]Fact, maxFacts+1) }, "document.too_long"},
		"no title":                {func(d *Document) { d.Title = "\u200b" }, "document.incomplete"},
		"English":                 {func(d *Document) { d.Language = i18n.English }, "document.incomplete"},
		"a template elsewhere":    {func(d *Document) { d.Template = "../residence" }, "document.incomplete"},
		"no such template":        {func(d *Document) { d.Template = "birth" }, "document.incomplete"},
		"a script for an address": {func(d *Document) { d.Verify.URL = "javascript:alert(1)" }, "document.incomplete"},
		"code as a colour":        {func(d *Document) { d.Commune.Colour = `red")#` }, "document.incomplete"},
		"no date":                 {func(d *Document) { d.Date = time.Time{} }, "document.incomplete"},
	} {
		d := residence(i18n.French)
		c.spoil(&d)
		_, err := r.Render(context.Background(), d)
		if fault.KeyOf(err) != c.key || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v, want %s", name, err, c.key)
		}
	}
	render(t, r, residence(i18n.French)) // and goes on
}

// held returns the process that is free in r.
func held(t *testing.T, r *Typst) *child {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.free) != 1 {
		t.Fatalf("%d free processes", len(r.free))
	}
	return r.free[0]
}

func TestACrashLosesNothing(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	want := render(t, r, residence(i18n.French))
	c := held(t, r)
	c.cmd.Process.Signal(syscall.SIGKILL)
	if got := render(t, r, residence(i18n.French)); !bytes.Equal(got, want) {
		t.Error("the retry made other bytes")
	}
	if held(t, r) == c {
		t.Error("the dead process is kept")
	}
}

func TestAHangIsEnded(t *testing.T) {
	r := newTypst(t, TypstConfig{Deadline: 300 * time.Millisecond})
	render(t, r, residence(i18n.French))
	c := held(t, r)
	c.cmd.Process.Signal(syscall.SIGSTOP)
	_, err := r.Render(context.Background(), residence(i18n.French))
	if fault.KindOf(err) != fault.Unreachable {
		t.Errorf("a process that hangs: %v", err)
	}
	r.cfg.Deadline = 10 * time.Second
	render(t, r, residence(i18n.French))
	if held(t, r) == c {
		t.Error("the process that hung is kept")
	}
}

func TestAnImpatientCallerCostsOneProcess(t *testing.T) {
	r := newTypst(t, TypstConfig{Workers: 1})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Render(ctx, residence(i18n.French)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	render(t, r, residence(i18n.French))
}

func TestProcessesAreReplacedAndRest(t *testing.T) {
	r := newTypst(t, TypstConfig{Recycle: 2, Idle: 50 * time.Millisecond})
	render(t, r, residence(i18n.French))
	c := held(t, r)
	render(t, r, residence(i18n.French))
	if c.cmd.ProcessState == nil {
		t.Error("after its last document the process goes on")
	}
	render(t, r, residence(i18n.French))
	idle := held(t, r)
	select {
	case <-idle.stopped:
	case <-time.After(5 * time.Second):
		t.Error("an idle process goes on")
	}
}

func TestManyAtOnce(t *testing.T) {
	r := newTypst(t, TypstConfig{Recycle: 7})
	want := render(t, r, residence(i18n.German))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				got, err := r.Render(context.Background(), residence(i18n.German))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v, %d bytes", err, len(got))
				}
			}
		})
	}
	wg.Wait()
}

// A template that wants everything gets an end, and the next document a process.
func TestWhatATemplateMayTake(t *testing.T) {
	r := newTypst(t, TypstConfig{MemoryMB: 256, Deadline: 2 * time.Second})
	for name, c := range map[string]struct {
		template string
		refused  bool
	}{
		"memory": {`#range(20000000).map(i => str(i) + "0123456789012345678901234567890")`, false},
		"time":   {`#for i in range(100000) { for j in range(100000) { let x = i * j } }`, false},
		"recursion": {`#let f(x) = f(x + 1)
#f(0)`, true},
		"a file":    {`#read("/etc/hostname")`, true},
		"a package": {`#import "@preview/cetz:0.3.0"`, true},
	} {
		_, err := r.exchange(context.Background(), request{Template: c.template, Standard: "a-2a"})
		if _, refused := errors.AsType[*refusal](err); err == nil || refused != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
	render(t, r, residence(i18n.French))
}

func TestAfterClose(t *testing.T) {
	r := newTypst(t, TypstConfig{})
	render(t, r, residence(i18n.French))
	c := held(t, r)
	r.Close()
	if c.cmd.ProcessState == nil {
		t.Error("the process goes on after Close")
	}
	if _, err := r.Render(context.Background(), residence(i18n.French)); !errors.Is(err, errClosed) {
		t.Errorf("%v", err)
	}
}

func TestWhereThingsAreMissing(t *testing.T) {
	if _, err := NewTypst(TypstConfig{Node: "no-such-node"}); err == nil {
		t.Error("no node, no error")
	}
	if _, err := NewTypst(TypstConfig{Modules: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "npm ci") {
		t.Errorf("no modules: %v", err)
	}
}
