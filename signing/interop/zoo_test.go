package interop

import (
	"bytes"
	"crypto"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/pdf"
	"github.com/belfry-eid/belfry/internal/pdf/pdftest"
	"github.com/belfry-eid/belfry/signing"
	"github.com/belfry-eid/belfry/signing/cms"
	"github.com/belfry-eid/belfry/signing/ltv"
	"github.com/belfry-eid/belfry/signing/pades"
	"github.com/belfry-eid/belfry/signing/signingtest"
	"github.com/belfry-eid/belfry/signing/tsa"
	"github.com/belfry-eid/belfry/signing/verify"
)

// animal is a file that people bring, and how it is to be sealed.
type animal struct {
	file     func(t *testing.T, w *signingtest.Maker) []byte
	field    string // to be filled
	title    string // what that field is called, without its parents
	password string
	signed   bool // cannot be certified: there is a signature already
}

// made has a program of others make out.pdf of in.pdf, which is in the folder where it runs.
func made(command ...string) animal {
	return animal{file: func(t *testing.T, _ *signingtest.Maker) []byte {
		t.Helper()
		program := signingtest.Program(t, command[0])
		dir := t.TempDir()
		put(t, filepath.Join(dir, "in.pdf"), pdftest.Build(pdftest.Table, pdftest.Fields()))
		put(t, filepath.Join(dir, "in.html"), []byte("<!doctype html><html lang=fr><title>Attestation</title><h1>Attestation é</h1>"))
		put(t, filepath.Join(dir, "page.txt"), []byte("%%MediaBox 0 0 595 842\n%%Font F Helvetica\nBT /F 24 Tf 72 720 Td (Attestation) Tj ET\n"))
		cmd := exec.Command(program, command[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, said)
		}
		return read(t, filepath.Join(dir, "out.pdf"))
	}}
}

// behind is what was made, which a password opens.
func (a animal) behind(password string) animal { a.password = password; return a }

func always(b []byte) animal {
	return animal{file: func(*testing.T, *signingtest.Maker) []byte { return b }}
}

// after is a file that somebody has signed already.
func after(sign func(t *testing.T, w *signingtest.Maker) []byte) animal {
	return animal{file: sign, signed: true}
}

// zoo is one file of each kind that people bring.
var zoo = map[string]animal{
	"qpdf, linearised":                     made("qpdf", "--linearize", "in.pdf", "out.pdf"),
	"qpdf, object streams":                 made("qpdf", "--object-streams=generate", "in.pdf", "out.pdf"),
	"qpdf, linearised with object streams": made("qpdf", "--linearize", "--object-streams=generate", "in.pdf", "out.pdf"),
	"qpdf, 1.4":                            made("qpdf", "--force-version=1.4", "in.pdf", "out.pdf"),
	"qpdf, 1.5":                            made("qpdf", "--force-version=1.5", "--object-streams=generate", "in.pdf", "out.pdf"),
	"qpdf, 1.6":                            made("qpdf", "--force-version=1.6", "--object-streams=generate", "in.pdf", "out.pdf"),
	"qpdf, 2.0":                            made("qpdf", "--force-version=2.0", "in.pdf", "out.pdf"),
	"qpdf, for people's eyes":              made("qpdf", "--qdf", "in.pdf", "out.pdf"),
	"qpdf, RC4":                            made("qpdf", "--allow-weak-crypto", "--encrypt", "", "owner", "40", "--", "in.pdf", "out.pdf"),
	"qpdf, AES-128":                        made("qpdf", "--encrypt", "", "owner", "128", "--use-aes=y", "--", "in.pdf", "out.pdf"),
	"qpdf, AES-256":                        made("qpdf", "--encrypt", "", "owner", "256", "--", "in.pdf", "out.pdf"),
	"qpdf, AES-256, object streams":        made("qpdf", "--object-streams=generate", "--encrypt", "", "owner", "256", "--", "in.pdf", "out.pdf"),
	"qpdf, AES-256, with a password":       made("qpdf", "--encrypt", "secrét", "owner", "256", "--", "in.pdf", "out.pdf").behind("secrét"),
	"qpdf, AES-256, linearised":            made("qpdf", "--linearize", "--encrypt", "secret", "owner", "256", "--", "in.pdf", "out.pdf").behind("secret"),
	"MuPDF, cleaned":                       made("mutool", "clean", "-gggz", "in.pdf", "out.pdf"),
	"MuPDF, converted":                     made("mutool", "convert", "-o", "out.pdf", "in.pdf"),
	"MuPDF, created":                       made("mutool", "create", "-o", "out.pdf", "page.txt"),
	"poppler, separated":                   made("pdfseparate", "in.pdf", "out.pdf"),
	"poppler, united":                      made("pdfunite", "in.pdf", "in.pdf", "out.pdf"),
	"poppler, by cairo":                    made("pdftocairo", "-pdf", "in.pdf", "out.pdf"),
	"Chromium":                             made("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--print-to-pdf=out.pdf", "in.html"),
	"Typst, 1.4":                           typeset("1.4"),
	"Typst, 1.7":                           typeset("1.7"),
	"Typst, 2.0":                           typeset("2.0"),
	"Typst, PDF/A-1b":                      typeset("a-1b"),
	"Typst, PDF/A-2a":                      typeset("a-2a"),
	"Typst, PDF/A-3a":                      typeset("a-3a"),
	"Typst, PDF/A-4":                       typeset("a-4"),
	"Typst, PDF/UA-1":                      typeset("ua-1"),
	"a certificate of ours":                always(tagged), // tagged, PDF/A-2a and PDF/UA-1, XMP
	"CR at the end of lines":               always(lined("\r", " ")),
	"CR LF at the end of lines":            always(lined("\r\n", " ")),
	"odd spaces":                           always(lined("\n\n", "\t \f")),
	"fields of 1, 2 and 0":                 always(wide(1, 2, 0)),
	"fields of 0, 4 and 0":                 always(wide(0, 4, 0)),
	"fields of 2, 8 and 2":                 always(wide(2, 8, 2)),
	"a chain of updates":                   always(chained()),
	"odd names":                            always(odd()),
	"a hybrid file":                        always(pdftest.Build(pdftest.Hybrid, pdftest.Fields())),
	"no /ID":                               always(trailed("1.4", "/Info 6 0 R", pdftest.Fields())),
	"neither /ID nor /Info":                always(trailed("1.7", "", pdftest.Plain())),
	"the empty field is filled":            {file: always(pdftest.Build(pdftest.Table, pdftest.Fields())).file, field: "empty", title: "empty"},
	"the only field, below another":        {file: always(nested()).file, field: pades.OnlyEmpty, title: "mayor"},
	"signed once":                          after(signedBefore(1)),
	"signed twice":                         after(signedBefore(2)),
	"signed by pdfsign":                    after(signedByPDFSign),
	"signed by openssl":                    after(certifiedElsewhere(0)),
	"certified, P 2":                       after(certifiedElsewhere(2)),
	"certified, P 3":                       after(certifiedElsewhere(3)),
	"a lock on one field":                  after(lockedBefore("/Action/Include/Fields[(name)]")),
	"a lock on all fields but":             after(lockedBefore("/Action/Exclude/Fields[(parent.kid)]")),
}

// Whatever people bring is sealed at every level, and renewed; it stays as it was in
// front, and is believed by our own validation, and by programs of others renewed and at
// one level more. Levels and kinds of key take turns, certifying and not.
func TestZoo(t *testing.T) {
	world := signingtest.NewLasting(signingtest.Now)
	longAuthorities(world)
	for n, name := range slices.Sorted(maps.Keys(zoo)) {
		a, kind := zoo[name], signingtest.KeyKinds[n%len(signingtest.KeyKinds)]
		if testing.Short() && n%3 != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := signingtest.NewMaker(t, world, func(c *ltv.Config) { c.Password = a.password })
			world.Status.Clock = w.Clock.Now
			content := a.file(t, w)
			o := inScript(n)
			o.Field, o.Password, o.Certify = a.field, a.password, !a.signed && n/len(signingtest.KeyKinds)%2 == 0
			for level, sealed := range everyLevel(w, content, kind, o) {
				if !bytes.HasPrefix(sealed, content) {
					t.Errorf("%s: the file does not begin with the content", level)
				}
				claim := signingtest.Claim{Level: levelOf(level), Field: a.title, Password: a.password}
				r := verify.File(bytes.NewReader(sealed), int64(len(sealed)), verify.Options{Roots: w.Roots(), Now: w.Clock.Now(), Password: a.password})
				if i := slices.IndexFunc(r.Signatures, func(s verify.Signature) bool { return s.Reason == o.Reason }); i < 0 || r.Signatures[i].Result != verify.Valid || r.Signatures[i].Level != claim.Level || !a.signed && r.Result != verify.Valid {
					t.Errorf("%s: %s %+v", level, r.Result, r.Signatures)
				}
				if level != renewed && level != signing.Levels[n%len(signing.Levels)] {
					continue
				}
				t.Run(level, func(t *testing.T) {
					t.Parallel()
					signingtest.OutsideAs(t, world, claim, sealed)
				})
			}
		})
	}
}

// renewed is a file of the highest level with a second stamp, 300 days later.
const renewed = "B-LTA, renewed"

func levelOf(name string) string { return strings.TrimSuffix(name, ", renewed") }

// everyLevel seals a content at every level, and renews the highest.
func everyLevel(w *signingtest.Maker, content []byte, kind string, o pades.Options) map[string][]byte {
	files := map[string][]byte{
		signing.LevelBB: w.Sign(content, kind, signing.LevelBB, o),
		signing.LevelBT: w.Sign(content, kind, signing.LevelBT, o),
	}
	files[signing.LevelBLT] = w.Raise(files[signing.LevelBT], signing.LevelBLT)
	files[signing.LevelBLTA] = w.Raise(files[signing.LevelBT], signing.LevelBLTA)
	w.Clock.Add(300 * 24 * time.Hour)
	files[renewed] = w.Raise(files[signing.LevelBLTA], signing.LevelBLTA)
	return files
}

// inScript is what a seal says, in one of the scripts of Europe and some others.
func inScript(n int) pades.Options {
	names := []string{"Élise (née Noël) \\", "Γιώργος Παπαδόπουλος", "Жанна Ђорђевић", "שרה כהן", "فاطمة الزهراء", "王小明", "ĩ\u0300 Ǻsa Þór", "😀 नेहा"}
	name := names[n%len(names)]
	return pades.Options{Name: name, Reason: "Attestation: " + name, Location: name, Label: name}
}

// Every level and kind of key on each of the two forms of file that programs write.
func TestEveryLevelAndKeyBeforeOthers(t *testing.T) {
	w := newLasting(t)
	base := w.Clock.Now()
	for n, kind := range signingtest.KeyKinds {
		w.Clock.Add(base.Sub(w.Clock.Now()))
		form := []pdftest.Form{pdftest.Table, pdftest.Stream}[n%2]
		content := pdftest.Build(form, pdftest.Fields())
		for level, file := range everyLevel(w, content, kind, certified) {
			t.Run(kind+"/"+level, func(t *testing.T) {
				t.Parallel()
				signingtest.Outside(t, w.Lasting, levelOf(level), file)
			})
		}
	}
}

// stampedUnder is a file of the highest level that was renewed under a hash, and the clock
// long after SHA-256 has ended.
func stampedUnder(w *signingtest.Maker, hash crypto.Hash) []byte {
	old := w.File(pdftest.Build(pdftest.Table, pdftest.Fields()), "P-256", signing.LevelBLTA, certified)
	end := w.Base.AddDate(2, 0, 0)
	w.Clock.Add(end.AddDate(0, -1, 0).Sub(w.Clock.Now()))
	w.Policy.Ends, w.Authority.Hash = map[string]time.Time{"SHA-256": end}, hash
	if hash == crypto.SHA512 {
		w.Policy.Ends["SHA-384"] = end
	}
	file := w.Raise(old, signing.LevelBLTA)
	w.Clock.Add(end.AddDate(1, 0, 0).Sub(w.Clock.Now()))
	return file
}

// Files that were renewed under another hash than SHA-256 before it ended, and files that
// were sealed after, are good when it has ended.
func TestAfterTheEndOfSHA256(t *testing.T) {
	for _, hash := range []crypto.Hash{crypto.SHA384, crypto.SHA512} {
		w := newLasting(t)
		kept := stampedUnder(w, hash)
		for name, file := range map[string][]byte{"renewed": kept, "new": w.File(pdftest.Build(pdftest.Stream, pdftest.Fields()), "P-384", signing.LevelBLTA, certified)} {
			r := verify.File(bytes.NewReader(file), int64(len(file)), verify.Options{Roots: w.Roots(), Now: w.Clock.Now()})
			if r.Result != verify.Valid || r.Indication != verify.TotalPassed || r.Signatures[0].Level != signing.LevelBLTA {
				t.Errorf("%s, %v: %+v", name, hash, r)
			}
			signingtest.Outside(t, w.Lasting, signing.LevelBLTA, file)
			for _, token := range stamps(t, file, w.Base.AddDate(1, 0, 0)) {
				if token.Hash != hash || token.SignatureHash() != hash {
					t.Errorf("%s: a stamp of %v upon %v, signed by %v", name, token.Time, token.Hash, token.SignatureHash())
				}
			}
		}
	}
}

// stamps are the document time stamps of a file since a time; there is one at least.
func stamps(t *testing.T, file []byte, since time.Time) (list []*tsa.Token) {
	t.Helper()
	f, err := pdf.Bytes(file)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := f.Fields()
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		d, err := f.Dict(field.Value)
		if err != nil || d["SubFilter"] != pdf.Name("ETSI.RFC3161") {
			continue
		}
		contents := []byte(d["Contents"].(pdf.String))
		_, rest, err := cms.Parse(contents)
		if err != nil {
			t.Fatal(err)
		}
		token, err := tsa.Parse(contents[:len(contents)-len(rest)])
		if err != nil {
			t.Fatal(err)
		}
		if token.Time.After(since) {
			list = append(list, token)
		}
	}
	if len(list) == 0 {
		t.Error("no document time stamp")
	}
	return list
}

// A signer's own name in any script is what others print.
func TestSignersInAnyScript(t *testing.T) {
	w := newLasting(t)
	for n := range 8 {
		o := inScript(n)
		id := w.Certify(o.Name, w.Seal("P-256").Key)
		file := w.Raise(w.SignAs(id, pdftest.Build(pdftest.Table, pdftest.Plain()), signing.LevelBT, o), signing.LevelBLTA)
		signingtest.Outside(t, w.Lasting, signing.LevelBLTA, file)
		path := filepath.Join(t.TempDir(), "a.pdf")
		put(t, path, file)
		for command, want := range map[string]string{"pdfsig -nocert": "Common Name: " + o.Name, "qpdf --json=2": "u:" + strings.ReplaceAll(o.Reason, `\`, `\\`)} {
			fields := strings.Fields(command)
			out, err := exec.Command(signingtest.Program(t, fields[0]), append(fields[1:], path)...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s: %v, want %q\n%s", command, err, want, out)
			}
		}
	}
}

// A hundred megabytes are as good as a page.
func TestALargeFileBeforeOthers(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred megabytes")
	}
	w := newLasting(t)
	file := w.File(large(100_000_000), "P-384", signing.LevelBLTA, certified)
	signingtest.Outside(t, w.Lasting, signing.LevelBLTA, file)
}

// What a certification of level 1 forbids is refused in words, whoever made it.
func TestCertifiedAgainstChanges(t *testing.T) {
	w := newLasting(t)
	ours := w.Sign(pdftest.Build(pdftest.Table, pdftest.Fields()), "P-256", signing.LevelBB, certified)
	for name, content := range map[string][]byte{"ours": ours, "openssl's": certifiedElsewhere(1)(t, w)} {
		id := w.Seal("RSA-3072")
		_, err := pades.Prepare(bytes.NewReader(content), int64(len(content)), pades.Options{Chain: id.Chain, At: w.Clock.Now()})
		if fault.KeyOf(err) != "pades.certified" || fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: %v", name, err)
		}
		if r := verify.File(bytes.NewReader(content), int64(len(content)), verify.Options{Roots: w.Roots(), Now: w.Clock.Now()}); r.Signatures[0].Certification != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func put(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
