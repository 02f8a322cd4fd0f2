package about

import (
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/docs"
)

func TestTheAuditOfTheProduct(t *testing.T) {
	a, err := readAudit(docs.AccessibilityAudit)
	if err != nil {
		t.Fatal(err)
	}
	if a.examined.Year() < 2026 || a.standard == "" {
		t.Errorf("examined %v by %q", a.examined, a.standard)
	}
}

const small = `# Audit

## Standing

| what | value |
|---|---|
| standard | WCAG 2.2 AA |
| examined | 2026-11-24 |
| status | partial |

## What falls short

| fr | nl | de | en |
|---|---|---|---|
| un | een | eins | one |

## Else

| fr | nl | de | en |
|---|---|---|---|
| deux | twee | zwei | two |
`

// A statement never claims more than the audit, and says all of it in each language.
func TestReadAudit(t *testing.T) {
	a, err := readAudit(small)
	if err != nil || a.status != "partial" || len(a.short) != 1 || a.short[0]["de"] != "eins" {
		t.Fatalf("%+v, %v", a, err)
	}
	for name, change := range map[string][2]string{
		"a day that is none":                       {"2026-11-24", "soon"},
		"a status that is none":                    {"| partial |", "| good |"},
		"no standard":                              {"| standard | WCAG 2.2 AA |\n", ""},
		"a gap in a language":                      {"| eins |", "| |"},
		"nothing falls short, and not all is well": {"| un | een | eins | one |\n", ""},
		"all is well, and something falls short":   {"| partial |", "| full |"},
		"no table":                                 {"## Standing", "## Sitting"},
	} {
		text := strings.Replace(small, change[0], change[1], 1)
		if text == small {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := readAudit(text); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}
