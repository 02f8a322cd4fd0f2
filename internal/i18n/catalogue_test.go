package i18n_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
)

// message is one text: its plural forms, or "other" alone.
type message map[string]string

func (m *message) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*m = message{"other": text}
		return nil
	}
	return json.Unmarshal(b, (*map[string]string)(m))
}

// catalogue maps room, language and key to a message.
type catalogue map[string]map[i18n.Language]map[string]message

func read(t *testing.T) catalogue {
	t.Helper()
	all := catalogue{}
	files, err := fs.Glob(i18n.Catalogues(), "locales/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parts := strings.Split(path.Base(file), ".")
		if len(parts) != 3 || parts[2] != "json" || !slices.Contains(i18n.Languages, i18n.Language(parts[1])) {
			t.Errorf("%s is not ROOM.LANGUAGE.json", file)
			continue
		}
		text, err := fs.ReadFile(i18n.Catalogues(), file)
		if err != nil {
			t.Fatal(err)
		}
		var messages map[string]message
		if err := json.Unmarshal(text, &messages); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if all[parts[0]] == nil {
			all[parts[0]] = map[i18n.Language]map[string]message{}
		}
		all[parts[0]][i18n.Language(parts[1])] = messages
	}
	return all
}

// keys lists every key once.
func (c catalogue) keys() map[string]bool {
	all := map[string]bool{}
	for _, languages := range c {
		for _, messages := range languages {
			for key := range messages {
				all[key] = true
			}
		}
	}
	return all
}

var placeholder = regexp.MustCompile(`\{\{\s*\.(\w+)\s*\}\}`)

// names are the placeholders of all forms of a message, in order and once.
func (m message) names() []string {
	var names []string
	for _, text := range m {
		for _, found := range placeholder.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(names, found[1]) {
				names = append(names, found[1])
			}
		}
	}
	sort.Strings(names)
	return names
}

func (m message) plural() bool { return len(m) > 1 || m["other"] == "" }

func TestEveryTextInEveryLanguage(t *testing.T) {
	for room, languages := range read(t) {
		for _, l := range i18n.Languages {
			if languages[l] == nil {
				t.Errorf("%s has no catalogue in %s", room, l)
			}
		}
		for l, messages := range languages {
			for key, m := range messages {
				check(t, room, key, l, m)
				for _, other := range i18n.Languages {
					compare(t, key, l, m, other, languages[other])
				}
			}
		}
	}
}

func check(t *testing.T, room, key string, l i18n.Language, m message) {
	if !strings.HasPrefix(key, room+".") {
		t.Errorf("%s in the catalogue of %s", key, room)
	}
	forms := []string{"other"}
	if m.plural() {
		forms = []string{"one", "other"}
	}
	for _, form := range forms {
		if strings.TrimSpace(m[form]) == "" {
			t.Errorf("%s is empty in %s (form %q)", key, l, form)
		}
	}
	for form, text := range m {
		if left := placeholder.ReplaceAllString(text, ""); strings.Contains(left, "{{") || strings.Contains(left, "}}") {
			t.Errorf("%s in %s, form %q: a placeholder is not {{.Name}}", key, l, form)
		}
		if text != strings.Trim(text, " \t\u00a0") {
			t.Errorf("%s in %s, form %q begins or ends with a space", key, l, form)
		}
	}
}

func compare(t *testing.T, key string, l i18n.Language, m message, other i18n.Language, messages map[string]message) {
	o, ok := messages[key]
	switch {
	case !ok:
		t.Errorf("%s is in %s and not in %s", key, l, other)
	case o.plural() != m.plural():
		t.Errorf("%s has plural forms in only one of %s and %s", key, l, other)
	case !slices.Equal(o.names(), m.names()):
		t.Errorf("%s asks for %v in %s and for %v in %s", key, m.names(), l, o.names(), other)
	}
}

// Every count has a form in every language, also the great ones for which French has a third.
func TestEveryCountHasAForm(t *testing.T) {
	for _, languages := range read(t) {
		for l, messages := range languages {
			for key, m := range messages {
				if !m.plural() {
					continue
				}
				for _, n := range []int{0, 1, 2, 11, 1000000} {
					if got := i18n.T(l, key, "Count", n); got == key || got == "" {
						t.Errorf("%s has no text in %s for %d", key, l, n)
					}
				}
			}
		}
	}
}

// sources is what the code says about keys.
type sources struct {
	literals map[string]string // each string that could be a key, and where
	prefixes map[string]string // what keys are put together from, and where
	asked    map[string]string // keys that a text or a fault certainly asks for
}

var (
	keyShape    = regexp.MustCompile(`^[a-z]+(\.[a-z0-9_]+)+$`)
	prefixShape = regexp.MustCompile(`^([a-z]+\.[a-z0-9_.]*[._])(?:%[a-z].*)?$`) // more than the room: "orders.state."
	inTemplate  = regexp.MustCompile(`\{\{[^}]*\}\}`)
	quoted      = regexp.MustCompile("[\"'`]([a-z]+\\.[a-z0-9_.%]*)[\"'`]")
	shortKey    = regexp.MustCompile(`'([a-z]+(?:_[a-z]+)*)'`)
	templateKey = regexp.MustCompile(`\bt "([a-z0-9_.]+)"`)
)

// shortened are scripts that get a room's texts without its prefix, by the end of their path.
var shortened = map[string]string{"idp/method/card/static/cardstep.js": "card.", "internal/cardscript/card.js": "card."}

// composed are keys that a file puts together from their room alone, "verify." and
// a kind: too short a beginning to count for every key of the room.
var composed = map[string]string{
	"verify.signature": "signing/verify/text.go",
	"verify.timestamp": "signing/verify/text.go",
}

func (s *sources) add(text, where string) {
	if keyShape.MatchString(text) {
		s.literals[text] = where
	}
	if m := prefixShape.FindStringSubmatch(text); m != nil {
		s.prefixes[m[1]] = where
	}
}

// scan reads the repository: Go without tests and what serves them, templates, scripts and the product files.
func scan(t *testing.T, root string) *sources {
	t.Helper()
	s := &sources{map[string]string{}, map[string]string{}, map[string]string{}}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", "var", "node_modules", ".tools", "vendor", "testdata", "locales"}, d.Name()) || strings.HasSuffix(d.Name(), "test") {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case strings.HasSuffix(file, "_test.go"):
		case strings.HasSuffix(file, ".go"):
			return s.scanGo(file)
		case strings.HasSuffix(file, ".html"):
			return s.scanHTML(file)
		case strings.HasSuffix(file, ".js"), strings.HasSuffix(file, ".toml"):
			return s.scanText(file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sources) scanGo(file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				if text, err := strconv.Unquote(n.Value); err == nil {
					s.add(text, file)
				}
			}
		case *ast.CallExpr:
			if key := certain(n); key != "" {
				s.asked[key] = file
			}
		}
		return true
	})
	return nil
}

// certain is the key that a call of i18n.T, i18n.Message or fault.New asks for, if it is written there.
func certain(call *ast.CallExpr) string {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) < 2 {
		return ""
	}
	from, ok := f.X.(*ast.Ident)
	if !ok || !slices.Contains([]string{"i18n.T", "i18n.Message", "fault.New"}, from.Name+"."+f.Sel.Name) {
		return ""
	}
	literal, ok := call.Args[1].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	key, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return key
}

func (s *sources) scanHTML(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, action := range inTemplate.FindAllString(string(text), -1) {
		for _, m := range templateKey.FindAllStringSubmatch(action, -1) {
			if !strings.HasSuffix(m[1], ".") && !strings.HasSuffix(m[1], "_") {
				s.asked[m[1]] = file
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(action, -1) {
			s.add(m[1], file)
		}
	}
	return nil
}

func (s *sources) scanText(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
		s.add(m[1], file)
	}
	for end, prefix := range shortened {
		if !strings.HasSuffix(filepath.ToSlash(file), end) {
			continue
		}
		for _, m := range shortKey.FindAllStringSubmatch(string(text), -1) {
			s.literals[prefix+m[1]] = file
		}
	}
	return nil
}

func (s *sources) uses(key string) bool {
	if s.literals[key] != "" || s.asked[key] != "" {
		return true
	}
	for prefix := range s.prefixes {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// A text nobody asks for is dead; a key without text is a hole in a page.
func TestTextsAndCodeAgree(t *testing.T) {
	keys := read(t).keys()
	s := scan(t, "../..")
	for key, file := range composed {
		room, _, _ := strings.Cut(key, ".")
		if source, err := os.ReadFile(filepath.Join("../..", file)); err != nil || !strings.Contains(string(source), strconv.Quote(room+".")) {
			t.Errorf("%s no longer composes %s (%v)", file, key, err)
		}
		s.literals[key] = file
	}
	var faults []string
	for key := range keys {
		if !s.uses(key) {
			faults = append(faults, fmt.Sprintf("%s is used nowhere", key))
		}
	}
	for key, file := range s.asked {
		if !keys[key] {
			faults = append(faults, fmt.Sprintf("%s asks for %s, which no catalogue has", file, key))
		}
	}
	sort.Strings(faults)
	for _, f := range faults {
		t.Error(f)
	}
}
