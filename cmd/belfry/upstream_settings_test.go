package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/belfry-eid/belfry/idp/method"
	"github.com/belfry-eid/belfry/idp/method/upstream"
)

const goodUpstream = `
[[upstream]]
commune = "beaumarais"
source = "itsme"
preset = "itsme"
client_id = "c"
scopes = ["openid", "service:X"]
userinfo = "signed"
userinfo_algs = ["PS256"]
id_token_encrypted = false
always_fresh = false
leave_out = []
rotate_days = 90
claims = { birth_date = "birthdate", number = "" }
values = { acr = { "a" = "b" } }
require = { groups = ["g"] }
label = { fr = "Par itsme" }
[[upstream.level]]
value = "a"
level = "substantial"
means = ["mfa"]
`

// What the settings say stands over the preset, and the preset stands where they are silent.
func TestUpstreamSettings(t *testing.T) {
	s, err := load(t, goodSettings+goodUpstream)
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&install{settings: s}).registration(s.Upstream[0])
	if err != nil {
		t.Fatal(err)
	}
	preset, _, _ := upstream.Preset("itsme")
	switch {
	case r.UserinfoForm != "signed" || len(r.UserinfoAlgs) != 1 || r.UserinfoAlgs[0] != jose.PS256 || r.IDTokenEncrypted || r.AlwaysFresh || len(r.Scopes) != 2 || r.Claims.BirthDate != "birthdate" || r.Claims.Number != "":
		t.Errorf("the settings do not count: %+v", r.Profile)
	case r.Issuer != preset.Issuer || r.Auth != upstream.PrivateKeyJWT || r.Claims.Surname != "family_name" || len(r.KeyAlgs) != 2 || len(r.AskClaims) != 3:
		t.Errorf("the preset does not count: %+v", r.Profile)
	case len(r.Levels) != 1 || r.Levels[0].Level != method.Substantial || len(r.Required) != 1 || r.Rotate.Hours() != 90*24 || r.Labels["fr"] != "Par itsme":
		t.Errorf("%+v", r)
	}
	for want, change := range map[string][2]string{
		"no such commune":         {`commune = "beaumarais"` + "\nsource", `commune = "elsewhere"` + "\nsource"},
		"one of acm-idm":          {`preset = "itsme"`, `preset = "facebook"`},
		"this name":               {`source = "itsme"`, `source = "card"`},
		"claims.shoe_size":        {`birth_date =`, `shoe_size =`},
		"rotate_days":             {`rotate_days = 90`, `rotate_days = 1`},
		`setting "upstream.id_t"`: {`id_token_encrypted`, `id_t`},
	} {
		text := strings.Replace(goodSettings+goodUpstream, change[0], change[1], 1)
		if text == goodSettings+goodUpstream {
			t.Fatalf("%s: nothing was changed", want)
		}
		if _, err := load(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// A client's secret lies in a file that only its owner reads.
func TestUpstreamSecret(t *testing.T) {
	s, err := load(t, goodSettings+strings.Replace(goodUpstream, `client_id = "c"`, `client_id = "c"`+"\nsecret_file = \"client\"", 1))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.folder, "client")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := (&install{settings: s}).registration(s.Upstream[0]); err != nil || r.Secret != "s3cret" {
		t.Errorf("%q, %v", r.Secret, err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (&install{settings: s}).registration(s.Upstream[0]); err == nil {
		t.Error("a secret that others may read is taken")
	}
}
