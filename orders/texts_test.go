package orders_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/orders/form"
	"github.com/belfry-eid/belfry/orders/notice"
	"github.com/belfry-eid/belfry/orders/register"
)

var faultKey = regexp.MustCompile(`(?:fault\.New\([^"\n]*"((?:orders|register|withdrawal)\.[a-z_.]+)"|"(orders\.form\.[a-z_]+)")`)

// Whatever can reach a reader from this room has words in all four languages.
func TestEveryKeyHasWords(t *testing.T) {
	keys := map[string]bool{"orders.clerk_looks": true}
	for _, s := range orders.States {
		keys[s.Key()] = true
	}
	for _, k := range orders.EventKinds {
		keys[k.Key()] = true
	}
	for _, c := range orders.Causes {
		keys[c.Key()] = true
	}
	for _, g := range orders.Grounds {
		keys[g.Key()] = true
	}
	for _, a := range orders.Attentions {
		keys[a.Key()] = true
	}
	for _, r := range register.Relations {
		keys["orders.relation."+string(r)] = true
	}
	for _, o := range []orders.Origin{orders.FromCard, orders.FromSignIn, orders.FromRegister, orders.FromPerson} {
		keys[o.Key()] = true
	}
	for _, n := range []string{orders.GivenNames, orders.Surname, orders.BirthDate, orders.Address, orders.ReferenceAddress, orders.Since, orders.Household} {
		keys[orders.Answer{Name: n}.LabelKey()] = true
	}
	for _, n := range form.Names {
		keys[n.LabelKey()], keys[n.HintKey()] = true, true
	}
	for _, k := range notice.Kinds {
		keys["orders.mail."+string(k)+".subject"], keys["orders.mail."+string(k)+".text"] = true, true
	}
	for _, q := range orders.Templates {
		keys[q.LabelKey()], keys[q.TextKey()] = true, true
	}
	before := len(keys)
	for _, dir := range []string{".", "form", "register", "attachment"} {
		files, err := fs.Glob(os.DirFS(dir), "*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			source, err := os.ReadFile(dir + "/" + f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range faultKey.FindAllStringSubmatch(string(source), -1) {
				keys[m[1]+m[2]] = true
			}
		}
	}
	if len(keys) < before+25 {
		t.Fatalf("only %d fault keys were found in the source", len(keys)-before)
	}
	for key := range keys {
		for _, l := range i18n.Languages {
			if text := i18n.T(l, key, "Count", 3); text == key || strings.TrimSpace(text) == "" {
				t.Errorf("%s has no words in %s", key, l)
			}
		}
	}
}
