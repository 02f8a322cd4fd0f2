package fee_test

import (
	"net/url"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
)

// tariff is that of the residence paper with history in a commune that sets t.
func tariff(t testing.TB, set commune.Tariff) fee.Tariff {
	t.Helper()
	p, _ := catalogue.Standard().Newest("residence_history")
	made, err := fee.Of(&commune.Commune{ID: "beaumarais", Products: map[string]commune.Product{p.ID: {Tariff: set}}}, p)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

var byPost = commune.Tariff{SurchargeCents: map[string]int64{"bank": 200, "abroad": 500}, PostCents: 100, Deliveries: []string{"download", "post", "counter"}, MaxCopies: 5}

// Two copies for a bank by post are 2 × 2,00 + 1,00; the same paper downloaded is free.
func TestPrices(t *testing.T) {
	price := int64(150)
	withBase := byPost
	withBase.PriceCents = &price
	costly := withBase
	costly.DownloadCosts = true
	for _, c := range []struct {
		set    commune.Tariff
		choice fee.Choice
		total  int64
		lines  int
	}{
		{byPost, fee.Choice{fee.Post, fee.Bank, 2}, 500, 2},
		{byPost, fee.Choice{fee.Post, fee.Pension, 2}, 100, 1},
		{byPost, fee.Choice{fee.Post, fee.Unsaid, 1}, 600, 2}, // the dearest purpose
		{byPost, fee.Choice{fee.Download, "", 1}, 0, 0},
		{byPost, fee.Choice{fee.Counter, fee.Bank, 1}, 200, 1},
		{withBase, fee.Choice{fee.Post, fee.Bank, 3}, 3*350 + 100, 2},
		{withBase, fee.Choice{fee.Download, "", 1}, 0, 0},
		{costly, fee.Choice{fee.Download, fee.Bank, 1}, 350, 1},
		{commune.Tariff{}, fee.Choice{fee.Download, "", 1}, 0, 0},
	} {
		got := tariff(t, c.set).PriceOf(c.choice)
		if got.Total != c.total || len(got.Lines) != c.lines || (got.Mark() == "") != (c.total == 0) {
			t.Errorf("%+v: %+v, want %d", c.choice, got, c.total)
		}
	}
	lines := tariff(t, byPost).PriceOf(fee.Choice{fee.Post, fee.Bank, 2}).Lines
	if got := lines[0].In(i18n.French); got != "2 exemplaires à 2,00 €" {
		t.Errorf("in words %q", got)
	}
}

// A question is asked where its answer matters, and only there.
func TestAsked(t *testing.T) {
	for _, c := range []struct {
		set  commune.Tariff
		want []form.Name
	}{
		{commune.Tariff{}, nil},
		{commune.Tariff{DownloadCosts: true}, nil},
		{commune.Tariff{DownloadCosts: true, SurchargeCents: map[string]int64{"bank": 1}}, []form.Name{form.Purpose}},
		{commune.Tariff{Deliveries: []string{"counter", "download"}}, []form.Name{form.Delivery}},
		{commune.Tariff{Deliveries: []string{"download", "post"}, MaxCopies: 1}, []form.Name{form.Delivery}},
		{commune.Tariff{Deliveries: []string{"download", "post"}}, []form.Name{form.Delivery, form.Copies}},
		{byPost, []form.Name{form.Delivery, form.Copies, form.Purpose}},
	} {
		if got := tariff(t, c.set).Asked(); !slices.Equal(got, c.want) {
			t.Errorf("%+v asks %v, want %v", c.set, got, c.want)
		}
	}
	if got := tariff(t, byPost).Without(fee.Post).Asked(); !slices.Equal(got, []form.Name{form.Delivery, form.Purpose}) {
		t.Errorf("without post: %v", got)
	}
}

func TestParse(t *testing.T) {
	full := tariff(t, byPost)
	for sent, want := range map[string]string{
		"delivery=post&copies=2&purpose=bank":         "",
		"delivery=counter&purpose=unsaid":             "",
		"delivery=download&copies=x&purpose=nonsense": "", // not asked then
		"":             "fee.form.delivery_missing",
		"delivery=fax": "fee.form.delivery_wrong",
		"delivery=post&delivery=counter&purpose=bank":  "orders.form.twice",
		"delivery=post&copies=0&purpose=bank":          "fee.form.copies_wrong",
		"delivery=post&copies=-1&purpose=bank":         "fee.form.copies_wrong",
		"delivery=post&copies=6&purpose=bank":          "fee.form.copies_wrong",
		"delivery=post&copies=1000000000&purpose=bank": "fee.form.copies_wrong",
		"delivery=post&copies=2.0&purpose=bank":        "fee.form.copies_wrong",
		"delivery=post&copies=%2B2&purpose=bank":       "fee.form.copies_wrong",
		"delivery=post&copies=2":                       "fee.form.purpose_missing",
		"delivery=post&copies=2&purpose=bribery":       "fee.form.purpose_wrong",
	} {
		values, err := url.ParseQuery(sent)
		if err != nil {
			t.Fatal(err)
		}
		answers, faults := full.Parse(values)
		found := want == "" && len(faults) == 0
		for _, key := range faults {
			found = found || key == want
		}
		if !found {
			t.Errorf("%s: faults %v, want %q", sent, faults, want)
		}
		if answers[form.Delivery] == "download" && len(answers) != 1 {
			t.Errorf("%s: kept %v", sent, answers)
		}
	}
	// Where nothing is asked, nothing is answered, and nothing can be slipped in.
	plain := tariff(t, commune.Tariff{})
	answers, faults := plain.Parse(url.Values{"purpose": {"bank"}, "copies": {"9"}, "delivery": {"download"}})
	if len(answers) != 0 || len(faults) != 0 {
		t.Errorf("answers %v, faults %v", answers, faults)
	}
	if _, faults := plain.Parse(url.Values{"delivery": {"post"}}); faults[form.Delivery] == "" {
		t.Error("a delivery that is not offered was taken")
	}
}

// However answers look: whatever Parse lets through is among the offered, costs what the
// formula says and no more than the dearest, and comes back the same from its own answers.
func TestPriceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.Int64Range(0, commune.MaxCents).Draw(t, "price")
		set := commune.Tariff{
			PriceCents: &price, PostCents: rapid.Int64Range(0, commune.MaxCents).Draw(t, "post"), MaxCopies: rapid.IntRange(0, commune.MaxCopies).Draw(t, "most"),
			DownloadCosts: rapid.Bool().Draw(t, "download"), Deliveries: []string{"post", "counter", "download"},
			SurchargeCents: map[string]int64{"bank": rapid.Int64Range(0, commune.MaxCents).Draw(t, "bank"), "notary": rapid.Int64Range(0, commune.MaxCents).Draw(t, "notary")},
		}
		p, _ := catalogue.Standard().Newest("residence")
		f, err := fee.Of(&commune.Commune{Products: map[string]commune.Product{p.ID: {Tariff: set}}}, p)
		if err != nil {
			t.Fatal(err)
		}
		word := rapid.SampledFrom([]string{"", "post", "counter", "download", "bank", "unsaid", "other", "0", "1", "3", "100", "-1", "99999999999999999999", "\x00"})
		values := url.Values{"delivery": {word.Draw(t, "d")}, "copies": {word.Draw(t, "c")}, "purpose": {word.Draw(t, "p")}}
		answers, faults := f.Parse(values)
		if len(faults) > 0 {
			return
		}
		c := f.ChoiceOf(answers)
		got := f.PriceOf(c)
		var want int64
		if f.Charges(c.Delivery) {
			want = f.Copy(c.Purpose) * int64(c.Copies)
		}
		if c.Delivery == fee.Post {
			want += set.PostCents
		}
		if got.Total != want || got.Total < 0 || c.Copies < 1 || c.Copies > f.MaxCopies || got.Total > f.UpTo(c.Delivery)*int64(f.MaxCopies) {
			t.Fatalf("%+v costs %+v, want %d", c, got, want)
		}
		again := url.Values{}
		for name, v := range answers {
			again.Set(string(name), v)
		}
		if second, faults := f.Parse(again); len(faults) > 0 || f.ChoiceOf(second) != c {
			t.Fatalf("%v read again is %v", answers, second)
		}
	})
}
