// Package i18n turns message keys into the reader's words.
//
// It owns the catalogues (locales/ROOM.LANGUAGE.json: French and Dutch are both
// originals, German and English follow), plural rules, dates and amounts. It
// refuses to know HTML and which languages a commune offers. It guarantees that
// a key exists in all four languages with the same placeholders: its tests fail
// on a missing, unused or unevenly filled key.
package i18n

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// Language is one of the four the catalogues are written in, by its ISO 639-1 code.
type Language string

const (
	French  Language = "fr"
	Dutch   Language = "nl"
	German  Language = "de"
	English Language = "en"
)

// Languages lists all four, in the order in which they are shown where no commune orders them.
var Languages = []Language{French, Dutch, German, English}

// Parse returns the language of a code such as "fr" or "nl-BE".
func Parse(code string) (Language, bool) {
	base, _, _ := strings.Cut(strings.ToLower(code), "-")
	for _, l := range Languages {
		if string(l) == base {
			return l, true
		}
	}
	return "", false
}

var names = map[Language]string{French: "Français", Dutch: "Nederlands", German: "Deutsch", English: "English"}

// Name is the language's name in itself, as a language switch shows it.
func (l Language) Name() string { return names[l] }

//go:embed locales
var locales embed.FS

// Catalogues returns the embedded files, for tests that hold code and texts together.
func Catalogues() fs.FS { return locales }

var localizers = sync.OnceValue(func() map[Language]*goi18n.Localizer {
	bundle := goi18n.NewBundle(language.French)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	files, err := fs.Glob(locales, "locales/*.json")
	if err != nil {
		panic(err)
	}
	for _, f := range files {
		text, err := fs.ReadFile(locales, f)
		if err == nil {
			_, err = bundle.ParseMessageFileBytes([]byte(Unbroken(Language(strings.Split(path.Base(f), ".")[1]), string(text))), f)
		}
		if err != nil {
			panic(fmt.Sprintf("i18n: %s: %v", f, err)) // embedded, so a build that starts at all starts everywhere
		}
	}
	made := map[Language]*goi18n.Localizer{}
	for _, l := range Languages {
		made[l] = goi18n.NewLocalizer(bundle, string(l))
	}
	return made
})

var (
	frenchSigns = regexp.MustCompile(` ([:;!?»])|(«) `)
	figures     = regexp.MustCompile(`([0-9]) ([0-9]{3}\b|Mo\b|MB\b|€)`)
)

// Unbroken puts a no-break space where a line must not break: between the parts of a
// figure and its unit, and in French before : ; ! ? and within guillemets. Catalogues
// are written with plain spaces, which can be seen and typed.
func Unbroken(l Language, text string) string {
	text = figures.ReplaceAllString(text, "$1\u00a0$2")
	if l == French {
		text = frenchSigns.ReplaceAllString(text, "$2\u00a0$1")
	}
	return text
}

// T is the message of key in language l. Args are name, value pairs for its
// placeholders ({{.Name}}); the pair "Count", n also chooses the plural form.
// An unknown key comes back as itself, so that a page shows a gap rather than nothing.
func T(l Language, key string, args ...any) string {
	data := make(map[string]any, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		name, ok := args[i].(string)
		if !ok {
			return key
		}
		data[name] = args[i+1]
	}
	return Message(l, key, data)
}

// Message is T with the values in a map, as fault.Error carries them.
func Message(l Language, key string, data map[string]any) string {
	localizer, ok := localizers()[l]
	if !ok {
		localizer = localizers()[French]
	}
	text, err := localizer.Localize(&goi18n.LocalizeConfig{MessageID: key, TemplateData: data, PluralCount: data["Count"]})
	if err != nil && text == "" {
		return key
	}
	return text
}

// Day and month of a date stay on one line.
var months = map[Language][12]string{
	French:  {"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"},
	Dutch:   {"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"},
	German:  {"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
	English: {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
}

// Brussels is the time zone in which people of the communes read dates.
var Brussels = sync.OnceValue(func() *time.Location {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		panic(err) // cmd/belfry embeds time/tzdata, so this cannot depend on the machine
	}
	return zone
})

// Date is a day in words, for example "3 février 2026", in Belgian time.
func Date(l Language, t time.Time) string {
	t = t.In(Brussels())
	day := fmt.Sprint(t.Day())
	switch {
	case l == French && t.Day() == 1:
		day = "1er"
	case l == German:
		day += "."
	}
	m, ok := months[l]
	if !ok {
		m = months[French]
	}
	return fmt.Sprintf("%s\u00a0%s %d", day, m[t.Month()-1], t.Year())
}

// Month is a month's name as it stands alone, for example "février".
func Month(l Language, m time.Month) string {
	names, ok := months[l]
	if !ok {
		names = months[French]
	}
	return names[m-1]
}

// DateTime is a day and a minute in words, in Belgian time.
func DateTime(l Language, t time.Time) string {
	return Date(l, t) + ", " + t.In(Brussels()).Format("15:04")
}

// Euro is an amount given in cents, for example "2,00 €"; English and Dutch put the sign first.
func Euro(l Language, cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	amount := fmt.Sprintf("%s%d,%02d", sign, cents/100, cents%100)
	switch l {
	case English:
		return "€" + strings.Replace(amount, ",", ".", 1)
	case Dutch:
		return "€ " + amount
	}
	return amount + " €"
}
