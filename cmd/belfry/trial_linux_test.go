package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The package on a clean Debian 12, which tools/package/trial makes: installed by what it
// declares and nothing else, then docs/operate.md from its first step to a restore, an
// upgrade and a purge. No program of this machine serves there.
func TestTrialOnDebian(t *testing.T) {
	root := os.Getenv("BELFRY_TRIAL")
	if root == "" {
		t.Skip("make trial brings a Debian to try it on")
	}
	w := startWorld(t)
	o := newOperator(t, w, &operator{dir: "/etc/belfry", root: root, library: "/usr/lib/softhsm/libsofthsm2.so"})
	o.belfry = "/usr/bin/belfry"

	o.apt("install", "/srv/belfry.deb")
	o.packaged(installed)
	o.apt("install", "softhsm2", "systemd")
	if out := ended(t, 0, o.asRoot("systemd-analyze", "verify", "/lib/systemd/system/belfry.service")); strings.Contains(out, "belfry") {
		t.Errorf("systemd says of the unit:\n%s", out)
	}
	o.fillIn(w)
	o.addCommune()
	o.makeToken(o.path("softhsm2.conf"))
	o.makeKey()
	ended(t, 0, o.asRoot("chown", "-R", "belfry:", "/var/lib/belfry/tokens"))
	if out := ended(t, 1, o.asRoot(o.belfry, "check")); !strings.Contains(out, "runuser -u belfry -- /usr/bin/belfry check") {
		t.Errorf("root is told\n%s", out)
	}
	stop := o.serves()
	o.checks()
	clerk := o.firstClerk()
	citizen, order, paper := o.paper(clerk)
	given := map[string]bool{citizen.number(order): true}

	o.does(0, "backup", "/var/lib/belfry/night.tar")
	o.does(0, "restore", "--try", "/var/lib/belfry/night.tar")
	citizen, lost, _ := o.paper(clerk) // its number goes with what comes after the backup
	given[citizen.number(lost)] = true
	stop()

	before := o.settings()
	o.apt("install", "--reinstall", "/srv/belfry.deb")
	if o.settings() != before {
		t.Error("an upgrade changed the settings")
	}
	o.packaged(installed)
	o.restoreElsewhere()
	stop = o.serves()
	clerk = o.person()
	clerk.get(o.origin("nieuwdorp") + "/desk")
	clerk.signIn(o.world, o.card("claire"))
	citizen, next, _ := o.paper(clerk)
	if n := citizen.number(next); given[n] {
		t.Errorf("number %s was given before", n)
	}
	citizen.get(order + "/document")
	if !bytes.Equal(citizen.body, paper) {
		t.Errorf("the first paper is answered with %d and %d bytes", citizen.status, len(citizen.body))
	}
	o.genuine(citizen.body)
	citizen.uploadFile(o.origin("nieuwdorp")+"/nl/verify", paper)
	citizen.want(200, "Nieuwdorp")
	stop()
	o.leaves()
}

// apt installs or removes as an operator does who takes no more than is asked for.
func (o *operator) apt(args ...string) {
	o.t.Helper()
	ended(o.t, 0, o.asRoot(append([]string{"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-qq", "--no-install-recommends"}, args...)...))
}

// installed is whose the package's files are, and who else may do what with them.
var installed = map[string]string{
	"/usr/bin/belfry":                       "root root -rwxr-xr-x",
	"/lib/systemd/system/belfry.service":    "root root -rw-r--r--",
	"/usr/share/doc/belfry/operate.md":      "root root -rw-r--r--",
	"/etc/belfry":                           "root belfry drwxr-x---",
	"/etc/belfry/belfry.toml":               "root belfry -rw-r-----",
	"/etc/belfry/secrets":                   "belfry belfry drwx------",
	"/etc/belfry/secrets/install.key":       "belfry belfry -r--------",
	"/var/lib/belfry":                       "belfry belfry drwx------",
	"/usr/lib/belfry/node_modules":          "root root drwxr-xr-x",
	"/usr/share/doc/belfry/known-issues.md": "root root -rw-r--r--",
}

func (o *operator) packaged(want map[string]string) {
	o.t.Helper()
	for path, want := range want {
		out := strings.TrimSpace(ended(o.t, 0, o.asRoot("stat", "-c", "%U %G %A", path)))
		if out != want {
			o.t.Errorf("%s: %s, want %s", path, out, want)
		}
	}
}

// fillIn does what the second and the third step of docs/operate.md say: each example in
// the package's settings gives way to an address or a file of the world outside.
func (o *operator) fillIn(w *world) {
	o.t.Helper()
	outside, err := loadSettings(w.Belfry.Config)
	if err != nil {
		o.t.Fatal(err)
	}
	for name, from := range map[string]string{
		"eid-roots.pem": outside.Cards.Roots, "intermediates.pem": outside.Cards.Intermediates,
		"tsa-roots.pem": outside.Stamps[0].Roots, "secrets/register": outside.Register.TokenFile,
	} {
		o.write(name, readFile(o.t, from), 0o644)
	}
	o.write("softhsm2.conf", "directories.tokendir = /var/lib/belfry/tokens\nlog.level = ERROR\n", 0o644)
	ended(o.t, 0, o.asRoot("mkdir", "/var/lib/belfry/tokens"))
	public, operator := o.listen()
	text := o.settings()
	for old, fresh := range map[string]string{
		"[server]\nlisten = \"127.0.0.1:8081\"":  fmt.Sprintf("test = true\n[environment]\nSOFTHSM2_CONF = %q\n[server]\nlisten = %q", o.path("softhsm2.conf"), public),
		`operator = "127.0.0.1:8082"`:            fmt.Sprintf("operator = %q", operator),
		"[database]":                             fmt.Sprintf("[server.tls]\ncertificate = %q\nkey = %q\n\n[database]", o.path("tls.pem"), o.path("secrets/tls.key")),
		`issuers = ["https://id.example.be"]`:    fmt.Sprintf("issuers = [%q]\nroots = %q", o.Provider.Issuers[0], o.path("ca.pem")),
		`roots = "/etc/belfry/eid-roots.pem"`:    fmt.Sprintf("roots = %q\nintermediates = %q\nhosts = [\"%s\"]", o.path("eid-roots.pem"), o.path("intermediates.pem"), strings.Join(outside.Cards.Hosts, `", "`)),
		"https://integrator.example.be/register": outside.Register.URL,
		"https://tsa.example.be":                 outside.Stamps[0].URL,
	} {
		if strings.Count(text, old) != 1 {
			o.t.Fatalf("the package's settings have %d times %q", strings.Count(text, old), old)
		}
		text = strings.Replace(text, old, fresh, 1)
	}
	o.write("belfry.toml", text, 0o640)
	ended(o.t, 0, o.asRoot("sh", "-c", "chown belfry: /etc/belfry/secrets/* && chmod 400 /etc/belfry/secrets/*"))
}

// serves starts what the unit starts, as the user that it names, and waits for it.
func (o *operator) serves() (stop func()) {
	o.t.Helper()
	unit := readFile(o.t, o.file("/lib/systemd/system/belfry.service"))
	field := func(name string) string {
		m := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(unit)
		if m == nil {
			o.t.Fatalf("the unit has no %s", name)
		}
		return m[1]
	}
	start := field("ExecStart")
	if o.config != "" {
		start = strings.Replace(start, o.path("belfry.toml"), o.config, 1)
	}
	cmd := o.run(o.asRoot("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "setpriv", "--reuid", field("User"), "--regid", field("Group"), "--init-groups", "sh", "-c", "umask "+field("UMask")+"; exec "+start))
	o.answering()
	return func() {
		o.t.Helper()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			o.t.Errorf("the service ended with %v", err)
		}
	}
}

// restoreElsewhere restores the backup into a folder of its own, with settings that name it.
func (o *operator) restoreElsewhere() {
	o.t.Helper()
	ended(o.t, 0, o.asRoot("install", "-d", "-o", "belfry", "-g", "belfry", "-m", "0700", "/srv/other"))
	text := strings.NewReplacer("/var/lib/belfry/data", "/srv/other/data", "/var/lib/belfry/belfry.db", "/srv/other/belfry.db").Replace(o.settings())
	o.write("other.toml", text, 0o644)
	o.config = o.path("other.toml")
	if told := o.does(0, "restore", "/var/lib/belfry/night.tar"); !strings.Contains(told, "the next is") {
		o.t.Errorf("it does not say which numbers are skipped:\n%s", told)
	}
}

// leaves removes and purges the package: settings go with a purge, records and secrets
// never, and all that lies there is the service's.
func (o *operator) leaves() {
	o.t.Helper()
	secret := readFile(o.t, o.file("/etc/belfry/secrets/install.key"))
	ended(o.t, 0, o.asRoot("cp", "-a", "/etc/belfry/belfry.toml", "/srv/kept.toml"))
	o.apt("remove", "belfry")
	if o.settings() != readFile(o.t, o.file("/srv/kept.toml")) {
		o.t.Error("removing the package changed the settings")
	}
	o.apt("purge", "belfry")
	if _, err := os.Stat(o.file(o.path("belfry.toml"))); err == nil {
		o.t.Error("a purge leaves the settings")
	}
	o.apt("install", "/srv/belfry.deb")
	if readFile(o.t, o.file("/etc/belfry/secrets/install.key")) != secret {
		o.t.Error("a purge or an installation took the secret")
	}
	owner := strings.TrimSpace(ended(o.t, 0, o.asRoot("id", "-u", "belfry")))
	for _, dir := range []string{"/var/lib/belfry", "/srv/other"} {
		files := 0
		err := filepath.WalkDir(o.file(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			files++
			if uid := info.Sys().(*syscall.Stat_t).Uid; fmt.Sprint(uid) != owner {
				o.t.Errorf("%s is user %d's, not the service's", path, uid)
			}
			return nil
		})
		if err != nil || files < 10 {
			o.t.Errorf("%s: %d files, %v", dir, files, err)
		}
	}
}

var paperNumber = regexp.MustCompile(`\b20[0-9]{2}-[0-9]{6}\b`)

// number is what the page of an order says that its paper's is.
func (p *person) number(order string) string {
	p.t.Helper()
	p.get(order)
	n := paperNumber.FindString(p.text())
	if n == "" {
		p.t.Fatalf("no number:\n%s", p.text())
	}
	return n
}
