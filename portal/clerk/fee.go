package clerk

import (
	"net/http"
	"strconv"

	"github.com/belfry-eid/belfry/internal/fault"
	"github.com/belfry-eid/belfry/internal/page"
	"github.com/belfry-eid/belfry/internal/web"
	"github.com/belfry-eid/belfry/orders"
	"github.com/belfry-eid/belfry/portal/visit"
)

// What an order costs, and the fee that a clerk has received for it.

// payment is the panel of an order's page about its fee.
type payment struct {
	*orders.Fee
	Receive bool // a fee may be recorded
	Undo    bool
	Ways    []orders.Payment
	Later   bool     // it may be received later, too
	Address []string // of the letter
	To      string   // where the panel's forms go

	How, Number, Reason              string // as typed
	HowError, NumberError, ReasonBad string
}

func (c *payment) faults() []page.Fault {
	if c == nil {
		return nil
	}
	var list []page.Fault
	for _, f := range []page.Fault{{Field: "how", Text: c.HowError}, {Field: "receipt", Text: c.NumberError}, {Field: "undo", Text: c.ReasonBad}} {
		if f.Text != "" {
			list = append(list, f)
		}
	}
	return list
}

// paymentOf is the panel, nil where the order's paper is downloaded and free.
func paymentOf(v *visit.Visit, o orders.Order, own bool) *payment {
	if o.Fee == nil {
		return nil
	}
	return &payment{
		Fee: o.Fee, Address: o.Fee.To, Ways: orders.Payments, To: v.To("/desk/orders/" + o.ID + "/fee"),
		Receive: !own && o.Fee.Owed() && (o.State.Open() || o.State == orders.Issued), Undo: !own && o.Fee.Received != nil,
	}
}

// paidLater is the answer that a fee is not received yet.
const paidLater = "later"

// paidAtCounter asks how the fee of an order was paid that is about to be made.
func paidAtCounter(v *visit.Visit, r *http.Request, wrong error) *payment {
	c := &payment{Ways: []orders.Payment{orders.Cash, orders.BankCard}, Later: true, How: r.PostForm.Get("how"), Number: r.PostForm.Get("receipt")}
	switch key := fault.KeyOf(wrong); key {
	case "fee.how_missing":
		c.HowError = v.T(key)
	case "fee.number_wrong":
		c.NumberError = v.T(key)
	}
	return c
}

// receive records a fee.
func (p *Pages) receive(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	id := r.PathValue("id")
	if err := r.ParseForm(); err != nil {
		return err
	}
	how, number := r.PostForm.Get("how"), r.PostForm.Get("receipt")
	_, err := p.orders.Receive(r.Context(), v.Commune.ID, id, me(v), orders.Payment(how), number)
	switch key := fault.KeyOf(err); key {
	case "fee.how_missing":
		return p.payAgain(w, r, func(c *payment) { c.How, c.Number, c.HowError = how, number, v.T(key) })
	case "fee.number_wrong":
		return p.payAgain(w, r, func(c *payment) { c.How, c.Number, c.NumberError = how, number, v.T(key) })
	}
	if err != nil {
		return p.moved(w, r, err)
	}
	return web.See(w, r, v.To("/desk/orders/"+id)+"#fee")
}

// undoReceipt takes a receipt back.
func (p *Pages) undoReceipt(w http.ResponseWriter, r *http.Request) error {
	v := visit.Of(r)
	id := r.PathValue("id")
	if err := r.ParseForm(); err != nil {
		return err
	}
	seq, _ := strconv.Atoi(r.PostForm.Get("seq")) // 0 is no receipt
	reason := r.PostForm.Get("reason")
	_, err := p.orders.UndoReceipt(r.Context(), v.Commune.ID, id, me(v), seq, reason)
	if fault.KindOf(err) == fault.Invalid {
		return p.payAgain(w, r, func(c *payment) { c.Reason, c.ReasonBad = reason, v.T("fee.desk.reason_missing") })
	}
	if err != nil {
		return p.moved(w, r, err)
	}
	return web.See(w, r, v.To("/desk/orders/"+id)+"#fee")
}

// payAgain shows the order with what is wrong in its fee's panel.
func (p *Pages) payAgain(w http.ResponseWriter, r *http.Request, change func(*payment)) error {
	v := visit.Of(r)
	o, err := p.orders.ForClerk(r.Context(), v.Commune.ID, r.PathValue("id"), me(v))
	if err != nil {
		return err
	}
	c, err := p.view(r, o)
	if err != nil {
		return err
	}
	if c.Fee == nil {
		return fault.New(fault.Conflict, "fee.nothing_owed", nil)
	}
	change(c.Fee)
	return p.show(w, r, http.StatusUnprocessableEntity, c)
}
