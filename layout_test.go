// Package belfry holds the tests of the house itself: which room may know which,
// what lies at the top level, and what may lie nowhere. See docs/architecture.md.
//
// Run it with -count=1: go test does not notice what `go list` reads.
package belfry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belfry-eid/belfry/internal/eid"
)

const module = "github.com/belfry-eid/belfry/"

// listed is what `go list -json` says of a package.
type listed struct {
	ImportPath, Dir, Name, Doc         string
	Imports, TestImports, XTestImports []string
	Deps                               []string
	GoFiles                            []string
}

// room is the path below the module, for example "signing/pades".
func (p listed) room() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Name,Doc,Imports,TestImports,XTestImports,Deps,GoFiles", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// heights are the floors of the house, by the longest matching path. Arrows point down.
var heights = map[string]int{
	"cmd": 7, "portal": 6, "orders": 5,
	"signing": 4, "idp": 4, "testcerts": 4,
	"internal/eid": 3, "internal": 2, "internal/commune": 1,
	"internal/fault": 0, "docs": 0, "internal/i18n": 0, "internal/clock": 0,
	"": 9,
}

func height(room string) int {
	for {
		if h, ok := heights[room]; ok {
			return h
		}
		up := strings.LastIndex(room, "/")
		if up < 0 {
			return heights[""]
		}
		room = room[:up]
	}
}

// same says whether two packages are of one room and may know each other as they like.
func same(a, b string) bool {
	top := func(room string) string {
		first, rest, _ := strings.Cut(room, "/")
		if first != "internal" {
			return first
		}
		second, _, _ := strings.Cut(rest, "/")
		return first + "/" + second
	}
	return top(a) == top(b) || (height(a) == 2 && height(b) == 2)
}

func TestArrowsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			to, ours := strings.CutPrefix(path, module)
			if ours && !same(p.room(), to) && height(to) >= height(p.room()) {
				t.Errorf("%s imports %s, which is not below it", p.room(), to)
			}
		}
	}
}

// strangers never know each other, through others neither.
var strangers = map[string][]string{
	"portal":  {"idp"},
	"idp":     {"signing", "orders", "portal"},
	"signing": {"idp", "orders"},
	"orders":  {"idp", "signing/pades", "signing/seal", "internal/p11"},
}

func within(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

func TestStrangersStayStrangers(t *testing.T) {
	for _, p := range packages(t) {
		for room, others := range strangers {
			if !within(p.room(), room) {
				continue
			}
			for _, path := range p.Deps {
				for _, other := range others {
					if within(path, module+other) {
						t.Errorf("%s depends on %s", p.room(), strings.TrimPrefix(path, module))
					}
				}
			}
		}
	}
}

// testSupport are packages that only tests import, and the world that development runs in.
func testSupport(room string) bool {
	return strings.HasSuffix(room, "test") || within(room, "testcerts") || within(room, "cmd/devworld") || room == "internal/verapdf"
}

func TestTestPeopleStayInTests(t *testing.T) {
	for _, p := range packages(t) {
		if testSupport(p.room()) {
			continue
		}
		for _, path := range p.Imports {
			if to, ours := strings.CutPrefix(path, module); ours && testSupport(to) {
				t.Errorf("%s imports %s", p.room(), to)
			}
			if path == "testing" {
				t.Errorf("%s imports testing", p.room())
			}
		}
	}
}

// doors: a heavy library is known to one place.
var doors = map[string][]string{
	"github.com/miekg/pkcs11":             {"internal/p11"},
	"github.com/russellhaering/gosaml2":   {"idp/method/fas"},
	"github.com/russellhaering/goxmldsig": {"idp/method/fas", "signing/trustlist", "testcerts"},
	"github.com/coreos/go-oidc":           {"portal/rp", "idp/method/upstream"},
	"github.com/digitorus":                {"signing/plain", "signing/signingtest", "testcerts"},
	"github.com/redis/go-redis":           {"internal/kv/redis"},
	"github.com/minio/minio-go":           {"internal/blob/s3"},
	"github.com/jackc/pgx":                {"internal/sqldb"},
	"modernc.org/sqlite":                  {"internal/sqldb"},
	"github.com/nicksnyder/go-i18n":       {"internal/i18n"},
	"github.com/piglig/go-qr":             {"internal/qr"},
	"github.com/alecthomas/kong":          {"cmd"},
	"github.com/pelletier/go-toml":        {"cmd", "orders/catalogue"},
	"github.com/wneessen/go-mail":         {"orders/notice/smtp"},
	"golang.org/x/oauth2":                 {"portal/rp"},
}

func TestEachHeavyLibraryHasOneDoor(t *testing.T) {
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			for library, rooms := range doors {
				if within(path, library) && !allowed(rooms, p.room()) {
					t.Errorf("%s imports %s; its door is %v", p.room(), path, rooms)
				}
			}
		}
	}
}

func allowed(rooms []string, room string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return within(room, r) })
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		want := "Package " + p.Name
		if p.Name == "main" {
			want = "Command " + filepath.Base(p.ImportPath)
		}
		if !strings.HasPrefix(p.Doc, want+" ") {
			t.Errorf("%s: the first comment does not begin with %q", p.room(), want)
		}
	}
}

// built are the folders that building and running make; .gitignore names them.
var built = map[string]bool{".git": true, "bin": true, "var": true, "node_modules": true, ".tools": true, "dist": true}

var topLevel = map[string]bool{
	"cmd": true, "idp": true, "signing": true, "orders": true, "portal": true, "testcerts": true,
	"internal": true, "docs": true, "tools": true, ".ci": true,
	"go.mod": true, "go.sum": true, "Makefile": true, "layout_test.go": true,
	"README.md": true, "LICENSE": true, "CHANGELOG.md": true, ".gitignore": true, ".dockerignore": true,
	"package.json": true, "package-lock.json": true, ".npmrc": true,
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); !built[name] && !topLevel[name] && !strings.HasSuffix(name, ".test") && !strings.HasSuffix(name, ".out") {
			t.Errorf("%s does not belong at the top level", name)
		}
	}
}

var vague = regexp.MustCompile(`^(utils?|commons?|helpers?|models?|misc|pkg|shared|lib)(\.|_|$)`)

// walk visits every file that is ours, with its path from the top.
func walk(t *testing.T, visit func(path string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if built[path] || d.Name() == "node_modules" {
				return fs.SkipDir
			}
			if vague.MatchString(d.Name()) {
				t.Errorf("%s: a name that says nothing", path)
			}
			return nil
		}
		if vague.MatchString(d.Name()) {
			t.Errorf("%s: a name that says nothing", path)
		}
		if !d.Type().IsRegular() || path == ".git" { // a file in a worktree
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil {
			visit(path, content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	privateKey  = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{16}`)
	keyFile     = regexp.MustCompile(`\.(p12|pfx|key|jks|keystore|ppk)$`)
	machinePath = regexp.MustCompile(`(^|[^A-Za-z0-9.~_-])/(home|Users|root|work)/[A-Za-z0-9._-]+`)
)

func TestNothingThatBelongsNowhere(t *testing.T) {
	walk(t, func(path string, content []byte) {
		if keyFile.MatchString(path) || privateKey.Match(content) {
			t.Errorf("%s: a private key; tests make their own", path)
		}
		if !utf8.Valid(content) || filepath.Base(filepath.Dir(path)) == "vendor" {
			return
		}
		if found := machinePath.Find(content); found != nil && path != "layout_test.go" {
			t.Errorf("%s: a path of somebody's machine: %s", path, found)
		}
	})
}

// reference matches a threat or a decision that a comment names.
var reference = regexp.MustCompile(`\bthreats? (T[0-9]+)|\((T[0-9]+)[,)]|docs/adr/([0-9]{4})`)

func TestReferencesLeadSomewhere(t *testing.T) {
	threats, err := os.ReadFile("docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	walk(t, func(path string, content []byte) {
		if filepath.Ext(path) != ".go" || path == "layout_test.go" {
			return
		}
		for _, m := range reference.FindAllStringSubmatch(string(content), -1) {
			if threat := m[1] + m[2]; threat != "" && !bytes.Contains(threats, []byte("| "+threat+" |")) {
				t.Errorf("%s: docs/threats.md has no %s", path, threat)
			}
			if found, _ := filepath.Glob("docs/adr/" + m[3] + "-*.md"); m[3] != "" && len(found) != 1 {
				t.Errorf("%s: there is no docs/adr/%s", path, m[3])
			}
		}
	})
}

// elevenDigits matches a national number as it is written, with its points or without.
var elevenDigits = regexp.MustCompile(`\b([0-9]{2}\.?[0-9]{2}\.?[0-9]{2}[ -]?[0-9]{3}[. -]?[0-9]{2})\b`)

// A number that somebody may have stands in no file but those of tests, which make up
// theirs: not in a setting, a template, a list of products or an example in a comment.
func TestNoNationalNumberInTheTree(t *testing.T) {
	looked := 0
	walk(t, func(path string, content []byte) {
		if strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/testdata/") || !utf8.Valid(content) {
			return
		}
		looked++
		for _, m := range elevenDigits.FindAllSubmatch(content, -1) {
			digits := strings.Map(func(r rune) rune {
				if r < '0' || r > '9' {
					return -1
				}
				return r
			}, string(m[1]))
			if n, err := eid.ParseNationalNumber(digits); err == nil && somebodys(n) {
				t.Errorf("%s: a national number that somebody may have, at %q", path, m[1][:2])
			}
		}
	})
	for digits, want := range map[string]bool{"71715100070": false, "8507300" + "3328": true, "850000" + "03306": true} {
		if n, err := eid.ParseNationalNumber(digits); (err == nil && somebodys(n)) != want {
			t.Errorf("%.6s…: that somebody may have it is said to be %v", digits, !want)
		}
	}
	t.Logf("%d files without a national number", looked)
}

// somebodys says whether a month stands in a number, or none as where it is not known:
// specimens have months that do not exist.
func somebodys(n eid.NationalNumber) bool {
	month := int(n.Reveal()[2]-'0')*10 + int(n.Reveal()[3]-'0')
	return month <= 52 && month%20 <= 12
}

// proof matches a test that docs/proofs.md names, and the package it is said to be in.
var proof = regexp.MustCompile("`([a-z0-9/-]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)([^`]*)`")

// Every test that docs/proofs.md names is there, and every row names one.
func TestProofsAreThere(t *testing.T) {
	text, err := os.ReadFile("docs/proofs.md")
	if err != nil {
		t.Fatal(err)
	}
	named := proof.FindAllSubmatch(text, -1)
	if len(named) < 40 {
		t.Fatalf("docs/proofs.md names %d tests", len(named))
	}
	for _, m := range named {
		dir, name := string(m[1]), string(m[2])
		if dir == "belfry" {
			dir = "."
		}
		if !written(dir, "*_test.go", "\nfunc "+name+"(") {
			t.Errorf("docs/proofs.md: %s has no %s", dir, name)
		}
		// The last part of a subtest's name is a string of that test, or of the suite that it runs.
		part := strings.ReplaceAll(string(m[3][strings.LastIndexByte(string(m[3]), '/')+1:]), "_", " ")
		if part != "" && !written(dir, "*_test.go", `"`+part+`"`) && !written(dir+"/*test", "*.go", `"`+part+`"`) {
			t.Errorf("docs/proofs.md: %s.%s has no part %q", dir, name, part)
		}
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| #") && !proof.MatchString(line) && !strings.Contains(line, "not of this product") {
			t.Errorf("docs/proofs.md: a row without a test: %.60s", line)
		}
	}
}

// written says whether a text is in a file of this name in a folder.
func written(dir, name, text string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, name))
	return slices.ContainsFunc(files, func(file string) bool {
		content, err := os.ReadFile(file)
		return err == nil && bytes.Contains(content, []byte(text))
	})
}

// requirement matches a direct requirement of go.mod; indirect ones carry a comment.
var requirement = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`)

// firstCell matches the names at the head of a row of docs/dependencies.md.
var firstCell = regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|")

func TestEveryDependencyIsExplained(t *testing.T) {
	read := func(name string) []byte {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	explained := string(read("docs/dependencies.md"))
	var npm struct{ Dependencies, DevDependencies map[string]string }
	if err := json.Unmarshal(read("package.json"), &npm); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range requirement.FindAllSubmatch(read("go.mod"), -1) {
		names = append(names, string(m[1]))
	}
	for _, list := range []map[string]string{npm.Dependencies, npm.DevDependencies} {
		for name, version := range list {
			names = append(names, name)
			if strings.ContainsAny(version, "^~*<>") {
				t.Errorf("package.json: %s %s is no exact version", name, version)
			}
		}
	}
	for _, name := range names {
		if !strings.Contains(explained, "`"+name+"`") {
			t.Errorf("docs/dependencies.md does not explain %s", name)
		}
	}
	packages, _, _ := strings.Cut(explained, "\n## Programs")
	for _, row := range firstCell.FindAllStringSubmatch(packages, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			if !slices.Contains(names, strings.Trim(name, "`")) {
				t.Errorf("docs/dependencies.md explains %s, which nothing requires", name)
			}
		}
	}
	if lock := read("package-lock.json"); bytes.Contains(lock, []byte(`"resolved"`)) {
		t.Error("package-lock.json names hosts; .npmrc omits them")
	}
}
