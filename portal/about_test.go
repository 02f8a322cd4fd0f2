package portal_test

import (
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/docs"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/orderstest"
)

// The statement is the audit's, whole, in the reader's language; every page leads to it.
func TestTheAccessibilityStatement(t *testing.T) {
	w := newWorld(t)
	b := w.browser(orderstest.A)
	_, rest, _ := strings.Cut(docs.AccessibilityAudit, "| fr | nl | de | en |\n|---|---|---|---|\n")
	row, _, _ := strings.Cut(rest, "\n")
	cells := strings.Split(strings.Trim(row, "| "), " | ")
	for i, l := range []i18n.Language{i18n.French, i18n.Dutch, i18n.German, i18n.English} {
		if home, _ := w.cfg.Communes.ByID(orderstest.A); !home.Offers(l) {
			continue
		}
		said := text(b.get("/" + string(l) + "/accessibility").doc)
		if !strings.Contains(said, strings.Join(strings.Fields(cells[i]), " ")) {
			t.Errorf("%s does not say %q", l, cells[i])
		}
		if !strings.Contains(b.get("/"+string(l)+"/").body, `href="/`+string(l)+`/accessibility"`) {
			t.Errorf("the home page in %s does not lead there", l)
		}
	}
}
