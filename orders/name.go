package orders

import (
	"slices"
	"strings"

	"github.com/belfry-eid/belfry/orders/form"
)

func words(s string) string { return strings.Join(strings.Fields(form.Fold(s)), " ") }

// searchName is what a clerk's search runs over: surname first.
func searchName(surname, givenNames string) string {
	return strings.TrimSpace(words(surname) + " " + words(givenNames))
}

// sameName says whether card and register may mean the same surname: equal but for
// case, accents and hyphens, or one the beginning of the other (cards cut long names).
func sameName(a, b string) bool {
	a, b = words(a), words(b)
	if a == "" || b == "" {
		return a == b
	}
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

// mayBe says whether somebody of this name may be the person of an order whom no number
// tells from others: the surname and the first given name are in it.
func mayBe(o Order, name string) bool {
	given, _, _ := strings.Cut(words(o.GivenNames), " ")
	have := strings.Fields(words(name))
	for _, w := range append(strings.Fields(words(o.Surname)), given) {
		if w != "" && !slices.Contains(have, w) {
			return false
		}
	}
	return len(have) > 0
}
