package commune_test

import (
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
)

func beaumarais() *commune.Commune {
	return &commune.Commune{
		ID: "beaumarais", NIS: "99001",
		Name:           map[i18n.Language]string{i18n.French: "Beaumarais"},
		Origins:        []string{"http://beaumarais.belfry.localhost:8080"},
		LanguageRegime: "fr", EnglishPages: true,
	}
}

func TestCheckNamesTheKey(t *testing.T) {
	if err := beaumarais().Check(); err != nil {
		t.Fatalf("a good commune is refused: %v", err)
	}
	for want, spoil := range map[string]func(*commune.Commune){
		"commune id":         func(c *commune.Commune) { c.ID = "../etc" },
		"nis":                func(c *commune.Commune) { c.NIS = "99" },
		"origins":            func(c *commune.Commune) { c.Origins = []string{"http://a.example/path"} },
		"language_regime":    func(c *commune.Commune) { c.LanguageRegime = "" },
		"document_languages": func(c *commune.Commune) { c.DocumentsOnly = []i18n.Language{i18n.French, i18n.English} },
		"name.fr":            func(c *commune.Commune) { c.Name = nil },
		"theme.brand":        func(c *commune.Commune) { c.Theme.Brand = "red;}" },
		"theme.logo":         func(c *commune.Commune) { c.Theme.Logo = "logo.svg" },
		"clerk_signature":    func(c *commune.Commune) { c.ClerkSignature = "sometimes" },
	} {
		c := beaumarais()
		spoil(c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want a fault that names %s, got %v", want, err)
		}
	}
}

func TestClerksSignOnlyWhereTheSettingsSay(t *testing.T) {
	for s, want := range map[commune.ClerkSignature][2]bool{
		"": {}, commune.NoClerkSignature: {}, commune.OptionalClerkSignature: {true, false}, commune.RequiredClerkSignature: {true, true},
	} {
		c := beaumarais()
		c.ClerkSignature = s
		if got := [2]bool{c.ClerksMaySign(), c.ClerksMustSign()}; got != want || c.Check() != nil {
			t.Errorf("%q: may and must are %v, want %v (%v)", s, got, want, c.Check())
		}
	}
}

func TestAHostLeadsToOneCommune(t *testing.T) {
	a, b := beaumarais(), beaumarais()
	b.ID = "zandvoorde"
	if _, err := commune.NewCommunes([]*commune.Commune{a, b}); err == nil {
		t.Error("two communes share a host name")
	}
	set, err := commune.NewCommunes([]*commune.Commune{a})
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := set.ByHost("Beaumarais.belfry.localhost:8080"); !ok || c != a {
		t.Error("the commune is not found by its host")
	}
	if _, ok := set.ByHost("beaumarais.belfry.localhost"); ok {
		t.Error("another port is another origin")
	}
}
