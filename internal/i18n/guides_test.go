package i18n_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var bold = regexp.MustCompile(`\*\*([^*]+)\*\*`)

// What the clerks' guides set in bold are words of the pages, to the letter.
func TestGuidesUseTheWordsOfThePages(t *testing.T) {
	for _, l := range []string{"fr", "nl", "de"} {
		words := map[string]bool{}
		files, err := filepath.Glob("locales/*." + l + ".json")
		if err != nil || len(files) == 0 {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var all map[string]any
			if err := json.Unmarshal(text, &all); err != nil {
				t.Fatal(err)
			}
			for _, v := range all {
				if s, ok := v.(string); ok {
					words[s] = true
				}
			}
		}
		guide, err := os.ReadFile("../../docs/clerk." + l + ".md")
		if err != nil {
			t.Fatal(err)
		}
		found := bold.FindAllStringSubmatch(string(guide), -1)
		if len(found) < 50 {
			t.Errorf("%s: only %d words of pages", l, len(found))
		}
		for _, m := range found {
			if !words[strings.Join(strings.Fields(m[1]), " ")] {
				t.Errorf("%s: no page says %q", l, m[1])
			}
		}
	}
}

// One word for who administers a commune, in German: that of the roles at the desk.
func TestGermanHasOneWordForAdministrators(t *testing.T) {
	files, err := filepath.Glob("locales/*.de.json")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range append(files, "../../docs/clerk.de.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "Administrator") {
			t.Errorf("%s: say Verwalter", file)
		}
	}
}
