package document

import (
	"cmp"
	"fmt"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// paper is what a template gets as sys.inputs.document: strings ready to print
// and nothing to decide but where they stand.
type paper struct {
	Language     string      `json:"language"`
	Title        string      `json:"title"`
	Created      created     `json:"created"`
	Commune      string      `json:"commune"`
	Address      []string    `json:"address"`
	Recipient    []string    `json:"recipient"`
	Colour       string      `json:"colour"`
	NumberLabel  string      `json:"number_label"`
	Number       string      `json:"number"`
	Intro        string      `json:"intro"`
	FactLabel    string      `json:"fact_label"`
	ValueLabel   string      `json:"value_label"`
	Facts        []paperFact `json:"facts"`
	List         paperList   `json:"list"`
	Legal        string      `json:"legal"`
	Made         string      `json:"made"`
	Mention      string      `json:"mention"`
	Signatory    string      `json:"signatory"`
	Seal         string      `json:"seal"`
	Check        paperCheck  `json:"check"`
	Specimen     bool        `json:"specimen"`
	SpecimenMark string      `json:"specimen_mark"`
	SpecimenNote string      `json:"specimen_note"`
}

type created struct {
	Year   int `json:"year"`
	Month  int `json:"month"`
	Day    int `json:"day"`
	Hour   int `json:"hour"`
	Minute int `json:"minute"`
	Second int `json:"second"`
}

type paperFact struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

type paperList struct {
	Title   string     `json:"title"`
	Columns []string   `json:"columns"`
	Widths  []int      `json:"widths"`
	Rows    [][]string `json:"rows"`
}

type paperCheck struct {
	Title   string      `json:"title"`
	How     string      `json:"how"`
	Lines   []paperFact `json:"lines"`
	Warning string      `json:"warning"`
	QR      string      `json:"qr"` // SVG, made by us from the URL
	QRAlt   string      `json:"qr_alt"`
}

// layOut chooses the fixed words in the document's language.
func layOut(d Document) (paper, error) {
	l := d.Language
	p := paper{
		Language: string(l), Title: d.Title, Created: createdAt(d.Date),
		Commune: d.Commune.Name, Address: d.Commune.Address, Colour: d.Commune.Colour,
		NumberLabel: cmp.Or(d.NumberLabel, i18n.T(l, "document.number")), Number: d.Number,
		Intro: d.Intro, Legal: d.Legal,
		FactLabel: i18n.T(l, "document.fact"), ValueLabel: i18n.T(l, "document.value"),
		Facts:   make([]paperFact, 0, len(d.Facts)),
		Made:    i18n.T(l, "document.made", "Place", place(d), "Date", i18n.Date(l, d.Date)),
		Mention: d.Signatory.Mention, Signatory: d.Signatory.Name,
		Seal:  sealWords(d),
		Check: paperCheck{Lines: []paperFact{}},
	}
	if p.Colour == "" {
		p.Colour = "#000000"
	}
	if p.Recipient = d.Recipient; p.Recipient == nil {
		p.Recipient = []string{}
	}
	if p.Address == nil {
		p.Address = []string{}
	}
	for _, f := range d.Facts {
		p.Facts = append(p.Facts, paperFact(f))
	}
	p.List = paperList{Title: d.List.Title, Columns: []string{}, Widths: []int{}, Rows: append([][]string{}, d.List.Rows...)}
	for _, c := range d.List.Columns {
		p.List.Columns, p.List.Widths = append(p.List.Columns, c.Label), append(p.List.Widths, c.Width)
	}
	if d.Specimen {
		p.Specimen, p.SpecimenMark, p.SpecimenNote = true, "SPECIMEN", i18n.T(l, "document.specimen")
	}
	if d.Verify.URL == "" {
		return p, nil
	}
	qr, err := qrSVG(d.Verify.URL)
	if err != nil {
		return paper{}, fmt.Errorf("document: QR code: %w", err)
	}
	p.Check = paperCheck{
		Title: i18n.T(l, "document.check"), How: i18n.T(l, "document.check_how"), Warning: i18n.T(l, "document.check_warning"),
		Lines: []paperFact{
			{i18n.T(l, "document.check_page"), d.Verify.Page},
			{i18n.T(l, "document.check_number"), d.Number},
			{i18n.T(l, "document.check_code"), d.Verify.Code},
		},
		QR: qr, QRAlt: i18n.T(l, "document.check_qr", "Page", d.Verify.Page),
	}
	return p, nil
}

func sealWords(d Document) string {
	switch {
	case d.Seal.Name == "":
		return ""
	case d.Seal.Qualified:
		return i18n.T(d.Language, "document.seal_qualified", "Name", d.Seal.Name)
	}
	return i18n.T(d.Language, "document.seal_advanced", "Name", d.Seal.Name)
}

func place(d Document) string {
	if d.Place != "" {
		return d.Place
	}
	return d.Commune.Name
}

func createdAt(t time.Time) created {
	t = t.UTC()
	return created{t.Year(), int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()}
}
