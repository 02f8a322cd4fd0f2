package orders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfry-eid/belfry/internal/commune"
	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/i18n"
	"github.com/belfry-eid/belfry/internal/sqldb"
	"github.com/belfry-eid/belfry/orders/catalogue"
	"github.com/belfry-eid/belfry/orders/fee"
	"github.com/belfry-eid/belfry/orders/form"
)

// Fee is how an order's paper is delivered and what it costs. It stays as the person saw
// it, whatever the commune decides later.
type Fee struct {
	Delivery   fee.Delivery
	Copies     int
	Price      fee.Price
	Regulation string   // https address; "" where the commune named none
	First      bool     // it is received before the paper is issued
	To         []string // lines of the official address; nil unless by post
	// Received is the fee received, nil where there is none or it was undone.
	Received *Receipt
	PostedAt time.Time // zero until the letter was sent
}

// Owed says whether something is still to be paid.
func (f *Fee) Owed() bool { return f != nil && f.Price.Total > 0 && f.Received == nil }

// Due says whether the paper waits for its fee.
func (f *Fee) Due() bool { return f.Owed() && f.First }

// Tariff is what a product costs in a commune. Fault orders.no_product.
func (s *Service) Tariff(c commune.ID, product string) (fee.Tariff, error) {
	chosen, err := s.Product(c, product)
	if err != nil {
		return fee.Tariff{}, err
	}
	of, err := s.commune(c)
	if err != nil {
		return fee.Tariff{}, err
	}
	return fee.Of(of, chosen)
}

// asked are all questions of an order's form.
func asked(p *catalogue.Product, t fee.Tariff) []form.Name {
	return append(form.Asked(p.Fields), t.Asked()...)
}

// ParseForm reads the answers to a product's questions and those of its tariff.
func ParseForm(p *catalogue.Product, t fee.Tariff, values url.Values, languages []i18n.Language, country string) (form.Answers, form.Errors) {
	answers, faults := form.Parse(p.Fields, values, languages, country)
	wanted, wrong := t.Parse(values)
	for name, answer := range wanted {
		answers[name] = answer
	}
	for name, key := range wrong {
		faults[name] = key
	}
	return answers, faults
}

// official are the lines of the address that card or register tells; nil where there is none.
func official(answers []Answer) []string {
	for _, a := range answers {
		if (a.Name == Address || a.Name == ReferenceAddress) && (a.Origin == FromRegister || a.Origin == FromCard) {
			if cut := strings.LastIndex(a.Value, ", "); cut > 0 { // street, then postal code and place
				return []string{a.Value[:cut], a.Value[cut+2:]}
			}
			return []string{a.Value}
		}
	}
	return nil
}

// feeOf is what an order of these answers costs; nil for a free download.
func feeOf(t fee.Tariff, typed form.Answers, answers []Answer) *Fee {
	c := t.ChoiceOf(typed)
	price := t.PriceOf(c)
	if c.Delivery == fee.Download && price.Total == 0 {
		return nil
	}
	f := &Fee{Delivery: c.Delivery, Copies: c.Copies, Price: price, Regulation: t.Regulation, First: t.First}
	if c.Delivery == fee.Post {
		f.To = official(answers)
	}
	return f
}

// charge is feeOf where the price is the one that was seen.
func charge(t fee.Tariff, typed form.Answers, answers []Answer, seen string) (*Fee, error) {
	f := feeOf(t, typed, answers)
	if f != nil && f.Delivery == fee.Post && len(f.To) == 0 {
		return nil, fault.New(fault.Conflict, "fee.no_address", nil)
	}
	if f.mark() != seen {
		return nil, fault.New(fault.Conflict, "fee.changed", nil)
	}
	return f, nil
}

// mark is fee.Price.Mark of what an order costs.
func (f *Fee) mark() string {
	if f == nil {
		return ""
	}
	return f.Price.Mark()
}

// freeAgain is the fee of an order in the place of a withdrawn paper: delivered likewise,
// and free, since the commune took the first one back.
func (f *Fee) freeAgain(answers []Answer) *Fee {
	if f == nil || f.Delivery == fee.Download {
		return nil
	}
	again := &Fee{Delivery: f.Delivery, Copies: f.Copies, Regulation: f.Regulation, First: f.First}
	if f.Delivery == fee.Post {
		if again.To = official(answers); again.To == nil {
			again.To = slices.Clone(f.To)
		}
	}
	return again
}

func addFee(tx *sqldb.Tx, c commune.ID, order string, f *Fee) error {
	if f == nil {
		return nil
	}
	price, err := json.Marshal(f.Price)
	if err != nil {
		return err
	}
	to, err := json.Marshal(f.To)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO orders_fee (commune, order_id, delivery, copies, price, total, regulation, before_issue, recipient) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		string(c), order, string(f.Delivery), f.Copies, string(price), f.Price.Total, f.Regulation, bit(f.First), string(to))
	return err
}

const selectFee = `SELECT f.order_id, f.delivery, f.copies, f.price, f.regulation, f.before_issue, f.recipient, f.posted_at,
	COALESCE(r.seq, 0), COALESCE(r.at, 0), COALESCE(r.subject, ''), COALESCE(r.name, ''), COALESCE(r.how, ''), COALESCE(r.number, ''), COALESCE(r.cents, 0)
	FROM orders_fee f LEFT JOIN orders_receipt r ON r.commune = f.commune AND r.order_id = f.order_id AND r.undone_at = 0
	WHERE f.commune = $1 `

func scanFee(from scanner) (order string, f *Fee, err error) {
	f = &Fee{}
	var price, to string
	var first, posted, received int64
	var r Receipt
	if err := from.Scan(&order, &f.Delivery, &f.Copies, &price, &f.Regulation, &first, &to, &posted,
		&r.Seq, &received, &r.By.Subject, &r.By.Name, &r.How, &r.Number, &r.Cents); err != nil {
		return "", nil, err
	}
	if err := errors.Join(json.Unmarshal([]byte(price), &f.Price), json.Unmarshal([]byte(to), &f.To)); err != nil {
		return "", nil, fmt.Errorf("order %s: fee: %w", order, err)
	}
	f.First, f.PostedAt = first == 1, sinceZero(posted)
	if r.Seq > 0 {
		r.At = sinceZero(received)
		f.Received = &r
	}
	return order, f, nil
}

// fee reads what an order costs and whether it was paid.
func (s *Service) fee(ctx context.Context, r *row) error {
	_, f, err := scanFee(s.DB.QueryRow(ctx, selectFee+`AND f.order_id = $2`, string(r.Commune), r.ID))
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil
	}
	r.Fee = f
	return err
}

// feeText is what a mail says about the price: neither the paper's kind nor its purpose.
func feeText(of *commune.Commune, r row, l i18n.Language) string {
	if r.Fee == nil || len(r.Fee.Price.Lines) == 0 {
		return ""
	}
	lines := []string{i18n.T(l, "fee.mail")}
	for _, line := range r.Fee.Price.Lines {
		lines = append(lines, i18n.T(l, "fee.mail_line", "What", line.In(l), "Price", i18n.Euro(l, line.Cents())))
	}
	lines = append(lines, i18n.T(l, "fee.mail_line", "What", i18n.T(l, "fee.total"), "Price", i18n.Euro(l, r.Fee.Price.Total)))
	return strings.Join(lines, "\n") + "\n\n" + PaymentIn(of, r.Product, l)
}

// PaymentIn is how a fee is paid in a commune, in the reader's language.
func PaymentIn(of *commune.Commune, p *catalogue.Product, l i18n.Language) string {
	if t, err := fee.Of(of, p); err == nil && t.PaymentIn(l) != "" {
		return t.PaymentIn(l)
	}
	return i18n.T(l, "fee.payment")
}
