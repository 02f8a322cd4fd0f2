package catalogue_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/form"
)

func TestStandardCatalogue(t *testing.T) {
	p, ok := catalogue.Standard().Newest("residence")
	if !ok {
		t.Fatal("no residence paper")
	}
	if p.SourceCode != "MainResidence" || p.PriceCents != 0 || p.WorkingDays != 3 || p.Elsewhere == nil {
		t.Errorf("%+v", p)
	}
	if same, ok := catalogue.Standard().Version(p.ID, p.Version); !ok || same != p {
		t.Error("its own version is not found")
	}
}

// An order refers to a version for as long as it is kept.
func TestVersionsStay(t *testing.T) {
	old, err := os.ReadFile("products/residence.1.toml")
	if err != nil {
		t.Fatal(err)
	}
	second := strings.Replace(strings.Replace(string(old), "version = 1", "version = 2", 1), "price_cents = 0", "price_cents = 500", 1)
	c, err := catalogue.Load(fstest.MapFS{"residence.1.toml": {Data: old}, "residence.2.toml": {Data: []byte(second)}})
	if err != nil {
		t.Fatal(err)
	}
	one, _ := c.Version("residence", 1)
	two, _ := c.Newest("residence")
	if len(c.Current()) != 1 || one.PriceCents != 0 || two.PriceCents != 500 {
		t.Errorf("%d current, prices %d and %d", len(c.Current()), one.PriceCents, two.PriceCents)
	}
}

// inLanguage matches a text of a product in one language.
var inLanguage = regexp.MustCompile(`(?m)^\s*(fr|nl|de|en) = ".*"$`)

// Each text of each product in turn is taken away, or made blank, and the product does not load.
func TestAMissingTextDoesNotLoad(t *testing.T) {
	files, err := filepath.Glob("products/*.toml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range files {
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range inLanguage.FindAllIndex(good, -1) {
			line := string(good[at[0]:at[1]])
			language, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			for name, with := range map[string]string{"taken away": "", "blank": language + ` = "  "`} {
				bad := string(good[:at[0]]) + with + string(good[at[1]:])
				if _, err := catalogue.Load(fstest.MapFS{filepath.Base(file): {Data: []byte(bad)}}); err == nil {
					t.Errorf("%s loads with %s %s", file, line, name)
				}
				tried++
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d texts were taken away", tried)
	}
	t.Logf("%d products with a text that is not there: none loads", tried)
}

func TestGapsDoNotLoad(t *testing.T) {
	good, err := os.ReadFile("products/residence.1.toml")
	if err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(string) string{
		"should be called": func(s string) string { return strings.Replace(s, "version = 1", "version = 9", 1) },
		"label.de is missing": func(s string) string {
			return strings.Replace(s, `de = "Bescheinigung des Hauptwohnortes"`, `de = " "`, 1)
		},
		"no https address": func(s string) string { return strings.Replace(s, "https://", "javascript:", 1) },
		"no question":      func(s string) string { return strings.Replace(s, `"email"]`, `"shoe_size"]`, 1) },
		"working_days":     func(s string) string { return strings.Replace(s, "working_days = 3", "working_days = 0", 1) },
		"has a gap":        func(s string) string { return strings.Replace(s, `fact = "since"`, `fact = ""`, 1) },
		"sign_in: level":   func(s string) string { return s + "\n[sign_in]\nlevel = \"gold\"\n" },
		"sign_in: max_age": func(s string) string { return s + "\n[sign_in]\nmax_age = \"soon\"\n" },
		"strict mode":      func(s string) string { return "colour = 1\n" + s },
	} {
		bad := spoil(string(good))
		if bad == string(good) {
			t.Fatalf("%s: nothing was spoiled", want)
		}
		_, err := catalogue.Load(fstest.MapFS{"residence.1.toml": {Data: []byte(bad)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// Whatever is printed or shown holds no character that hides.
func TestTextsAreClean(t *testing.T) {
	files, err := fs.Glob(os.DirFS("products"), "*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile("products/" + f)
		if err != nil {
			t.Fatal(err)
		}
		if !form.Clean(string(b)) {
			t.Errorf("%s has a hidden character", f)
		}
	}
}
