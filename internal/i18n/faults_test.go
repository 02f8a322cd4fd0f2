package i18n_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
)

var (
	// notTheirs are faults that whoever reads of them did not cause: a service outside is
	// away, or something of ours does not work.
	notTheirs = regexp.MustCompile(`fault\.New\(fault\.(?:Unreachable|Internal), "([a-z_.]+)"`)
	// statement begins a second one: after "what is wrong" comes what becomes of it, or what to do.
	statement = regexp.MustCompile(`[.;:?!][\s\x{a0}]+[^\s]`)
	// blamesNobody are the sentences that say nothing.
	blamesNobody = regexp.MustCompile(`(?i)^(un problème est survenu|une erreur (est survenue|s’est produite)|er (is iets misgegaan|is een fout opgetreden|ging iets mis)|es ist ein fehler aufgetreten|ein fehler ist aufgetreten|an error (has )?occurred|something went wrong)\b[^,:;]{0,12}[.!]?$`)
)

// Whoever meets a fault that is not theirs reads what does not work, and in a second
// statement what becomes of it or what to do. No text says that something went wrong and
// leaves it there.
func TestErrorsSayWhoseFaultAndWhatToDo(t *testing.T) {
	keys := map[string]string{"way.source.down": "orders/register", "fault.internal": "internal/fault"} // not written so
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || strings.HasSuffix(d.Name(), "test")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		content, err := os.ReadFile(file)
		for _, m := range notTheirs.FindAllSubmatch(content, -1) {
			keys[string(m[1])] = file
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) < 25 {
		t.Fatalf("only %d faults found", len(keys))
	}
	for key, file := range keys {
		for _, l := range i18n.Languages {
			if text := i18n.T(l, key); !statement.MatchString(text) {
				t.Errorf("%s in %s (%s) says nothing of what comes next: %q", key, l, file, text)
			}
		}
	}
	for _, languages := range read(t) {
		for l, messages := range languages {
			for key, m := range messages {
				for _, text := range m {
					if blamesNobody.MatchString(text) {
						t.Errorf("%s in %s blames nobody: %q", key, l, text)
					}
				}
			}
		}
	}
	t.Logf("%d faults that are not the reader's, in %d languages", len(keys), len(i18n.Languages))
}
