package page_test

import (
	"io/fs"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/page"
)

func TestAPageIsWholeInEveryLanguage(t *testing.T) {
	room := page.Parse(fstest.MapFS{"templates/hello.html": {Data: []byte(`<h1>{{t "page.back"}} {{.}}</h1>`)}})
	for _, l := range i18n.Languages {
		w := httptest.NewRecorder()
		err := room.Render(w, 200, "hello", page.Frame{Language: l, Title: "T", Site: "S"}, `<b>&`)
		if err != nil {
			t.Fatal(err)
		}
		body := w.Body.String()
		for _, want := range []string{`<html lang="` + string(l) + `"`, "<title>T – S</title>", i18n.T(l, "page.back") + " &lt;b&gt;&amp;</h1>", `id="main"`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q", l, want)
			}
		}
	}
}

func TestABrokenPageSendsNothing(t *testing.T) {
	room := page.Parse(fstest.MapFS{"templates/broken.html": {Data: []byte(`begin {{.Nothing}}`)}})
	w := httptest.NewRecorder()
	if err := room.Render(w, 200, "broken", page.Frame{Language: i18n.French}, struct{}{}); err == nil || w.Body.Len() != 0 {
		t.Errorf("err %v, %d bytes sent", err, w.Body.Len())
	}
}

func TestAThemeIsColoursOnly(t *testing.T) {
	css := string(page.ThemeCSS(commune.Theme{Brand: "#112233", Link: "red;}body{display:none"}))
	if !strings.Contains(css, "--brand:#112233;") || strings.Contains(css, "display") {
		t.Error(css)
	}
}

// The typeface and the crown of GOV.UK belong to GOV.UK; the vendored file must not ask for them.
func TestTheVendoredStyleIsWithoutTypefaceAndCrown(t *testing.T) {
	err := fs.WalkDir(os.DirFS("static"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".txt") {
			return err
		}
		text, err := os.ReadFile("static/" + name)
		for _, banned := range []string{"GDS Transport", "govuk-crest", "url(/assets", "sourceMappingURL"} {
			if strings.Contains(string(text), banned) {
				t.Errorf("%s holds %q", name, banned)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStaticFilesMayBeKeptForEver(t *testing.T) {
	for address, want := range map[string]string{page.Asset("belfry.css"): "immutable", "/static/belfry.css?v=old": ""} {
		w := httptest.NewRecorder()
		page.Static().ServeHTTP(w, httptest.NewRequest("GET", address, nil))
		if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), want) {
			t.Errorf("%s: %d %q", address, w.Code, w.Header().Get("Cache-Control"))
		}
	}
}
