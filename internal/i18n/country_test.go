package i18n_test

import (
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
)

func TestCountriesHaveNames(t *testing.T) {
	for _, k := range []struct {
		l          i18n.Language
		code, want string
	}{
		{i18n.French, "MA", "Maroc"}, {i18n.Dutch, "FR", "Frankrijk"}, {i18n.German, "TR", "Türkei"}, {i18n.English, "DE", "Germany"},
		{i18n.French, "001", "001"}, {i18n.French, "??", "??"}, {i18n.French, "", ""}, {i18n.French, "QQ", "QQ"},
	} {
		if got := i18n.Country(k.l, k.code); got != k.want {
			t.Errorf("%s in %s: %q", k.code, k.l, got)
		}
	}
}
