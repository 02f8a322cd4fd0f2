package main

import (
	"bytes"
	"image"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/page"
)

const goodSettings = `
test = true
[server]
listen = "127.0.0.1:8081"
operator = "127.0.0.1:8082"
proxies = ["127.0.0.0/8"]
data = "data"
key_file = "install.key"
[database]
url = "sqlite:belfry.db"
[provider]
issuers = ["http://id.belfry.localhost:8080"]
[cards]
roots = "roots.pem"
[register]
url = "http://127.0.0.1:9"
[renderer]
modules = "node_modules"
[[stamp]]
url = "http://127.0.0.1:9/tsa"
roots = "tsa.pem"
[[seal]]
commune = "beaumarais"
module = "/usr/lib/softhsm/libsofthsm2.so"
token = "seal-beaumarais"
key = "seal"
pin_file = "pin"
chain = "chain.pem"
[[commune]]
id = "beaumarais"
nis = "99001"
origins = ["http://beaumarais.belfry.localhost:8080"]
language_regime = "fr"
[commune.name]
fr = "Beaumarais"
`

func load(t *testing.T, text string) (*Settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "belfry.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadSettings(path)
}

func TestGoodSettingsLoad(t *testing.T) {
	s, err := load(t, goodSettings)
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(s.Server.Data) || !strings.HasPrefix(s.Database.URL, "sqlite:/") {
		t.Errorf("paths do not start at the file's folder: %s, %s", s.Server.Data, s.Database.URL)
	}
}

func TestBadSettingsNameTheKey(t *testing.T) {
	for want, change := range map[string][2]string{
		`unknown setting "server.lisen"`: {"listen =", "lisen ="},
		"production needs https":         {"test = true", "test = false"},
		"[[seal]] of elsewhere: no such": {`commune = "beaumarais"`, `commune = "elsewhere"`},
		"server.tls.key is missing":      {"[database]", "[server.tls]\ncertificate = \"tls.pem\"\n[database]"},
		"no [[stamp]]":                   {"[[stamp]]\nurl = \"http://127.0.0.1:9/tsa\"\nroots = \"tsa.pem\"", ""},
		"theme.logo \"":                  {`nis = "99001"`, "nis = \"99001\"\ntheme.logo = \"logo.svg\""},
		"closed: to \"2026-12-01\" lies": {`nis = "99001"`, "nis = \"99001\"\nclosed = [{ from = \"2026-12-24\", to = \"2026-12-01\" }]"},
		"alsace_moselle":                 {`nis = "99001"`, "nis = \"99001\"\nalsace_moselle = true"},
		"nis":                            {`"99001"`, `"9900"`},
		"server.key_file is missing":     {`key_file = "install.key"`, ""},
		`staff_sign_in: "fas" is not`:    {`nis = "99001"`, "nis = \"99001\"\nstaff_sign_in = [\"fas\"]"},
		`sign_in: "itsme" is not`:        {`nis = "99001"`, "nis = \"99001\"\nsign_in = [\"card\", \"itsme\"]"},
		"product.residense: no product":  {`nis = "99001"`, "nis = \"99001\"\nproduct.residense = { level = \"high\" }"},
		"product.residence: level":       {`nis = "99001"`, "nis = \"99001\"\nproduct.residence = { level = \"gold\" }"},
		"tariff: surcharge_cents.bnak":   {`nis = "99001"`, tariff(`surcharge_cents = { bnak = 200 }, deliveries = ["download", "counter"]`)},
		"every delivery offered is free": {`nis = "99001"`, tariff(`surcharge_cents = { bank = 200 }`)},
		"post_cents: deliveries has no":  {`nis = "99001"`, tariff(`post_cents = 100`)},
		"deliveries: post alone":         {`nis = "99001"`, tariff(`deliveries = ["post"]`)},
		`["download" "fax"]`:             {`nis = "99001"`, tariff(`deliveries = ["download", "fax"]`)},
		"price_cents = -1":               {`nis = "99001"`, tariff(`price_cents = -1`)},
		"price_cents = 100001":           {`nis = "99001"`, tariff(`price_cents = 100001`)},
		"max_copies = 101":               {`nis = "99001"`, tariff(`max_copies = 101`)},
		"regulation \"http://":           {`nis = "99001"`, tariff(`regulation = "http://beaumarais.example/r.pdf"`)},
		"tariff.payment.fr is missing":   {`nis = "99001"`, tariff(`payment = { nl = "aan het loket" }`)},
		`level "B-X" is none of`:         {`token = "seal-beaumarais"`, "token = \"seal-beaumarais\"\nlevel = \"B-X\""},
		"not at level B-B":               {`token = "seal-beaumarais"`, "token = \"seal-beaumarais\"\nlevel = \"B-B\""},
		"needs lasting.hosts":            {`token = "seal-beaumarais"`, "token = \"seal-beaumarais\"\nlevel = \"B-LTA\""},
		"of each spare too":              {`key = "seal"`, "key = \"seal\"\nspare = [{ token = \"second\" }]"},
		"lasting.renew_before":           {"[[stamp]]", "[lasting]\nrenew_before = \"soon\"\n[[stamp]]"},
		"lasting.ends: RSA-2048":         {"[[stamp]]", "[lasting.ends]\n\"RSA-2048\" = \"one day\"\n[[stamp]]"},
	} {
		text := strings.Replace(goodSettings, change[0], change[1], 1)
		if text == goodSettings {
			t.Fatalf("%s: nothing was changed", want)
		}
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// tariff sets one for a product, in the place of the commune's NIS code.
func tariff(text string) string {
	return "nis = \"99001\"\nproduct.residence.tariff = { " + text + " }"
}

// A commune says what it asks, in cents, and belfry check repeats it.
func TestTariffIsRead(t *testing.T) {
	s, err := load(t, strings.Replace(goodSettings, `nis = "99001"`, tariff(`price_cents = 150, surcharge_cents = { bank = 200 }, post_cents = 100, deliveries = ["post", "download"], regulation = "https://beaumarais.example/r.pdf", payment = { fr = "au guichet" }`), 1))
	if err != nil {
		t.Fatal(err)
	}
	if said, err := feesOf(s.Communes[0]); err != nil || said != "residence by post €2.50 to €4.50; received before the paper is issued" {
		t.Errorf("%q, %v", said, err)
	}
	s, err = load(t, strings.Replace(goodSettings, `nis = "99001"`, "fee_before_issue = false\n"+tariff(`price_cents = 150, download_costs = true`), 1))
	if err != nil {
		t.Fatal(err)
	}
	if said, _ := feesOf(s.Communes[0]); said != "residence by download €1.50 to €1.50; papers are issued before" {
		t.Errorf("%q", said)
	}
}

// A spare has what it says, and the seal's own certificate where it names none.
// Closed days are written as tables of a commune, and belfry check tells when they come.
func TestClosedDaysAreRead(t *testing.T) {
	next := time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	s, err := load(t, goodSettings+`
[[commune.closed]]
from = "`+next+`"
text = { fr = "congé" }
[[commune.closed]]
from = "11-15"
`)
	if err != nil {
		t.Fatal(err)
	}
	c := s.Communes[0]
	if len(c.Closed) != 2 || c.Closed[0].Text["fr"] != "congé" || c.Calendar().Working(time.Now().AddDate(0, 1, 0)) {
		t.Errorf("%+v", c.Closed)
	}
	if line := closedNext(c); !strings.Contains(line, next+" to "+next) || !strings.Contains(line, "-11-15") {
		t.Errorf("%q", line)
	}
	c.Closed = []commune.Closing{{From: "2020-01-02"}}
	if line := closedNext(c); line != "those of the settings are over" {
		t.Errorf("%q", line)
	}
}

// A logo that cannot be shown is belfry check's to tell, with the file and what is wrong.
func TestALogoIsChecked(t *testing.T) {
	s, err := load(t, strings.Replace(goodSettings, `nis = "99001"`, "nis = \"99001\"\ntheme.logo = \"logo.PNG\"", 1))
	if err != nil {
		t.Fatal(err)
	}
	path := s.Communes[0].Theme.Logo
	if path != filepath.Join(s.folder, "logo.PNG") {
		t.Errorf("the path is %s", path)
	}
	if _, err := checkLogo(path); err == nil || !strings.Contains(err.Error(), "theme.logo") {
		t.Errorf("a file that is not there: %v", err)
	}
	for content, want := range map[string]string{"<svg></svg>": path + ": no PNG", strings.Repeat("x", page.LogoBytes+1): "larger than 1 MB"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := checkLogo(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if seen, err := checkLogo(path); err != nil || !strings.Contains(seen, "30 by 20 pixels") {
		t.Errorf("%q, %v", seen, err)
	}
}

func TestSpareTokens(t *testing.T) {
	s, err := load(t, strings.Replace(strings.Replace(goodSettings, `key = "seal"`, `key = "seal"
spare = [
	{ module = "/second.so", token = "second", key = "k2", pin_file = "pin2" },
	{ module = "/third.so", token = "third", key = "k3", pin_file = "pin3", chain = "other.pem", pss = true },
]`, 1), "[[stamp]]", `[lasting]
hosts = ["ocsp.example"]
grace = true
renew_before = "720h"
[lasting.ends]
"RSA-2048" = "2029-12-31"
[[stamp]]`, 1))
	if err != nil {
		t.Fatal(err)
	}
	list := s.Seals[0].tokens()
	if len(list) != 3 || list[1].Token != "second" || list[1].Chain != s.Seals[0].Chain || list[1].PSS || !filepath.IsAbs(list[1].PINFile) ||
		filepath.Base(list[2].Chain) != "other.pem" || !list[2].PSS || list[2].Level != "B-T" || list[0].Token != s.Seals[0].Token {
		t.Errorf("%+v", list)
	}
	p, err := s.Lasting.policy()
	if err != nil || !p.AfterStamp || p.Lead != 720*time.Hour || p.Ends["RSA-2048"].Year() != 2029 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestOtherApplicationsAreRegistered(t *testing.T) {
	s, err := load(t, goodSettings+`
[[client]]
id = "plone"
commune = "beaumarais"
redirect_uris = ["https://www.beaumarais.example/callback"]
profile = "ordinary"
token_endpoint_auth_method = "client_secret_basic"
secret_sha256 = "`+strings.Repeat("ab", 32)+`"
scopes = ["profile", "national_number"]
[client.national_number]
legal_basis = "a decree"
until = 2999-01-01T00:00:00Z
exception = "until it can push its requests"
`)
	if err != nil {
		t.Fatal(err)
	}
	in := &install{settings: s, secret: make([]byte, 32)}
	if in.communes, err = commune.NewCommunes(s.Communes); err != nil {
		t.Fatal(err)
	}
	registry, err := in.clients()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"portal-beaumarais", "plone"} {
		if _, ok := registry.ByID(id); !ok {
			t.Errorf("%s is not registered", id)
		}
	}
	if seen, err := in.checkClients(t.Context()); err != nil || seen != "plone (is told the national number until 2999-01-01, by exception: until it can push its requests)" {
		t.Errorf("belfry check says %q, %v", seen, err)
	}
	s.Clients[0].RedirectURIs = nil
	if _, err := in.checkClients(t.Context()); err == nil || !strings.Contains(err.Error(), "client plone: redirect_uris") {
		t.Errorf("a registration without address: %v", err)
	}
}

func TestASecretThatOthersMayReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pin")
	os.WriteFile(path, []byte("1234\n"), 0o644)
	os.Chmod(path, 0o644)
	if _, err := readSecret(path); err == nil {
		t.Error("a world-readable secret is taken")
	}
	os.Chmod(path, 0o400)
	if s, err := readSecret(path); err != nil || s != "1234" {
		t.Errorf("%q %v", s, err)
	}
}

// What root makes among the data of a service that is another user's would lock it out.
func TestRootIsSentToTheService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is refused")
	}
	key := filepath.Join(t.TempDir(), "install.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("ab", 32)), 0o400); err != nil {
		t.Fatal(err)
	}
	s := &Settings{Server: ServerSettings{KeyFile: key}}
	if err := s.notAsRoot(); err != nil {
		t.Errorf("root's own: %v", err)
	}
	if err := os.Chown(key, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t.Context(), s, slog.Default()); err == nil || !strings.Contains(err.Error(), "runuser -u nobody -- ") {
		t.Errorf("another's: %v", err)
	}
}

// The administrator's umask does not keep the service from the seal's chain.
func TestTheChainCanBeReadByTheService(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	path := filepath.Join(t.TempDir(), "seals", "a.pem")
	if err := writeChain(path, nil); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{path: 0o644, filepath.Dir(path): 0o755 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}
