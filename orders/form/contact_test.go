package form_test

import (
	"maps"
	"net/url"
	"slices"
	"testing"

	"github.com/belfry-eid/belfry/orders/form"
)

var contact = []form.Name{form.Email}

func TestContact(t *testing.T) {
	for name, c := range map[string]struct {
		values  url.Values
		answers form.Answers
		faults  form.Errors
	}{
		"e-mail":              {url.Values{"contact": {"email"}, "email": {"a@example.be"}}, form.Answers{"contact": "email", "email": "a@example.be"}, nil},
		"phone":               {url.Values{"contact": {"phone"}, "phone": {"0470 12 34 56"}}, form.Answers{"contact": "phone", "phone": "+32470123456"}, nil},
		"neither":             {url.Values{"contact": {"none"}}, form.Answers{"contact": "none"}, nil},
		"only one is kept":    {url.Values{"contact": {"phone"}, "phone": {"0470123456"}, "email": {"a@example.be"}}, form.Answers{"contact": "phone", "phone": "+32470123456"}, nil},
		"neither keeps none":  {url.Values{"contact": {"none"}, "phone": {"x"}, "email": {"y"}}, form.Answers{"contact": "none"}, nil},
		"typed, not ticked":   {url.Values{"email": {"a@example.be"}}, form.Answers{"contact": "email", "email": "a@example.be"}, nil},
		"a number, no tick":   {url.Values{"phone": {"+352 621 123 456"}}, form.Answers{"contact": "phone", "phone": "+352621123456"}, nil},
		"nothing":             {url.Values{}, nil, form.Errors{"contact": "orders.form.contact_missing"}},
		"no such way":         {url.Values{"contact": {"pigeon"}}, nil, form.Errors{"contact": "orders.form.contact_missing"}},
		"twice":               {url.Values{"contact": {"email", "none"}}, nil, form.Errors{"contact": "orders.form.contact_missing"}},
		"e-mail left open":    {url.Values{"contact": {"email"}, "email": {" "}}, form.Answers{"contact": "email"}, form.Errors{"email": "orders.form.email_missing"}},
		"phone left open":     {url.Values{"contact": {"phone"}}, form.Answers{"contact": "phone"}, form.Errors{"phone": "orders.form.phone_missing"}},
		"a wrong one is kept": {url.Values{"contact": {"phone"}, "phone": {"12"}}, form.Answers{"contact": "phone", "phone": "12"}, form.Errors{"phone": "orders.form.phone_wrong"}},
		"two addresses":       {url.Values{"contact": {"email"}, "email": {"a@example.be", "b@example.be"}}, form.Answers{"contact": "email"}, form.Errors{"email": "orders.form.twice"}},
	} {
		answers, faults := form.Parse(contact, c.values, nil, "")
		if !maps.Equal(answers, c.answers) || !maps.Equal(faults, c.faults) {
			t.Errorf("%s: %v %v", name, answers, faults)
		}
	}
	if asked := form.Asked([]form.Name{form.DocumentLanguage, form.Email}); !slices.Equal(asked, []form.Name{form.DocumentLanguage, form.Contact, form.Email, form.Phone}) {
		t.Errorf("asked %v", asked)
	}
}

func TestPhone(t *testing.T) {
	for given, want := range map[string][2]string{ // of Belgium, of France
		"0470 12 34 56":          {"+32470123456", "+33470123456"},
		"0470/12.34.56":          {"+32470123456", "+33470123456"},
		"02 555 12 34":           {"+3225551234", ""},
		"069/12-34-56":           {"+3269123456", ""},
		"06 12 34 56 78":         {"", "+33612345678"},
		"+32 (0)470 12 34 56":    {"+32470123456", "+32470123456"},
		"0032 470 123456":        {"+32470123456", "+32470123456"},
		"+33\u00a06 12 34 56 78": {"+33612345678", "+33612345678"},
		"+49 30 1234567":         {"+49301234567", "+49301234567"},
		"112":                    {"", ""},
		"470123456":              {"", ""},
		"+0470123456":            {"", ""},
		"+32 0470 12 34 56":      {"", ""},
		"+32470":                 {"", ""},
		"+1234567890123456":      {"", ""},
		"0470 12 34 5x":          {"", ""},
		"0470123456;0470":        {"", ""},
	} {
		for i, country := range []string{"", "fr"} {
			answers, faults := form.Parse(contact, url.Values{"contact": {"phone"}, "phone": {given}}, nil, country)
			if want[i] == "" != (faults[form.Phone] == "orders.form.phone_wrong") || want[i] != "" && answers[form.Phone] != want[i] {
				t.Errorf("%q in %q: %q %q, want %q", given, country, answers[form.Phone], faults[form.Phone], want[i])
			}
		}
	}
}

// What was taken is taken again as it is: a form is parsed where it is typed, and held to
// it where it is sent.
func FuzzContact(f *testing.F) {
	f.Add("", "a@example.be", "0470 12 34 56", "")
	f.Add("phone", "", "+33 6 12 34 56 78", "fr")
	f.Fuzz(func(t *testing.T, way, email, phone, country string) {
		answers, faults := form.Parse(contact, url.Values{"contact": {way}, "email": {email}, "phone": {phone}}, nil, country)
		if len(faults) > 0 {
			return
		}
		again := url.Values{}
		for name, v := range answers {
			again.Set(string(name), v)
		}
		same, faults := form.Parse(contact, again, nil, country)
		if len(faults) > 0 || !maps.Equal(same, answers) {
			t.Errorf("%v becomes %v, %v", answers, same, faults)
		}
		if (answers[form.Email] != "") != (answers[form.Contact] == "email") || (answers[form.Phone] != "") != (answers[form.Contact] == "phone") {
			t.Errorf("%v", answers)
		}
	})
}
