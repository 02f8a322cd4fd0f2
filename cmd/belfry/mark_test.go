package main

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// A box speaks the document's language, and the commune's where it cannot.
func TestMarkSpeaksTheDocumentsLanguage(t *testing.T) {
	m := &MarkSettings{Text: map[i18n.Language][]string{i18n.Dutch: {"Gemeente {signer}", "{date} {time}"}}}
	at := time.Date(2026, 11, 24, 23, 30, 0, 0, time.UTC)
	visible, err := m.visible("Zandvoorde", i18n.German)
	if err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]string{
		"nl-BE": "Gemeente Zandvoorde – 25\u00a0november 2026 00:30",
		"FR":    "Muni d’un cachet électronique – Zandvoorde – le 25\u00a0novembre 2026 à 00:30",
		"pt":    "Mit elektronischem Siegel versehen – Zandvoorde – am 25.\u00a0November 2026 um 00:30",
		"":      "Mit elektronischem Siegel versehen – Zandvoorde – am 25.\u00a0November 2026 um 00:30",
	} {
		d, err := visible(at).Draw(tag)
		if err != nil {
			t.Fatal(err)
		}
		if d.Text != want {
			t.Errorf("%q: %q, want %q", tag, d.Text, want)
		}
	}
}

// What cannot be drawn is found when the settings are read.
func TestMarkSettingsAreChecked(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var large bytes.Buffer
	if err := png.Encode(&large, image.NewGray(image.Rect(0, 0, 1500, 1500))); err != nil {
		t.Fatal(err)
	}
	for want, m := range map[string]*MarkSettings{
		"neither PNG nor JPEG":     {Picture: write("crest.svg", []byte("<svg/>"))},
		"1500 by 1500 pixels":      {Picture: write("crest.png", large.Bytes())},
		"no such file":             {Picture: filepath.Join(dir, "none.png")},
		"text.nl: mark.letter":     {Text: map[i18n.Language][]string{i18n.Dutch: {"汉"}}},
		"text.fr: mark.narrow":     {Width: 20, Code: "https://example.org/verify"},
		`page "3" is neither`:      {Page: "3"},
		`corner "middle" is none`:  {Corner: "middle"},
		`corner "bottom-up" is no`: {Corner: "bottom-up"},
	} {
		if _, err := m.visible("x", i18n.French); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
