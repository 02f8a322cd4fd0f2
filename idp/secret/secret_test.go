package secret_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/idp/secret"
)

func TestAnotherLengthIsRefused(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := secret.New(make([]byte, n)); err == nil {
			t.Errorf("%d bytes are taken", n)
		}
	}
}

func TestPurposesAndContextsAreApart(t *testing.T) {
	m, err := secret.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(m.MAC("a").Sum("1"), m.MAC("b").Sum("1")) {
		t.Error("two purposes share a key")
	}
	if bytes.Equal(m.MAC("a").Sum("ab", "c"), m.MAC("a").Sum("a", "bc")) {
		t.Error("parts run together")
	}
	sealed := m.Sealer("a").Seal([]byte("text"), "row 1")
	if _, err := m.Sealer("a").Open(sealed, "row 2"); err == nil {
		t.Error("opens in another row")
	}
	if _, err := m.Sealer("b").Open(sealed, "row 1"); err == nil {
		t.Error("opens under another purpose")
	}
	if got, err := m.Sealer("a").Open(sealed, "row 1"); err != nil || string(got) != "text" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := m.Sealer("a").Open(sealed[:5], "row 1"); err == nil {
		t.Error("a stump opens")
	}
}

func TestAMasterDoesNotPrintItself(t *testing.T) {
	m, _ := secret.New(bytes.Repeat([]byte{0xab}, 32))
	holder := struct{ M *secret.Master }{m}
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		for _, v := range []any{m, holder, *m} {
			if s := fmt.Sprintf(f, v); strings.Contains(strings.ToLower(s), "abab") || strings.Contains(s, "171 171") {
				t.Errorf("%s shows the key", f)
			}
		}
	}
}
