package upstream

import (
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Whatever comes: no panic, and what passes is an object whose members are told apart.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"a":2}`, `{"sub":"x","aud":["a"]} `, `[]`, `{"a":{"b":{"c":[1,2,{}]}}}`, `{"a":"` + "\xff" + `"}`, `{"a":1e999}`, `{"auth_time":1.5}`, `null`, `{"a":1}{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := parse(text)
		if (o == nil) == (err == nil) {
			t.Fatal("neither an object nor an error")
		}
		for name := range o {
			o.text(name)
			o.list(name)
			if at, ok, err := o.moment(name); ok && err == nil && at.Unix() < 0 {
				t.Fatal("a moment before all")
			}
			if s, ok, _ := o.text(name); ok && !o.has(name) {
				t.Fatalf("a text of nothing: %q", s)
			}
		}
	})
}

// Whatever comes for tokens: an ID token and an access token, or a refusal.
func FuzzTokens(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"a","token_type":"Bearer","id_token":"x.y.z"}`))
	f.Add(400, []byte(`{"error":"invalid_grant"}`))
	f.Add(200, []byte(`{"id_token":1}`))
	f.Fuzz(func(t *testing.T, status int, text []byte) {
		got, err := readTokens(status, text)
		if err == nil && (got.id == "" || got.access == "" || status != 200) {
			t.Fatalf("%+v", got)
		}
	})
}

// Whatever comes encrypted: no panic, and nothing opens that was not encrypted to us.
func FuzzOpenEncrypted(f *testing.F) {
	for _, seed := range []string{"a.b.c.d.e", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AAAA.AAAA.AAAA.AAAA", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA", "eyJ6aXAiOiJERUYifQ.....", "{}"} {
		f.Add(seed)
	}
	private, err := generate(DecryptEC, jose.ES256)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := openEncrypted(raw, keyAlgs, contentAlgs, func(jose.KeyAlgorithm, string) []any { return []any{private} }); err == nil {
			t.Fatal("opened")
		}
	})
}
