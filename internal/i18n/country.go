package i18n

import (
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Country is a country's name in l by its ISO 3166-1 code of two letters (Unicode CLDR);
// the code itself where nobody has named it.
func Country(l Language, code string) string {
	region, err := language.ParseRegion(code)
	if err != nil || !region.IsCountry() {
		return code
	}
	tag, err := language.Parse(string(l))
	if err != nil {
		return code
	}
	if name := display.Regions(tag).Name(region); name != "" {
		return name
	}
	return code
}
